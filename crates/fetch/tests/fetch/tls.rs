//! HTTPS, by the certificates that the system trusts. What the system trusts is settled when a
//! process starts, so each case runs in a process of its own.

#![cfg_attr(
    not(target_os = "linux"),
    expect(
        dead_code,
        unused_imports,
        reason = "only Linux is told what to trust by variables"
    )
)]

use prebake_testkit::http::{Fault, Server};
use prebake_testkit::tls::Authority;

use crate::processes::Child;
use crate::setup::{FILE, Setup};

struct Tls {
    setup: Setup,
    trusted: tempfile::NamedTempFile,
}

fn tls(names: &[&str]) -> Tls {
    let authority = Authority::new();
    let setup = Setup::with_server(Server::start_tls(authority.server_config(names)));
    let trusted = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(trusted.path(), authority.pem()).unwrap();
    Tls { setup, trusted }
}

fn trusting(tls: &Tls) -> Child {
    Child::new(&tls.setup)
        .variable("SSL_CERT_FILE", tls.trusted.path())
        .variable("SSL_CERT_DIR", "")
}

#[cfg(target_os = "linux")]
#[test]
fn a_trusted_certificate_is_taken() {
    let tls = tls(&["127.0.0.1"]);
    trusting(&tls).run().assert_fetched(&tls.setup);
}

#[test]
fn an_unknown_authority_is_refused() {
    let tls = tls(&["127.0.0.1"]);
    let output = Child::new(&tls.setup).run();
    output.assert_failed(&tls.setup, "no trusted TLS connection: ");
    assert_eq!(tls.setup.server.requests(), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_certificate_for_another_host_is_refused() {
    let tls = tls(&["mirror.example"]);
    let output = trusting(&tls).run();
    output.assert_failed(&tls.setup, "no trusted TLS connection: ");
    assert_eq!(tls.setup.server.requests(), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_protected_connection_is_not_left_for_a_plain_one() {
    let tls = tls(&["127.0.0.1"]);
    let plain = Setup::new();
    let there = plain.server.url(FILE);
    tls.setup
        .server
        .fault(FILE, Fault::Redirect(302, there.clone()));
    let output = trusting(&tls).run();
    output.assert_failed(
        &tls.setup,
        &format!("redirected to `{there}`, which is not followed"),
    );
    assert_eq!(plain.server.requests(), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_plain_connection_may_be_left_for_a_protected_one() {
    let tls = tls(&["127.0.0.1"]);
    let plain = Setup::new();
    plain
        .server
        .fault(FILE, Fault::Redirect(301, tls.setup.server.url(FILE)));
    let child = Child::new(&plain)
        .variable("SSL_CERT_FILE", tls.trusted.path())
        .variable("SSL_CERT_DIR", "");
    child.run().assert_fetched(&plain);
    assert_eq!(tls.setup.server.count(FILE), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn faults_are_the_same_within_tls() {
    for fault in [Fault::Truncate(100_000), Fault::Reset(100_000), Fault::Hang] {
        let tls = tls(&["127.0.0.1"]);
        tls.setup.server.fault_next(FILE, [fault.clone()]);
        trusting(&tls).run().assert_fetched(&tls.setup);
        assert_eq!(tls.setup.server.count(FILE), 2, "{fault:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_tunnel_through_a_proxy_is_protected_end_to_end() {
    let tls = tls(&["127.0.0.1"]);
    let proxy = prebake_testkit::http::Proxy::start();
    let child = trusting(&tls).variable("HTTPS_PROXY", proxy.url());
    child.run().assert_fetched(&tls.setup);
    let requests = proxy.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "CONNECT");
    assert_eq!(requests[0].path, tls.setup.server.address().to_string());
}
