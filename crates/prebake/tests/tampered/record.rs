//! The record of what scripts did, over the real base: its bytes, its lines and its runs.

use prebake_testkit::judge;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::real_mirror;

use crate::least;
use crate::mutation::{Chance, Mutation, bytes, lines};
use crate::table::Table;

/// What an error about a record says.
const NAMES: &[&str] = &["prebake.scripts"];

/// Returns a package with a script that makes a file of its name and changes one of the base's.
fn scripted(name: &str) -> PackageBuilder {
    let text = format!(
        "#!/bin/sh\necho {name} > /etc/{name}\necho {name} >> /etc/hostname\n\
         mkdir -p /srv/{name}/deep; chmod 1777 /srv/{name}; ln -s {name} /srv/link-{name}\n"
    );
    PackageBuilder::new(name, "1.0-r0")
        .arch("noarch")
        .script("post-install", &text)
}

#[test]
fn the_record() {
    let test = "the_record";
    let Some(real) = real_mirror(test) else {
        return;
    };
    if !judge::any_owner(test) {
        return;
    }
    let mut chance = Chance::new(test);
    let empty = MirrorBuilder::new("v3.99").repository("main", "x86_64");
    let one = empty.package_for("main", "x86_64", scripted("one"));
    let mirror = one.package_for("main", "x86_64", scripted("two")).build();
    let recipe = format!(
        "name = \"r\"\narch = \"x86_64\"\npackages = [\"one\", \"two\"]\n\
         mirrors = [\"file://{}\"]\n[base]\nrelease = \"3.19.4\"\n\
         [[repository]]\nurl = \"{}/v3.99/main\"\nkeys = [{:?}]\n\
         [[output]]\npath = \"r.tar.gz\"\n",
        real.display(),
        mirror.url(),
        mirror.key_file().display().to_string(),
    );
    let mut table = Table::with_recipe(&chance, mirror, &recipe);
    let record = table.read("prebake.scripts");
    let text = String::from_utf8(record.clone()).unwrap();
    let mut changes = bytes(&record, 150, &mut chance);
    changes.extend(lines(&text, 3));
    let own: Vec<&str> = text.split("\n[[run]]\n").collect();
    let [head, first, second] = own[..] else {
        panic!("{text}")
    };
    for (what, runs) in [
        ("swapped", vec![head, second, first]),
        ("the first alone", vec![head, first]),
        ("the second alone", vec![head, second]),
        ("the first twice", vec![head, first, first, second]),
        ("none", vec![head]),
    ] {
        let bytes = runs.join("\n[[run]]\n").into_bytes();
        let what = format!("the runs: {what}");
        changes.push(Mutation { what, bytes });
    }
    let what = "empty".to_owned();
    let bytes = Vec::new();
    changes.push(Mutation { what, bytes });
    for mutation in changes {
        table.write("prebake.scripts", &mutation.bytes);
        table.judge("the record", &mutation, true, NAMES);
    }
    table.write("prebake.scripts", &record);
    table.assert_good(true);
    table.finish(test, least::RECORD);
}
