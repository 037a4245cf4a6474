//! The digest by which a lock knows whether it is still this recipe's.

use prebake_apk::digest::Sha256;
use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;
use sha2::Digest as _;

use super::{
    Etc, FileContent, LinkTarget, MAX_FILE_BYTES, PrimaryGroup, Recipe, Scripts, TrustedKey,
};
use crate::document::At;
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

    /// Adds a field that may not be there: its label says that it is.
    fn optional(&mut self, label: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    fn id(&mut self, label: &str, id: Option<&At<u32>>) {
        let bytes = id.map(|id| id.value.to_le_bytes());
        self.optional(label, bytes.as_ref().map(<[u8; 4]>::as_slice));
    }

    /// Adds groups, users and services.
    fn accounts(&mut self, recipe: &Recipe) {
        for group in &recipe.groups {
            self.add("group", group.name.value.as_bytes());
            self.id("group-gid", group.gid.as_ref());
        }
        for user in &recipe.users {
            let text = |text: &'_ Option<At<String>>| text.as_ref().map(|at| at.value.clone());
            let path = |path: &Option<At<GuestPath>>| path.as_ref().map(|at| at.value.to_string());
            self.add("user", user.name.value.as_bytes());
            self.id("user-uid", user.uid.as_ref());
            match &user.group {
                PrimaryGroup::Own(gid) => self.id("user-gid", gid.as_ref()),
                PrimaryGroup::Named(group) => self.add("user-group", group.value.as_bytes()),
            }
            for (label, value) in [
                ("user-gecos", text(&user.gecos)),
                ("user-home", path(&user.home)),
                ("user-shell", path(&user.shell)),
            ] {
                self.optional(label, value.as_deref().map(str::as_bytes));
            }
            let mode = user.home_mode.map(u32::to_le_bytes);
            self.optional("user-mode", mode.as_ref().map(<[u8; 4]>::as_slice));
            for group in &user.groups {
                self.add("user-member", group.value.as_bytes());
            }
            self.add("user-system", &[u8::from(user.system)]);
        }
        for service in &recipe.services {
            self.add("service", service.name.value.as_bytes());
            self.add("runlevel", service.runlevel.value.as_bytes());
        }
    }

    fn scripts(&mut self, scripts: &Scripts) {
        if scripts.skip {
            self.add("scripts", b"skip");
        }
        for skipped in &scripts.skipped {
            self.add("script", skipped.package.value.as_bytes());
            self.optional("kind", skipped.kind.map(|kind| kind.name().as_bytes()));
        }
    }

    /// Adds links, directories and removals.
    fn placed(&mut self, recipe: &Recipe) {
        for link in &recipe.links {
            self.add("link", link.path.value.as_bytes());
            match &link.target {
                LinkTarget::Symbolic(target) => self.add("symbolic", target.as_bytes()),
                LinkTarget::Hard(target) => self.add("hard", target.value.as_bytes()),
            }
        }
        for directory in &recipe.directories {
            self.add("dir", directory.path.value.as_bytes());
            self.add("dir-mode", &directory.mode.to_le_bytes());
            self.add("dir-user", directory.user.as_bytes());
            self.add("dir-group", directory.group.as_bytes());
        }
        for removal in &recipe.removals {
            self.add("remove", removal.path.value.as_bytes());
            self.add("recursive", &[u8::from(removal.recursive)]);
        }
    }

    fn etc(&mut self, etc: &Etc) {
        for (label, text) in [("hostname", &etc.hostname), ("timezone", &etc.timezone)] {
            self.optional(label, text.as_ref().map(|text| text.value.as_bytes()));
        }
        if let Some(lines) = &etc.repositories {
            self.add("etc-repositories", &[]);
            for line in &lines.value {
                self.add("etc-repository", line.as_bytes());
            }
        }
        if let Some(resolv) = &etc.resolv {
            self.add("resolv", &[]);
            for domain in &resolv.value.search {
                self.add("search", domain.as_bytes());
            }
            for server in &resolv.value.nameservers {
                self.add("nameserver", server.to_string().as_bytes());
            }
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
    /// repeats. The name, the outputs, the fallback mirrors and the
    /// vendored folder do not: they change no byte of it.
    pub fn digest(&self) -> Result<Sha256, Error> {
        let mut fields = Fields(sha2::Sha256::new());
        for arch in &self.arches {
            fields.add("arch", arch.name().as_bytes());
        }
        for package in &self.packages {
            fields.add("package", package.value.as_bytes());
        }
        for local in &self.locals {
            // What is in the file is in the lock: see `local::why_not_current`.
            fields.add("local", local.path.value.to_string().as_bytes());
            for (arch, sha256) in &local.sha256 {
                fields.add(arch.name(), sha256.as_bytes());
            }
            for key in &local.keys {
                fields.key("local-key", key)?;
            }
        }
        if let Some(release) = &self.base.release {
            fields.add("release", release.value.as_bytes());
        }
        if let Some(dialect) = self.base.apk {
            let version: &[u8] = match dialect {
                Dialect::V2 => b"2.14",
                Dialect::V3 => b"3.0",
            };
            fields.add("apk", version);
        }
        match &self.base.url {
            _ if self.base.scratch => fields.add("scratch", b""),
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
        fields.scripts(&self.scripts);
        fields.accounts(self);
        fields.placed(self);
        fields.etc(&self.etc);
        Ok(Sha256::new(fields.0.finalize().into()))
    }
}
