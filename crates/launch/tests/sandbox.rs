//! What scripts do and what is found of it afterwards, with a real kernel and Alpine's busybox.
#![cfg(target_os = "linux")]

mod support;

use prebake_launch::sandbox::{Found, Kind, Refused, Status};
use support::{Alpine, paths};

#[test]
fn nothing_changes_where_nothing_is_done() {
    let Some(mut alpine) = Alpine::start("nothing_changes_where_nothing_is_done") else {
        return;
    };
    let finished = alpine.shell("echo out; echo err >&2; exit 3");
    assert_eq!(finished.status, Status::Exited(3));
    assert_eq!(String::from_utf8_lossy(&finished.output), "out\nerr\n");
    assert_eq!(finished.refused, Vec::<Refused>::new());
    assert_eq!(alpine.changes(), Vec::<Found>::new());
}

#[test]
fn each_change_is_found_and_no_other() {
    let Some(mut alpine) = Alpine::start("each_change_is_found_and_no_other") else {
        return;
    };
    alpine.shell_ok("mkdir -p /srv/a/b; echo 1 > /srv/a/file; ln /srv/a/file /srv/a/second; ln -s file /srv/a/link; echo x > /srv/z; mkdir /srv/dir");
    let all = alpine.changes();
    assert_eq!(
        paths(&all),
        [
            "srv",
            "srv/a",
            "srv/a/b",
            "srv/a/file",
            "srv/a/link",
            "srv/a/second",
            "srv/dir",
            "srv/z"
        ]
    );
    let Found::There(_, second) = &all[5] else {
        panic!("{all:?}")
    };
    assert!(matches!(&second.kind, Kind::Hardlink(first) if first.as_bytes() == b"srv/a/file"));
}
