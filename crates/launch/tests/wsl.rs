//! Instances by WSL, against a `wsl.exe` that behaves as the real one is documented to.
//!
//! They run on every host, and under wine as programs of Windows. What the guest does is a
//! stand-in here; `tests/wsl_guest.rs` has a real one.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "support/wsl_world.rs"]
mod wsl_world;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

use prebake_launch::{
    Access, Backend, Host, Image, Instance, LaunchError, Name, Network, Rootfs, Settings, Status,
    Stdio,
};

use self::wsl_world::{World, about, rootfs};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn imported(world: &World, text: &str) -> Instance {
    world.host().import(&name(text), &rootfs(b"tree")).unwrap()
}

#[test]
fn what_a_host_lacks_is_said_with_the_command_that_mends_it() {
    let mut all = String::new();
    for behaviour in [
        "",
        "inbox",
        "no-machines",
        "wsl1",
        "old",
        "not-installed",
        "hang",
        "hang:--status",
        "fail:--status:Wsl/WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED",
        "fail:--status:0x1bc",
    ] {
        let world = World::new(behaviour);
        let settings = if behaviour.starts_with("hang") {
            world.impatient()
        } else {
            world.settings()
        };
        let finding = World::finding(&settings);
        writeln!(all, "# {behaviour}: usable: {}", finding.is_usable()).unwrap();
        for check in &finding.checks {
            let seen = world.plain(&check.seen);
            writeln!(all, "{:?} {}: {seen}", check.state, check.what).unwrap();
            if let Some(mend) = &check.mend {
                writeln!(all, "    mend: {mend}").unwrap();
            }
        }
        // The same in the encodings of versions that do not write UTF-8.
        for encoding in ["utf16", "marked-utf16"] {
            if !behaviour.starts_with("hang") {
                world.behave(&format!("{behaviour} {encoding}"));
                assert_eq!(World::finding(&settings), finding);
            }
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_host_without_wsl_has_no_driver() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        folder: Some(folder.path().join("a")),
        wsl: Some(folder.path().join("wsl.exe")),
        ..Settings::default()
    };
    let error = Host::with(Backend::Wsl, &settings).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("wsl: there is no "), "{text}");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_instance_lives_by_these_calls() {
    let world = World::new("asks");
    world.register("Ubuntu");
    world.register("prebake-not-ours");
    let host = world.host();
    assert_eq!(world.calls(), "", "a start asks nothing");
    let mut seen = Vec::new();
    let mut progress = |done, all| seen.push((done, all));
    let mut instance = host
        .import_with(&name("a"), &rootfs(b"tree"), &mut progress)
        .unwrap();
    assert_eq!(seen, [(4, 4)]);
    instance.create_dir("/var/lib/a b").unwrap();
    instance.stop().unwrap();
    instance.keep().unwrap();
    let listed = host.instances().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].identity, Some(*rootfs(b"tree").identity()));
    assert_eq!(listed[0].holder, Some(std::process::id()));
    assert!(listed[0].kept);
    drop(instance);
    assert_eq!(host.instances().unwrap()[0].holder, None);
    let instance = host.open(&name("a")).unwrap();
    instance.remove().unwrap();
    assert_eq!(world.registered(), ["Ubuntu", "prebake-not-ours"]);
    assert!(world.left().is_empty());
    insta::assert_snapshot!(world.calls());
    // The image is there already.
    let mut progress = |_, _| panic!("nothing is unpacked");
    let instance = host.import_with(&name("b"), &rootfs(b"tree"), &mut progress);
    drop(instance.unwrap());
    assert_eq!(world.registered(), ["Ubuntu", "prebake-not-ours"]);
}

#[test]
fn every_encoding_and_version_lives_the_same() {
    for behaviour in [
        "utf16",
        "marked-utf16",
        "asks",
        "no-force",
        "inbox no-force",
    ] {
        let world = World::new(behaviour);
        world.register("Ubuntu");
        let instance = imported(&world, "a");
        assert_eq!(world.registered(), ["Ubuntu", "prebake-a"], "{behaviour}");
        let host = world.host();
        assert_eq!(host.instances().unwrap().len(), 1, "{behaviour}");
        drop(instance);
        assert_eq!(world.registered(), ["Ubuntu"], "{behaviour}");
        assert!(world.left().is_empty(), "{behaviour}");
    }
}

#[test]
fn names_are_had_once() {
    let world = World::new("");
    let host = world.host();
    let instance = imported(&world, "a");
    let taken = host.import(&name("a"), &rootfs(b"tree"));
    assert!(matches!(taken, Err(LaunchError::NameTaken { .. })));
    let open = host.open(&name("a"));
    assert!(
        matches!(open, Err(LaunchError::InUse { holder: Some(pid), .. })
        if pid == std::process::id())
    );
    let missing = host.open(&name("b"));
    assert!(matches!(missing, Err(LaunchError::NotThere { .. })));
    drop(instance);
    // One that another program of the user has made stays.
    world.register("prebake-a");
    let taken = host.import(&name("a"), &rootfs(b"tree"));
    assert!(matches!(taken, Err(LaunchError::NameTaken { .. })));
    assert_eq!(world.registered(), ["prebake-a"]);
    assert!(world.left().is_empty());
}

#[test]
fn a_kept_instance_that_was_unregistered_by_hand_is_not_there() {
    let world = World::new("");
    let mut instance = imported(&world, "a");
    instance.keep().unwrap();
    drop(instance);
    fs_err::remove_file(world.path("distributions").join("prebake-a")).unwrap();
    assert!(world.host().instances().unwrap().is_empty());
    let open = world.host().open(&name("a"));
    assert!(matches!(open, Err(LaunchError::NotThere { .. })));
    assert!(world.left().is_empty());
}

#[test]
fn what_fails_at_an_import_leaves_nothing() {
    let mut all = String::new();
    for behaviour in [
        "fail:--import:Wsl/Service/RegisterDistro/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED",
        "fail:--import:Wsl/Service/RegisterDistro/WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED",
        "fail:--import:0x80370102",
        "fail:--import:0x1bc",
        "fail-late:Wsl/Service/RegisterDistro/ERROR_DISK_FULL",
        "not-installed",
        "hang-in-import",
    ] {
        let world = World::new(behaviour);
        world.register("Ubuntu");
        let settings = match behaviour {
            "hang-in-import" => world.impatient(),
            _ => world.settings(),
        };
        let host = Host::with(Backend::Wsl, &settings).unwrap();
        let error = host.import(&name("a"), &rootfs(b"tree")).unwrap_err();
        writeln!(all, "# {behaviour}\n{}", world.shown(&error)).unwrap();
        assert_eq!(world.registered(), ["Ubuntu"], "{behaviour}");
        assert!(world.left().is_empty(), "{behaviour}");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_rootfs_that_is_not_what_it_says_is_refused_before_wsl_sees_it() {
    let world = World::new("");
    let host = world.host();
    let good = rootfs(b"tree");
    let bytes = good.bytes().unwrap();
    let other = Rootfs::new(about(b"trees"), Image::Embedded(bytes));
    let cut = Rootfs::new(about(b"tree"), Image::Embedded(&bytes[..bytes.len() - 1]));
    let mut short = about(b"tree");
    short.unpacked = 3;
    let short = Rootfs::new(short, Image::Embedded(bytes));
    let mut foreign = about(b"tree");
    foreign.arch = "riscv64".into();
    let foreign = Rootfs::new(foreign, Image::Embedded(bytes));
    let nowhere = Rootfs::new(about(b"tree"), Image::File(world.path("nothing")));
    let mut all = String::new();
    for rootfs in [other, cut, short, foreign] {
        let error = host.import(&name("a"), &rootfs).unwrap_err();
        writeln!(all, "{}", world.shown(&error)).unwrap();
    }
    let error = host.import(&name("a"), &nowhere).unwrap_err();
    assert!(matches!(error, LaunchError::Unpack { .. }), "{error}");
    insta::assert_snapshot!(all);
    assert_eq!(world.calls(), "");
    assert!(world.left().is_empty());
    let images = fs_err::read_dir(world.path("instances/wsl/images")).unwrap();
    assert_eq!(images.count(), 0);
}

#[test]
fn a_file_and_a_part_of_one_are_imported_alike() {
    let world = World::new("");
    let bytes = rootfs(b"tree").bytes().unwrap();
    let file = world.path("file");
    fs_err::write(&file, [b"before", bytes, b"behind"].concat()).unwrap();
    let part = Image::Part {
        path: file,
        offset: 6,
        length: bytes.len() as u64,
    };
    let rootfs = Rootfs::new(about(b"tree"), part);
    let instance = world.host().import(&name("a"), &rootfs).unwrap();
    let image = format!("instances/wsl/images/{}.tar.gz", rootfs.identity());
    assert_eq!(fs_err::read(world.path(&image)).unwrap(), bytes);
    instance.remove().unwrap();
}

#[test]
fn arguments_arrive_as_they_are() {
    let world = World::new("");
    let instance = imported(&world, "a");
    let arguments = [
        "",
        " ",
        "a b",
        "\"",
        "\\",
        "\\\"",
        "a\\\\\" b\\",
        "$HOME `x` %PATH% ^&|<>",
        "ü大🐧",
        "a\nb\tc",
        "'",
        "*",
        "--exec",
        "-u",
        "\u{1}",
    ];
    let output = instance
        .command("arguments")
        .args(arguments)
        .output()
        .unwrap();
    let expected = arguments.map(|word| format!("{word:?}\n")).concat();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!(output.status, Status::Exited(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn the_guest_is_asked_for_all_that_was_set() {
    let world = World::new("");
    let instance = imported(&world, "a");
    let asked = |command: &mut prebake_launch::Command| {
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let mut all = asked(&mut instance.command("asked"));
    all += "\n";
    all += &asked(
        instance
            .command("asked")
            .env("A", "b=c d")
            .env("PATH", "/bin")
            .env_remove("HOME")
            .current_dir("/srv/x y")
            .user("1000:1000")
            .network(Network::Host)
            .share(r"C:\in", "/in", Access::ReadOnly)
            .share(r"D:\out", "/mnt/out", Access::ReadWrite),
    );
    all += "\n";
    all += &asked(instance.command("asked").env_clear().env("A", ""));
    insta::assert_snapshot!(all);
}

#[test]
fn streams_and_codes_are_the_programs_own() {
    let world = World::new("utf16");
    let instance = imported(&world, "a");
    for code in [0, 1, 125, 126, 127, 128, 137, 254] {
        let status = instance.command("code").arg(code.to_string()).status();
        assert_eq!(status.unwrap(), Status::Exited(code));
    }
    // More than a pipe holds, each way.
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut child = instance
        .command("copy")
        .stdin(Stdio::Piped)
        .stdout(Stdio::Piped)
        .stderr(Stdio::Piped)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(output.stdout, bytes);
    assert_eq!(output.stderr.trim_ascii(), b"1200000 bytes");
    // To and from files.
    let path = world.path("in");
    fs_err::write(&path, "from a file").unwrap();
    let input = fs_err::File::open(&path).unwrap().into_file();
    let to = fs_err::File::create(world.path("out")).unwrap().into_file();
    let mut copy = instance.command("copy");
    copy.stdin(Stdio::File(input)).stdout(Stdio::File(to));
    assert!(copy.stderr(Stdio::Null).status().unwrap().success());
    let written = fs_err::read_to_string(world.path("out")).unwrap();
    assert_eq!(written, "from a file");
}

#[test]
fn a_program_that_never_began_is_an_error_that_says_why() {
    let world = World::new("");
    let instance = imported(&world, "job-1");
    let mut all = String::new();
    for why in [
        "denied",
        "folder",
        "user",
        "share\n/mnt/c/in",
        "target\n/in",
        "bind\n/in",
        "hide\n/mnt/c",
        "network",
        "tool\nnsenter",
        "nonsense",
    ] {
        let mut command = instance.command("why");
        command.args(why.lines()).current_dir("/srv").user("alice");
        let error = command.output().unwrap_err();
        writeln!(all, "{}", world.shown(&error)).unwrap();
    }
    let error = instance.command("nothing").status().unwrap_err();
    writeln!(all, "{}", world.shown(&error)).unwrap();
    let error = instance.create_dir("/file").unwrap_err();
    writeln!(all, "{}", world.shown(&error)).unwrap();
    insta::assert_snapshot!(all);
}

/// Linux cuts exit codes to a byte, so that it cannot be seen there.
#[cfg(windows)]
#[test]
fn a_failure_of_wsl_itself_is_none_of_the_programs() {
    let world = World::new("");
    let instance = imported(&world, "a");
    let error = instance.command("itself").output().unwrap_err();
    assert!(matches!(error, LaunchError::Lost { .. }), "{error}");
}

/// Starts a program that goes on until it is killed, and waits until it runs.
fn running(instance: &Instance, limit: Option<Duration>) -> prebake_launch::Child {
    let mut command = instance.command("on");
    command.stdout(Stdio::Piped);
    if let Some(limit) = limit {
        command.time_limit(limit);
    }
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut line = [0; 3];
    out.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"on\n");
    child
}

#[test]
fn programs_are_killed_by_hand_by_time_by_drop_and_by_the_end_of_their_instance() {
    let world = World::new("");
    let instance = imported(&world, "a");
    let mut child = running(&instance, None);
    assert_eq!(child.try_wait().unwrap(), None);
    let killer = child.killer();
    let thread = std::thread::spawn(move || killer.kill());
    assert_eq!(child.wait().unwrap(), Status::Signalled(9));
    thread.join().unwrap().unwrap();
    child.kill().unwrap();
    assert_eq!(child.try_wait().unwrap(), Some(Status::Signalled(9)));

    let mut child = running(&instance, Some(Duration::from_millis(1)));
    let error = child.wait().unwrap_err();
    assert!(matches!(error, LaunchError::TimedOut { .. }), "{error}");

    world.calls();
    drop(running(&instance, None));
    assert!(world.calls().contains("Kills a program"));

    let mut child = running(&instance, None);
    instance.stop().unwrap();
    assert_eq!(child.wait().unwrap(), Status::Signalled(9));
    instance.remove().unwrap();
    assert!(world.registered().is_empty());
}

#[test]
fn what_wsl_does_not_end_in_time_is_named() {
    let world = World::new("");
    let host = Host::with(Backend::Wsl, &world.impatient()).unwrap();
    let instance = host.import(&name("a"), &rootfs(b"tree")).unwrap();
    world.behave("hang:--unregister");
    let error = instance.remove().unwrap_err();
    insta::assert_snapshot!(world.shown(&error));
    // It is still there, and its holder has let go of it: the next start removes it.
    world.behave("");
    assert_eq!(world.host().swept(), [name("a")]);
    assert!(world.registered().is_empty());
    assert!(world.left().is_empty());
}

/// What is said to this program where it is to be a process of its own, and where its world is.
const CHILD: &str = "PREBAKE_TEST_WSL_CHILD";

/// Starts this program as a process that does `job`, with this world.
fn child(world: &World, job: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "this_program_as_a_child", "--nocapture"])
        .env(CHILD, format!("{job}={}", world.path("").display()));
    command
}

#[test]
fn this_program_as_a_child() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let (job, folder) = told.split_once('=').unwrap();
    let folder = std::path::PathBuf::from(folder);
    let settings = Settings {
        folder: Some(folder.join("instances")),
        wsl: Some(folder.join("wsl.exe")),
        wsl_patience: None,
    };
    let host = Host::with(Backend::Wsl, &settings).unwrap();
    let rootfs = rootfs(b"tree");
    match job {
        "die" => {
            let _dead = host.import(&name("dead"), &rootfs).unwrap();
            let mut kept = host.import(&name("kept"), &rootfs).unwrap();
            kept.keep().unwrap();
            std::process::abort();
        }
        _ => {
            for _ in 0..4 {
                let instance = host.import(&Name::unique("job"), &rootfs).unwrap();
                let output = instance.command("arguments").arg(job).output().unwrap();
                assert_eq!(output.stdout, format!("{job:?}\n").as_bytes());
                instance.remove().unwrap();
            }
        }
    }
}

#[test]
fn what_dead_processes_left_is_removed_by_the_next_start() {
    let world = World::new("");
    world.register("Ubuntu");
    world.register("prebake-not-ours");
    let status = child(&world, "die").output().unwrap().status;
    assert!(!status.success());
    let part = world.path("instances/wsl/images/image-0.part");
    fs_err::write(&part, "half").unwrap();
    let all = ["Ubuntu", "prebake-dead", "prebake-kept", "prebake-not-ours"];
    assert_eq!(world.registered(), all);
    let host = world.host();
    assert_eq!(host.swept(), [name("dead")]);
    let all = ["Ubuntu", "prebake-kept", "prebake-not-ours"];
    assert_eq!(world.registered(), all);
    assert!(!part.exists());
    assert!(world.host().swept().is_empty());
    host.open(&name("kept")).unwrap().remove().unwrap();
    assert!(world.left().is_empty());
}

#[test]
fn many_processes_and_threads_import_at_once() {
    let world = World::new("");
    let children: Vec<_> = (0..3)
        .map(|number| child(&world, &number.to_string()).spawn().unwrap())
        .collect();
    let host = world.host();
    let rootfs = rootfs(b"tree");
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (host, rootfs) = (&host, &rootfs);
            scope.spawn(move || {
                let one = host.import(&name(&format!("t-{number}")), rootfs);
                one.unwrap().remove().unwrap();
            });
        }
        // One name, and one of them has it.
        let same = |_| scope.spawn(|| host.import(&name("same"), &rootfs));
        let same: Vec<_> = (0..4).map(same).collect();
        let same: Vec<_> = same
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(same.iter().filter(|one| one.is_ok()).count(), 1);
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(world.registered().is_empty());
    assert!(world.left().is_empty());
}
