//! What the recipe changes in what the packages left.
//!
//! In this order: what goes; groups and users with their homes; directories; `[etc]`; files;
//! links; services. So an owner may be a user of the recipe's, and a file may lie in its home.
//! What cannot be done is an error that points into the recipe.

mod accounts;
mod etc;
mod near;
mod services;

use std::ops::Range;

use prebake_apk::path::GuestPath;
use prebake_rootfs::Merge;
use prebake_rootfs::merge::{ChangeError, Owner};

use crate::error::Error;
use crate::host_file;
use crate::recipe::{FileContent, LinkTarget, MAX_FILE_BYTES, Recipe};

/// A tree, and the recipe that has the last word on it.
struct Customise<'a> {
    recipe: &'a Recipe,
    merge: &'a mut Merge,
    /// The newest time among the inputs, in seconds since 1970.
    epoch: i64,
}

/// Makes the recipe's own changes in `merge`, to which all packages have come. `epoch` is the newest
/// time among the inputs.
pub(crate) fn customise(merge: &mut Merge, recipe: &Recipe, epoch: i64) -> Result<(), Error> {
    let mut customise = Customise {
        recipe,
        merge,
        epoch,
    };
    customise.removals()?;
    customise.accounts()?;
    customise.directories()?;
    customise.etc()?;
    customise.files()?;
    customise.links()?;
    customise.services()
}

impl Customise<'_> {
    fn removals(&mut self) -> Result<(), Error> {
        for removal in &self.recipe.removals {
            let removed = self.merge.remove(&removal.path.value, removal.recursive);
            self.changed(removed, &removal.path.span)?;
        }
        Ok(())
    }

    fn directories(&mut self) -> Result<(), Error> {
        for directory in &self.recipe.directories {
            let (user, group) = (owner(&directory.user), owner(&directory.group));
            let path = &directory.path;
            let made = self
                .merge
                .add_directory(&path.value, directory.mode, &user, &group);
            self.changed(made, &path.span)?;
        }
        Ok(())
    }

    fn files(&mut self) -> Result<(), Error> {
        for file in &self.recipe.files {
            let content = match &file.content {
                FileContent::Text(text) => text.clone().into_bytes(),
                FileContent::Source { path, at } => host_file::read(path, MAX_FILE_BYTES)
                    .map_err(|source| Error::named_file(self.recipe, at.span.clone(), source))?,
            };
            let (user, group) = (owner(&file.user), owner(&file.group));
            let path = &file.path;
            let added = self
                .merge
                .add_file(&path.value, content, file.mode, &user, &group);
            self.changed(added, &path.span)?;
        }
        Ok(())
    }

    fn links(&mut self) -> Result<(), Error> {
        for link in &self.recipe.links {
            let path = &link.path;
            let (added, span) = match &link.target {
                LinkTarget::Symbolic(target) => {
                    let added = self.merge.add_symlink(&path.value, target.as_bytes());
                    (added, &path.span)
                }
                LinkTarget::Hard(target) => {
                    let added = self.merge.add_hard_link(&path.value, &target.value);
                    (added, &target.span)
                }
            };
            self.changed(added, span)?;
        }
        Ok(())
    }

    /// Points at what asked for a change that cannot be made.
    fn changed(&self, result: Result<(), ChangeError>, at: &Range<usize>) -> Result<(), Error> {
        result.map_err(|error| {
            let hint = match &error {
                ChangeError::Missing(path) => near::path(self.merge.tree(), path)
                    .map(|near| format!("did you mean `{near}`?")),
                ChangeError::NotEmpty(_) => {
                    Some("`recursive = true` takes away what is in it as well".to_owned())
                }
                ChangeError::ApksOwn(_) => Some("what is in it follows from `packages`".to_owned()),
                ChangeError::IsDirectory(path) if !path.is_root() => {
                    Some("a [[remove]] of it comes before".to_owned())
                }
                _ => None,
            };
            self.problem(at, error.to_string(), hint)
        })
    }

    fn problem(&self, at: &Range<usize>, message: String, hint: Option<String>) -> Error {
        self.recipe.problem(at.clone(), message, hint).into()
    }
}

/// Returns a path that this program names itself.
fn guest(path: &str) -> GuestPath {
    GuestPath::from_absolute(path.as_bytes()).unwrap_or_default()
}

fn owner(name: &str) -> Owner {
    name.parse()
        .map_or_else(|_| Owner::Name(name.to_owned()), Owner::Id)
}
