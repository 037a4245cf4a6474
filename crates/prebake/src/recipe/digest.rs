//! The digest by which a lock knows whether it is still this recipe's.

use prebake_apk::digest::Sha256;
use sha2::Digest as _;

use super::{FileContent, MAX_FILE_BYTES, Recipe, TrustedKey};
use crate::error::Error;
use crate::host_file;

/// Feeds labelled, length-prefixed fields, so that no two recipes give the same stream.
struct Fields(sha2::Sha256);

impl Fields {
    fn add(&mut self, label: &str, value: &[u8]) {
        for part in [label.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    fn key(&mut self, label: &str, key: &TrustedKey) -> Result<(), Error> {
        match key {
            TrustedKey::File { path, .. } => {
                let (_, key) = crate::keys::read_key_file(path)?;
                self.add(label, key.fingerprint().as_bytes());
            }
            TrustedKey::Fingerprint(fingerprint) => self.add(label, fingerprint.as_bytes()),
        }
        Ok(())
    }
}

impl Recipe {
    /// Returns the digest of everything in the recipe that decides what is in the rootfs.
    ///
    /// The content of files and keys counts, not where they are; so do the URLs, which the lock
    /// repeats. The name, the outputs and the fallback mirrors do not: they change no byte of it.
    pub fn digest(&self) -> Result<Sha256, Error> {
        let mut fields = Fields(sha2::Sha256::new());
        for arch in &self.arches {
            fields.add("arch", arch.name().as_bytes());
        }
        for package in &self.packages {
            fields.add("package", package.value.as_bytes());
        }
        if let Some(release) = &self.base.release {
            fields.add("release", release.value.as_bytes());
        }
        match &self.base.url {
            Some(url) => fields.add("base", url.value.as_bytes()),
            None => fields.add(
                "mirror",
                self.mirrors.first().map_or(b"", |url| url.as_bytes()),
            ),
        }
        for (arch, sha256) in &self.base.sha256 {
            fields.add(arch.name(), sha256.as_bytes());
        }
        for key in &self.base.keys {
            fields.key("base-key", key)?;
        }
        for repository in &self.repositories {
            fields.add("repository", repository.url.value.as_bytes());
            fields.add(
                "tag",
                repository.tag.as_deref().unwrap_or_default().as_bytes(),
            );
            for key in &repository.keys {
                fields.key("key", key)?;
            }
        }
        for file in &self.files {
            fields.add("file", file.path.value.as_bytes());
            fields.add("mode", &file.mode.to_le_bytes());
            fields.add("user", file.user.as_bytes());
            fields.add("group", file.group.as_bytes());
            match &file.content {
                FileContent::Text(text) => fields.add("content", text.as_bytes()),
                FileContent::Source { path, at } => {
                    let bytes = host_file::read(path, MAX_FILE_BYTES)
                        .map_err(|source| Error::named_file(self, at.span.clone(), source))?;
                    fields.add("content", &bytes);
                }
            }
        }
        Ok(Sha256::new(fields.0.finalize().into()))
    }
}
