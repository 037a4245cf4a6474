//! What a server can do to a build: lie, break off, stay silent, send something else.

use prebake_testkit::http::{Fault, Server, refused};

use crate::kitchen::Output;
use crate::stove::{BASE, DATA, INDEX, INPUTS, Stove, TOOL, assert_says, finish, flipped, start};

/// Faults that pass: the build tries again, goes on, or asks for the rest, and ends well.
#[test]
fn passing_trouble_is_no_failure() {
    let stove = Stove::new();
    let good = stove.bake();
    for fault in [
        Fault::Status(503),
        Fault::RetryAfter(503, "1".to_owned()),
        Fault::Truncate(100),
        Fault::Reset(100),
        Fault::Hang,
        Fault::Chunked,
        Fault::NoLength,
        Fault::NoValidators,
    ] {
        stove.forget();
        for path in INPUTS {
            stove.server.fault_next(path, [fault.clone()]);
        }
        let output = stove.kitchen.run(&["build"]);
        output.expect(0);
        assert!(
            stove.output().is_some_and(|bytes| bytes == good),
            "{fault:?}"
        );
        stove.assert_clean();
    }
}

/// Faults that stay: an error that names the file and the URL, and says what came.
#[test]
fn lasting_trouble_is_told() {
    let page = "<html><body>Log in to the hotel's network</body></html>";
    let faults = [
        (Fault::Status(404), 5, "404 (not found)"),
        (Fault::Status(403), 5, "403 (forbidden)"),
        (Fault::Status(407), 5, "407 (the proxy wants a password)"),
        (
            Fault::RetryAfter(503, "9999".into()),
            5,
            "come back after 9999 s",
        ),
        (Fault::Page(page.to_owned()), 5, "HTML page"),
        (Fault::Redirect(302, "/loop".into()), 5, "redirects"),
        (
            Fault::Redirect(302, "file:///etc/passwd".into()),
            5,
            "redirected to",
        ),
        (
            Fault::Redirect(301, "gopher://x/".into()),
            5,
            "redirected to",
        ),
        (Fault::Gibberish, 5, "no proper HTTP"),
    ];
    std::thread::scope(|scope| {
        for (fault, code, reason) in faults {
            scope.spawn(move || {
                let stove = Stove::new();
                stove.put_old();
                stove
                    .server
                    .fault("/loop", Fault::Redirect(302, "/loop".into()));
                for path in INPUTS {
                    stove.server.fault(path, fault.clone());
                    let output = stove.kitchen.run(&["build"]);
                    output.expect(code);
                    let name = path.rsplit('/').next().unwrap();
                    let name = format!("{name}`");
                    let url = format!("{}: ", stove.server.url(path));
                    assert_says(
                        &output,
                        &["could not fetch `", &name, &url, reason, "hint: "],
                    );
                    stove.assert_old();
                    stove.server.clear_faults();
                    stove
                        .server
                        .fault("/loop", Fault::Redirect(302, "/loop".into()));
                }
                stove.assert_works_again();
            });
        }
    });
}

/// What never ends is cut off at its bound, and what breaks off at each try is given up.
#[test]
fn trouble_on_every_try_ends() {
    let faults = [
        (Fault::Truncate(10), 5, "the transfer ended after"),
        (Fault::Reset(10), 5, "the transfer "),
        (Fault::Status(500), 5, "500 (the server's failure)"),
        (Fault::Hang, 5, "the connection failed"),
        (
            Fault::ClaimLength(70_000),
            3,
            "the file has 70000 bytes and should have",
        ),
        (Fault::Endless, 3, "larger than"),
    ];
    std::thread::scope(|scope| {
        for (fault, code, reason) in faults {
            scope.spawn(move || {
                let stove = Stove::new();
                stove.put_old();
                stove.server.fault(DATA, fault);
                let output = stove.kitchen.run(&["build"]);
                output.expect(code);
                let url = format!("{}: ", stove.server.url(DATA));
                assert_says(&output, &["`data-2.0-r0.apk`", &url, reason]);
                stove.assert_old();
                stove.assert_works_again();
            });
        }
    });
}

#[test]
fn a_server_that_is_not_there() {
    let stove = Stove::new();
    stove.put_old();
    let url = refused("");
    stove.recipe(&["tool"], &url, Some(&stove.mirror.key_file()), "");
    let output = stove.kitchen.run(&["build"]);
    output.expect(5);
    let hint = "hint: check the network, the proxy variables, and the URL";
    assert_says(&output, &[&url, "the connection failed", hint]);
    stove.assert_old();
}

#[test]
fn another_mirror_helps_out() {
    let stove = Stove::new();
    let good = stove.bake();
    let first = Server::start();
    let (bad, other) = (first.url(""), stove.url());
    // The packages go missing from the first mirror, or come damaged; the locked ones are known
    // by their hash, so that the second is as good.
    stove.kitchen.write("prebake.lock", {
        let lock = fs_err::read_to_string(stove.kitchen.path("prebake.lock")).unwrap();
        lock.replace(&other, &bad)
    });
    let more = format!("mirrors = [\"{other}/v3.99/main\"]");
    stove.recipe(&["tool"], &bad, Some(&stove.mirror.key_file()), &more);
    let text = fs_err::read_to_string(stove.kitchen.path("prebake.toml")).unwrap();
    let both = format!("mirrors = [\"{bad}\", \"{other}\"]\n\n[base]");
    let one = format!("mirrors = [\"{bad}\"]\n\n[base]");
    stove
        .kitchen
        .write("prebake.toml", text.replace(&one, &both));
    first.put(TOOL, &flipped(&stove.file(TOOL), 200));
    for from_lock in [true, false] {
        drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
        if !from_lock {
            fs_err::remove_file(stove.kitchen.path("prebake.lock")).unwrap();
            // Nothing pins them yet, so what is there is believed, and found wrong later.
            first.remove(TOOL);
        }
        first.clear_requests();
        stove.server.clear_requests();
        stove.kitchen.run(&["build"]).expect(0);
        assert!(stove.output().is_some_and(|bytes| bytes == good));
        for path in [BASE, TOOL, DATA] {
            assert_eq!(stove.server.count(path), 1, "{path}");
            assert!(first.count(path) >= 1, "{path}");
        }
        stove.assert_clean();
    }
    // With none of them, each is named.
    drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
    stove.server.fault(DATA, Fault::Status(404));
    stove.put_old();
    let output = stove.kitchen.run(&["build"]);
    output.expect(5);
    let tried = [bad + DATA, other + DATA].map(|url| format!("{url}: 404 (not found)"));
    assert_says(&output, &[&tried[0], &tried[1]]);
    stove.assert_old();
}

#[test]
fn processes_on_one_cold_cache_download_each_file_once() {
    let stove = Stove::new();
    // Slow enough that all come while the first is at it.
    stove.server.fault_next(BASE, [Fault::Slow(200_000)]);
    stove.server.fault_next(DATA, [Fault::Slow(200_000)]);
    stove.kitchen.run(&["lock"]).expect(0);
    drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
    stove.server.clear_requests();
    stove.server.fault_next(BASE, [Fault::Slow(200_000)]);
    stove.server.fault_next(DATA, [Fault::Slow(200_000)]);
    let children: Vec<_> = (0..4).map(|_| start(&stove.kitchen, &["build"])).collect();
    let ended: Vec<Output> = children.into_iter().map(finish).collect();
    for output in ended {
        output.expect(0);
    }
    for path in [BASE, TOOL, DATA] {
        assert_eq!(stove.server.count(path), 1, "{path}");
    }
    assert_eq!(stove.server.count(INDEX), 0, "a lock asks no index");
    let good = stove.output().unwrap();
    stove.assert_recovers(&good);
}
