//! Packages that lie beside the recipe.

use std::path::PathBuf;

use prebake_apk::digest::Sha256;

use super::TrustedKey;
use crate::arch::Arch;
use crate::document::At;
use crate::template::Template;

/// A package file that the recipe names.
#[derive(Clone, Debug)]
pub struct LocalPackage {
    /// Where it is, relative to the recipe and with `/` between the parts on every host; may hold
    /// `{arch}`.
    pub path: At<Template>,
    /// Its SHA-256 for each architecture that the recipe names one for: then nobody needs to have
    /// signed it.
    pub sha256: Vec<(Arch, Sha256)>,
    /// Keys that may have signed it, beside the base's and the other ones of the recipe.
    pub keys: Vec<TrustedKey>,
}

/// Returns a path as the recipe's `packages` may name a package file by, with `/` between its
/// parts; `None` for what is a world entry.
///
/// As for apk it ends in `.apk`; and it begins as no name of a package does, so that a lone
/// `app.apk` is not taken for either.
pub(crate) fn local_path(entry: &str) -> Option<String> {
    let path = entry.replace('\\', "/");
    let drive = path.get(1..3) == Some(":/") && path.starts_with(|c: char| c.is_ascii_alphabetic());
    let begins = ["./", "../", "/"]
        .iter()
        .any(|start| path.starts_with(start))
        || drive;
    (begins && is_package_file(&path)).then_some(path)
}

/// Says whether a name is that of a package file: as for apk, case counts.
pub(crate) fn is_package_file(name: &str) -> bool {
    name.strip_suffix(".apk").is_some()
}

impl super::Recipe {
    /// Returns the host's path of a local package, which `path` is relative to the recipe.
    pub(crate) fn local_file(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_file_is_no_world_entry() {
        for (entry, path) in [
            ("./dist/app-1.0-r0.apk", Some("./dist/app-1.0-r0.apk")),
            (".\\dist\\app.apk", Some("./dist/app.apk")),
            ("../app.apk", Some("../app.apk")),
            ("/srv/app.apk", Some("/srv/app.apk")),
            ("C:\\srv\\app.apk", Some("C:/srv/app.apk")),
            ("/bin/sh", None),
            ("cmd:sh", None),
            ("app.apk", None),
            ("dist/app.apk", None),
        ] {
            assert_eq!(local_path(entry).as_deref(), path, "{entry}");
        }
    }
}
