//! The server is judged by curl: what it does right must be right for others too, and what it
//! does wrong must look wrong to them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and say why they are skipped"
)]

use std::process::Command;

use prebake_testkit::http::{Fault, Proxy, Server};
use prebake_testkit::tls::Authority;

/// Runs curl; `None` where there is none. Returns its exit code and what it wrote.
fn curl(arguments: &[&str]) -> Option<(i32, Vec<u8>)> {
    match Command::new("curl")
        .args(["-sS", "-q"])
        .args(arguments)
        .output()
    {
        Ok(output) => Some((output.status.code().unwrap(), output.stdout)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "curl: {error}");
            println!("skipped: curl: {error}");
            None
        }
    }
}

fn content() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn server() -> Server {
    let server = Server::start();
    server.put("/file", &content());
    server
}

#[test]
fn files_and_their_parts() {
    let server = server();
    let url = server.url("/file");
    let Some((code, body)) = curl(&[&url]) else {
        return;
    };
    assert_eq!((code, body), (0, content()));
    let (_, body) = curl(&["-C", "1000", &url]).unwrap();
    assert_eq!(body, content()[1000..]);
    let (code, _) = curl(&["-f", &server.url("/none")]).unwrap();
    assert_eq!(code, 22, "the exit code for a 404");
    let write = "%{http_code} %{num_connects}\n";
    let (_, text) = curl(&[
        "-o",
        "/dev/null",
        "-o",
        "/dev/null",
        "-w",
        write,
        &url,
        &url,
    ])
    .unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "200 1\n200 0\n");
}

#[test]
fn faults_are_seen_as_what_they_are() {
    // curl's exit codes are in its manual.
    for (fault, expected, what) in [
        (Fault::Truncate(1000), 18, "a partial file"),
        (Fault::Reset(1000), 56, "a failure in receiving"),
        (Fault::ClaimLength(1_000_000), 18, "a partial file"),
        (Fault::Hang, 52, "nothing came back"),
        (Fault::Gibberish, 1, "an unsupported protocol"),
        (Fault::Chunked, 0, "all right"),
        (Fault::NoLength, 0, "all right"),
        (
            Fault::Redirect(302, "/file".to_owned()),
            47,
            "too many redirects",
        ),
        (Fault::RefuseRange, 22, "416"),
        (Fault::IgnoreRange, 33, "no ranges"),
    ] {
        let server = server();
        server.fault("/file", fault.clone());
        let url = server.url("/file");
        let mut arguments = vec!["-fL", "--max-redirs", "5", url.as_str()];
        if matches!(fault, Fault::RefuseRange | Fault::IgnoreRange) {
            arguments.extend(["-C", "1000"]);
        }
        let Some((code, _)) = curl(&arguments) else {
            return;
        };
        assert_eq!(code, expected, "{fault:?} is {what}");
    }
}

#[test]
fn conditions() {
    let server = server();
    let url = server.url("/file");
    let folder = tempfile::TempDir::new().unwrap();
    let tag = folder.path().join("tag");
    let tag = tag.to_str().unwrap();
    let Some((code, _)) = curl(&["-o", "/dev/null", "--etag-save", tag, &url]) else {
        return;
    };
    assert_eq!(code, 0);
    let status = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--etag-compare",
        tag,
        &url,
    ];
    assert_eq!(curl(&status).unwrap().1, b"304");
    server.put("/file", b"other");
    assert_eq!(curl(&status).unwrap().1, b"200");
}

#[test]
fn folders_are_served_and_not_left() {
    let folder = tempfile::TempDir::new().unwrap();
    fs_err::create_dir(folder.path().join("in")).unwrap();
    fs_err::write(folder.path().join("secret"), b"secret").unwrap();
    fs_err::write(folder.path().join("in/a b"), b"content").unwrap();
    let server = Server::start_folder(&folder.path().join("in"));
    let Some((_, body)) = curl(&[&server.url("/a%20b")]) else {
        return;
    };
    assert_eq!(body, b"content");
    for path in ["/../secret", "/%2e%2e/secret", "/x/..%2f../secret"] {
        let (code, _) = curl(&["-f", "--path-as-is", &server.url(path)]).unwrap();
        assert_eq!(code, 22, "{path}");
    }
}

#[test]
fn tls_and_proxies() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.server_config(&["127.0.0.1"]));
    server.put("/file", &content());
    let plain = self::server();
    let url = server.url("/file");
    let folder = tempfile::TempDir::new().unwrap();
    let trusted = folder.path().join("ca.pem");
    fs_err::write(&trusted, authority.pem()).unwrap();
    let trusted = trusted.to_str().unwrap();
    let Some((code, body)) = curl(&["--cacert", trusted, &url]) else {
        return;
    };
    assert_eq!((code, body), (0, content()));
    let (code, _) = curl(&[&url]).unwrap();
    assert_eq!(code, 60, "the exit code for an unknown authority");
    let proxy = Proxy::start();
    let (_, body) = curl(&["--cacert", trusted, "-x", &proxy.url(), &url]).unwrap();
    assert_eq!(body, content());
    let (_, body) = curl(&["-x", &proxy.url(), &plain.url("/file")]).unwrap();
    assert_eq!(body, content());
    let methods: Vec<String> = proxy
        .requests()
        .into_iter()
        .map(|request| request.method)
        .collect();
    assert_eq!(methods, ["CONNECT", "GET"]);
}
