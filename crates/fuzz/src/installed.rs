//! The database of installed packages: what is written of it is read as it, and an index's reader
//! finds the same packages in it.

use prebake_apk::index::Index;
use prebake_apk::installed::{Installed, Stanza, compare_names};
use prebake_apk::version::Dialect;

use crate::tame::tame;

/// Reads a database.
pub(crate) fn installed(data: &[u8]) {
    let installed = match Installed::parse(data) {
        Ok(installed) => installed,
        Err(error) => {
            let text = tame(&error);
            let number = text.split(' ').nth(1).and_then(|word| word.parse().ok());
            let lines = data.split(|byte| *byte == b'\n').count();
            assert!(
                number.is_some_and(|line: usize| (1..=lines).contains(&line)),
                "{text} of {lines}"
            );
            return;
        }
    };
    let mut sorted = installed.clone();
    sorted.packages.sort_by(|one, other| {
        compare_names(&one.stanza.name, &other.stanza.name)
            .then_with(|| one.stanza.version.cmp(&other.stanza.version))
    });
    let text = installed.to_text(Dialect::V3);
    let again = Installed::parse(&text).expect("what was written is read");
    assert_eq!(again, sorted);
    assert_eq!(again.to_text(Dialect::V3), text);
    // apk 2.14 loses its place, but never so that it could not read its own.
    let text = installed.to_text(Dialect::V2);
    let again = Installed::parse(&text).expect("what apk 2.14 writes is read");
    assert_eq!(again.packages.len(), installed.packages.len());

    for package in &installed.packages {
        let stanza = &package.stanza;
        assert_eq!(Stanza::parse(&stanza.to_text()).as_ref(), Some(stanza));
        for directory in &package.directories {
            for file in &directory.files {
                let path = directory.path.join(&file.name);
                let path = path.expect("a file has a path");
                assert_eq!(path.parent().as_ref(), Some(&directory.path));
            }
        }
    }
    if str::from_utf8(data).is_err() {
        // An index's reader takes a stray byte for a letter that is none.
        return;
    }
    let index = Index::parse(data.to_vec()).expect("an index's reader takes a database");
    assert_eq!(index.len(), installed.packages.len());
    for (one, other) in index.iter().zip(&installed.packages) {
        let stanza = &other.stanza;
        assert_eq!(one.identity(), stanza.identity);
        assert_eq!(one.name(), String::from_utf8_lossy(&stanza.name));
        assert_eq!(one.version(), String::from_utf8_lossy(&stanza.version));
        assert_eq!(one.provider_priority(), stanza.provider_priority);
    }
}
