//! Proxies from the environment.

use prebake_fetch::{Cancel, Kind, Network, Options, Proxies, Silent};
use prebake_testkit::http::{Proxy, Server, refused};

use crate::setup::{FILE, Setup, fetcher, options};

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    Proxies::from_environment(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.into())
    })
}

#[test]
fn requests_go_through_the_proxy() {
    for variable in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        let setup = Setup::new();
        let proxy = Proxy::start();
        let proxies = proxies(&[(variable, &proxy.url())]);
        let fetcher = fetcher(setup.cache(), options(), &proxies, Cancel::default());
        fetcher.fetch_one(&setup.pinned(), &Silent).unwrap();
        setup.assert_only_the_file();
        assert_eq!(proxy.requests().len(), 1, "{variable}");
    }
}

#[test]
fn excepted_hosts_are_reached_directly() {
    let setup = Setup::new();
    let proxy = Proxy::start();
    for (variable, excepted) in [
        ("https_proxy", ""),
        ("http_proxy", "localhost,127.0.0.0/8"),
        ("all_proxy", "*"),
    ] {
        let proxies = proxies(&[(variable, &proxy.url()), ("NO_PROXY", excepted)]);
        let fetcher = fetcher(setup.cache(), options(), &proxies, Cancel::default());
        fetcher.fetch_one(&setup.current(), &Silent).unwrap();
    }
    assert_eq!(proxy.requests(), []);
}

#[test]
fn a_proxy_that_is_away_is_an_error_and_not_passed_by() {
    let setup = Setup::new();
    let proxies = proxies(&[("http_proxy", &refused(""))]);
    let fetcher = fetcher(setup.cache(), options(), &proxies, Cancel::default());
    let error = fetcher.fetch_one(&setup.pinned(), &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert_eq!(setup.server.requests(), []);
}

#[test]
fn a_proxy_that_is_no_url_is_refused_at_once() {
    let proxies = proxies(&[("http_proxy", "ftp://user:secret@host")]);
    let error = Network::new(&Options::default(), &proxies).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`ftp://host`"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn one_connection_serves_many_requests() {
    // One thread at a time, so one connection is enough; the proxy counts them.
    let setup = Setup::with_server(Server::start());
    let proxy = Proxy::start();
    let proxies = proxies(&[("http_proxy", &proxy.url())]);
    let fetcher = fetcher(setup.cache(), options(), &proxies, Cancel::default());
    for _ in 0..5 {
        fetcher.fetch_one(&setup.current(), &Silent).unwrap();
    }
    assert_eq!(setup.server.count(FILE), 5);
    assert_eq!(proxy.requests().len(), 1);
}
