//! Users, services, links, directories, removals and `[etc]` in recipes, right and wrong.

use std::path::Path;

use prebake::arch::Arch;
use prebake::recipe::{LinkTarget, PrimaryGroup, Recipe};
use prebake_apk::digest::Sha256;
use prebake_apk::version::Dialect;

const ALL: &str = r#"
name = "n"
arch = "x86_64"

[base]
release = "3.21.3"

[[group]]
name = "team"
gid = 2000

[[user]]
name = "app"
uid = 1000
groups = ["team"]
gecos = "An app"
home = "/srv/app"
shell = "/bin/sh"

[[user]]
name = "web"
uid = 101
group = "www-data"
system = true

[[service]]
name = "sshd"

[[link]]
path = "/usr/bin/a"
target = "b"

[[link]]
path = "/usr/bin/c"
target = "/usr/bin/d"
hard = true

[[dir]]
path = "/srv/app/data"
mode = 0o700
owner = "app"

[[remove]]
path = "/usr/share/doc"
recursive = true

[etc]
hostname = "box"
timezone = "Europe/Berlin"
repositories = ["https://example.com/v3.21/main"]
resolv = { nameservers = ["1.1.1.1", "::1"], search = ["example.com"] }
"#;

fn parse(text: &str) -> Result<Recipe, String> {
    Recipe::parse(Path::new("dir/prebake.toml"), text.to_owned()).map_err(|error| error.to_string())
}

#[test]
fn every_word_is_read() {
    let recipe = parse(ALL).unwrap();
    let [app, web] = recipe.users.as_slice() else {
        panic!("{:?}", recipe.users);
    };
    assert_eq!(app.uid.as_ref().map(|uid| uid.value), Some(1000));
    assert_eq!(app.home_mode, Some(0o2755));
    assert!(matches!(app.group, PrimaryGroup::Own(None)));
    assert_eq!(web.home_mode, None);
    assert!(matches!(&web.group, PrimaryGroup::Named(name) if name.value == "www-data"));
    assert_eq!(recipe.groups[0].gid.as_ref().unwrap().value, 2000);
    assert_eq!(recipe.services[0].runlevel.value, "default");
    assert!(matches!(&recipe.links[0].target, LinkTarget::Symbolic(target) if target == "b"));
    assert!(matches!(&recipe.links[1].target, LinkTarget::Hard(_)));
    assert_eq!(recipe.directories[0].mode, 0o700);
    assert!(recipe.removals[0].recursive);
    let resolv = &recipe.etc.resolv.as_ref().unwrap().value;
    assert_eq!(resolv.nameservers.len(), 2);
}

#[test]
fn every_change_of_a_word_changes_the_digest() {
    let digest = |text: &str| parse(text).unwrap().digest().unwrap();
    let mut digests = vec![digest(ALL)];
    for (from, to) in [
        ("gid = 2000", "gid = 2001"),
        ("name = \"team\"\ngid", "name = \"crew\"\ngid"),
        ("uid = 1000", "uid = 1001"),
        ("groups = [\"team\"]", "groups = []"),
        ("An app", "App"),
        ("/srv/app\"", "/srv/ap\""),
        ("/bin/sh", "/bin/ash"),
        ("\"www-data\"", "\"www\""),
        ("system = true", ""),
        ("uid = 101", "uid = 101\ncreate_home = true"),
        ("uid = 101", "uid = 101\nhome_mode = 0o700"),
        ("\"sshd\"", "\"sshd\"\nrunlevel = \"boot\""),
        ("target = \"b\"", "target = \"c\""),
        ("hard = true", ""),
        ("mode = 0o700", "mode = 0o701"),
        ("owner = \"app\"", "owner = \"app:team\""),
        ("recursive = true", ""),
        ("\"box\"", "\"bax\""),
        ("Europe/Berlin", "Europe/Paris"),
        (
            "https://example.com/v3.21/main",
            "https://example.com/v3.21/community",
        ),
        (
            "repositories = [\"https://example.com/v3.21/main\"]",
            "repositories = []",
        ),
        ("repositories = [\"https://example.com/v3.21/main\"]", ""),
        ("\"::1\"", "\"::2\""),
        ("search = [\"example.com\"]", "search = []"),
        (
            "resolv = { nameservers = [\"1.1.1.1\", \"::1\"], search = [\"example.com\"] }",
            "",
        ),
    ] {
        assert!(ALL.contains(from), "{from}");
        let changed = digest(&ALL.replacen(from, to, 1));
        assert!(!digests.contains(&changed), "{from} -> {to}");
        digests.push(changed);
    }
}

#[test]
fn every_mistake_names_its_line_and_the_right_word() {
    let mistakes = [
        ("[[group]]", "[[groups]]"),
        ("[[service]]", "[[sevice]]"),
        ("[[dir]]", "[[directory]]"),
        ("gid = 2000", "git = 2000"),
        ("gid = 2000", "gid = -1"),
        ("gid = 2000", "gid = \"2000\""),
        ("uid = 1000", "uid = 65535"),
        ("uid = 1000", "uid = 4294967296"),
        ("name = \"app\"", "name = \"1app\""),
        ("name = \"app\"", "name = \"web\""),
        ("name = \"app\"", "nam = \"app\""),
        ("An app", "An: app"),
        ("\"/srv/app\"", "\"srv/app\""),
        ("group = \"www-data\"", "group = \"www-data\"\ngid = 3"),
        ("system = true", "system = 1"),
        ("\"sshd\"", "\"../sshd\""),
        ("\"sshd\"", "\"sshd\"\nrun_level = \"boot\""),
        ("target = \"b\"", "target = \"\""),
        ("target = \"b\"", ""),
        ("target = \"/usr/bin/d\"", "target = \"d\""),
        ("path = \"/usr/bin/c\"", "path = \"/usr/bin/a\""),
        ("path = \"/srv/app/data\"", "path = \"/\""),
        ("recursive = true", "recursve = true"),
        ("\"box\"", "\"box_1\""),
        ("\"box\"", "\"-box\""),
        (
            "[etc]",
            "[[file]]\npath = \"/etc/hostname\"\ncontent = \"\"\n[etc]",
        ),
        (
            "[etc]",
            "[[file]]\npath = \"/etc/passwd\"\ncontent = \"\"\n[etc]",
        ),
        ("Europe/Berlin", "../Berlin"),
        ("https://example.com/v3.21/main", "example.com/v3.21/main"),
        ("1.1.1.1", "1.1.1"),
        ("\"1.1.1.1\"", "\"1.1.1.1\", \"1.1.1.2\", \"1.1.1.3\""),
        ("search = [\"example.com\"]", "search = [\"example..com\"]"),
        ("nameservers", "nameserver"),
        ("hostname", "host"),
    ];
    let said = mistakes.iter().map(|(from, to)| {
        assert!(ALL.contains(from), "{from:?} is not in the recipe");
        let said = parse(&ALL.replacen(from, to, 1)).unwrap_err();
        format!("{to}\n    {}", said.replace('\n', "\n    "))
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_package_file_is_named_by_its_path() {
    let with = |packages: &str| {
        parse(&format!(
            "name = \"n\"\narch = [\"x86_64\", \"aarch64\"]\npackages = [{packages}]\n\
             [base]\nrelease = \"3.21.3\"\n[[output]]\npath = \"{{arch}}.tgz\"\n"
        ))
    };
    let digest = Sha256::of(b"x");
    let recipe = with(&format!(
        "\"jq\", \"./a/{{arch}}.apk\", {{ path = \"..\\\\b.apk\", sha256 = {{ x86_64 = \"{digest}\" }} }}"
    ));
    let recipe = recipe.unwrap();
    assert_eq!(recipe.packages.len(), 1);
    let [a, b] = recipe.locals.as_slice() else {
        panic!("{:?}", recipe.locals);
    };
    assert_eq!(a.path.value.to_string(), "./a/{arch}.apk");
    assert_eq!(b.path.value.to_string(), "../b.apk");
    assert_eq!(b.sha256, [(Arch::X86_64, digest)]);
    let mistakes = [
        "\"app.apk\"".to_owned(),
        "\"dist/app.apk\"".to_owned(),
        "\"./app.zip\"".to_owned(),
        "\"./{arhc}.apk\"".to_owned(),
        "{ path = \"jq\" }".to_owned(),
        "{ file = \"./app.apk\" }".to_owned(),
        format!("{{ path = \"./app.apk\", sha256 = \"{digest}\" }}"),
    ];
    let said = mistakes.map(|packages| {
        let said = with(&packages).unwrap_err().replace('\n', "\n    ");
        format!("{packages}\n    {said}")
    });
    insta::assert_snapshot!(said.join("\n"));
}

const SCRATCH: &str = r#"
name = "n"
arch = "x86_64"
packages = ["alpine-base"]

[base]
scratch = true
release = "3.21.3"
keys = ["keys/alpine.rsa.pub"]
"#;

#[test]
fn a_rootfs_may_start_from_nothing() {
    let recipe = parse(SCRATCH).unwrap();
    assert!(recipe.base.scratch && recipe.base.apk.is_none());
    let text = SCRATCH.replace("scratch = true", "scratch = true\napk = \"2.14\"");
    assert_eq!(parse(&text).unwrap().base.apk, Some(Dialect::V2));
    for (from, to, said) in [
        (
            "scratch = true",
            "scratch = true\nurl = \"https://x/y\"",
            "both `scratch` and `url`",
        ),
        (
            "scratch = true",
            "scratch = true\napk = \"2.12\"",
            "known: `2.14`, `3.0`",
        ),
        ("release = \"3.21.3\"", "", "no repository"),
        (
            "keys = [\"keys/alpine.rsa.pub\"]",
            "",
            "nothing brings a key",
        ),
        ("scratch = true", "scrath = true", "did you mean `scratch`?"),
    ] {
        let error = parse(&SCRATCH.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}
