//! `run`, `ps`, `rm` and `doctor` with real packages in real instances.
#![cfg(target_os = "linux")]

mod kitchen;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use kitchen::{Kitchen, Output};
use prebake_testkit::http::Server;
use prebake_testkit::{judge, shared};

/// Where the recipe's output lies in its kitchen.
const OUTPUT: &str = "out/rootfs.tar.gz";

/// Returns a kitchen with the recipe of `gcompat` and `iptables`, and the mirror that it needs.
fn kitchen(test: &str) -> Option<(Kitchen, Server)> {
    let mirror = shared::real_mirror(test)?;
    let server = Server::start_folder(&mirror);
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let keys = ["fixture-20260101.rsa.pub", "zhangyoufu.rsa.pub"];
    let keys = keys.map(|key| mirror.join("keys").join(key));
    let recipe = format!(
        "name = \"ci\"\narch = [\"x86_64\"]\npackages = [\"gcompat\", \"iptables\"]\n\
         mirrors = [{url:?}]\n[base]\nrelease = \"3.20.3\"\n\
         [[repository]]\nurl = \"{url}/v3.20/main\"\nkeys = {keys:?}\n\
         [[output]]\npath = {OUTPUT:?}\n"
    );
    Some((Kitchen::new(&recipe), server))
}

/// Returns the names of what is in a folder of the instances' folder; none where it is not there.
fn names(kitchen: &Kitchen, folder: &str) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(kitchen.path("instances").join(folder)) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs_err::DirEntry>| {
        let entry = entry.expect("it can be read");
        entry.file_name().to_string_lossy().into_owned()
    };
    entries.map(name).collect()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Runs `prebake run` with these words and returns what it wrote, if it ended with `code`.
#[track_caller]
fn run(kitchen: &Kitchen, code: i32, words: &[&str]) -> Output {
    let mut all = vec!["run"];
    all.extend(words);
    let output = kitchen.run(&all);
    output.expect(code);
    output
}

#[test]
fn a_command_runs_as_it_would_here() {
    let Some((kitchen, mirror)) = kitchen("a_command_runs_as_it_would_here") else {
        return;
    };
    let output = run(&kitchen, 0, &["--", "cat", "/etc/alpine-release"]);
    assert_eq!(output.stdout, "3.20.3\n");
    assert!(kitchen.path("prebake.lock").exists());
    assert!(!kitchen.path(OUTPUT).exists(), "`run` writes no outputs");
    assert_eq!(names(&kitchen, "instances"), [""; 0]);

    // Nothing is baked or fetched again: neither the cache nor the mirror is there any more.
    drop(mirror);
    fs_err::remove_dir_all(kitchen.path("cache")).expect("it is there");
    let quick = ["--locked", "--offline", "--"];
    let with = |words: &[&'static str]| [&quick[..], words].concat();
    run(&kitchen, 7, &with(&["sh", "-c", "exit 7"]));
    run(&kitchen, 128 + 9, &with(&["sh", "-c", "kill -9 $$"]));
    let missing = run(&kitchen, 127, &with(&["nothing-of-that-name"]));
    assert!(
        missing.stderr.contains("nothing-of-that-name"),
        "{}",
        missing.stderr
    );
    run(&kitchen, 126, &with(&["/etc/alpine-release"]));

    let output = run(
        &kitchen,
        0,
        &[
            "--locked",
            "--offline",
            "--env",
            "COLOUR=grün",
            "--user",
            "nobody",
            "--workdir",
            "/var",
            "--",
            "sh",
            "-c",
            "echo $COLOUR; id -un; pwd; echo wrong >&2",
        ],
    );
    assert_eq!(output.stdout, "grün\nnobody\n/var\n");
    assert_eq!(output.stderr, "wrong\n");

    let words = with(&["sh", "-c", "cat; exit 3"]);
    let mut all = vec!["run"];
    all.extend(&words);
    let mut child = kitchen
        .command(&all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("it is a pipe");
    input.write_all(b"through\n").expect("it is read");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"through\n");

    let output = run(
        &kitchen,
        4,
        &[
            "--json",
            "--locked",
            "--offline",
            "--",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 4",
        ],
    );
    let json = json(&output);
    assert_eq!(json["stdout"], "out\n");
    assert_eq!(json["stderr"], "err\n");
    assert_eq!(json["exit_code"], 4);
    assert_eq!(json["kept"], false);
    assert_eq!(names(&kitchen, "instances"), [""; 0]);
}

#[test]
fn folders_are_shared_and_the_network_is_not() {
    let Some((kitchen, _mirror)) = kitchen("folders_are_shared_and_the_network_is_not") else {
        return;
    };
    kitchen.write("theirs/letter", "dear\n");
    // Who runs in the instance need not be who owns the folder here.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs_err::set_permissions(kitchen.path("theirs"), open).expect("it is ours");
    let output = run(
        &kitchen,
        0,
        &[
            "--share",
            "theirs:/mnt/in",
            "--",
            "sh",
            "-c",
            "cat /mnt/in/letter; echo back > /mnt/in/answer",
        ],
    );
    assert_eq!(output.stdout, "dear\n");
    let answer = fs_err::read_to_string(kitchen.path("theirs/answer"));
    assert_eq!(answer.expect("it was written"), "back\n");
    let output = run(
        &kitchen,
        0,
        &[
            "--share",
            "theirs:/mnt/in:ro",
            "--",
            "sh",
            "-c",
            "cat /mnt/in/letter; ! touch /mnt/in/more",
        ],
    );
    assert_eq!(output.stdout, "dear\n");
    let refused = run(&kitchen, 2, &["--share", "theirs", "--", "true"]);
    assert!(refused.stderr.contains("HOST:GUEST"), "{}", refused.stderr);

    let devices = [
        "--",
        "sh",
        "-c",
        "ls /sys/class/net 2>/dev/null || cut -d: -f1 /proc/net/dev",
    ];
    let alone = run(&kitchen, 0, &devices).stdout;
    assert!(alone.contains("lo") && !alone.contains("eth"), "{alone}");
    // The mission: a NAT rule in an instance that has no network but its own.
    let rule = "iptables -t nat -A POSTROUTING -s 10.88.0.0/16 -j MASQUERADE \
                && iptables -t nat -S POSTROUTING";
    let output = run(&kitchen, 0, &["--", "sh", "-c", rule]);
    assert!(output.stdout.contains("10.88.0.0/16"), "{}", output.stdout);
}

#[test]
fn what_is_kept_is_listed_taken_up_and_removed() {
    let Some((kitchen, _mirror)) = kitchen("what_is_kept_is_listed_taken_up_and_removed") else {
        return;
    };
    run(
        &kitchen,
        0,
        &[
            "--keep",
            "--name",
            "mine",
            "--",
            "sh",
            "-c",
            "echo 1 > /root/a",
        ],
    );
    let output = run(
        &kitchen,
        0,
        &["--keep", "--name", "mine", "--", "cat", "/root/a"],
    );
    assert_eq!(output.stdout, "1\n");
    let listed = kitchen.run(&["ps", "--json"]);
    let listed = json(listed.expect(0));
    assert_eq!(listed["instances"][0]["name"], "mine");
    assert_eq!(listed["instances"][0]["kept"], true);
    assert_eq!(listed["instances"][0]["holder"], serde_json::Value::Null);
    let table = kitchen.run(&["ps"]);
    assert!(table.expect(0).stdout.contains("mine"), "{}", table.stdout);

    let wrong = run(&kitchen, 2, &["--name", "Not/A.Name", "--", "true"]);
    assert!(wrong.stderr.contains("lower-case"), "{}", wrong.stderr);
    let missing = kitchen.run(&["rm", "yours"]);
    missing.expect(125);
    assert!(
        missing.stderr.contains("no instance yours"),
        "{}",
        missing.stderr
    );

    assert_eq!(kitchen.run(&["rm", "mine"]).expect(0).stdout, "mine\n");
    run(&kitchen, 0, &["--keep", "--name", "b", "--", "true"]);
    run(&kitchen, 0, &["--keep", "--name", "a", "--", "true"]);
    assert_eq!(kitchen.run(&["rm", "--all"]).expect(0).stdout, "a\nb\n");
    let listed = kitchen.run(&["ps", "--json"]);
    assert_eq!(json(listed.expect(0))["instances"], serde_json::json!([]));
    assert_eq!(names(&kitchen, "instances"), [""; 0]);
}

#[test]
fn a_rootfs_runs_that_was_built_before() {
    let Some((kitchen, mirror)) = kitchen("a_rootfs_runs_that_was_built_before") else {
        return;
    };
    kitchen.run(&["build"]).expect(0);
    drop(mirror);
    let output = run(&kitchen, 0, &[OUTPUT, "--", "apk", "info", "-e", "gcompat"]);
    assert_eq!(output.stdout, "gcompat\n");
    // A rootfs of another machine is refused before anything is made.
    kitchen.write("damaged.tar.gz", {
        let mut bytes = fs_err::read(kitchen.path(OUTPUT)).expect("it was built");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    });
    run(&kitchen, 3, &["damaged.tar.gz", "--", "true"]);
    assert_eq!(names(&kitchen, "instances"), [""; 0]);
}

#[test]
fn interrupted_it_leaves_nothing() {
    let test = "interrupted_it_leaves_nothing";
    let Some((kitchen, _mirror)) = kitchen(test) else {
        return;
    };
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(130)), ("KILL", None)] {
        let mut child = kitchen
            .command(&["run", "--", "sh", "-c", "echo begun; exec sleep 1000000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is a pipe");
        let mut output = BufReader::new(output);
        output.read_line(&mut line).expect("it can be read");
        assert_eq!(line, "begun\n");
        let kill = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(kill.is_ok_and(|status| status.success()));
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), code, "{signal}");
        // Whoever holds the pipe still runs: at its end nothing in the instance does.
        line.clear();
        output.read_line(&mut line).expect("it can be read");
        assert_eq!(line, "", "{signal}");
        // The next start finds what was left, if anything was; whoever looks after the instance may
        // take a moment longer than what ran in it.
        let is_gone = || {
            let listed = json(kitchen.run(&["ps", "--json"]).expect(0));
            listed["instances"] == serde_json::json!([])
        };
        assert!((0..200).any(|_| is_gone()), "{signal}");
        assert_eq!(names(&kitchen, "instances"), [""; 0], "{signal}");
    }
}

/// Drives a terminal: gives it a size, types, changes the size, types again, and tells all it saw.
const TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
def size(rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
seen = b''
def until(word, start=0):
    global seen
    while word not in seen[start:]:
        if not select.select([terminal], [], [], 120)[0]:
            sys.exit('nothing comes; seen: ' + repr(seen))
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            sys.exit('it ended; seen: ' + repr(seen))
size(33, 99)
until(b'# ')
os.write(terminal, b'tty; stty size; echo one-$((1+1))\n')
until(b'one-2')
size(44, 111)
os.write(terminal, b'sleep 1; stty size; echo two-$((1+1))\n')
until(b'two-2')
# A shell of its own says that it sleeps: it is the terminal's foreground by then, and dies of ^C.
os.write(terminal, b'sh -c "echo asleep-\\$((1+1)); exec sleep 1000000"\n')
until(b'asleep-2')
asleep = len(seen)
os.write(terminal, b'\x03')
until(b'# ', asleep)
os.write(terminal, b'echo three-$((1+1)); exit 5\n')
until(b'three-2')
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    seen += more
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.write(seen.decode())
sys.exit(code)
"#;

#[test]
fn a_terminal_is_one() {
    let test = "a_terminal_is_one";
    let Some((kitchen, _mirror)) = kitchen(test) else {
        return;
    };
    if judge::python(test).is_none() {
        return;
    }
    run(&kitchen, 0, &["--", "true"]);
    let mut command = kitchen.started_by(&["python3", "-c", TERMINAL], &["run"]);
    let output = Output::of(command.env("TERM", "xterm"));
    output.expect(5);
    for word in ["33 99", "44 111", "/dev/pts/", "three-2"] {
        assert!(output.stdout.contains(word), "{word}: {}", output.stdout);
    }
}

#[test]
fn the_doctor_says_what_there_is() {
    let kitchen = Kitchen::new("");
    let output = kitchen.run(&["doctor", "--json"]);
    let json = json(&output);
    let backends = json["backends"].as_array().expect("a list");
    let names: Vec<_> = backends.iter().map(|one| &one["backend"]).collect();
    assert_eq!(names, ["namespaces", "wsl", "virtualization", "qemu"]);
    let usable = backends.iter().find(|one| one["usable"] == true);
    output.expect(if usable.is_some() { 0 } else { 125 });
    assert_eq!(usable.map(|one| &one["backend"]), Some(&json["backend"]));
    // Whoever asks a doctor changes nothing.
    assert!(!kitchen.path("instances").exists());
    let text = kitchen.run(&["doctor"]);
    assert!(text.stdout.contains("user namespaces"), "{}", text.stdout);
}
