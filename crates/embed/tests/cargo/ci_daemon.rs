//! The example: twenty jobs, no packet, nothing left.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use prebake_testkit::http::Server;
use prebake_testkit::shared::{found_or_skipped, real_mirror};

use crate::package::{self, Package, run};

/// The user that is nobody's.
const NOBODY: u32 = 65534;

/// Runs the daemon and writes down what it was, and what is there before and after, from inside of
/// namespaces where nothing but this script and what the daemon leaves can be.
const SCRIPT: &str = "\
cat /proc/self/mounts > before
\"$@\" > out 2> err
echo $? > code
cat /proc/self/mounts > after
cat /proc/net/dev > dev
cat /proc/net/route > route
cat /proc/[0-9]*/stat > processes
";

/// Copies the example, with a recipe that its mirror can answer.
fn example(mirror: &Path, server: &Server) -> Package {
    let package = Package::new("ci-daemon");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ci-daemon");
    let read = |name: &str| fs_err::read_to_string(from.join(name)).unwrap();
    for folder in ["src", "guest"] {
        for entry in fs_err::read_dir(from.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = format!("{folder}/{name}");
            package.write(&name, &read(&name));
        }
    }
    package.write("build.rs", &read("build.rs"));
    // What is published, and by `[patch]` the checkout, as for everybody else.
    let manifest = read("Cargo.toml");
    let crates = ["embed", "launch"].map(|name| format!("path = \"../../crates/{name}\", "));
    let manifest = crates.iter().fold(manifest, |text, path| {
        assert!(text.contains(path), "{text}");
        text.replace(path, "")
    });
    package.write("Cargo.toml", &manifest);
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let keys = ["zhangyoufu.rsa.pub", "fixture-20260101.rsa.pub"];
    for key in keys {
        fs_err::copy(mirror.join("keys").join(key), package.path(key)).unwrap();
    }
    let recipe = read("prebake.toml")
        .replace("[\"x86_64\", \"aarch64\"]", "[\"x86_64\"]")
        .replace("\"3.21.3\"", "\"3.20.3\"");
    let recipe = format!(
        "mirrors = [\"{url}\"]\n{recipe}\n[[repository]]\nurl = \"{url}/v3.20/main\"\n\
         keys = {keys:?}\n"
    );
    package.write("prebake.toml", &recipe);
    package
}

#[test]
fn the_example_runs_its_jobs_and_leaves_nothing() {
    let test = "the_example_runs_its_jobs_and_leaves_nothing";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let is_root = is_root();
    let namespaces = ["--net", "--pid", "--fork", "--mount-proc"];
    let probe = Command::new("unshare")
        .args(namespaces)
        .arg("true")
        .output();
    let isolates = probe.is_ok_and(|probe| probe.status.success());
    let able = cfg!(target_arch = "x86_64") && is_root && isolates && has("setpriv") && has("cc");
    let needs = "root, unshare, setpriv and cc on x86_64 Linux";
    if found_or_skipped(able.then_some(()), test, needs).is_none() {
        return;
    }
    let server = Server::start_folder(&mirror);
    let package = example(&mirror, &server);
    let format = package.cargo(&["fmt", "--check"], &[]);
    assert!(format.success, "{format:?}");
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().display().to_string();
    let built = package.cargo(&["build"], &[("PREBAKE_CACHE", &cache)]);
    assert!(built.success, "{built:?}");
    assert!(!built.stderr.contains("warning: unused"), "{built:?}");
    drop(server);
    let step = fs_err::read(package.out("step")).unwrap();
    let loader = b"/lib64/ld-linux-x86-64.so.2\0";
    assert!(step.windows(loader.len()).any(|window| window == loader));

    let program = package::programs().join("ci-daemon");
    for user in [0, NOBODY] {
        let place = tempfile::tempdir().unwrap();
        let arguments = ["--jobs", "20", "--parallel", "4", "--json"];
        let run = Run::new(place.path(), &program, user, &arguments);
        assert_eq!(run.code, 0, "{run:?}");
        let result: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(result["failed"], 0, "{run:?}");
        assert_eq!(result["rootfs"]["release"], "3.20.3");
        let jobs = result["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), 20);
        let mut instances = Vec::new();
        for (number, job) in (1..).zip(jobs) {
            let said = job["said"].as_str().unwrap();
            assert!(
                said.starts_with(&format!("job {number} ran on glibc ")),
                "{said}"
            );
            let rules = serde_json::json!([
                "-P POSTROUTING ACCEPT",
                "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE"
            ]);
            assert_eq!(job["rules"], rules);
            instances.push(job["instance"].as_str().unwrap().to_owned());
        }
        run.left_nothing(&instances);
        instances.sort();
        instances.dedup();
        assert_eq!(instances.len(), 20);
    }
    let place = tempfile::tempdir().unwrap();
    let arguments = ["--jobs", "2", "--parallel", "1", "--source", "nowhere"];
    let run = Run::new(place.path(), &program, 0, &arguments);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err
            .contains("job 2 FAILED: iptables ended with exit code "),
        "{run:?}"
    );
    assert!(run.out.contains("2 jobs, 2 failed"), "{run:?}");
    run.left_nothing(&[]);
}

/// A run of the daemon, and what was there after it.
#[derive(Debug)]
struct Run<'p> {
    place: &'p Path,
    code: i32,
    out: String,
    err: String,
}

impl<'p> Run<'p> {
    fn new(place: &'p Path, program: &Path, user: u32, arguments: &[&str]) -> Self {
        let path = |name: &str| place.join(name);
        fs_err::set_permissions(place, Permissions::from_mode(0o755)).unwrap();
        fs_err::copy(program, path("ci-daemon")).unwrap();
        for folder in ["instances", "home", "tmp"] {
            fs_err::create_dir(path(folder)).unwrap();
            chown(path(folder), Some(user), Some(user)).unwrap();
        }
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--pid", "--fork", "--mount-proc", "sh", "-c"])
            .args([SCRIPT, "sh", "setpriv", "--clear-groups"])
            .args(["--reuid", &user.to_string(), "--regid", &user.to_string()])
            .arg("./ci-daemon")
            .args(arguments)
            .current_dir(place)
            .env("PREBAKE_INSTANCES", path("instances"))
            .env("HOME", path("home"))
            .env("TMPDIR", path("tmp"));
        let output = run(command);
        assert!(output.success, "{output:?}");
        let read = |name: &str| fs_err::read_to_string(path(name)).unwrap();
        Self {
            place,
            code: read("code").trim().parse().unwrap(),
            out: read("out"),
            err: read("err"),
        }
    }

    /// Fails if a packet was sent, or a process, mount, cgroup or file is there that was not.
    fn left_nothing(&self, instances: &[String]) {
        let read = |name: &str| fs_err::read_to_string(self.place.join(name)).unwrap();
        let (dev, route) = (read("dev"), read("route"));
        let lines: Vec<_> = dev.lines().skip(2).collect();
        let [loopback] = lines[..] else {
            panic!("{dev}")
        };
        let counts = loopback.trim().strip_prefix("lo:").unwrap();
        assert!(counts.split_whitespace().all(|count| count == "0"), "{dev}");
        assert!(route.lines().count() <= 1, "{route}");
        // The shell, which is asked before it starts `cat`. Who has ended and is not waited for
        // yet does not run.
        let processes = read("processes");
        let mut running = processes.lines().filter(|line| !line.contains(") Z "));
        assert!(
            running
                .next()
                .is_some_and(|line| line.starts_with("1 (sh) "))
        );
        assert_eq!(running.next(), None, "{processes}");
        // Somebody else's mount may go meanwhile.
        let (before, after) = (read("before"), read("after"));
        for mount in after.lines() {
            assert!(before.lines().any(|line| line == mount), "{mount}");
        }
        for folder in ["home", "tmp", "instances/instances"] {
            let entries = fs_err::read_dir(self.place.join(folder)).unwrap();
            let entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            assert!(entries.is_empty(), "{entries:?}");
        }
        let mut find = Command::new("find");
        find.args(["/sys/fs/cgroup", "-type", "d"]);
        let groups = run(find).stdout;
        for name in instances {
            assert!(!groups.contains(name.as_str()), "{name} in {groups}");
        }
    }
}

fn is_root() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    status.contains("Uid:\t0\t")
}

fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}
