//! Recipes that nobody has looked at, as from a pull request: they may name nothing outside of
//! their own folder.
//!
//! A recipe is somebody's word for which files of the host go into a rootfs and where outputs go.
//! Who bakes a stranger's recipe asks for this. What it may fetch from any server is not bounded
//! here: that is for whoever runs it, and the bytes are checked whoever sent them.

use std::io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use super::{FileContent, Output, Recipe, TrustedKey};
use crate::document::Problem;
use crate::error::Error;
use crate::local;
use crate::scripts::record_path;
use crate::template::Values;

/// What is said of each name that leads out.
const HINT: &str = "`--untrusted` lets a recipe name only what lies in its own folder";

/// What stands for a release that is not given, in a path.
const SOME_RELEASE: &str = "release";

impl Recipe {
    /// Reads a recipe as [`Recipe::read`] does, and refuses one that names a file outside of its
    /// folder, be it by `..`, an absolute path or a link, or that is itself one, with its lock and
    /// its record; or a `file://` URL.
    ///
    /// # Errors
    ///
    /// What reading gives, and each name that leads out with its place.
    pub fn read_untrusted(path: &Path) -> Result<Self, Error> {
        let path = Self::file(path);
        let root = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let root =
            fs_err::canonicalize(root).map_err(|source| Error::recipe_file(&path, source))?;
        let lock = path.with_extension("lock");
        let files = [
            ("the recipe", path.clone()),
            ("the record", record_path(&lock)),
            ("the lock", lock),
        ];
        // Before one of them is read: what is wrong in it would be shown.
        for (what, path) in files {
            check_file(&root, what, path)?;
        }
        let mut recipe = Self::read(&path)?;
        recipe.confine(&root)?;
        recipe.confined = Some(root);
        Ok(recipe)
    }

    /// Refuses the path of an output that leads out of the folder of a recipe that nobody has looked
    /// at. What stands for `{release}` is somebody else's word, and known only by then.
    pub(crate) fn check_output(&self, output: &Output, path: &str) -> Result<(), Error> {
        let Some(root) = &self.confined else {
            return Ok(());
        };
        let written = Path::new(path);
        if is_written_inside(written) && is_inside(root, &self.folder().join(written)) {
            return Ok(());
        }
        let message = format!("`{path}` is not in the recipe's folder");
        let span = output.path.span.clone();
        Err(self.problem(span, message, Some(HINT.to_owned())).into())
    }

    /// Refuses each name that leads out of `root`, which is the recipe's folder.
    fn confine(&self, root: &Path) -> Result<(), Error> {
        let mut problems = Vec::new();
        let mut add = |span: &Range<usize>, message: String| {
            problems.push(Problem {
                message,
                span: span.clone(),
                hint: Some(HINT.to_owned()),
            });
        };
        for (span, path) in self.named_files()? {
            if !is_written_inside(&path) || !is_inside(root, &self.folder().join(&path)) {
                let path = path.display();
                add(&span, format!("`{path}` is not in the recipe's folder"));
            }
        }
        for url in self.urls() {
            if url.starts_with("file:") {
                let at = self.text.find(url).unwrap_or_default();
                let message = format!("`{url}` is a place on this host");
                add(&(at..at + url.len()), message);
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let mut error = self.problem(0..0, String::new(), None);
        error.problems = problems;
        Err(error.into())
    }

    /// Returns every path that the recipe names, as it is written there, and where.
    fn named_files(&self) -> Result<Vec<(Range<usize>, PathBuf)>, Error> {
        let mut named = Vec::new();
        for file in &self.files {
            if let FileContent::Source { at, .. } = &file.content {
                named.push((at.span.clone(), PathBuf::from(&at.value)));
            }
        }
        if let Some(vendor) = &self.vendor {
            // Its folder was joined already; what is absolute replaced the recipe's.
            let written = vendor.strip_prefix(self.folder()).unwrap_or(vendor);
            named.push((0..0, written.to_owned()));
        }
        let keys = (self.base.keys.iter())
            .chain(self.repositories.iter().flat_map(|one| &one.keys))
            .chain(self.locals.iter().flat_map(|local| &local.keys));
        for key in keys {
            if let TrustedKey::File { at, .. } = key {
                named.push((at.span.clone(), PathBuf::from(&at.value)));
            }
        }
        for arch in &self.arches {
            for local in &self.locals {
                let path = local::path(self, local, *arch)?;
                named.push((local.path.span.clone(), PathBuf::from(path)));
            }
            let values = Values {
                name: &self.name,
                release: Some(self.release().unwrap_or(SOME_RELEASE)),
                arch: *arch,
            };
            for output in &self.outputs {
                if let Ok(path) = output.path.value.expand(&values) {
                    named.push((output.path.span.clone(), PathBuf::from(path)));
                }
            }
        }
        Ok(named)
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        let repositories = self.repositories.iter();
        let theirs =
            repositories.flat_map(|one| std::iter::once(&one.url.value).chain(&one.mirrors));
        let base = self.base.url.iter().map(|url| &url.value);
        let base = base.chain(self.base.mirrors.iter().map(|url| &url.value));
        let all = self.mirrors.iter().chain(theirs).chain(base);
        all.map(String::as_str)
    }
}

/// Refuses a lock, for one that is not beside a recipe, and the record beside it, if they are links
/// out of the folder that they are in.
pub(crate) fn check_lock(lock: &Path) -> Result<(), Error> {
    let folder = match lock.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // A folder that is not there has no lock, which whoever reads it says.
    let Ok(root) = fs_err::canonicalize(folder) else {
        return Ok(());
    };
    check_file(&root, "the record", record_path(lock))?;
    check_file(&root, "the lock", lock.to_owned())
}

fn check_file(root: &Path, what: &'static str, path: PathBuf) -> Result<(), Error> {
    if is_inside(root, &path) {
        return Ok(());
    }
    let source = io::Error::other("it is a link that leads out of the recipe's folder");
    Err(Error::ReadFile { what, path, source })
}

/// Says whether a path leads nowhere but down, as it is written.
fn is_written_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Says whether what is at `path`, or the nearest folder above it that is there, lies in `root`
/// once every link is followed.
fn is_inside(root: &Path, path: &Path) -> bool {
    let mut at = path;
    loop {
        let shown = if at.as_os_str().is_empty() {
            Path::new(".")
        } else {
            at
        };
        if let Ok(real) = fs_err::canonicalize(shown) {
            return real.starts_with(root);
        }
        match at.parent() {
            Some(parent) => at = parent,
            None => return false,
        }
    }
}
