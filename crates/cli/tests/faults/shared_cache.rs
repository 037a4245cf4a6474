//! A cache that many machines share: what it has is used, what it has wrong is noticed, and
//! whatever else it does costs a warning and nothing more. In a folder, over plain HTTP, and in
//! the S3 of a program that others wrote (`moto_server`).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use prebake_apk::digest::Sha256;
use prebake_testkit::http::{Fault, Server, refused};
use prebake_testkit::judge;

use crate::kitchen::{Kitchen, Output};
use crate::stove::{BASE, DATA, Stove, TOOL, files, flipped};

/// A stove whose first machine has filled a shared cache in a folder.
struct Sharing {
    stove: Stove,
    /// Where the objects are.
    folder: PathBuf,
    /// What every machine is to build.
    good: Vec<u8>,
}

impl Sharing {
    fn new() -> Self {
        let stove = Stove::new();
        let folder = stove.kitchen.path("shared");
        fs_err::create_dir_all(&folder).unwrap();
        let url = format!("file://{}", folder.display());
        // What locks downloads files whose hash is not known yet, and shares none.
        let lock = ["lock", "--remote-cache", &url, "--remote-cache-write"];
        stove.kitchen.run(&lock).expect(0);
        assert_eq!(files(&folder), Vec::<String>::new());
        forget_all_but_lock(&stove.kitchen);
        let built = build(
            &stove.kitchen,
            &["--remote-cache", &url, "--remote-cache-write"],
        );
        assert_eq!(
            built.expect(0).stderr.matches("warning").count(),
            0,
            "{}",
            built.stderr
        );
        let good = stove.output().unwrap();
        Self {
            stove,
            folder,
            good,
        }
    }

    /// Returns the file that an input of the recipe is in the shared cache.
    fn object(&self, input: &str) -> PathBuf {
        self.folder.join(object(&self.stove, input))
    }

    /// Builds on a machine that has the recipe and its lock, and nothing else.
    #[track_caller]
    fn elsewhere(&self, arguments: &[&str]) -> Output {
        forget_all_but_lock(&self.stove.kitchen);
        self.stove.server.clear_requests();
        build(&self.stove.kitchen, &[&["--locked"], arguments].concat())
    }

    /// Checks that the build went well and wrote what it should.
    #[track_caller]
    fn assert_good(&self, output: &Output) {
        output.expect(0);
        assert!(
            self.stove.output().as_ref() == Some(&self.good),
            "it wrote something else"
        );
        self.stove.assert_clean();
    }
}

/// Returns where an input of the recipe is below a shared cache's root.
fn object(stove: &Stove, input: &str) -> String {
    let name = Sha256::of(&stove.file(input)).to_string();
    format!("v1/sha256/{}/{name}", &name[..2])
}

fn forget_all_but_lock(kitchen: &Kitchen) {
    for name in ["cache", "out"] {
        drop(fs_err::remove_dir_all(kitchen.path(name)));
    }
}

fn build(kitchen: &Kitchen, arguments: &[&str]) -> Output {
    kitchen.run(&[&["build"], arguments].concat())
}

#[test]
fn a_second_machine_builds_from_it_alone() {
    let sharing = Sharing::new();
    // It has what the lock names, each under its own hash; the index is nobody's to share.
    let mut names: Vec<_> = [BASE, TOOL, DATA]
        .map(|input| object(&sharing.stove, input))
        .into();
    names.sort();
    assert_eq!(files(&sharing.folder), names);
    for input in [BASE, TOOL, DATA] {
        assert_eq!(
            fs_err::read(sharing.object(input)).unwrap(),
            sharing.stove.file(input)
        );
    }
    // The mirror is gone.
    sharing.stove.server.fault_every(1, Fault::Status(404));
    let server = Server::start_folder(&sharing.folder);
    let folder = format!("file://{}", sharing.folder.display());
    for url in [&folder, &server.url("")] {
        let built = sharing.elsewhere(&["--remote-cache", url]);
        sharing.assert_good(&built);
        assert!(!built.stderr.contains("warning"), "{}", built.stderr);
        assert_eq!(
            sharing.stove.server.requests().len(),
            0,
            "the mirror was asked"
        );
    }
    // By the environment, too.
    forget_all_but_lock(&sharing.stove.kitchen);
    let mut command = sharing.stove.kitchen.command(&["build", "--locked"]);
    sharing.assert_good(&Output::of(command.env("PREBAKE_REMOTE_CACHE", &folder)));
    // Offline means that nobody is asked, also not this one.
    server.clear_requests();
    let offline = sharing.elsewhere(&["--offline", "--remote-cache", &server.url("")]);
    offline.expect(5);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn what_is_wrong_in_it_is_noticed_and_healed() {
    let sharing = Sharing::new();
    let server = Server::start_folder(&sharing.folder);
    let folder = format!("file://{}", sharing.folder.display());
    let tool = fs_err::read(sharing.object(TOOL)).unwrap();
    let other = fs_err::read(sharing.object(DATA)).unwrap();
    let longer = [&tool[..], b"x"].concat();
    let wrong: [&[u8]; 6] = [
        &flipped(&tool, tool.len() / 2),
        &tool[..tool.len() - 1],
        &longer,
        &other,
        b"<html>Please log in</html>",
        b"",
    ];
    for poison in wrong {
        fs_err::write(sharing.object(TOOL), poison).unwrap();
        for url in [&folder, &server.url("")] {
            let built = sharing.elsewhere(&["--remote-cache", url]);
            sharing.assert_good(&built);
            let said = "has something else in place of `tool-1.0-r0.apk`";
            assert_eq!(built.stderr.matches(said).count(), 1, "{}", built.stderr);
            // Only that one came from the mirror.
            assert_eq!(sharing.stove.server.count(TOOL), 1);
            assert_eq!(sharing.stove.server.requests().len(), 1);
        }
    }
    // Who may write to it puts it right.
    let built = sharing.elsewhere(&["--remote-cache", &folder, "--remote-cache-write"]);
    sharing.assert_good(&built);
    assert_eq!(fs_err::read(sharing.object(TOOL)).unwrap(), tool);
    // A shared cache that is wrong in everything is left alone.
    for input in [BASE, TOOL, DATA] {
        fs_err::write(sharing.object(input), "poison").unwrap();
    }
    let built = sharing.elsewhere(&["--remote-cache", &folder]);
    sharing.assert_good(&built);
    let said = "is not used any more: 3 answers were wrong";
    assert_eq!(built.stderr.matches(said).count(), 1, "{}", built.stderr);
}

#[test]
fn whatever_it_does_costs_one_warning() {
    let sharing = Sharing::new();
    let server = Server::start_folder(&sharing.folder);
    let inputs = [BASE, TOOL, DATA].map(|input| format!("/{}", object(&sharing.stove, input)));
    let faults = [
        Fault::Status(500),
        Fault::Status(403),
        Fault::Status(429),
        Fault::RetryAfter(503, "59".to_owned()),
        Fault::Truncate(100),
        Fault::Reset(100),
        Fault::Hang,
        Fault::Gibberish,
        Fault::Redirect(302, sharing.stove.url()),
        Fault::Stall(100),
        Fault::Endless,
    ];
    for fault in faults {
        for input in &inputs {
            server.fault(input, fault.clone());
        }
        let built = sharing.elsewhere(&["--remote-cache", &server.url("")]);
        sharing.assert_good(&built);
        let said = format!("the shared cache {} is not used any more: ", server.url(""));
        assert_eq!(
            built.stderr.matches(&said).count(),
            1,
            "{fault:?}: {}",
            built.stderr
        );
        assert_eq!(sharing.stove.server.requests().len(), 3, "{fault:?}");
    }
    // What answers with something else is told for each of the three.
    let page = Fault::Page("<html>".to_owned());
    for input in &inputs {
        server.fault(input, page.clone());
    }
    let built = sharing.elsewhere(&["--remote-cache", &server.url("")]);
    sharing.assert_good(&built);
    let told = built.stderr.matches("has something else in place of");
    assert_eq!(told.count(), 3, "{}", built.stderr);
    // Nobody is there.
    let built = sharing.elsewhere(&["--remote-cache", &refused("/x")]);
    sharing.assert_good(&built);
    assert_eq!(
        built.stderr.matches("is not used any more").count(),
        1,
        "{}",
        built.stderr
    );
    // It takes nothing: told once, whatever is read from it.
    server.clear_faults();
    for input in [BASE, TOOL, DATA] {
        fs_err::remove_file(sharing.object(input)).unwrap();
    }
    let built = sharing.elsewhere(&["--remote-cache", &server.url(""), "--remote-cache-write"]);
    sharing.assert_good(&built);
    assert_eq!(
        built.stderr.matches("is given no more files").count(),
        1,
        "{}",
        built.stderr
    );
}

#[test]
fn a_place_that_is_none_is_refused_and_no_password_is_shown() {
    let sharing = Sharing::new();
    for (url, words) in [
        ("ftp://host/x", "it begins with none of"),
        ("s3:bucket", "it begins with none of"),
        ("nonsense", "is no place for a shared cache"),
    ] {
        let output = sharing.elsewhere(&["--remote-cache", url]);
        assert!(output.expect(2).stderr.contains(words), "{}", output.stderr);
    }
    let url = refused("/x").replace("http://", "http://me:secret@");
    let built = sharing.elsewhere(&["--remote-cache", &url]);
    sharing.assert_good(&built);
    assert!(
        built.stderr.contains("is not used any more"),
        "{}",
        built.stderr
    );
    assert!(!built.stderr.contains("secret"), "{}", built.stderr);
}

#[cfg(unix)]
#[test]
fn it_can_be_interrupted() {
    use crate::stove::{finish, signal, start, until};
    let sharing = Sharing::new();
    let server = Server::start_folder(&sharing.folder);
    let input = format!("/{}", object(&sharing.stove, TOOL));
    for bytes in [0, 100] {
        server.fault(&input, Fault::Stall(bytes));
        server.clear_requests();
        forget_all_but_lock(&sharing.stove.kitchen);
        sharing.stove.server.clear_requests();
        let url = server.url("");
        let arguments = ["build", "--locked", "--remote-cache", &url];
        let mut child = start(&sharing.stove.kitchen, &arguments);
        until(&mut child, || server.count(&input) > 0);
        signal(&child, "INT");
        let output = finish(child);
        output.expect(130);
        assert!(!output.stderr.contains("warning"), "{}", output.stderr);
        assert!(!sharing.stove.kitchen.path(crate::stove::OUTPUT).exists());
        assert_eq!(
            sharing.stove.server.count(TOOL),
            0,
            "it went on to the mirror"
        );
        sharing.stove.assert_clean();
    }
}

/// `moto_server`: an S3 that others wrote. It ends with this.
struct Moto {
    child: Child,
    address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Moto {
    /// Starts it at a port of its own choice, with a bucket.
    fn start(test: &str) -> Option<Self> {
        let mut command: Command = judge::program(test, "moto_server")?.command();
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, address) = line.split_once("Running on http://")?;
            Some(address.trim().to_owned())
        });
        // It writes a line for each request, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let moto = Self {
            child,
            address: address.expect("moto_server says where it is"),
        };
        moto.ask("PUT", "/bucket", b"");
        Some(moto)
    }

    /// Sends a request of its own kind, and returns the answer's body.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {length}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.") && answer[9] == b'2',
            "{}",
            String::from_utf8_lossy(&answer)
        );
        answer.split_off(end + 4)
    }

    fn build(&self, kitchen: &Kitchen, arguments: &[&str]) -> Output {
        let mut command = kitchen
            .command(&[&["build", "--remote-cache", "s3://bucket/team"], arguments].concat());
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "a secret");
        Output::of(&mut command)
    }
}

#[test]
fn in_an_s3_that_others_wrote() {
    let Some(moto) = Moto::start("in_an_s3_that_others_wrote") else {
        return;
    };
    // A file above the size that is sent in one piece.
    let stove = Stove::with_data(34 << 20);
    stove.kitchen.run(&["lock"]).expect(0);
    forget_all_but_lock(&stove.kitchen);
    let built = moto.build(&stove.kitchen, &["--remote-cache-write"]);
    built.expect(0);
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    let good = stove.output().unwrap();
    let listed = moto.ask("GET", "/bucket?list-type=2", b"");
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.matches("<Key>").count(), 3, "{listed}");
    let path = |input: &str| format!("/bucket/team/{}", object(&stove, input));
    for input in [BASE, TOOL, DATA] {
        assert!(
            moto.ask("GET", &path(input), b"") == stove.file(input),
            "{input}"
        );
    }
    // Another machine, and no mirror.
    stove.server.fault_every(1, Fault::Status(404));
    forget_all_but_lock(&stove.kitchen);
    let built = moto.build(&stove.kitchen, &["--locked"]);
    built.expect(0);
    assert!(stove.output().unwrap() == good);
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    // An object is poisoned, and the mirror is back.
    stove.server.clear_faults();
    moto.ask("PUT", &path(TOOL), b"poison");
    forget_all_but_lock(&stove.kitchen);
    stove.server.clear_requests();
    let built = moto.build(&stove.kitchen, &["--locked", "--remote-cache-write"]);
    built.expect(0);
    assert!(stove.output().unwrap() == good);
    assert!(
        built
            .stderr
            .contains("has something else in place of `tool-1.0-r0.apk`"),
        "{}",
        built.stderr
    );
    assert_eq!(stove.server.requests().len(), 1);
    assert!(
        moto.ask("GET", &path(TOOL), b"") == stove.file(TOOL),
        "it was not healed"
    );
    // A bucket that is not there: one warning.
    forget_all_but_lock(&stove.kitchen);
    let mut command =
        stove
            .kitchen
            .command(&["build", "--locked", "--remote-cache", "s3://nobodys"]);
    command
        .env("AWS_ENDPOINT_URL", format!("http://{}", moto.address))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "a secret");
    let built = Output::of(&mut command);
    built.expect(0);
    assert!(stove.output().unwrap() == good);
    assert!(!built.stderr.contains("a secret"), "{}", built.stderr);
}

#[test]
fn a_pipe_in_it_is_no_file() {
    let sharing = Sharing::new();
    let folder = format!("file://{}", sharing.folder.display());
    for input in [BASE, TOOL, DATA] {
        let object = sharing.object(input);
        fs_err::remove_file(&object).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&object).status();
        assert!(made.unwrap().success());
    }
    let built = sharing.elsewhere(&["--remote-cache", &folder]);
    sharing.assert_good(&built);
    assert!(
        built.stderr.contains("is not a regular file"),
        "{}",
        built.stderr
    );
    assert_eq!(
        built.stderr.matches("is not used any more").count(),
        1,
        "{}",
        built.stderr
    );
}
