//! The text of a package's `.PKGINFO`, in the order of abuild's.

use prebake_apk::digest::Sha256;

use super::{Datahash, PackageBuilder};

impl PackageBuilder {
    /// Returns the text of `.PKGINFO` for the compressed data member `data`.
    pub(super) fn info(&self, data: &[u8]) -> String {
        let mut text = "# Made by prebake's testkit\n".to_owned();
        let mut line = |key: &str, value: &str| {
            text.push_str(key);
            text.push_str(" = ");
            text.push_str(value);
            text.push('\n');
        };
        line("pkgname", &self.name);
        line("pkgver", &self.version);
        line("pkgdesc", &self.description);
        line("url", &self.url);
        line("builddate", &self.build_date.to_string());
        line("packager", "testkit");
        line("size", &self.size().to_string());
        line("arch", &self.arch);
        for (key, value) in [
            ("origin", &self.origin),
            ("commit", &self.commit),
            ("maintainer", &self.maintainer),
        ] {
            if let Some(value) = value {
                line(key, value);
            }
        }
        line("license", &self.license);
        for (key, values) in [
            ("replaces", &self.replaces),
            ("depend", &self.depends),
            ("provides", &self.provides),
        ] {
            for value in values {
                line(key, value);
            }
        }
        for (key, values) in [
            ("install_if", &self.install_if),
            ("triggers", &self.triggers),
        ] {
            if !values.is_empty() {
                line(key, &values.join(" "));
            }
        }
        for (key, value) in [
            ("replaces_priority", self.replaces_priority),
            ("provider_priority", self.provider_priority),
        ] {
            if let Some(value) = value {
                line(key, &value.to_string());
            }
        }
        for extra in &self.extra_info {
            text.push_str(extra);
            text.push('\n');
        }
        let hash = match &self.datahash {
            Datahash::Right => Some(Sha256::of(data).to_string()),
            Datahash::Missing => None,
            Datahash::Claimed(hash) => Some(hash.clone()),
        };
        if let Some(hash) = hash {
            text.push_str("datahash = ");
            text.push_str(&hash);
            text.push('\n');
        }
        text
    }
}
