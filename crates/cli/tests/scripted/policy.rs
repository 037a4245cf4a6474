//! Which scripts a recipe does without, and where that is said.

use crate::kitchen::Output;
use crate::pantry::{LOCK, OUTPUT, RECORD, Scripted, package};
use prebake_testkit::package::PackageBuilder;

/// Packages whose scripts change files of packages, within /etc and without.
fn packages() -> [PackageBuilder; 2] {
    let tool = PackageBuilder::new("tool", "1.0-r0")
        .file("etc/tool.conf", "level = 1\n")
        .file("etc/tool.sample", "sample\n")
        .program("usr/bin/tool", "#!/bin/sh\n")
        .file("usr/share/tool/list", "one\n")
        .script("pre-install", "#!/bin/sh\necho pre > /srv/pre\n")
        .script(
            "post-install",
            "#!/bin/sh\nsed -i s/1/2/ /etc/tool.conf; rm /etc/tool.sample; chmod 4755 /usr/bin/tool
             echo two >> /usr/share/tool/list\n",
        );
    [tool, package("other", "post-install", "echo > /srv/other")]
}

fn texts(output: &Output, key: &str) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    let list = value.get(key).unwrap_or(&value["outputs"][0][key]);
    let list = list.as_array().expect("it is a list").iter();
    list.map(|one| match one.as_str() {
        Some(text) => text.to_owned(),
        None => format!(
            "{} {}",
            one["package"].as_str().expect("a name"),
            one["script"].as_str().expect("a kind")
        ),
    })
    .collect()
}

#[test]
fn what_scripts_change_is_noted_where_a_lock_vouches_for_it() {
    let test = "what_scripts_change_is_noted_where_a_lock_vouches_for_it";
    let Some(scripted) = Scripted::new(test, packages()) else {
        return;
    };
    scripted.cook(&["tool"], "");
    let built = scripted.run(&["build", "--json"]);
    built.expect(0);
    let ran = texts(&built, "scripts_run");
    assert!(
        ran.contains(&"tool-1.0-r0 post-install".to_owned()),
        "{ran:?}"
    );
    assert!(texts(&built, "scripts_not_run").is_empty());
    let said = scripted.run(&["verify", OUTPUT, "--json"]);
    said.expect(0);
    assert!(texts(&said, "findings").is_empty());
    assert!(texts(&said, "scripts_not_run").is_empty());
    assert_eq!(
        texts(&said, "notes"),
        [
            // The base's own script, when it was made.
            "/etc/shadow of alpine-baselayout-data-3.4.3-r2 has another content",
            "/etc/tool.conf of tool-1.0-r0 has another content",
            "/etc/tool.sample of tool-1.0-r0 is missing",
            "/usr/bin/tool of tool-1.0-r0 has 0:0:4755 and should have 0:0:755",
            "/usr/share/tool/list of tool-1.0-r0 has another content",
        ]
    );
    // Nobody vouches for them.
    scripted.forget(LOCK);
    let said = scripted.run(&["verify", OUTPUT, "--json"]);
    said.expect(3);
    assert_eq!(
        texts(&said, "findings"),
        [
            "/usr/bin/tool of tool-1.0-r0 has 0:0:4755 and should have 0:0:755",
            "/usr/share/tool/list of tool-1.0-r0 has another content",
        ]
    );
}

#[test]
fn what_is_not_run_is_said_by_build_and_verify() {
    let test = "what_is_not_run_is_said_by_build_and_verify";
    let Some(scripted) = Scripted::new(test, packages()) else {
        return;
    };
    let one = "[[script]]\npackage = \"tool\"\nscript = \"post-install\"\nskip = true\n";
    let all_of_one = "[[script]]\npackage = \"tool\"\nskip = true\n";
    let (pre, post) = ("tool-1.0-r0 pre-install", "tool-1.0-r0 post-install");
    let (other, trigger) = ("other-1.0-r0 post-install", "busybox-1.36.1-r19 trigger");
    for (first, rest, missing, recorded) in [
        ("", one, &[post][..], true),
        ("", all_of_one, &[pre, post], true),
        (
            "scripts = \"skip\"",
            "",
            &[other, pre, post, trigger],
            false,
        ),
    ] {
        scripted.cook_for(&["x86_64"], &["other", "tool"], first, rest);
        let built = scripted.run(&["build", "--json"]);
        built.expect(0);
        assert_eq!(texts(&built, "scripts_not_run"), missing);
        assert_eq!(scripted.read(RECORD).is_some(), recorded);
        let ran = texts(&built, "scripts_run");
        assert!(missing.iter().all(|one| !ran.iter().any(|ran| ran == one)));
        let built = scripted.run(&["build", "--locked"]);
        let verified = scripted.run(&["verify", OUTPUT]);
        verified.expect(0);
        for script in missing {
            assert!(built.stderr.contains(script), "{}", built.stderr);
            let (package, kind) = script.split_once(' ').expect("it is two words");
            let note = format!("note: what {kind} of {package} does is not in it");
            assert!(verified.stderr.contains(&note), "{}", verified.stderr);
        }
        let verified = scripted.run(&["verify", OUTPUT, "--json"]);
        assert_eq!(texts(&verified, "scripts_not_run"), missing);
    }
}

#[test]
fn what_no_package_has_cannot_be_done_without() {
    let test = "what_no_package_has_cannot_be_done_without";
    let Some(scripted) = Scripted::new(test, packages()) else {
        return;
    };
    let mut said = String::new();
    for rest in [
        "package = \"tol\"\nskip = true\n",
        "package = \"something-else\"\nskip = true\n",
        "package = \"tool\"\nscript = \"trigger\"\nskip = true\n",
        "package = \"tool\"\nscript = \"post-instal\"\nskip = true\n",
        "package = \"tool\"\nskip = false\n",
        "package = \"tool\"\n",
    ] {
        scripted.cook(&["tool"], &format!("[[script]]\n{rest}"));
        let output = scripted.run(&["lock"]);
        assert_eq!(output.code, Some(2), "{rest}: {output:?}");
        assert!(scripted.read(LOCK).is_none(), "{rest}");
        let kitchen = scripted.kitchen.path("").display().to_string();
        said += &output.stderr.replace(&kitchen, "");
    }
    insta::assert_snapshot!("no_such_script", said);
}
