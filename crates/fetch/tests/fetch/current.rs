//! Files whose content is not known beforehand: indexes, and bases on their first use.

use prebake_fetch::{Kind, Origin, Remembered, Wanted};
use prebake_testkit::http::{Fault, Server};

use crate::setup::{FILE, Setup, bytes};

#[test]
fn an_unchanged_file_is_not_sent_again() {
    for fault in [None, Some(Fault::WeakValidator)] {
        let setup = Setup::new();
        if let Some(fault) = fault {
            setup.server.fault(FILE, fault);
        }
        let first = setup.fetch(&setup.current()).unwrap();
        assert_eq!(first.origin, Origin::Downloaded);
        let second = setup.fetch(&setup.current()).unwrap();
        assert_eq!(second.origin, Origin::Unchanged);
        assert_eq!(second.blob, first.blob);
        assert_eq!(second.url, first.url);
        let requests = setup.server.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests[1].header("if-none-match").is_some());
    }
}

#[test]
fn a_changed_file_is_taken() {
    let setup = Setup::new();
    setup.fetch(&setup.current()).unwrap();
    let new = bytes(777);
    setup.server.put(FILE, &new);
    // The date is the same, the tag is not: the tag counts.
    let fetched = setup.fetch(&setup.current()).unwrap();
    assert_eq!(fetched.origin, Origin::Downloaded);
    assert_eq!(fetched.blob.read_verified(1000).unwrap(), new);
}

#[test]
fn without_validators_it_is_always_sent() {
    let setup = Setup::new();
    setup.server.fault(FILE, Fault::NoValidators);
    for _ in 0..2 {
        let fetched = setup.fetch(&setup.current()).unwrap();
        assert_eq!(fetched.origin, Origin::Downloaded);
    }
}

#[test]
fn what_may_have_been_cut_short_is_not_confirmed_later() {
    // Neither length nor chunks: a cut cannot be told from the end.
    let setup = Setup::new();
    setup.server.fault_next(FILE, [Fault::NoLength]);
    setup.fetch(&setup.current()).unwrap();
    let fetched = setup.fetch(&setup.current()).unwrap();
    assert_eq!(fetched.origin, Origin::Downloaded);
}

#[test]
fn nobody_answers_and_an_old_copy_is_no_substitute() {
    let setup = Setup::new();
    setup.fetch(&setup.current()).unwrap();
    setup.server.fault(FILE, Fault::Status(503));
    let error = setup.fetch(&setup.current()).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
}

#[test]
fn a_mirror_answers_only_for_a_primary_that_does_not() {
    let setup = Setup::new();
    let mirror = Server::start();
    let old = bytes(500);
    mirror.put("/old", &old);
    let mut wanted = setup.current();
    wanted.urls.push(mirror.url("/old"));
    // A passing fault of the primary does not make an older mirror's word count.
    setup
        .server
        .fault_next(FILE, [Fault::Status(503), Fault::Hang]);
    let fetched = setup.fetch(&wanted).unwrap();
    assert_eq!(fetched.blob.sha256(), setup.sha256());
    assert_eq!(mirror.requests(), []);
    // A lasting one does.
    setup.server.fault(FILE, Fault::Status(503));
    let fetched = setup.fetch(&wanted).unwrap();
    assert_eq!(fetched.blob.read_verified(1000).unwrap(), old);
    assert_eq!(fetched.url, Some(mirror.url("/old")));
    // What the mirror sent is not what the primary is asked about, and the other way round.
    setup.server.clear_faults();
    let fetched = setup.fetch(&wanted).unwrap();
    assert_eq!(fetched.blob.sha256(), setup.sha256());
    let requests = setup.server.requests();
    assert_eq!(requests.last().unwrap().header("if-none-match"), None);
}

#[test]
fn a_captive_portal_is_not_taken_for_the_file() {
    let setup = Setup::new();
    setup
        .server
        .fault(FILE, Fault::Page("<h1>Log in</h1>".to_owned()));
    let error = setup.fetch(&setup.current()).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    let text = error.to_string();
    assert!(
        text.ends_with(
            "got an HTML page in place of the file, as from a captive portal or a proxy"
        ),
        "{text}"
    );
    setup.assert_nothing_left();
}

#[test]
fn a_known_size_counts_without_a_hash() {
    let setup = Setup::new();
    let wanted = Wanted {
        size: Some(5),
        ..setup.current()
    };
    let error = setup.fetch(&wanted).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    // Also for a copy from before: it is not asked about.
    setup.fetch(&setup.current()).unwrap();
    setup.fetch(&wanted).unwrap_err();
    let requests = setup.server.requests();
    assert_eq!(requests.last().unwrap().header("if-none-match"), None);
}

#[test]
fn local_files_are_fetched_as_served_ones_are() {
    let setup = Setup::new();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("a file.apk");
    fs_err::write(&path, &setup.content).unwrap();
    let root = folder.path().to_str().unwrap().replace('\\', "/");
    let root = root.trim_start_matches('/');
    let local = |name: &str| Wanted {
        urls: vec![format!("file:///{root}/{name}")],
        ..setup.current()
    };
    let pinned = Wanted {
        sha256: Some(setup.sha256()),
        ..local("a%20file.apk")
    };
    setup.fetch(&pinned).unwrap();
    setup.assert_only_the_file();
    let fetched = setup.fetch(&local("a%20file.apk")).unwrap();
    assert_eq!(fetched.origin, Origin::Downloaded);
    fs_err::write(&path, b"changed").unwrap();
    let fetched = setup.fetch(&local("a%20file.apk")).unwrap();
    assert_eq!(fetched.blob.read_verified(100).unwrap(), b"changed");

    let error = setup.fetch(&local("none")).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let error = setup.fetch(&local("")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the file cannot be read: "), "{text}");
}

#[test]
fn a_sum_beside_a_file_is_so_long() {
    let setup = Setup::new();
    let wanted = Wanted {
        remembered: Remembered::Summed,
        ..setup.current()
    };
    setup.fetch(&wanted).unwrap();
    let sum = format!("{}  file.apk\n", setup.sha256());
    for (length, is_taken) in [(4096, true), (4097, false)] {
        let padded = format!("{sum}{}", "\n".repeat(length - sum.len()));
        setup
            .server
            .put(&format!("{FILE}.sha256"), padded.as_bytes());
        setup.server.clear_requests();
        let fetched = setup.fetch(&wanted).unwrap();
        assert_eq!(fetched.blob.sha256(), setup.sha256());
        assert_eq!(setup.server.count(FILE) == 0, is_taken, "{length}");
    }
}
