//! What a command touches, as the kernel sees it: under strace, as an unprivileged user whose new
//! files are nobody else's, no file outside of the cache, the project, the temporary folder and
//! the outputs is written, and no host but the recipe's is connected to.
//!
//! What a package's script does is not looked at here: it runs in namespaces of its own, where
//! paths mean something else (`crates/launch/tests/hostile.rs`).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use prebake_testkit::judge;

use crate::host::{as_nobody, set_mode};
use crate::kitchen::Output;
use crate::stove::{OUTPUT, Stove, files};

/// The calls that change something by a path, and those that reach another host.
const CALLS: &str = "trace=open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,\
                     unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,mknod,mknodat,chmod,\
                     fchmodat,chown,lchown,fchownat,truncate,utimensat,setxattr,lsetxattr,mount,\
                     connect,sendto,sendmsg,bind";

/// The commands, and whether they write anything at all.
const COMMANDS: [(&[&str], bool); 8] = [
    (&["lock"], true),
    (&["build"], true),
    (&["build", "--locked"], true),
    (&["vendor", "out/vendored"], true),
    (&["lock", "--check"], false),
    (&["audit", OUTPUT], false),
    (&["verify", OUTPUT], false),
    (&["inspect", OUTPUT], false),
];

/// One call of a trace: its name and its arguments as strace prints them.
struct Call<'t> {
    name: &'t str,
    arguments: &'t str,
}

fn calls(trace: &str) -> impl Iterator<Item = Call<'_>> {
    trace.lines().filter_map(|line| {
        let (_, call) = line.split_once(' ')?;
        // The arguments stand where a call begins; `<... openat resumed>` has none.
        let (name, arguments) = call.trim_start().split_once('(')?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_name.then_some(Call { name, arguments })
    })
}

impl Call<'_> {
    /// Says whether it writes, or may.
    fn writes(&self) -> bool {
        let opens = ["open", "openat", "openat2"].contains(&self.name);
        let flags = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"];
        !opens || flags.iter().any(|flag| self.arguments.contains(flag))
    }

    /// Says whether it is about another host or process.
    fn reaches_out(&self) -> bool {
        ["connect", "sendto", "sendmsg", "bind"].contains(&self.name)
    }

    /// Returns the paths that it names, from the folders that strace says it begins in.
    fn paths(&self, cwd: &Path) -> Vec<PathBuf> {
        let mut from = cwd.to_owned();
        let mut found = Vec::new();
        for part in self.arguments.split(", ") {
            if let Some(name) = part.strip_prefix('"') {
                let name = name.split('"').next().unwrap();
                found.push(normal(&from.join(name)));
            } else if let Some((_, folder)) = part.split_once('<') {
                from = PathBuf::from(folder.split('>').next().unwrap());
            }
        }
        found
    }
}

/// Takes `.` and `..` out of a path.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn nothing_else_is_written_and_nobody_else_is_asked() {
    let test = "nothing_else_is_written_and_nobody_else_is_asked";
    if judge::program(test, "strace").is_none() {
        return;
    }
    let stove = Stove::new();
    // What the tests' own user gets, with the usual umask.
    let good = stove.bake();
    stove.forget();
    let kitchen = fs_err::canonicalize(stove.kitchen.path("")).unwrap();
    let Some(starter) = as_nobody(test, &kitchen) else {
        return;
    };
    for folder in ["out", "cache", "tmp", "home"] {
        fs_err::create_dir_all(kitchen.join(folder)).unwrap();
        set_mode(&kitchen.join(folder), 0o777);
    }
    set_mode(&kitchen, 0o777);
    set_mode(stove.mirror.root(), 0o755);
    let mut copy = Command::new("cp");
    let program = kitchen.join("prebake");
    copy.arg(env!("CARGO_BIN_EXE_prebake")).arg(&program);
    Output::of(&mut copy).expect(0);
    let there = files(&kitchen);
    let address = stove.server.address();
    let server = format!(
        "sin_port=htons({}), sin_addr=inet_addr(\"{}\")",
        address.port(),
        address.ip()
    );
    let home = kitchen.join("home");
    for (arguments, may_write) in COMMANDS {
        let log = kitchen.join("tmp/trace");
        let script = "umask 077; log=$1; shift; exec strace -f -qq -y -s 4096 -e signal=none \
                      -o \"$log\" -e \"$@\"";
        let mut words = starter.to_vec();
        words.extend(["sh", "-c", script, "sh"]);
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg(&log)
            .arg(CALLS)
            .arg(&program)
            .args(arguments)
            .current_dir(&kitchen)
            .env("TMPDIR", kitchen.join("tmp"))
            .env("HOME", &home)
            .env_remove("XDG_DATA_HOME")
            .env_remove("PREBAKE_SEAL")
            .env("PREBAKE_CACHE", kitchen.join("cache"));
        Output::of(&mut command).expect(0);
        let trace = fs_err::read_to_string(&log).unwrap();
        fs_err::remove_file(&log).unwrap();
        assert!(trace.lines().count() > 3, "strace saw nothing: {trace}");
        let mut connected = false;
        for call in calls(&trace) {
            let said = format!("{arguments:?}: {}({}", call.name, call.arguments);
            if call.reaches_out() {
                // What goes over a connection that was made is no new one.
                // strace may tell of it in two lines, of which this is the first.
                let goes_on = call.arguments.contains("NULL, 0)")
                    || call.arguments.contains("NULL, 0 <unfinished")
                    || call.name == "sendmsg";
                assert!(goes_on || call.arguments.contains(&server), "{said}");
                connected = true;
                continue;
            }
            if !call.writes() {
                continue;
            }
            for path in call.paths(&kitchen) {
                let is_own = may_write
                    && ["cache", "out", "tmp", "prebake.lock"]
                        .iter()
                        .any(|own| path.starts_with(kitchen.join(own)));
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_part = may_write && name.starts_with(".prebake-");
                // Making a folder that is there does nothing.
                let is_nothing = path == Path::new("/dev/null")
                    || (call.name == "mkdir" && may_write && path == kitchen);
                assert!(
                    is_own || (is_part && path.parent() == Some(&kitchen)) || is_nothing,
                    "{said}"
                );
                // Nobody can have put a link where a temporary file is to be.
                if path.extension() == Some("part".as_ref()) && call.arguments.contains("O_CREAT") {
                    assert!(call.arguments.contains("O_EXCL"), "{said}");
                }
            }
        }
        assert_eq!(connected, arguments == ["lock"], "{arguments:?}");
    }
    assert!(
        stove.output().is_some_and(|bytes| bytes == good),
        "by another user"
    );
    // And nobody else can read what was made.
    for name in files(&kitchen) {
        if !there.contains(&name) {
            let mode = fs_err::metadata(kitchen.join(&name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{name} is open to others");
        }
    }
}
