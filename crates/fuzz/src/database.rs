//! The rest of apk's database: triggers, scripts and the world.

use prebake_apk::digest::Sha1;
use prebake_apk::package::ScriptKind;
use prebake_apk::scripts::{self, PackageScripts};
use prebake_apk::{triggers, world};

use crate::tame::tame;

/// The longest name that the archive of scripts keeps whole, in bytes.
const NAME: usize = 99;

/// Reads one of them, as the first byte says.
pub(crate) fn database(data: &[u8]) {
    let Some((how, text)) = data.split_first() else {
        return;
    };
    match how % 3 {
        0 => read_triggers(text),
        1 => read_scripts(text),
        _ => read_world(text),
    }
}

fn read_triggers(text: &[u8]) {
    match triggers::parse(text) {
        Ok(read) => {
            let written = triggers::to_text(&read);
            let again = triggers::parse(&written).expect("what was written is read");
            assert_eq!(again, read);
            assert_eq!(triggers::to_text(&again), written);
        }
        Err(error) => drop(tame(&error)),
    }
}

fn read_scripts(archive: &[u8]) {
    let read = match scripts::parse(archive) {
        Ok(read) => read,
        Err(error) => {
            if let scripts::ScriptsError::Damaged(at) = error {
                assert!(at <= archive.len());
            }
            return drop(tame(&error));
        }
    };
    let contents = read.iter().flat_map(|package| &package.scripts);
    let bytes: usize = contents.map(|(_, content)| content.len()).sum();
    assert!(bytes <= archive.len());
    let fits = |package: &PackageScripts| {
        let longest = ScriptKind::PostDeinstall.name().len();
        package.label.len() + 1 + 30 + 1 + longest <= NAME && package.mtime < 1 << 36
    };
    if !read.iter().all(fits) {
        return;
    }
    let written = scripts::to_archive(&read, Sha1::to_apk);
    let again = scripts::parse(&written).expect("what was written is read");
    let order = |mut all: Vec<PackageScripts>| {
        for package in &mut all {
            package.scripts.sort_by_key(|(kind, _)| *kind);
        }
        all
    };
    assert_eq!(order(again), order(read));
}

fn read_world(text: &[u8]) {
    let read = world::parse(text);
    let written = world::to_text(&read);
    let again = world::parse(&written);
    assert_eq!(world::to_text(&again), written);
    assert!(again.len() <= read.len());
    for entry in &again {
        assert!(read.contains(entry));
        assert!(!world::name(entry).contains(&b'@'));
    }
}
