//! Many builds at once on one cold cache, from a server that fails one request in five.

use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::{Fault, Server};
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use prebake_testkit::package::PackageBuilder;

use crate::kitchen::Kitchen;
use crate::stove::{BASE, INDEX, files, finish, noise};

/// How many builds there are at once.
const BUILDS: usize = 32;

/// How many packages each of them takes.
const PACKAGES: usize = 24;

/// One request in so many fails.
const ONE_IN: u64 = 5;

fn mirror() -> Mirror {
    let empty = MirrorBuilder::new("v3.99").base(BaseBuilder::new("x86_64", "3.99.0"));
    let full = (0..PACKAGES).fold(empty, |mirror, number| {
        let name = format!("part-{number}");
        let path = format!("usr/share/{name}");
        let package = PackageBuilder::new(&name, "1.0-r0").file(&path, noise(2000 + number));
        mirror.package("main", package)
    });
    full.build()
}

/// Builds in all kitchens at once, with one cache, and checks what comes of it.
#[track_caller]
fn all_at_once(kitchens: &[Kitchen], server: &Server, asked: &[String]) {
    let cache = kitchens[0].path("cache");
    drop(fs_err::remove_dir_all(&cache));
    server.clear_requests();
    server.clear_faults();
    server.fault_each(
        ONE_IN,
        [
            Fault::Status(503),
            Fault::Truncate(700),
            Fault::Reset(700),
            Fault::Hang,
            Fault::RetryAfter(429, "1".to_owned()),
        ],
    );
    let children: Vec<_> = kitchens
        .iter()
        .map(|kitchen| {
            drop(fs_err::remove_dir_all(kitchen.path("out")));
            let mut command = kitchen.command(&["build", "--quiet"]);
            command.env("PREBAKE_CACHE", &cache);
            command.stdout(std::process::Stdio::piped());
            command.stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        finish(child).expect(0);
    }
    let first = fs_err::read(kitchens[0].path("out/r.tar.gz")).unwrap();
    for kitchen in kitchens {
        let output = fs_err::read(kitchen.path("out/r.tar.gz")).unwrap();
        assert!(output == first, "another output");
    }
    for path in asked {
        assert_eq!(server.delivered(path), 1, "{path}");
    }
    // The server did fail.
    let failed = asked.iter().filter(|path| server.count(path) > 1).count();
    assert!(failed >= asked.len() / 10, "only {failed}");
    let left = files(&cache).into_iter();
    let left: Vec<_> = left
        .filter(|name| name.contains("v1/tmp/") || name.contains("v1/lock/"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn all_succeed_and_each_file_is_downloaded_once() {
    let mirror = mirror();
    let server = Server::start_folder(mirror.root());
    let url = server.url("");
    let names: Vec<_> = (0..PACKAGES)
        .map(|number| format!("part-{number}"))
        .collect();
    let recipe = format!(
        "name = \"r\"\narch = \"x86_64\"\npackages = {names:?}\nmirrors = [\"{url}\"]\n\
         [base]\nrelease = \"3.99.0\"\n\
         [[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = [{:?}]\n\
         [[output]]\npath = \"out/r.tar.gz\"\n",
        mirror.key_file().display().to_string(),
    );
    let kitchens: Vec<_> = (0..BUILDS).map(|_| Kitchen::new(&recipe)).collect();
    let mut asked: Vec<_> = names
        .iter()
        .map(|name| format!("/v3.99/main/x86_64/{name}-1.0-r0.apk"))
        .collect();
    asked.push(BASE.to_owned());
    // Before there is a lock: all ask whether the base and the index are still what they were.
    asked.push(INDEX.to_owned());
    all_at_once(&kitchens, &server, &asked);
    let lock = fs_err::read(kitchens[0].path("prebake.lock")).unwrap();
    for kitchen in &kitchens {
        assert!(fs_err::read(kitchen.path("prebake.lock")).unwrap() == lock);
    }
    // And with one, which asks no index.
    asked.pop();
    all_at_once(&kitchens, &server, &asked);
    assert_eq!(server.count(INDEX), 0);
}
