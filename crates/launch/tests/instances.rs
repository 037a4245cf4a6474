//! What every call promises, seen from inside a real Alpine.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "support/instance.rs"]
mod instance;

use std::io::{Read as _, Write as _};

use instance::{Home, shell_ok};
use prebake_launch::{LaunchError, Status, Stdio};

#[test]
fn an_instance_is_made_used_and_removed() {
    let Some(home) = Home::new("an_instance_is_made_used_and_removed") else {
        return;
    };
    let one = home.import("one");
    one.create_dir("/var/data/job").unwrap();
    assert_eq!(
        shell_ok(&one, "stat -c '%a %U:%G %F' /var/data /var/data/job"),
        "755 root:root directory\n755 root:root directory\n"
    );
    assert_eq!(
        shell_ok(
            &one,
            "id -u; hostname; pwd; echo $$ > /tmp/x; cat /etc/alpine-release"
        ),
        "0\none\n/\n3.19.4\n"
    );
    let mut child = one
        .command("cat")
        .stdin(Stdio::Piped)
        .stdout(Stdio::Piped)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    let mut through = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut through)
        .unwrap();
    assert_eq!(through, "through");
    assert_eq!(child.wait().unwrap(), Status::Exited(0));
    assert_eq!(
        one.command("sh").args(["-c", "exit 7"]).status().unwrap(),
        Status::Exited(7)
    );
    assert_eq!(
        one.command("sh")
            .args(["-c", "kill -9 $$"])
            .status()
            .unwrap(),
        Status::Signalled(9)
    );
    match one.command("nothing").status().unwrap_err() {
        LaunchError::NotRun { program, .. } => assert_eq!(program, "nothing"),
        other => panic!("{other:?}"),
    }
    one.remove().unwrap();
    assert!(home.left().is_empty(), "{:?}", home.left());
}
