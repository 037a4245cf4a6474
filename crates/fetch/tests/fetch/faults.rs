//! What each fault of a server does to a fetch: with the fault for good, with it once, and what
//! is left behind.

use std::time::Duration;

use prebake_fetch::{Kind, Options, Wanted};
use prebake_testkit::http::{Fault, refused};

use crate::setup::{FILE, SIZE, Setup, options};

/// Fetches the pinned file from a server that always has this fault, and returns the error's kind
/// and text, with how often the server was asked.
#[track_caller]
fn with_fault(fault: Fault, options: Options) -> (Kind, String, usize) {
    let setup = Setup::new();
    setup.server.fault(FILE, fault);
    let fetcher = setup.fetcher_with(options);
    let error = fetcher
        .fetch_one(&setup.pinned(), &prebake_fetch::Silent)
        .unwrap_err();
    setup.assert_nothing_left();
    let asked = setup.server.count(FILE);
    let text = error.to_string();
    let url = setup.server.url(FILE);
    let first = format!("could not fetch `file.apk`\n  {url}: ");
    let reason = text
        .strip_prefix(&first)
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned();
    // The fault over, the same cache serves a good fetch.
    setup.server.clear_faults();
    setup.fetch(&setup.pinned()).unwrap();
    setup.assert_only_the_file();
    (error.kind(), reason, asked)
}

#[test]
fn a_fault_that_stays_is_a_clear_error() {
    let other = vec![b'x'; SIZE];
    for (fault, kind, reason, asked) in [
        (Fault::Status(404), Kind::NotFound, "404 (not found)", 1),
        (Fault::Status(410), Kind::NotFound, "410 (gone)", 1),
        (Fault::Status(403), Kind::Network, "403 (forbidden)", 1),
        (
            Fault::Status(304),
            Kind::Network,
            "304 (an unexpected status)",
            1,
        ),
        (
            Fault::Status(204),
            Kind::Network,
            "204 (an unexpected status)",
            1,
        ),
        (
            Fault::Status(500),
            Kind::Network,
            "500 (the server's failure) (4 tries)",
            4,
        ),
        (
            Fault::RetryAfter(503, "0".to_owned()),
            Kind::Network,
            "503 (the server's failure), to come back after 0 s (4 tries)",
            4,
        ),
        (
            Fault::RetryAfter(429, "86400".to_owned()),
            Kind::Network,
            "429 (too many requests), to come back after 86400 s",
            1,
        ),
        (
            Fault::Truncate(100),
            Kind::Network,
            "the transfer ended after 400 of 300007 bytes (4 tries)",
            4,
        ),
        (
            Fault::Truncate(0),
            Kind::Network,
            "the transfer ended after 0 of 300007 bytes (4 tries)",
            4,
        ),
        (
            Fault::ClaimLength(300_006),
            Kind::Integrity,
            "the file has 300006 bytes and should have 300007",
            1,
        ),
        (
            Fault::ClaimLength(u64::MAX),
            Kind::Integrity,
            "the file has 18446744073709551615 bytes and should have 300007",
            1,
        ),
        (
            Fault::Page("<h1>Log in</h1>".to_owned()),
            Kind::Network,
            "the file has 15 bytes and should have 300007; it is an HTML page, as from a captive \
             portal or a proxy",
            1,
        ),
        (
            Fault::Page("x".repeat(SIZE)),
            Kind::Network,
            "the file's SHA-256 is 6b1f319baf33617d273840e586d7a7cfba3fe5bc12950b9ce1fd2097aad6a104 \
             and should be",
            1,
        ),
        (
            Fault::Body(other),
            Kind::Integrity,
            "the file's SHA-256 is 6b1f319baf33617d273840e586d7a7cfba3fe5bc12950b9ce1fd2097aad6a104 \
             and should be",
            1,
        ),
        (
            Fault::Body(Vec::new()),
            Kind::Integrity,
            "the file has 0 bytes and should have 300007",
            1,
        ),
        (
            Fault::Redirect(302, FILE.to_owned()),
            Kind::Network,
            "more than 8 redirects",
            9,
        ),
        (
            Fault::Redirect(301, "file:///etc/passwd".to_owned()),
            Kind::Network,
            "redirected to `file:///etc/passwd`, which is not followed",
            1,
        ),
        (
            Fault::Endless,
            Kind::Integrity,
            "the file is larger than 300007 bytes",
            1,
        ),
        (
            Fault::Hang,
            Kind::Network,
            "the connection failed: Peer disconnected (4 tries)",
            4,
        ),
        (
            Fault::Gibberish,
            Kind::Network,
            "the answer is no proper HTTP: ",
            4,
        ),
        (
            Fault::Header("Content-Encoding", "gzip".to_owned()),
            Kind::Network,
            "the answer came in an encoding that was not asked for (`gzip`)",
            1,
        ),
    ] {
        let (found_kind, found_reason, found_asked) = with_fault(fault.clone(), options());
        assert!(
            found_reason.starts_with(reason),
            "{fault:?}: {found_reason}"
        );
        assert_eq!(found_kind, kind, "{fault:?}");
        assert_eq!(found_asked, asked, "{fault:?}");
    }
}

#[test]
fn a_reset_connection_is_tried_again() {
    let (kind, reason, asked) = with_fault(Fault::Reset(100), options());
    assert_eq!(kind, Kind::Network);
    assert!(reason.ends_with(" (4 tries)"), "{reason}");
    assert_eq!(asked, 4);
}

#[test]
fn a_silent_server_is_given_up() {
    let options = Options {
        read_timeout: Duration::from_millis(100),
        tries: 2,
        ..options()
    };
    let (kind, reason, asked) = with_fault(Fault::Stall(100), options);
    assert_eq!(kind, Kind::Network);
    assert_eq!(
        reason,
        "the transfer broke off after 200 bytes: timed out waiting for data (2 tries)"
    );
    assert_eq!(asked, 2);
}

#[test]
fn a_server_that_trickles_is_given_up() {
    let options = Options {
        slow_window: Duration::from_millis(20),
        min_speed: 1_000_000,
        tries: 1,
        ..options()
    };
    let (kind, reason, asked) = with_fault(Fault::Slow(2000), options);
    assert_eq!(kind, Kind::Network);
    assert_eq!(
        reason,
        "the transfer was slower than 1000000 bytes a second"
    );
    assert_eq!(asked, 1);
}

#[test]
fn a_fault_that_passes_is_no_error() {
    for fault in [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Status(408),
        Fault::RetryAfter(503, "0".to_owned()),
        Fault::RetryAfter(429, "Thu, 01 Jan 1970 00:00:00 GMT".to_owned()),
        Fault::Truncate(0),
        Fault::Truncate(1),
        Fault::Truncate(SIZE as u64 - 1),
        Fault::Reset(0),
        Fault::Reset(100_000),
        Fault::Hang,
        Fault::Gibberish,
        Fault::Chunked,
        Fault::NoLength,
        Fault::NoValidators,
        Fault::Slow(10_000_000),
    ] {
        let setup = Setup::new();
        setup.server.fault_next(FILE, [fault.clone()]);
        let fetched = setup.fetch(&setup.pinned());
        fetched.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        setup.assert_only_the_file();
    }
}

#[test]
fn redirects_are_followed() {
    for status in [301, 302, 303, 307, 308] {
        let setup = Setup::new();
        let content = setup.content.clone();
        setup.server.put("/elsewhere/b", &content);
        setup
            .server
            .fault_next(FILE, [Fault::Redirect(status, "../../../a".to_owned())]);
        let there = setup.server.url("/elsewhere/b");
        setup.server.put("/v3.20/main/x86_64/../../../a", b"");
        setup.server.fault(
            "/v3.20/main/x86_64/../../../a",
            Fault::Redirect(status, there),
        );
        setup.fetch(&setup.pinned()).unwrap();
        setup.assert_only_the_file();
        assert_eq!(setup.server.count("/elsewhere/b"), 1);
    }
}

/// The bound is a server's own words: no status, but a header without end.
#[test]
fn a_head_is_so_long() {
    use std::io::{Read as _, Write as _};

    for (length, good) in [(32 << 10, true), (65 << 10, false)] {
        let setup = Setup::new();
        let content = setup.content.clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file.apk", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            drop(listener);
            let mut request = [0; 4096];
            let _ = connection.read(&mut request).unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Long: {}\r\n\r\n",
                content.len(),
                "x".repeat(length)
            );
            // A client that has enough of it goes away.
            let _ = connection.write_all(head.as_bytes());
            let _ = connection.write_all(&content);
        });
        let mut wanted = setup.pinned();
        wanted.urls = vec![url];
        let fetched = setup
            .fetcher_with(Options {
                tries: 1,
                ..options()
            })
            .fetch_one(&wanted, &prebake_fetch::Silent);
        serving.join().unwrap();
        assert_eq!(fetched.is_ok(), good, "{length}: {:?}", fetched.err());
    }
}

#[test]
fn nobody_listens() {
    let setup = Setup::new();
    let mut wanted = setup.pinned();
    wanted.urls = vec![
        refused("/a"),
        "gopher://host/b".to_owned(),
        "nonsense".to_owned(),
    ];
    let error = setup.fetch(&wanted).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].contains("/a: the connection failed: "), "{text}");
    assert!(lines[1].ends_with(" (4 tries)"), "{text}");
    assert_eq!(
        lines[2..],
        [
            "  gopher://host/b: not a URL of `http`, `https` or `file`",
            "  nonsense: not a URL of `http`, `https` or `file`"
        ]
    );
    wanted.urls.clear();
    let error = setup.fetch(&wanted).unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not fetch `file.apk`: it has no URL"
    );
    setup.assert_nothing_left();
}

#[test]
fn without_a_size_the_limit_bounds_the_file() {
    for fault in [
        None,
        Some(Fault::Chunked),
        Some(Fault::Endless),
        Some(Fault::NoLength),
    ] {
        let setup = Setup::new();
        if let Some(fault) = fault {
            setup.server.fault(FILE, fault);
        }
        for sha256 in [None, Some(setup.sha256())] {
            let wanted = Wanted {
                limit: 1000,
                sha256,
                ..setup.current()
            };
            let error = setup.fetch(&wanted).unwrap_err();
            assert_eq!(error.kind(), Kind::Integrity);
            let text = error.to_string();
            assert!(
                text.ends_with(": the file is larger than 1000 bytes"),
                "{text}"
            );
        }
        setup.assert_nothing_left();
    }
}

#[test]
fn a_length_that_is_too_long_is_noticed_without_a_pinned_size() {
    let setup = Setup::new();
    setup.server.fault(FILE, Fault::ClaimLength(400_000));
    let wanted = Wanted {
        size: None,
        ..setup.pinned()
    };
    let error = setup.fetch(&wanted).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    setup.assert_nothing_left();
}

#[test]
fn passwords_do_not_get_into_messages() {
    let setup = Setup::new();
    let mut wanted = setup.pinned();
    wanted.urls = vec![setup.server.url("/none").replace("://", "://user:secret@")];
    let error = setup.fetch(&wanted).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let text = error.to_string();
    assert!(!text.contains("secret"), "{text}");
}
