//! Owners by name, through the root filesystem's own `passwd` and `group`.

use std::collections::HashMap;

/// The numbers of a file of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(HashMap<Vec<u8>, u32>);

impl Names {
    /// Reads `name:password:number:…` lines; others are passed over, as libc does. The first of
    /// two lines of one name counts.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut names = HashMap::new();
        for line in text.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b':');
            let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else {
                continue;
            };
            let number = std::str::from_utf8(number)
                .ok()
                .and_then(|n| n.parse().ok());
            if let (false, Some(number)) = (name.is_empty(), number) {
                names.entry(name.to_vec()).or_insert(number);
            }
        }
        Self(names)
    }

    /// Returns the number of a name.
    pub(super) fn get(&self, name: &[u8]) -> Option<u32> {
        self.0.get(name).copied()
    }

    /// Makes root known, as apk 3 does without any file.
    pub(super) fn with_root(mut self) -> Self {
        self.0.entry(b"root".to_vec()).or_insert(0);
        self
    }
}
