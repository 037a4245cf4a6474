//! What an instance's programs may use, and what of others they see.

use std::io::Write as _;
use std::time::Duration;

use prebake_launch::{LaunchError, Name, Network, Status, Stdio};

use crate::instance::{Home, shell_ok};

#[test]
fn limits_hold() {
    let Some(home) = Home::new("limits_hold") else {
        return;
    };
    let one = home.import("limits");
    let eat = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ate ${#x}";
    let mut command = one.command("sh");
    let output = command.args(["-c", eat]).memory(64 << 20).output().unwrap();
    assert!(
        !String::from_utf8_lossy(&output.stdout).contains("ate"),
        "{output:?}"
    );
    let many = "i=0; while test $i -lt 60; do sleep 99 > /dev/null 2>&1 & i=$((i + 1)); done; echo all; pkill sleep";
    let mut command = one.command("sh");
    command
        .args(["-c", many])
        .processes(20)
        .time_limit(Duration::from_secs(30));
    let output = command.output().unwrap();
    let mut command = one.command("sh");
    let roomy = command.args(["-c", many]).output().unwrap();
    assert_eq!(roomy.stdout, b"all\n", "{roomy:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("can't fork") || output.status == Status::Signalled(9),
        "{output:?}"
    );
    let turns =
        "n=0; end=$(($(date +%s) + 1)); while test $(date +%s) -le $end; do n=$((n+1)); done";
    let mut command = one.command("sh");
    match command.args(["-c", turns]).cpus(0.25).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(LaunchError::Unsupported { why, .. }) => assert!(why.contains("systemd"), "{why}"),
        Err(other) => panic!("{other:?}"),
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(one.command("true").cpus(bad).status().is_err(), "{bad}");
    }
    drop(one);
    assert_eq!(
        groups(),
        Vec::<String>::new(),
        "no group outlives its instance"
    );
}

/// Returns the control groups of this process's instances.
fn groups() -> Vec<String> {
    let mine = format!(".{}.", std::process::id());
    let mut found = Vec::new();
    let mut pending = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = pending.pop() {
        for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with("prebake.limits") && name.contains(&mine) {
                    found.push(name);
                }
                pending.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn a_program_has_the_hosts_network_only_if_asked_for() {
    let Some(home) = Home::new("a_program_has_the_hosts_network_only_if_asked_for") else {
        return;
    };
    let one = home.import("one");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"from the host\n").unwrap();
    });
    let mut command = one.command("nc");
    command
        .args(["-w", "2", "127.0.0.1", &port])
        .stdin(Stdio::Null);
    assert_ne!(command.status().unwrap(), Status::Exited(0));
    let mut command = one.command("nc");
    let output = command
        .args(["-w", "20", "127.0.0.1", &port])
        .network(Network::Host)
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"from the host\n", "{output:?}");
    thread.join().unwrap();
    // The rest is the instance's own, and so are its ends.
    let mut command = one.command("sh");
    command
        .args([
            "-c",
            "hostname; sleep 77 & until pgrep -f '^sleep 77' > /dev/null; do :; done; exit 5",
        ])
        .network(Network::Host);
    let mut child = command.stdout(Stdio::Piped).spawn().unwrap();
    assert_eq!(child.wait().unwrap(), Status::Exited(5));
    assert_eq!(shell_ok(&one, "pgrep -f '^sleep 77' | wc -l"), "1\n");
    child.kill().unwrap();
    assert_eq!(shell_ok(&one, "pgrep -f '^sleep 77' | wc -l"), "0\n");
    // It may not change the host's.
    let mut command = one.command("ip");
    command
        .args(["addr", "add", "10.255.255.1/32", "dev", "lo"])
        .network(Network::Host);
    assert_ne!(command.output().unwrap().status, Status::Exited(0));
}

#[test]
fn many_at_once_are_apart() {
    let Some(home) = Home::new("many_at_once_are_apart") else {
        return;
    };
    let names: Vec<String> = std::thread::scope(|scope| {
        let begin = |_| {
            scope.spawn(|| {
                let name = Name::unique("job");
                let one = home.host.import(&name, &home.rootfs).unwrap();
                assert_eq!(
                    shell_ok(&one, "ls /srv; hostname > /srv/name; cat /srv/name").trim(),
                    name.as_str()
                );
                let both: Vec<_> = (0..3)
                    .map(|_| {
                        one.command("cat")
                            .arg("/srv/name")
                            .stdout(Stdio::Piped)
                            .spawn()
                            .unwrap()
                    })
                    .collect();
                for child in both {
                    assert_eq!(
                        child.wait_with_output().unwrap().stdout.trim_ascii(),
                        name.as_str().as_bytes()
                    );
                }
                one.remove().unwrap();
                name.as_str().to_owned()
            })
        };
        let all: Vec<_> = (0..20).map(begin).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(names.len(), 20);
    assert!(home.left().is_empty(), "{:?}", home.left());
}
