//! Dependencies: what is written of one is read as it, and a list is its words.

use prebake_apk::dependency::{Dependency, Operator, list};
use prebake_apk::digest::Sha1;

use crate::index::DIALECTS;
use crate::tame::tame;

/// Reads the first line as a dependency and as a list; the second is a version that is provided.
pub(crate) fn dependency(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, provided) = text.split_once('\n').unwrap_or((&text, "1"));
    let identity = Sha1::of(b"package");
    for dialect in DIALECTS {
        match Dependency::parse(text, dialect) {
            Ok(read) => {
                let written = read.to_string();
                assert_eq!(Dependency::parse(&written, dialect).as_ref(), Ok(&read));
                assert_eq!(read.is_plain(), read == Dependency::on(read.name));
                assert_eq!(read.version.is_empty(), read.operator == Operator::Any);
                for provided in [None, Some(provided)] {
                    let turned = Dependency {
                        conflict: !read.conflict,
                        ..read
                    };
                    assert_ne!(
                        read.is_satisfied_by(provided, &identity, dialect),
                        turned.is_satisfied_by(provided, &identity, dialect)
                    );
                }
            }
            Err(error) => drop(tame(&error)),
        }
        let mut all = list(text, dialect);
        let read: Vec<_> = all.by_ref().collect();
        assert_eq!(all.next(), None);
        let words: Vec<_> = text
            .split([' ', '\n'])
            .filter(|word| !word.is_empty())
            .collect();
        let good = words
            .iter()
            .map_while(|word| Dependency::parse(word, dialect).ok());
        assert!(good.eq(read.iter().copied()));
        assert_eq!(all.is_malformed(), read.len() < words.len());
    }
}
