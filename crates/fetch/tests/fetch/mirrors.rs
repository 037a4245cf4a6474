//! Several URLs for one file, and several files at once.

use prebake_fetch::{Kind, Options, Origin, Silent, Wanted};
use prebake_testkit::http::{Fault, Server, refused};

use crate::setup::{FILE, Heard, SIZE, Setup, bytes, options};
use prebake_apk::digest::Sha256;

#[test]
fn any_fault_of_the_primary_is_made_up_for_by_a_mirror() {
    for fault in [
        Fault::Status(404),
        Fault::Status(403),
        Fault::Status(500),
        Fault::RetryAfter(429, "86400".to_owned()),
        Fault::Truncate(100_000),
        Fault::Reset(100_000),
        Fault::ClaimLength(5),
        Fault::Page("<h1>Log in</h1>".to_owned()),
        Fault::Body(vec![b'x'; SIZE]),
        Fault::Redirect(302, FILE.to_owned()),
        Fault::Endless,
        Fault::Hang,
        Fault::Gibberish,
    ] {
        let setup = Setup::new();
        let mirror = Server::start();
        mirror.put("/mirror/file.apk", &setup.content);
        setup.server.fault(FILE, fault.clone());
        let mut wanted = setup.pinned();
        wanted.urls.push(mirror.url("/mirror/file.apk"));
        let fetched = setup
            .fetch(&wanted)
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(fetched.origin, Origin::Downloaded);
        assert_eq!(fetched.url, wanted.urls.last().cloned());
        assert_eq!(mirror.requests().len(), 1, "{fault:?}");
        setup.assert_only_the_file();
    }
}

#[test]
fn the_error_names_every_url_with_its_reason() {
    let setup = Setup::new();
    let mirror = Server::start();
    mirror.put(FILE, b"");
    mirror.fault(FILE, Fault::Status(500));
    setup.server.remove(FILE);
    let mut wanted = setup.pinned();
    wanted.urls.push(mirror.url(FILE));
    wanted.urls.push(mirror.url("/none"));
    let error = setup.fetch(&wanted).unwrap_err();
    let expected = format!(
        "could not fetch `file.apk`\n  {}: 404 (not found)\n  {}: 500 (the server's failure) (4 \
         tries)\n  {}: 404 (not found)",
        wanted.urls[0], wanted.urls[1], wanted.urls[2]
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), Kind::Network);
}

#[test]
fn a_bad_mirror_does_not_spoil_what_a_good_one_sent() {
    // The first sends a wrong beginning and breaks off; the second is asked for the rest, which
    // cannot fit; then it is asked for all of it.
    let setup = Setup::new();
    let bad = Server::start();
    bad.put(FILE, &vec![b'x'; SIZE]);
    bad.fault(FILE, Fault::Truncate(1000));
    let wanted = Wanted {
        urls: vec![bad.url(FILE), setup.server.url(FILE)],
        ..setup.pinned()
    };
    setup.fetch(&wanted).unwrap();
    setup.assert_only_the_file();
    let good = setup.server.requests();
    assert_eq!(good[0].header("range"), Some("bytes=1000-"));
    assert_eq!(good.last().unwrap().header("range"), None);
}

#[test]
fn many_files_come_in_order_and_are_told_of() {
    let setup = Setup::new();
    let contents: Vec<Vec<u8>> = (1..40).map(|number| bytes(number * 1000)).collect();
    let wanted: Vec<Wanted> = contents
        .iter()
        .enumerate()
        .map(|(number, content)| {
            let path = format!("/{number}");
            setup.server.put(&path, content);
            Wanted {
                size: Some(content.len() as u64),
                sha256: Some(Sha256::of(content)),
                ..Wanted::new(format!("file {number}"), setup.server.url(&path))
            }
        })
        .collect();
    setup.server.fault_next("/7", [Fault::Status(500)]);
    let heard = Heard::default();
    let fetched = setup.fetcher().fetch(&wanted, &heard).unwrap();
    for (fetched, content) in fetched.iter().zip(&contents) {
        assert_eq!(&fetched.blob.read_verified(u64::MAX).unwrap(), content);
        assert_eq!(fetched.origin, Origin::Downloaded);
    }
    let lines = heard.lines();
    assert_eq!(lines[0], "begin 39 Some(780000)");
    for line in [
        "start 7 file 7 Some(8000)",
        "retry 7 7 500 (the server's failure)",
        "position 7 0 Some(8000)",
        "position 7 8000 Some(8000)",
        "finish 7 Downloaded",
    ] {
        let count = lines.iter().filter(|heard| *heard == line).count();
        assert_eq!(count, 1, "{line} in {lines:#?}");
    }
    // The second time nobody is asked, and the sizes need not be known for that.
    setup.server.clear_requests();
    let again = setup.fetcher().fetch(&wanted, &Silent).unwrap();
    assert!(again.iter().all(|fetched| fetched.origin == Origin::Cached));
    assert_eq!(setup.server.requests(), []);
}

#[test]
fn one_file_wanted_many_times_is_downloaded_once() {
    let setup = Setup::new();
    let wanted = vec![setup.pinned(); 50];
    let fetched = setup.fetcher().fetch(&wanted, &Silent).unwrap();
    assert_eq!(fetched.len(), 50);
    assert_eq!(setup.server.count(FILE), 1);
    setup.assert_only_the_file();
}

#[test]
fn every_file_that_is_gone_is_named() {
    let setup = Setup::new();
    let mut wanted: Vec<Wanted> = (0..20)
        .map(|number| Wanted {
            label: format!("gone {number}"),
            urls: vec![setup.server.url(&format!("/gone/{number}"))],
            ..setup.pinned()
        })
        .map(|mut wanted| {
            wanted.sha256 = Some(Sha256::of(wanted.label.as_bytes()));
            wanted
        })
        .collect();
    wanted.insert(10, setup.pinned());
    let error = setup.fetcher().fetch(&wanted, &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let text = error.to_string();
    assert_eq!(text.matches("404 (not found)").count(), 20, "{text}");
    assert!(text.contains("could not fetch `gone 19`"), "{text}");
    // The one that exists was fetched all the same.
    setup.assert_only_the_file();
}

#[test]
fn a_dead_network_is_not_tried_for_every_file() {
    let setup = Setup::new();
    let dead = refused("/");
    let wanted: Vec<Wanted> = (0..500_u32)
        .map(|number| Wanted {
            urls: vec![format!("{dead}{number}")],
            sha256: Some(Sha256::of(&number.to_le_bytes())),
            ..Wanted::new(number.to_string(), "")
        })
        .collect();
    let options = Options {
        parallel: 4,
        ..options()
    };
    let error = setup
        .fetcher_with(options)
        .fetch(&wanted, &Silent)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    let failed = error.to_string().matches("could not fetch").count();
    assert!((1..=8).contains(&failed), "{failed}");
}

#[test]
fn one_request_in_five_fails_and_all_files_come() {
    let setup = Setup::new();
    setup.server.fault_every(5, Fault::Reset(500));
    let wanted: Vec<Wanted> = (0..100_usize)
        .map(|number| {
            let content = bytes(1000 + number);
            let path = format!("/{number}");
            setup.server.put(&path, &content);
            Wanted {
                sha256: Some(Sha256::of(&content)),
                ..Wanted::new(path.clone(), setup.server.url(&path))
            }
        })
        .collect();
    let options = Options {
        tries: 10,
        ..options()
    };
    let fetched = setup.fetcher_with(options).fetch(&wanted, &Silent).unwrap();
    assert_eq!(fetched.len(), 100);
}

#[test]
fn one_connection_serves_many_requests() {
    let setup = Setup::new();
    for _ in 0..5 {
        setup.server.fault_next(FILE, [Fault::Status(500)]);
    }
    let options = Options {
        tries: 6,
        ..options()
    };
    let fetcher = setup.fetcher_with(options);
    fetcher.fetch_one(&setup.current(), &Silent).unwrap();
    fetcher.fetch_one(&setup.current(), &Silent).unwrap();
    assert_eq!(setup.server.count(FILE), 7);
    assert_eq!(setup.server.connections(), 1);
}
