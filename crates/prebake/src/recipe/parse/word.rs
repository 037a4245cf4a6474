//! Words that more than one section has: digests, keys, URLs, templates, owners.

use prebake_apk::digest::Sha256;
use prebake_apk::path::{GuestPath, PathError};

use super::Reader;
use crate::document::{At, Table, nearest};
use crate::recipe::TrustedKey;
use crate::template::{Template, TemplateError, Variable};

impl Reader<'_> {
    pub(super) fn digest(&self, text: &At<String>) -> Option<Sha256> {
        let digest = text.value.parse();
        if let Err(error) = &digest {
            self.problems.add(&text.span, format!("{error}"));
        }
        digest.ok()
    }

    pub(super) fn keys(&self, table: &Table<'_>) -> Vec<TrustedKey> {
        let mut keys = Vec::new();
        for key in table.strings("keys") {
            if let Some(fingerprint) = key.value.strip_prefix("sha256:") {
                let text = At {
                    value: fingerprint.to_owned(),
                    span: key.span.clone(),
                };
                keys.extend(self.digest(&text).map(TrustedKey::Fingerprint));
            } else {
                keys.push(TrustedKey::File {
                    path: self.folder.join(&key.value),
                    at: key,
                });
            }
        }
        keys
    }

    pub(super) fn urls(&self, urls: &[At<String>]) -> Vec<String> {
        urls.iter()
            .filter(|url| self.is_url(url))
            .map(|url| without_slash(&url.value))
            .collect()
    }

    pub(super) fn is_url(&self, url: &At<String>) -> bool {
        let good = ["https://", "http://", "file://"].iter().any(|scheme| {
            url.value
                .strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        }) && !url.value.contains(|c: char| c.is_control() || c == ' ');
        if !good {
            self.problems.add_with_hint(
                &url.span,
                format!("`{}` is not a URL", url.value),
                "what can be fetched begins with `https://`, `http://` or `file://` and has no spaces",
            );
        }
        good
    }

    pub(super) fn is_template(&self, text: &At<String>) -> bool {
        self.template(text).is_some()
    }

    pub(super) fn template(&self, text: &At<String>) -> Option<Template> {
        match Template::parse(&text.value) {
            Ok(template) => Some(template),
            Err(error) => {
                let hint = match &error {
                    TemplateError::Unknown(word) => nearest(word, Variable::NAMES.into_iter())
                        .map(|near| format!("did you mean `{{{near}}}`?")),
                    TemplateError::Unclosed => None,
                };
                let hint = hint.unwrap_or_else(|| {
                    format!(
                        "known: {}",
                        Variable::NAMES.map(|name| format!("{{{name}}}")).join(", ")
                    )
                });
                self.problems
                    .add_with_hint(&text.span, error.to_string(), hint);
                None
            }
        }
    }

    /// Reads `key` as a path of the rootfs other than its root; `why` says what for, where it is
    /// not there.
    pub(super) fn path(&self, table: &Table<'_>, key: &str, why: &str) -> Option<At<GuestPath>> {
        let path = self.any_path(table.required_string(key, why))?;
        if path.value.is_root() {
            let message = format!("`{key}` is the root itself");
            self.problems.add(&path.span, message);
            return None;
        }
        Some(path)
    }

    /// Reads a text as a path of the rootfs.
    pub(super) fn any_path(&self, path: Option<At<String>>) -> Option<At<GuestPath>> {
        let path = path?;
        // Bytes that are no text may hold Latin 1's control characters; a recipe's path is text.
        let control = path.value.find(char::is_control).map(PathError::Control);
        let read = GuestPath::from_absolute(path.value.as_bytes());
        match control.map_or(read, Err) {
            Ok(value) => Some(At {
                value,
                span: path.span,
            }),
            Err(error) => {
                let message = format!("`{}` is not an absolute, normal path", path.value);
                let hint = format!("it {error}");
                self.problems.add_with_hint(&path.span, message, hint);
                None
            }
        }
    }

    /// Reads `owner` as `user`, or `user:group`; names or numbers; root where it is not given.
    pub(super) fn owner(&self, table: &Table<'_>) -> Option<(String, String)> {
        if !table.has("owner") {
            return Some(("0".to_owned(), "0".to_owned()));
        }
        let owner = table.string("owner")?;
        let (user, group) = owner
            .value
            .split_once(':')
            .unwrap_or((&owner.value, &owner.value));
        let plain = |word: &str| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if !plain(user) || !plain(group) {
            let message = format!("`{}` is not an owner", owner.value);
            self.problems
                .add_with_hint(&owner.span, message, "write `user:group` or `uid:gid`");
            return None;
        }
        Some((user.to_owned(), group.to_owned()))
    }
}

/// Returns a URL without what a folder's may end in.
pub(super) fn without_slash(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

/// Reads `key` as permission bits, which are `otherwise` where it is not there.
pub(super) fn mode(table: &Table<'_>, key: &str, otherwise: u32) -> Option<u32> {
    if table.has(key) {
        table.mode(key)
    } else {
        Some(otherwise)
    }
}
