//! What a recipe changes in what packages leave, on the real base of Alpine 3.19, judged by the
//! programs that do the same to a running system: BusyBox `adduser`, OpenRC `rc-update`, `apk audit`.

mod kitchen;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kitchen::Kitchen;
use prebake_testkit::judge;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::sandbox::Sandbox;
use prebake_testkit::shared::real_mirror;
use prebake_testkit::tree::Dump;

const OUTPUT: &str = "rootfs.tar.gz";

/// Returns a kitchen with a recipe on the real mirror.
fn kitchen(mirror: &Path, packages: &str, rest: &str) -> Kitchen {
    Kitchen::new(&format!(
        "name = \"n\"\nscripts = \"skip\"\narch = \"x86_64\"\npackages = [{packages}]\nmirrors = [\"file://{0}\"]\n\
         [base]\nrelease = \"3.19.4\"\n\
         [[repository]]\nurl = \"file://{0}/v3.19/main\"\n\
         [[output]]\npath = \"{OUTPUT}\"\n{rest}",
        mirror.display()
    ))
}

/// Returns the real apk on the plain base, with `packages` added and their scripts not run.
fn plain(test: &str, mirror: &Path, packages: &[&str]) -> Option<Oracle> {
    let base = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";
    let oracle = Oracle::on_base(test, &mirror.join(base))?;
    if !packages.is_empty() {
        let repository = mirror.join("v3.19/main");
        let add = Add::new(packages.iter().copied()).repository(repository.display());
        oracle.add(&add).expect_success();
    }
    Some(oracle)
}

/// Reads the files that name users and groups, with the day of a password left out.
fn accounts(root: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let mut files = BTreeMap::new();
    for name in ["etc/passwd", "etc/group", "etc/shadow"] {
        let text = fs_err::read_to_string(root.join(name)).expect("it is there");
        let lines = text.lines().map(|line| {
            let mut fields: Vec<_> = line.split(':').collect();
            if name == "etc/shadow" {
                fields[2] = "DAY";
            }
            fields.join(":")
        });
        files.insert(name.into(), lines.collect());
    }
    files
}

#[test]
fn users_and_groups_are_what_adduser_makes() {
    let test = "users_and_groups_are_what_adduser_makes";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let kitchen = kitchen(
        &mirror,
        "",
        r#"
[[group]]
name = "team"
gid = 2000

[[user]]
name = "app"
uid = 1000
groups = ["team", "wheel"]

[[user]]
name = "third"
uid = 1500
group = "users"
gecos = "My App"
home = "/srv/x"
shell = "/bin/sh"

[[user]]
name = "daemon2"
uid = 150
system = true
home = "/var/lib/daemon2"

[[user]]
name = "games"
uid = 35
groups = ["team"]

[[dir]]
path = "/var/lib/daemon2"
mode = 0o700
owner = "daemon2"

[[file]]
path = "/home/app/.profile"
content = "echo hello\n"
owner = "app"
"#,
    );
    kitchen.run(&["build"]).expect(0);
    let Some(ours) = Oracle::on_base(test, &kitchen.path(OUTPUT)) else {
        return;
    };
    let Some(theirs) = plain(test, &mirror, &[]) else {
        return;
    };
    let Some(sandbox) = Sandbox::new(test, &theirs.root()) else {
        return;
    };
    let made = sandbox.shell(
        "addgroup -g 2000 team && adduser -D -u 1000 app && addgroup app team \
         && addgroup app wheel && adduser -D -u 1500 -G users -g 'My App' -h /srv/x -s /bin/sh third \
         && addgroup -g 150 daemon2 && adduser -S -D -H -h /var/lib/daemon2 -u 150 daemon2 \
         && addgroup games team",
    );
    made.expect_success();
    let mut expected = accounts(&theirs.root());
    // BusyBox puts a system user into a group of its own only by name, which makes it a member.
    for lines in expected.values_mut() {
        for line in lines {
            *line = match line.as_str() {
                "nogroup:x:65533:daemon2" => "nogroup:x:65533:".to_owned(),
                line => line.replace("daemon2:x:150:65533:", "daemon2:x:150:150:"),
            };
        }
    }
    assert_eq!(accounts(&ours.root()), expected);
    let day = fs_err::read_to_string(ours.root().join("etc/shadow")).expect("it is there");
    // The newest file of the base is of 2024-09-06.
    assert!(day.contains("\napp:!:19972:0:99999:7:::\n"), "{day}");

    let dump = |oracle: &Oracle| {
        let dump = Dump::of_directory(test, &oracle.root())?.without_times(|_, _| true);
        let homes = [
            "/home/app",
            "/srv/x",
            "/etc/passwd",
            "/etc/group",
            "/etc/shadow",
        ];
        let mut nodes = Vec::new();
        for path in homes {
            let node = dump.at(path);
            nodes.push(format!("{path} {:o} {}:{}", node.mode, node.uid, node.gid));
        }
        Some(nodes)
    };
    assert_eq!(dump(&ours), dump(&theirs));

    let Some(sandbox) = Sandbox::new(test, &ours.root()) else {
        return;
    };
    let said = sandbox.shell("id app; id third; id daemon2; id games; stat -c %U:%G:%a /var/lib/daemon2 /home/app/.profile; su app -c 'pwd; . ~/.profile'");
    assert_eq!(
        said.expect_success().stdout,
        "uid=1000(app) gid=1000(app) groups=1000(app),10(wheel),2000(team)\n\
         uid=1500(third) gid=100(users) groups=100(users),100(users)\n\
         uid=150(daemon2) gid=150(daemon2) groups=150(daemon2)\n\
         uid=35(games) gid=35(games) groups=35(games),100(users),2000(team)\n\
         daemon2:daemon2:700\napp:app:644\n/\nhello\n"
    );
    let Some(python) = judge::python(test) else {
        return;
    };
    let script = "import pwd,sys\nfor l in open(sys.argv[1]):\n    f=l.rstrip('\\n').split(':')\n    \
                  assert len(f)==7, l\n    p=pwd.struct_passwd([*f[:2],int(f[2]),int(f[3]),*f[4:]])\n    \
                  print(p.pw_name, p.pw_dir, p.pw_shell)\n";
    let passwd = ours.root().join("etc/passwd").display().to_string();
    let read = python.run(["-c", script, &passwd]).expect_success().stdout;
    assert!(
        read.ends_with(
            "app /home/app /bin/ash\nthird /srv/x /bin/sh\ndaemon2 /var/lib/daemon2 /sbin/nologin\n"
        ),
        "{read}"
    );
}

#[test]
fn services_are_what_rc_update_makes() {
    let test = "services_are_what_rc_update_makes";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let kitchen = kitchen(
        &mirror,
        "\"openrc\"",
        "[[service]]\nname = \"local\"\n[[service]]\nname = \"hostname\"\nrunlevel = \"boot\"\n\
         [[service]]\nname = \"swap\"\nrunlevel = \"mine\"\n[[dir]]\npath = \"/etc/runlevels/mine\"\n",
    );
    kitchen.run(&["build"]).expect(0);
    let (Some(ours), Some(theirs)) = (
        Oracle::on_base(test, &kitchen.path(OUTPUT)),
        plain(test, &mirror, &["openrc"]),
    ) else {
        return;
    };
    let (Some(in_ours), Some(in_theirs)) = (
        Sandbox::new(test, &ours.root()),
        Sandbox::new(test, &theirs.root()),
    ) else {
        return;
    };
    in_theirs
        .shell(
            "mkdir /etc/runlevels/mine && rc-update add local default && rc-update add hostname boot \
             && rc-update add swap mine",
        )
        .expect_success();
    let shown = |sandbox: &Sandbox| {
        sandbox
            .shell("rc-update show -a; rc-update -v")
            .expect_success()
    };
    assert_eq!(shown(&in_ours), shown(&in_theirs));
    assert!(
        shown(&in_ours).stdout.contains("local |      default"),
        "{:?}",
        shown(&in_ours)
    );
    let links = |oracle: &Oracle| {
        let dump = Dump::of_directory(test, &oracle.root())?.without_times(|_, _| true);
        Some(dump.only(|path| path.starts_with("/etc/runlevels")))
    };
    if let (Some(ours), Some(theirs)) = (links(&ours), links(&theirs)) {
        ours.assert_same(&theirs);
    }
}

#[test]
fn removed_and_replaced_files_are_what_apk_audit_shows() {
    let test = "removed_and_replaced_files_are_what_apk_audit_shows";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let kitchen = kitchen(
        &mirror,
        "",
        r#"
[[remove]]
path = "/usr/bin/iconv"

[[remove]]
path = "/etc/modprobe.d"
recursive = true

[[link]]
path = "/usr/bin/getent"
target = "/bin/true"

[[link]]
path = "/usr/bin/bb"
target = "/bin/busybox"
hard = true

[[dir]]
path = "/opt/a/b"
mode = "0750"
owner = "root:wheel"

[[dir]]
path = "/opt"
mode = 0o711

[etc]
hostname = "box.example.com"
repositories = ["https://example.com/alpine/v3.19/main", "@edge https://example.com/edge"]
resolv = { nameservers = ["1.1.1.1", "::1"], search = ["example.com"] }
"#,
    );
    let built = kitchen.run(&["build"]);
    built.expect(0);
    for (path, package) in [
        ("takes away /usr/bin/iconv", "musl-utils-"),
        ("replaces /usr/bin/getent", "musl-utils-"),
    ] {
        let said = built.stderr.lines().find(|line| line.contains(path));
        assert!(
            said.is_some_and(|line| line.contains(package)),
            "{}",
            built.stderr
        );
    }
    assert!(!built.stderr.contains("modprobe"), "{}", built.stderr);
    // It is as it was baked; on its own it is not what its database says.
    let said = kitchen.run(&["verify", OUTPUT]);
    said.expect(0);
    fs_err::remove_file(kitchen.path("prebake.lock")).expect("it is there");
    let alone = kitchen.run(&["verify", OUTPUT]);
    assert_ne!(alone.code, Some(0), "{}", alone.stdout);
    assert!(format!("{}{}", alone.stdout, alone.stderr).contains("/usr/bin/iconv of musl-utils"));
    let Some(ours) = Oracle::on_base(test, &kitchen.path(OUTPUT)) else {
        return;
    };
    let audit = ours.audit().expect_success().stdout;
    assert_eq!(audit, "U usr/bin/getent\nX usr/bin/iconv\n");
    let read = |path: &str| fs_err::read_to_string(ours.root().join(path)).expect("it is there");
    assert_eq!(read("etc/hostname"), "box.example.com\n");
    assert!(read("etc/hosts").ends_with("\n127.0.1.1\tbox.example.com box\n"));
    assert_eq!(
        read("etc/resolv.conf"),
        "search example.com\nnameserver 1.1.1.1\nnameserver ::1\n"
    );
    assert_eq!(
        read("etc/apk/repositories"),
        "https://example.com/alpine/v3.19/main\n@edge https://example.com/edge\n"
    );
    let Some(sandbox) = Sandbox::new(test, &ours.root()) else {
        return;
    };
    let said = sandbox.shell(
        "stat -c '%a %U:%G %h' /opt /opt/a /opt/a/b /usr/bin/bb; ls /etc/modprobe.d; readlink /usr/bin/getent",
    );
    assert_eq!(
        said.stdout,
        "711 root:root 3\n755 root:root 3\n750 root:wheel 2\n755 root:root 2\n/bin/true\n"
    );
}

#[test]
fn what_cannot_be_changed_is_said_with_its_line() {
    let test = "what_cannot_be_changed_is_said_with_its_line";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let mut said = Vec::new();
    for (packages, rest) in [
        ("", "[[remove]]\npath = \"/usr/bin/icnv\""),
        ("", "[[remove]]\npath = \"/etc/modprobe.d\""),
        ("", "[[remove]]\npath = \"/lib\"\nrecursive = true"),
        ("", "[[file]]\npath = \"/etc/apk/world\"\ncontent = \"\""),
        (
            "",
            "[[link]]\npath = \"/lib/apk/db/installed\"\ntarget = \"x\"",
        ),
        ("", "[[link]]\npath = \"/opt\"\ntarget = \"x\""),
        (
            "",
            "[[link]]\npath = \"/x\"\ntarget = \"/bin/busibox\"\nhard = true",
        ),
        ("", "[[dir]]\npath = \"/etc/passwd\""),
        ("", "[[dir]]\npath = \"/x\"\nowner = \"nobdy\""),
        ("", "[[user]]\nname = \"app\""),
        ("", "[[user]]\nname = \"app\"\nsystem = true"),
        ("", "[[user]]\nname = \"app\"\nuid = 22"),
        (
            "",
            "[[user]]\nname = \"app\"\nuid = 1000\ngroups = [\"whel\"]",
        ),
        (
            "",
            "[[user]]\nname = \"app\"\nuid = 1000\nshell = \"/bin/bsh\"",
        ),
        ("", "[[user]]\nname = \"nobody\"\nuid = 1000"),
        ("", "[[user]]\nname = \"nobody\"\nshell = \"/bin/sh\""),
        ("", "[[group]]\nname = \"wheel\"\ngid = 11"),
        ("", "[[group]]\nname = \"team\"\ngid = 10"),
        ("", "[[group]]\nname = \"team\""),
        ("", "[[service]]\nname = \"local\""),
        ("\"openrc\"", "[[service]]\nname = \"lcal\""),
        ("\"openrc\"", "[[service]]\nname = \"nginx\""),
        (
            "\"openrc\"",
            "[[service]]\nname = \"local\"\nrunlevel = \"boott\"",
        ),
        ("", "[etc]\ntimezone = \"Europe/Berlin\""),
    ] {
        let run = kitchen(&mirror, packages, rest);
        let output = run.run(&["lock"]);
        assert_ne!(output.code, Some(0), "{rest}");
        assert!(!run.path("prebake.lock").exists(), "{rest}");
        said.push(format!(
            "{rest}\n    {}\n",
            output.stderr.trim_end().replace('\n', "\n    ")
        ));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_time_zone_is_tzdatas() {
    let test = "a_time_zone_is_tzdatas";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let recipe = |zone: &str| {
        Kitchen::new(&format!(
            "name = \"n\"\nscripts = \"skip\"\narch = \"aarch64\"\npackages = [\"tzdata\"]\nmirrors = [\"file://{0}\"]\n\
             [base]\nrelease = \"3.13.12\"\n[[repository]]\nurl = \"file://{0}/v3.13/main\"\n\
             [[output]]\npath = \"{OUTPUT}\"\n[etc]\ntimezone = \"{zone}\"\n",
            mirror.display()
        ))
    };
    let kitchen = recipe("Europe/Berln");
    let said = kitchen.run(&["build"]);
    said.expect(2);
    assert!(
        said.stderr.contains("did you mean `Europe/Berlin`?"),
        "{}",
        said.stderr
    );
    let kitchen = recipe("Europe/Berlin");
    kitchen.run(&["build"]).expect(0);
    let Some(dump) = Dump::of_tarball(test, &kitchen.path(OUTPUT)) else {
        return;
    };
    assert_eq!(dump.at("/etc/localtime").kind, 'l');
    let Some(ours) = Oracle::on_base(test, &kitchen.path(OUTPUT)) else {
        return;
    };
    let link = fs_err::read_link(ours.root().join("etc/localtime")).expect("it is a link");
    assert_eq!(link, Path::new("/usr/share/zoneinfo/Europe/Berlin"));
    let text = fs_err::read_to_string(ours.root().join("etc/timezone")).expect("it is there");
    assert_eq!(text, "Europe/Berlin\n");
}
