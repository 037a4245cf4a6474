//! Whether the lock beside a recipe may be written.

use std::ffi::OsString;
use std::path::Path;

/// Anything but empty or `0`: never write a lock.
const PREBAKE_LOCKED: &str = "PREBAKE_LOCKED";

/// What cargo puts beside or above a package's manifest where it is not somebody's own checkout:
/// the manifest as it was before it was published, a vendored package's checksums, and the mark
/// of a package or checkout that cargo has finished unpacking.
const MARKS: [&str; 3] = ["Cargo.toml.orig", ".cargo-checksum.json", ".cargo-ok"];

/// Returns why the lock of a recipe of the package in `package` must stay as it is; `None` if it
/// may be written.
pub(crate) fn why_not_written(
    environment: &dyn Fn(&str) -> Option<OsString>,
    package: &Path,
) -> Option<String> {
    let locked = environment(PREBAKE_LOCKED);
    if locked.is_some_and(|value| !value.is_empty() && value != "0") {
        return Some(format!("`{PREBAKE_LOCKED}` is set"));
    }
    let is_marked = package
        .ancestors()
        .any(|folder| MARKS.iter().any(|mark| folder.join(mark).exists()));
    is_marked.then(|| {
        "this is a published package, whose files must not change; its author publishes the lock, \
         and `prebake.scripts` if there is one, with it"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_own_copies_are_never_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("checkout/crates/app");
        fs_err::create_dir_all(&package).unwrap();
        let why = || why_not_written(&|_| None, &package);
        assert_eq!(why(), None);
        for mark in [
            package.join("Cargo.toml.orig"),
            package.join(".cargo-checksum.json"),
            folder.path().join("checkout/.cargo-ok"),
        ] {
            fs_err::write(&mark, "").unwrap();
            assert!(why().is_some(), "{}", mark.display());
            fs_err::remove_file(&mark).unwrap();
        }
        let set = |name: &str| (name == PREBAKE_LOCKED).then(|| OsString::from("1"));
        assert!(why_not_written(&set, &package).is_some());
    }
}
