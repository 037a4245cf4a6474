//! Ctrl-C, `kill` and `kill -9` at moments that the server and the files tell.

use prebake_testkit::http::Fault;

use crate::stove::{
    BASE, DATA, INDEX, OLD, OUTPUT, Stove, TOOL, assert_says, files, finish, is_part, signal,
    start, until, wrong_blobs,
};

#[test]
fn in_mid_download() {
    let stove = Stove::new();
    let good = stove.bake();
    for name in ["INT", "TERM", "HUP"] {
        for path in [BASE, INDEX, TOOL, DATA] {
            for bytes in [0, 1000] {
                stove.forget();
                stove.put_old();
                stove.server.fault(path, Fault::Stall(bytes));
                let mut child = start(&stove.kitchen, &["build"]);
                until(&mut child, || stove.server.count(path) > 0);
                signal(&child, name);
                let output = finish(child);
                output.expect(130);
                assert_says(&output, &["interrupted"]);
                // The server would have been silent for longer than any test runs.
                assert_eq!(stove.server.count(path), 1, "it was asked again");
                stove.assert_old();
                assert!(!stove.kitchen.path("prebake.lock").exists());
                stove.server.clear_faults();
            }
        }
        stove.assert_recovers(&good);
    }
}

#[test]
fn while_waiting_for_a_server_or_another_process() {
    let stove = Stove::new();
    stove.put_old();
    // A wait of up to a minute is taken.
    stove
        .server
        .fault(DATA, Fault::RetryAfter(503, "59".to_owned()));
    let mut child = start(&stove.kitchen, &["build"]);
    until(&mut child, || stove.server.count(DATA) > 0);
    signal(&child, "INT");
    finish(child).expect(130);
    stove.assert_old();
    // Another process is at it, and will be for long.
    stove.server.clear_faults();
    stove.server.fault(DATA, Fault::Stall(10));
    stove.server.clear_requests();
    let mut first = start(&stove.kitchen, &["build"]);
    until(&mut first, || stove.server.count(DATA) > 0);
    let mut second = start(&stove.kitchen, &["build"]);
    // It asks whether the index is still current just before it comes to the packages.
    until(&mut second, || stove.server.count(INDEX) > 1);
    signal(&second, "INT");
    finish(second).expect(130);
    signal(&first, "INT");
    finish(first).expect(130);
    stove.assert_old();
    stove.server.clear_faults();
    stove.assert_works_again();
}

#[test]
fn in_mid_write() {
    let stove = Stove::with_data(24 << 20);
    let good = stove.bake();
    for name in ["INT", "TERM"] {
        stove.put_old();
        let mut child = start(&stove.kitchen, &["build", "--threads", "1"]);
        until(&mut child, || part_bytes(&stove) > 0);
        signal(&child, name);
        let output = finish(child);
        output.expect(130);
        assert_says(&output, &["interrupted"]);
        stove.assert_old();
    }
    // Killed outright it cannot clean up; the next run does.
    stove.put_old();
    let mut child = start(&stove.kitchen, &["build", "--threads", "1"]);
    until(&mut child, || part_bytes(&stove) > 1 << 20);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(stove.output().as_deref(), Some(OLD));
    assert!(part_bytes(&stove) > 0, "the kill came too late");
    stove.assert_recovers(&good);
}

/// Returns how much of an output is written under its temporary name.
fn part_bytes(stove: &Stove) -> u64 {
    let folder = stove.kitchen.path("out");
    let parts = files(&folder).into_iter();
    let parts = parts.filter(|name| is_part(name));
    let sizes = parts.filter_map(|name| fs_err::metadata(folder.join(name)).ok());
    sizes.map(|part| part.len()).sum()
}

/// How many moments of a build are tried.
const MOMENTS: usize = 20;

#[test]
fn killed_at_many_moments() {
    let stove = Stove::with_data(1 << 20);
    let good = stove.bake();
    // What a build does leaves traces one after another: requests, files, bytes of the output.
    let traces = || {
        let files = files(&stove.kitchen.path("")).len();
        let written = usize::try_from(part_bytes(&stove) >> 16).unwrap();
        stove.server.requests().len() + files + written
    };
    let mut killed = 0;
    for moment in 0..MOMENTS {
        stove.forget();
        stove.put_old();
        let before = traces();
        let mut child = start(&stove.kitchen, &["build", "--threads", "1"]);
        while traces() < before + moment && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        drop(child.kill());
        killed += usize::from(child.wait().unwrap().code().is_none());
        let output = stove.output().unwrap();
        assert!(
            output == OLD || output == good,
            "half an output at {moment}"
        );
        assert_eq!(wrong_blobs(&stove.kitchen), Vec::<String>::new());
        let lock = stove.kitchen.path("prebake.lock");
        if lock.exists() {
            stove.kitchen.run(&["lock", "--check"]).expect(0);
        }
        stove.assert_recovers(&good);
    }
    assert!(killed > MOMENTS / 2, "only {killed} were still running");
    assert!(stove.kitchen.path(OUTPUT).exists());
}
