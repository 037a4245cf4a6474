//! Directories whose files apk does not overwrite once they were changed.
//!
//! Measured on apk 2.14.4: a rule is for directories, and for all that is below them; a rule
//! that names a file has no effect. `+`, `@`, `!` and no sign at all protect alike here (they
//! differ for `apk audit`), `-` takes protection away. Of several rules for one directory the
//! last counts, and the built-in ones come first. apk reads the files of `protected_paths.d` in
//! the order in which the host's file system lists them; here they are sorted by name.

use prebake_apk::path::GuestPath;

use crate::glob;

/// The rules.
#[derive(Clone, Debug)]
pub(super) struct ProtectedPaths(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    pattern: Vec<u8>,
    protect: bool,
}

impl Default for ProtectedPaths {
    /// apk's own rules: `+etc`, `@etc/init.d`, `!etc/apk`.
    fn default() -> Self {
        let rule = |pattern: &[u8]| Rule {
            pattern: pattern.to_vec(),
            protect: true,
        };
        Self(vec![rule(b"etc"), rule(b"etc/init.d"), rule(b"etc/apk")])
    }
}

impl ProtectedPaths {
    /// Adds the rules of one `*.list`.
    pub(super) fn add(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let (protect, pattern) = match line {
                [] | [b'#', ..] => continue,
                [b'-', pattern @ ..] => (false, pattern),
                [b'+' | b'@' | b'!', pattern @ ..] | pattern => (true, pattern),
            };
            let pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
            let pattern = pattern.strip_suffix(b"/").unwrap_or(pattern);
            if !pattern.is_empty() {
                self.0.push(Rule {
                    pattern: pattern.to_vec(),
                    protect,
                });
            }
        }
    }

    /// Says whether files in `directory` are protected.
    pub(super) fn covers(&self, directory: &GuestPath) -> bool {
        // The nearest directory that a rule names decides.
        let mut at = Some(directory.clone());
        while let Some(path) = at {
            if path.is_root() {
                return false;
            }
            let rule = self
                .0
                .iter()
                .rfind(|rule| glob::path_matches(&rule.pattern, path.as_bytes()));
            if let Some(rule) = rule {
                return rule.protect;
            }
            at = path.parent();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case as apk 2.14.4 has it (see the lab notes in the module's head).
    #[test]
    fn rules() {
        for (list, directory, expected) in [
            ("", "etc", true),
            ("", "etc/apk/keys", true),
            ("", "usr", false),
            ("+d/*", "d", false),
            ("+d/*", "d/e", true),
            ("+d/*", "d/e/h", true),
            ("d*", "d/e", true),
            ("-etc/q", "etc/q", false),
            ("-etc/q", "etc", true),
            ("-d/e\n+d", "d/e", false),
            ("+d\n-d", "d", false),
            ("-d\n+d", "d", true),
            ("-etc\n+etc/q", "etc/q", true),
            (" +d", "d", false),
            ("+/d/", "d", true),
            ("+d/e\r", "d/e", false),
            ("+[a-d]", "d", true),
        ] {
            let mut paths = ProtectedPaths::default();
            paths.add(list.as_bytes());
            let directory = GuestPath::from_relative(directory.as_bytes()).unwrap();
            assert_eq!(paths.covers(&directory), expected, "{list:?} {directory}");
        }
    }
}
