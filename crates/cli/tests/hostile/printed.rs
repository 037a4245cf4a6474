//! Whatever a mirror, a package or a recipe says of itself, no line that is printed steers the
//! terminal of whoever reads it, on standard output, on standard error or as JSON.

use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::key::Algorithm;
use prebake_testkit::member::Member;
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::stanza::{index_archive, index_text};
use serde_json::Value;

use crate::kitchen::Output;
use crate::larder::{Larder, tool};

/// Sets a window's title, clears the screen in one byte, turns writing round.
const EVIL: &str = "\u{1b}]0;evil\u{7} \u{9b}2J \u{202e}x\u{7f}";

/// Checks that nothing printed is obeyed by a terminal, and returns the output.
#[track_caller]
fn tame(output: Output) -> Output {
    let steers = |char: char| {
        let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{061c}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (char.is_control() && char != '\n')
    };
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(steers), "{text:?}");
    }
    output
}

/// Checks that standard output is tame and JSON, and returns what it says.
#[track_caller]
fn said(output: Output) -> Value {
    let output = tame(output);
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn what_a_mirror_says_of_itself_steers_nothing() {
    let larder = Larder::new();
    let honest = tool().build(&larder.key);
    let run = |arguments: &[&str]| larder.kitchen.run(arguments);

    // No control character is taken there; a symbolic link has any text.
    let described = PackageBuilder::new("tool", "1.0-r0").description("evil \u{202e}x");
    let link = Member::symlink("usr/l", format!("a\nforged line {EVIL}"));
    let described = described.member(link);
    larder
        .kitchen
        .write("tool.apk", described.build(&larder.key).bytes());
    let shown = tame(run(&["inspect", "--long", "tool.apk"]));
    assert!(shown.stdout.contains("evil"), "{shown:?}");
    assert!(!shown.stdout.contains("\nforged"), "{shown:?}");
    let json = said(run(&["inspect", "--json", "tool.apk"]));
    assert_eq!(json["description"], "evil \u{202e}x");

    let text = index_text([&honest]);
    for text in [
        text.replace("V:1.0-r0", &format!("V:1.0-r0{EVIL}")),
        text.replace("P:tool", &format!("P:tool{EVIL}")),
        text.clone(),
    ] {
        let index = index_archive(&text, EVIL, &[(&larder.key, Algorithm::Rsa)]);
        larder.kitchen.write("APKINDEX.tar.gz", &index);
        larder.server.put("/main/x86_64/APKINDEX.tar.gz", &index);
        tame(run(&["inspect", "--long", "APKINDEX.tar.gz"]));
        said(run(&["inspect", "--json", "APKINDEX.tar.gz"]));
        for command in ["lock", "build", "outdated", "tree"] {
            tame(run(&[command]));
            said(run(&[command, "--json"]));
        }
        tame(run(&["why", "tool"]));
        tame(run(&["lock", "--upgrade"]));
    }
    let rootfs = larder.base().member(Member::symlink("l", EVIL));
    let rootfs = rootfs.member(Member::file("etc/apk/world", EVIL));
    larder
        .kitchen
        .write("rootfs.tar.gz", gzip(&rootfs.build_tar()));
    tame(run(&["inspect", "--long", "rootfs.tar.gz"]));
    said(run(&["inspect", "--json", "rootfs.tar.gz"]));
    tame(run(&["verify", "rootfs.tar.gz"]));
    said(run(&["verify", "--json", "rootfs.tar.gz"]));
    tame(run(&["audit", "rootfs.tar.gz"]));
    said(run(&["audit", "--json", "rootfs.tar.gz"]));
    let entry = Archive::of(Flavour::Gnu, &[Member::file("a\u{9b}b", "x")]);
    larder.kitchen.write("bad.tar.gz", gzip(&entry.ended()));
    tame(run(&["audit", "bad.tar.gz"])).expect(3);
    said(run(&["audit", "--json", "bad.tar.gz"]));
}

#[test]
fn what_a_recipe_says_steers_nothing() {
    let larder = Larder::new();
    let good = fs_err::read_to_string(larder.kitchen.path("prebake.toml")).unwrap();
    let quoted = EVIL
        .replace('\u{1b}', "\\u001b")
        .replace('\u{7}', "\\u0007");
    let quoted = quoted.replace('\u{7f}', "\\u007f");
    for recipe in [
        // What stands in the lines around a mistake is drawn with it.
        format!("# {EVIL}\n{good}\nwrong = \"{EVIL}\"\n"),
        format!("wrong = \"{quoted}\"\n{good}"),
        good.replace("\"tool\"", &format!("\"{quoted}\"")),
        good.replace("name = \"rootfs\"", &format!("name = \"{quoted}\"")),
        good.replace("rootfs.tar.gz", &format!("{quoted}.tar.gz")),
        good.replace("keys/testkit", &quoted),
        good.replace("http://", &format!("http://{quoted}")),
        format!("{good}[[file]]\npath = \"/{quoted}\"\ncontent = \"x\"\n"),
        format!("{good}[[file]]\npath = \"/etc/x\"\nsource = \"{quoted}\"\n"),
        format!("{good}\r# over\rwritten\n"),
        good.replace(
            "scripts = \"skip\"",
            "scripts = \"skip\"\nunusual = [\"\u{9b}2J\"]",
        ),
    ] {
        larder.kitchen.write("prebake.toml", &recipe);
        for command in ["build", "lock", "audit", "vendor"] {
            let vendor: &[&str] = if command == "vendor" { &["shelf"] } else { &[] };
            tame(larder.kitchen.run(&[&[command][..], vendor].concat()));
            let output = larder
                .kitchen
                .run(&[&[command, "--json"][..], vendor].concat());
            said(output);
        }
    }
}
