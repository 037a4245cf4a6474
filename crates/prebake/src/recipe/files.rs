//! Which files of the host a recipe is made of.

use std::path::PathBuf;

use super::{FileContent, Recipe, TrustedKey};
use crate::Error;
use crate::local;
use crate::scripts::record_path;

impl Recipe {
    /// Returns every file that a bake of this recipe depends on, whether it is there or not: the
    /// recipe, its lock, the record of what scripts did, and what the recipe names.
    ///
    /// # Errors
    ///
    /// If a path cannot be put together, as its template names a release that is not given.
    pub fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let lock = self.lock_path();
        let mut files = vec![self.path.clone(), record_path(&lock), lock];
        let locals = self.locals.iter();
        let keys = (self.base.keys.iter())
            .chain(self.repositories.iter().flat_map(|one| &one.keys))
            .chain(locals.clone().flat_map(|local| &local.keys));
        files.extend(keys.filter_map(|key| match key {
            TrustedKey::File { path, .. } => Some(path.clone()),
            TrustedKey::Fingerprint(_) => None,
        }));
        files.extend(self.files.iter().filter_map(|file| match &file.content {
            FileContent::Source { path, .. } => Some(path.clone()),
            FileContent::Text(_) => None,
        }));
        for asked in locals {
            for arch in &self.arches {
                files.push(self.local_file(&local::path(self, asked, *arch)?));
            }
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
}
