//! Where downloads are kept while cargo builds.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use prebake_fetch::{CACHE_VARIABLE, Cache};

/// Where downloads are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheFolder {
    /// The cache.
    pub(crate) root: PathBuf,
    /// Another one that can only be read.
    pub(crate) read_only: Option<PathBuf>,
}

impl CacheFolder {
    /// Takes what somebody named, else the user's own, else (in a sandbox without a home folder)
    /// one below cargo's `OUT_DIR`, which a build may always write to.
    pub(crate) fn find(
        named: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<OsString>,
        out: &Path,
    ) -> Self {
        let only = |root: PathBuf| Self {
            root,
            read_only: None,
        };
        if let Some(named) = named {
            return only(named.to_owned());
        }
        let is_set = |name: &str| environment(name).is_some_and(|value| !value.is_empty());
        let own = out.join("prebake").join("cache");
        // Without `HOME` the password file would be asked, and what it names need not be there.
        if cfg!(unix) && !is_set("HOME") && !is_set(CACHE_VARIABLE) {
            return only(own);
        }
        match Cache::default_root(environment) {
            Ok(root) if is_set(CACHE_VARIABLE) || is_writable(&root).is_ok() => only(root),
            Ok(root) => Self {
                root: own,
                // A home folder that is none at all is not worth a message.
                read_only: root.is_dir().then_some(root),
            },
            Err(_) => only(own),
        }
    }
}

/// Tries to make a file in `folder`, which is made where there is none.
fn is_writable(folder: &Path) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    let path = folder.join(format!(".writable-{}", std::process::id()));
    fs_err::write(&path, "")?;
    fs_err::remove_file(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_without_a_home_keeps_its_downloads_in_out_dir() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let find = |variables: &[(&str, PathBuf)], named: Option<&Path>| {
            let environment = |name: &str| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| value.clone().into_os_string())
            };
            CacheFolder::find(named, &environment, &path("out"))
        };
        let own = path("out/prebake/cache");
        assert_eq!(find(&[], None).root, own);
        assert_eq!(find(&[("HOME", PathBuf::new())], None).root, own);
        let named = path("named");
        assert_eq!(find(&[], Some(&named)).root, named);
        assert_eq!(
            find(&[("PREBAKE_CACHE", path("set"))], None).root,
            path("set")
        );
    }
}
