//! What a server does, and what lies between it and the program.

use prebake_testkit::http::{Fault, Server, refused};
use prebake_testkit::tls::{Authority, self_signed_config};

use super::{Row, Seen};
use crate::kitchen::Output;
use crate::stove::{DATA, INDEX, INPUTS, Stove, finish, flipped, signal, start, until};

/// What a captive portal says.
const PAGE: &str = "<html><body>Log in to the hotel's network</body></html>";

/// Builds while every request of the package meets `fault`.
#[expect(clippy::unnecessary_wraps, reason = "other rows may not run here")]
fn always(stove: &Stove, fault: Fault, arguments: &[&str]) -> Option<Seen> {
    stove.server.fault(DATA, fault);
    Some(stove.kitchen.run(arguments).into())
}

/// Builds while the next requests of the package meet `faults`.
#[expect(clippy::unnecessary_wraps, reason = "other rows may not run here")]
fn next(stove: &Stove, faults: &[Fault]) -> Option<Seen> {
    stove.server.fault_next(DATA, faults.to_vec());
    Some(stove.kitchen.run(&["build"]).into())
}

/// Locks, forgets the cache, and builds while the package meets `fault`.
fn with_lock(stove: &Stove, fault: Fault) -> Option<Seen> {
    stove.kitchen.run(&["lock"]).expect(0);
    drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
    always(stove, fault, &["build"])
}

/// Builds from an HTTPS server, by somebody who trusts `authority`.
#[expect(clippy::unnecessary_wraps, reason = "other rows may not run here")]
fn by_tls(stove: &Stove, server: &Server, authority: &Authority) -> Option<Seen> {
    for path in INPUTS {
        server.put(path, &stove.file(path));
    }
    let url = server.url("");
    let trusted = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(trusted.path(), authority.pem()).unwrap();
    stove.recipe(&["tool"], &url, Some(&stove.mirror.key_file()), "");
    let mut command = stove.kitchen.command(&["build"]);
    command.env("SSL_CERT_FILE", trusted.path());
    command.env("SSL_CERT_DIR", "");
    Some(Seen {
        output: Output::of(&mut command),
        names: vec![(url, "https://mirror")],
    })
}

/// What a person who waits no longer sets.
const IMPATIENT: [&str; 3] = ["build", "--network-timeout", "1"];

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            fault: "slow",
            done: "a package at 200 kB a second",
            did: "waited",
            code: 0,
            run: |stove| next(stove, &[Fault::Slow(200_000)]),
        },
        Row {
            fault: "too slow",
            done: "a package at 100 bytes a second, `--network-timeout 1`",
            did: "gave each of four tries a second, asked for the rest each time",
            code: 5,
            run: |stove| always(stove, Fault::Slow(100), &IMPATIENT),
        },
        Row {
            fault: "stalled before the first byte",
            done: "silence after the head, `--network-timeout 1`",
            did: "tried four times",
            code: 5,
            run: |stove| always(stove, Fault::Stall(0), &IMPATIENT),
        },
        Row {
            fault: "stalled in mid-body",
            done: "silence after 1000 bytes, `--network-timeout 1`",
            did: "asked for the rest, three times",
            code: 5,
            run: |stove| always(stove, Fault::Stall(1000), &IMPATIENT),
        },
        Row {
            fault: "truncated once",
            done: "closed after 1000 bytes",
            did: "asked for the rest",
            code: 0,
            run: |stove| next(stove, &[Fault::Truncate(1000)]),
        },
        Row {
            fault: "truncated always",
            done: "closed after 1000 bytes of each answer, without ranges",
            did: "gave up after four tries that came no further",
            code: 5,
            run: |stove| {
                let fault = Fault::Truncate(1000).and(Fault::IgnoreRange);
                always(stove, fault, &["build"])
            },
        },
        Row {
            fault: "a wrong length",
            done: "a `Content-Length` that is not the size in the index",
            did: "read nothing of it",
            code: 3,
            run: |stove| always(stove, Fault::ClaimLength(70_000), &["build"]),
        },
        Row {
            fault: "without end",
            done: "the same chunks again and again",
            did: "stopped at the size in the index",
            code: 3,
            run: |stove| always(stove, Fault::Endless, &["build"]),
        },
        Row {
            fault: "a wrong range",
            done: "closed after 1000 bytes, then a 206 of another part",
            did: "asked for the whole",
            code: 0,
            run: |stove| next(stove, &[Fault::Truncate(1000), Fault::WrongRange]),
        },
        Row {
            fault: "other content, with a lock",
            done: "one bit of a package turned",
            did: "held it against the lock",
            code: 3,
            run: |stove| {
                let wrong = flipped(&stove.file(DATA), 5000);
                with_lock(stove, Fault::Body(wrong))
            },
        },
        Row {
            fault: "other content, before there is a lock",
            done: "one bit of a package turned",
            did: "held it against what the index vouches for",
            code: 3,
            run: |stove| {
                let wrong = flipped(&stove.file(DATA), 5000);
                always(stove, Fault::Body(wrong), &["build"])
            },
        },
        Row {
            fault: "another index",
            done: "one bit of the index turned",
            did: "held it against its signature",
            code: 3,
            run: |stove| {
                let file = stove.file(INDEX);
                let wrong = flipped(&file, file.len() - 30);
                stove.server.fault(INDEX, Fault::Body(wrong));
                Some(stove.kitchen.run(&["build"]).into())
            },
        },
        Row {
            fault: "redirected to another host",
            done: "a 302 to a server that has the file",
            did: "followed it: the hash decides",
            code: 0,
            run: |stove| {
                let other = Server::start_folder(stove.mirror.root());
                let seen = always(stove, Fault::Redirect(302, other.url(DATA)), &["build"]);
                assert_eq!(other.delivered(DATA), 1);
                seen
            },
        },
        Row {
            fault: "redirected in a circle",
            done: "a 302 to itself",
            did: "followed eight of them",
            code: 5,
            run: |stove| always(stove, Fault::Redirect(302, DATA.to_owned()), &["build"]),
        },
        Row {
            fault: "redirected to a local file",
            done: "a 302 to `file:///etc/passwd`",
            did: "did not follow it",
            code: 5,
            run: |stove| {
                let fault = Fault::Redirect(302, "file:///etc/passwd".to_owned());
                always(stove, fault, &["build"])
            },
        },
        Row {
            fault: "redirected out of TLS",
            done: "a 302 of an `https://` mirror to an `http://` one",
            did: "did not follow it",
            code: 5,
            run: |stove| {
                let authority = Authority::new();
                let server = Server::start_tls(authority.server_config(&["127.0.0.1"]));
                server.fault(DATA, Fault::Redirect(302, stove.server.url(DATA)));
                let seen = by_tls(stove, &server, &authority);
                assert_eq!(stove.server.requests(), []);
                seen
            },
        },
        Row {
            fault: "rate-limited for a moment",
            done: "429 with `Retry-After: 1`",
            did: "waited as long as it was told",
            code: 0,
            run: |stove| next(stove, &[Fault::RetryAfter(429, "1".to_owned())]),
        },
        Row {
            fault: "rate-limited for hours",
            done: "503 with `Retry-After: 9999`",
            did: "waits for no more than a minute",
            code: 5,
            run: |stove| always(stove, Fault::RetryAfter(503, "9999".to_owned()), &["build"]),
        },
        Row {
            fault: "a captive portal, with a lock",
            done: "200 and an HTML page in place of a package",
            did: "held it against the lock",
            code: 5,
            run: |stove| with_lock(stove, Fault::Page(PAGE.to_owned())),
        },
        Row {
            fault: "a captive portal, before there is a lock",
            done: "200 and an HTML page in place of the index",
            did: "took no page for an index",
            code: 5,
            run: |stove| {
                stove.server.fault(INDEX, Fault::Page(PAGE.to_owned()));
                Some(stove.kitchen.run(&["build"]).into())
            },
        },
        Row {
            fault: "a certificate of an unknown authority",
            done: "TLS by an authority that the host does not trust",
            did: "sent no request",
            code: 5,
            run: |stove| {
                let config = Authority::new().server_config(&["127.0.0.1"]);
                by_tls(stove, &Server::start_tls(config), &Authority::new())
            },
        },
        Row {
            fault: "a self-signed certificate",
            done: "TLS by a certificate that signed itself",
            did: "sent no request",
            code: 5,
            run: |stove| {
                let server = Server::start_tls(self_signed_config(&["127.0.0.1"]));
                by_tls(stove, &server, &Authority::new())
            },
        },
        Row {
            fault: "a certificate of another host",
            done: "TLS by a trusted certificate for `mirror.example`",
            did: "sent no request",
            code: 5,
            run: |stove| {
                let authority = Authority::new();
                let config = authority.server_config(&["mirror.example"]);
                by_tls(stove, &Server::start_tls(config), &authority)
            },
        },
        Row {
            fault: "an expired certificate",
            done: "TLS by a trusted certificate whose time is over",
            did: "sent no request",
            code: 5,
            run: |stove| {
                let authority = Authority::new();
                let config = authority.expired_config(&["127.0.0.1"]);
                by_tls(stove, &Server::start_tls(config), &authority)
            },
        },
        Row {
            fault: "reset in mid-body, once",
            done: "a TCP reset after 1000 bytes",
            did: "asked for the rest",
            code: 0,
            run: |stove| next(stove, &[Fault::Reset(1000)]),
        },
        Row {
            fault: "not there",
            done: "nobody listens at the mirror's port",
            did: "tried four times",
            code: 5,
            run: |stove| {
                let url = refused("");
                stove.recipe(&["tool"], &url, Some(&stove.mirror.key_file()), "");
                let output = stove.kitchen.run(&["build"]);
                let names = vec![(url, "http://mirror")];
                Some(Seen { output, names })
            },
        },
        Row {
            fault: "no HTTP",
            done: "an answer of another protocol",
            did: "tried four times",
            code: 5,
            run: |stove| always(stove, Fault::Gibberish, &["build"]),
        },
        Row {
            fault: "pruned",
            done: "404 for a package",
            did: "named all that are missing",
            code: 5,
            run: |stove| always(stove, Fault::Status(404), &["build"]),
        },
        Row {
            fault: "forbidden",
            done: "403 for a package",
            did: "did not try again",
            code: 5,
            run: |stove| always(stove, Fault::Status(403), &["build"]),
        },
        Row {
            fault: "broken",
            done: "500 for a package",
            did: "tried four times",
            code: 5,
            run: |stove| always(stove, Fault::Status(500), &["build"]),
        },
        Row {
            fault: "interrupted",
            done: "Ctrl-C while a package is downloaded",
            did: "removed what was half there",
            code: 130,
            run: |stove| {
                stove.server.fault(DATA, Fault::Stall(1000));
                let mut child = start(&stove.kitchen, &["build"]);
                until(&mut child, || stove.server.count(DATA) > 0);
                signal(&child, "INT");
                Some(finish(child).into())
            },
        },
    ]
}
