//! Proxies from the environment.

use prebake_fetch::{Cancel, Kind, Network, Options, Proxies, Silent};
use prebake_testkit::http::{Fault, Proxy, refused};

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
        let requests = proxy.requests();
        assert_eq!(requests.len(), 1, "{variable}");
        // A plain request is forwarded, not tunnelled: many proxies allow tunnels for TLS only.
        assert_eq!(requests[0].method, "GET");
        assert_eq!(requests[0].path, setup.server.url(FILE));
        let host = setup.server.address().to_string();
        assert_eq!(requests[0].header("host"), Some(host.as_str()));
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
fn the_proxy_learns_its_password_and_the_server_does_not() {
    let setup = Setup::new();
    let proxy = Proxy::start();
    let url = proxy.url().replace("://", "://user:p%40ss@");
    let proxies = proxies(&[("http_proxy", &url)]);
    let fetcher = fetcher(setup.cache(), options(), &proxies, Cancel::default());
    fetcher.fetch_one(&setup.pinned(), &Silent).unwrap();
    let told = proxy.requests();
    // By `printf user:p@ss | base64`.
    let secret = Some("Basic dXNlcjpwQHNz");
    assert_eq!(told[0].header("proxy-authorization"), secret);
    assert_eq!(
        setup.server.requests()[0].header("proxy-authorization"),
        None
    );
    // Hosts that are reached directly are not told either.
    let direct = Proxies {
        direct: vec!["127.0.0.1".to_owned()],
        ..proxies
    };
    let fetcher = crate::setup::fetcher(setup.cache(), options(), &direct, Cancel::default());
    fetcher.fetch_one(&setup.current(), &Silent).unwrap();
    assert_eq!(
        setup.server.requests()[1].header("proxy-authorization"),
        None
    );
}

#[test]
fn redirects_and_ranges_go_through_the_proxy_too() {
    let setup = Setup::new();
    let proxy = Proxy::start();
    setup.server.put("/moved", &setup.content);
    setup
        .server
        .fault(FILE, Fault::Redirect(302, "/moved".to_owned()));
    setup
        .server
        .fault_next("/moved", [Fault::Truncate(100_000)]);
    let proxies = proxies(&[("http_proxy", &proxy.url())]);
    let fetcher = fetcher(setup.cache(), options(), &proxies, Cancel::default());
    fetcher.fetch_one(&setup.pinned(), &Silent).unwrap();
    setup.assert_only_the_file();
    let ranges: Vec<_> = proxy
        .requests()
        .iter()
        .map(|request| request.header("range").map(str::to_owned))
        .collect();
    let rest = Some("bytes=100000-".to_owned());
    assert_eq!(ranges, [None, None, rest.clone(), rest]);
}
