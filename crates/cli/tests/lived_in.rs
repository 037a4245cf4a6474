//! A baked rootfs as a place to live in: what its own apk and its programs do there is what they
//! do in a root that the real apk installed, scripts and all.

mod kitchen;

use std::path::Path;

use kitchen::Kitchen;
use prebake_testkit::judge;
use prebake_testkit::oracle::{Add, Oracle, Outcome};
use prebake_testkit::sandbox::Sandbox;
use prebake_testkit::shared::real_mirror;
use prebake_testkit::tree::Dump;

const BASE: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

const OUTPUT: &str = "rootfs.tar.gz";

/// `dhcpcd` has a user of its own by a script, `git` brings the links of certificates by a trigger.
const PACKAGES: [&str; 3] = ["dhcpcd", "git", "openssh"];

/// What is asked and done in both roots, in this order. All of it must succeed.
const LIFE: [&str; 23] = [
    "apk audit",
    "apk audit --system",
    "apk audit --full",
    "apk audit --backup",
    "apk audit --check-permissions --system",
    "apk info -v",
    "apk info --contents dhcpcd openssh-server ca-certificates",
    "apk fix",
    "apk upgrade --simulate",
    "apk upgrade --simulate --available",
    "id dhcpcd",
    "su -s /bin/sh dhcpcd -c id",
    "ls -l /etc/ssl/certs | awk '{ print $1, $3, $4, $9, $10, $11 }'",
    "apk del openssh",
    "apk audit --full",
    "find / -xdev | sort",
    "apk add jq",
    "echo '{\"a\": 1}' | jq .a",
    // With scripts that write into what others brought.
    "apk add tiny-cloud-alpine",
    "apk add openssh",
    "ssh-keygen -A && /usr/sbin/sshd -t",
    "apk audit --system",
    "apk verify /media/v3.19/main/x86_64/jq-1.7.1-r0.apk",
];

/// What is another at each time that it is made, below `/etc/ssh`.
const HOST_KEYS: &str = "/etc/ssh/ssh_host_";

#[test]
fn a_baked_root_is_lived_in_like_an_installed_one() {
    let test = "a_baked_root_is_lived_in_like_an_installed_one";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let Some((ours, theirs)) = both(test, &mirror) else {
        return;
    };
    let lives = std::thread::scope(|scope| {
        let [ours, theirs] =
            [&ours, &theirs].map(|oracle| scope.spawn(|| life(test, oracle, &mirror)));
        [ours, theirs].map(|life| life.join().expect("every line can be run"))
    });
    let [Some(ours_did), Some(theirs_did)] = lives else {
        return;
    };
    for (line, (ours, theirs)) in LIFE.into_iter().zip(ours_did.into_iter().zip(theirs_did)) {
        let theirs = theirs.expect_success();
        assert_eq!(ours, theirs, "{line}");
        match line {
            "apk audit --system" => assert_eq!(ours.stdout, "", "{line}"),
            "apk info -v" => assert!(ours.stdout.contains("openssh-9.6_p1-r0"), "{ours:?}"),
            "id dhcpcd" => assert!(ours.stdout.contains("(dhcpcd) gid="), "{ours:?}"),
            "apk del openssh" => assert!(ours.stdout.contains("Purging openssh "), "{ours:?}"),
            "echo '{\"a\": 1}' | jq .a" => assert_eq!(ours.stdout, "1\n"),
            "apk add tiny-cloud-alpine" => {
                let said = "Executing tiny-cloud-alpine-3.0.7-r0.post-install";
                assert!(ours.stdout.contains(said), "{ours:?}");
            }
            line if line.starts_with("ls -l /etc/ssl/certs") => {
                // A hash and a number, as OpenSSL looks for them.
                let hashed = |line: &&str| line.contains(".0 -> ca-cert-");
                assert!(ours.stdout.lines().filter(hashed).count() > 100, "{ours:?}");
            }
            _ => {}
        }
    }
    // And after all of it both are the same.
    let dump = |oracle: &Oracle| {
        let dump = Dump::of_directory(test, &oracle.root())?;
        let mut dump = dump.without_times(|_, _| true);
        for (path, node) in &mut dump.0 {
            if path.starts_with(HOST_KEYS) {
                (node.size, node.what) = (0, String::new());
            }
        }
        // The day of a password's change is the day of the run.
        for file in ["/etc/shadow", "/etc/shadow-"] {
            let node = dump.0.get_mut(file).expect("it is there");
            node.what = String::new();
        }
        Some(dump)
    };
    if let (Some(ours), Some(theirs)) = (dump(&ours), dump(&theirs)) {
        assert!(ours.0.keys().any(|path| path.starts_with(HOST_KEYS)));
        ours.assert_same(&theirs);
    }
}

/// Returns two roots with the packages and their scripts' effects: a baked one that GNU tar
/// unpacked, and one that the real apk installed.
fn both(test: &str, mirror: &Path) -> Option<(Oracle, Oracle)> {
    judge::any_owner(test).then_some(())?;
    let folder = mirror.display();
    let kitchen = Kitchen::new(&format!(
        "name = \"r\"\narch = [\"x86_64\"]\npackages = {PACKAGES:?}\n\
         mirrors = [\"file://{folder}\"]\n[base]\nrelease = \"3.19.4\"\n\
         [[repository]]\nurl = \"file://{folder}/v3.19/main\"\n\
         [[output]]\npath = {OUTPUT:?}\n"
    ));
    kitchen.run(&["build"]).expect(0);
    let ours = Oracle::on_base(test, &kitchen.path(OUTPUT))?;
    let theirs = Oracle::on_base(test, &mirror.join(BASE))?;
    let add = Add::new(PACKAGES)
        .repository(mirror.join("v3.19/main").display())
        .with_scripts();
    theirs.add(&add).expect_success();
    for oracle in [&ours, &theirs] {
        let repositories = oracle.root().join("etc/apk/repositories");
        fs_err::write(repositories, "/media/v3.19/main\n").expect("it can be written");
    }
    Some((ours, theirs))
}

/// Does everything of [`LIFE`] in a root that has the mirror at `/media`.
fn life(test: &str, oracle: &Oracle, mirror: &Path) -> Option<Vec<Outcome>> {
    let sandbox = Sandbox::new(test, &oracle.root())?;
    let live = |line: &str| {
        let told = line.replace("apk ", "apk --no-network --no-progress ");
        let mut outcome = sandbox.shell_with_media(mirror, &told);
        // An audit goes through folders in the order in which the file system has their names.
        if line.starts_with("apk audit") {
            let mut lines: Vec<_> = outcome.stdout.lines().collect();
            lines.sort_unstable();
            outcome.stdout = lines.join("\n");
        }
        outcome
    };
    Some(LIFE.into_iter().map(live).collect())
}
