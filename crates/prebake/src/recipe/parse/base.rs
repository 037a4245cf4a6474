//! `[base]`: what the rootfs starts from.

use prebake_apk::digest::Sha256;
use prebake_apk::version::Dialect;

use super::Reader;
use crate::arch::Arch;
use crate::document::{At, Table};
use crate::recipe::{Base, TrustedKey};
use crate::template::is_release;

const BASE: &[&str] = &[
    "release", "url", "mirrors", "sha256", "keys", "scratch", "apk",
];

impl Reader<'_> {
    pub(super) fn base(&self, top: &Table<'_>, arches: &[Arch]) -> Option<Base> {
        let Some(table) = top.table("base", "[base]", BASE) else {
            if !top.has("base") {
                self.problems.add_with_hint(
                    &top.span,
                    "`[base]` is missing: what to start from",
                    "for example `[base]` and below it `release = \"3.21.3\"`",
                );
            }
            return None;
        };
        let release = table
            .string("release")
            .filter(|release| self.is_release(release));
        let url = table
            .string("url")
            .filter(|url| self.is_url(url) && self.is_template(url));
        let mirrors = table.strings("mirrors").into_iter();
        let mirrors = mirrors.filter(|url| self.is_url(url) && self.is_template(url));
        let mirrors: Vec<_> = mirrors.collect();
        if table.has("mirrors") && !table.has("url") {
            self.problems.add_with_hint(
                &table.key_span("mirrors"),
                "`mirrors` of [base] are other places of its `url`, and there is none",
                "mirrors of Alpine's own are named above [base]",
            );
        }
        let scratch = table.flag("scratch")?;
        let keys = self.keys(&table);
        let apk = self.apk(&table);
        if scratch {
            self.scratch(top, &table, &keys);
        } else if !table.has("release") && !table.has("url") {
            self.problems.add_with_hint(
                &table.span,
                "`[base]` has neither `release` nor `url`",
                "an official release, as in `release = \"3.21.3\"`, or `url` and `sha256`",
            );
        }
        let sha256 = self.base_digests(&table, arches);
        if let Some(url) = &url {
            for arch in arches {
                if !table.has("sha256") || !sha256.iter().any(|(known, _)| known == arch) {
                    self.problems.add_with_hint(
                        &url.span,
                        format!("`url` needs a `sha256` for {arch}"),
                        format!(
                            "`sha256 = {{ {arch} = \"…\" }}`, or one string for one architecture"
                        ),
                    );
                }
            }
        }
        Some(Base {
            scratch,
            apk,
            release,
            url,
            mirrors,
            sha256,
            keys,
        })
    }

    /// Refuses what makes no sense where a rootfs starts from nothing.
    fn scratch(&self, top: &Table<'_>, table: &Table<'_>, keys: &[TrustedKey]) {
        for key in ["url", "sha256"] {
            if table.has(key) {
                let message = format!("both `scratch` and `{key}`");
                self.problems.add(&table.key_span(key), message);
            }
        }
        if !table.has("release") && !top.has("repository") {
            self.problems.add_with_hint(
                &table.span,
                "no repository to start from nothing with",
                "add [[repository]] with a `url`, or `release` to [base]",
            );
        }
        if !keys
            .iter()
            .any(|key| matches!(key, TrustedKey::File { .. }))
        {
            self.problems.add_with_hint(
                &table.span,
                "nothing brings a key to check packages by",
                "name the key files of the repositories: `keys = [\"keys/….rsa.pub\"]`",
            );
        } else if keys
            .iter()
            .any(|key| matches!(key, TrustedKey::Fingerprint(_)))
        {
            let message = "a fingerprint is of a key that a base brings, and there is none";
            self.problems.add(&table.value_span("keys"), message);
        }
    }

    /// Reads `apk`: whose rules apply; `None` for those of the base's own.
    fn apk(&self, table: &Table<'_>) -> Option<Dialect> {
        let version = table.string("apk")?;
        match version.value.as_str() {
            "2.14" => Some(Dialect::V2),
            "3.0" => Some(Dialect::V3),
            other => {
                let message = format!("the rules of apk `{other}` are not known");
                self.problems
                    .add_with_hint(&version.span, message, "known: `2.14`, `3.0`");
                None
            }
        }
    }

    pub(super) fn is_release(&self, release: &At<String>) -> bool {
        let good = is_release(&release.value);
        if !good {
            let hint = match release.value.strip_prefix('v') {
                Some(bare) => format!("write `{bare}`, without the `v`"),
                None => "Alpine's releases are named as in `3.21.3`".to_owned(),
            };
            self.problems
                .add_with_hint(&release.span, "`release` is not a release", hint);
        }
        good
    }

    pub(super) fn base_digests(&self, table: &Table<'_>, arches: &[Arch]) -> Vec<(Arch, Sha256)> {
        if !table.has("sha256") {
            return Vec::new();
        }
        if table.is_table("sha256") {
            return table
                .string_map("sha256")
                .into_iter()
                .filter_map(|(arch, digest)| Some((self.arch(&arch)?, self.digest(&digest)?)))
                .collect();
        }
        let Some(text) = table.string("sha256") else {
            return Vec::new();
        };
        match (arches, self.digest(&text)) {
            ([arch], Some(digest)) => vec![(*arch, digest)],
            ([], _) | (_, None) => Vec::new(),
            (_, Some(_)) => {
                self.problems.add_with_hint(
                    &text.span,
                    "one `sha256` for several architectures",
                    "`sha256 = { x86_64 = \"…\", aarch64 = \"…\" }`",
                );
                Vec::new()
            }
        }
    }
}
