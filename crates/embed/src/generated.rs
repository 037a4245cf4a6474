//! What the code calls that `bake` writes for `include_rootfs!`. Nobody else should: it changes
//! with that code.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_launch::{About, Image, Package, Rootfs};

/// How a gzip file begins (RFC 1952: the two bytes of identification, then deflate).
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// The folders of cargo's that hold programs one step below the one that side cars are in.
const CARGO_FOLDERS: [&str; 2] = ["deps", "examples"];

/// Returns what a rootfs says of itself.
pub const fn about(
    name: &'static str,
    release: &'static str,
    arch: &'static str,
    identity: [u8; 32],
    unpacked: u64,
    packages: &'static [Package],
) -> About {
    About {
        name: Cow::Borrowed(name),
        release: Cow::Borrowed(release),
        arch: Cow::Borrowed(arch),
        identity: Sha256::new(identity),
        unpacked,
        packages: Cow::Borrowed(packages),
    }
}

/// Returns a package of a rootfs.
pub const fn package(name: &'static str, version: &'static str) -> Package {
    Package {
        name: Cow::Borrowed(name),
        version: Cow::Borrowed(version),
    }
}

/// Returns `bytes`, if they can be the rootfs that was baked: so many, and beginning as a
/// `tar.gz` does.
///
/// # Panics
///
/// If not; in a constant, which is where this is called, that is a compile error.
pub const fn checked(bytes: &'static [u8], length: usize) -> &'static [u8] {
    assert!(
        !bytes.is_empty(),
        "the rootfs is empty: something emptied the file in OUT_DIR; `cargo clean` and build again"
    );
    assert!(
        bytes.len() == length,
        "the rootfs has not the length that was baked: something changed the file in OUT_DIR; \
         `cargo clean` and build again"
    );
    assert!(
        matches!(bytes.first_chunk(), Some(&GZIP)),
        "the rootfs is no tar.gz: something changed the file in OUT_DIR; `cargo clean` and build \
         again"
    );
    bytes
}

/// Returns a rootfs whose file is beside this program, or should be.
pub fn beside(about: About, file: &str) -> Rootfs {
    // Where the program is not known, the working directory is as good a guess as any; the import
    // names the path that was looked for.
    let program = env::current_exe().unwrap_or_default();
    Rootfs::new(about, Image::File(side_car(&program, file)))
}

/// Returns where the side car of a program is: beside it, or for what cargo runs from a folder of
/// its own, beside that; the first where there is none.
fn side_car(program: &Path, file: &str) -> PathBuf {
    let folder = program.parent().unwrap_or(Path::new(""));
    let beside = folder.join(file);
    let name = folder.file_name().and_then(OsStr::to_str);
    if name.is_some_and(|name| CARGO_FOLDERS.contains(&name))
        && let Some(above) = folder.parent()
        && !beside.exists()
        && above.join(file).exists()
    {
        return above.join(file);
    }
    beside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_baked_is_refused() {
        let refused = |bytes: &'static [u8], length| {
            std::panic::catch_unwind(|| checked(bytes, length)).is_err()
        };
        assert_eq!(checked(&[0x1f, 0x8b, 8, 0], 4).len(), 4);
        assert!(refused(&[], 0));
        assert!(refused(&[0x1f, 0x8b, 8, 0], 5));
        assert!(refused(&[0x1f, 0x8b, 8, 0], 3));
        assert!(refused(b"PK\x03\x04", 4));
    }

    #[test]
    fn a_side_car_is_beside_the_program_or_cargos_folder() {
        let target = tempfile::tempdir().unwrap();
        let path = |name: &str| target.path().join(name);
        fs_err::create_dir(path("deps")).unwrap();
        let found = |program: &str| side_car(&path(program), "a.rootfs.tar.gz");
        assert_eq!(found("deps/test"), path("deps/a.rootfs.tar.gz"));
        fs_err::write(path("a.rootfs.tar.gz"), "").unwrap();
        assert_eq!(found("app"), path("a.rootfs.tar.gz"));
        assert_eq!(found("deps/test"), path("a.rootfs.tar.gz"));
        assert_eq!(found("bin/app"), path("bin/a.rootfs.tar.gz"));
        fs_err::write(path("deps/a.rootfs.tar.gz"), "").unwrap();
        assert_eq!(found("deps/test"), path("deps/a.rootfs.tar.gz"));
    }
}
