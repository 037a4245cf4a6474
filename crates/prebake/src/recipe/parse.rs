//! From a recipe's text to a [`Recipe`].

use std::path::{Path, PathBuf};

use super::{
    ALPINE_MIRROR, Base, File, FileContent, Format, Output, Recipe, Repository, TrustedKey,
};
use crate::arch::Arch;
use crate::document::{self, At, DocumentError, Problems, Table, nearest};
use crate::template::{Template, TemplateError, Variable};
use prebake_apk::digest::Sha256;
use prebake_apk::path::GuestPath;

const TOP: &[&str] = &[
    "name",
    "arch",
    "packages",
    "mirrors",
    "base",
    "repository",
    "file",
    "output",
];
const BASE: &[&str] = &["release", "url", "sha256", "keys"];
const REPOSITORY: &[&str] = &["url", "tag", "keys", "mirrors"];
const FILE: &[&str] = &["path", "content", "source", "mode", "owner"];
const OUTPUT: &[&str] = &["path"];

/// A file that a recipe adds is readable by all and writable by root, unless it says otherwise.
const DEFAULT_FILE_MODE: u32 = 0o644;

struct Reader<'a> {
    folder: PathBuf,
    problems: &'a Problems,
}

pub(super) fn parse(path: &Path, text: String) -> Result<Recipe, DocumentError> {
    let recipe = document::read("the recipe", path, &text, TOP, |top, problems| {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Reader { folder, problems }.recipe(top)
    })?;
    Ok(Recipe {
        path: path.to_owned(),
        text,
        ..recipe
    })
}

impl Reader<'_> {
    /// Reads everything, and returns `None` only where a problem was reported.
    fn recipe(&self, top: &Table<'_>) -> Option<Recipe> {
        let name = top
            .required_string(
                "name",
                "what the rootfs is called, as in `name = \"ci-rootfs\"`",
            )
            .filter(|name| self.is_name(name));
        let arches = self.arches(top);
        let packages = top.strings("packages");
        self.packages(&packages);
        let base = self.base(top, &arches);
        let mirrors = self.urls(&top.strings("mirrors"));
        let repositories = top
            .tables("repository", "[[repository]]", REPOSITORY)
            .iter()
            .filter_map(|table| self.repository(table))
            .collect();
        let files = top
            .tables("file", "[[file]]", FILE)
            .iter()
            .filter_map(|table| self.file(table))
            .collect();
        let outputs = self.outputs(top, &arches);
        Some(Recipe {
            path: PathBuf::new(),
            text: String::new(),
            name: name?.value,
            arches,
            packages,
            base: base?,
            mirrors: if mirrors.is_empty() {
                vec![ALPINE_MIRROR.to_owned()]
            } else {
                mirrors
            },
            repositories,
            files,
            outputs,
        })
    }

    fn is_name(&self, name: &At<String>) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        let good = name.value.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.value.chars().all(plain)
            && name.value.len() <= 100;
        if !good {
            self.problems.add_with_hint(
                &name.span,
                "`name` is not a name for a file",
                "use up to 100 letters, digits, `-`, `_`, `.` and `+`, a letter or digit first",
            );
        }
        good
    }

    fn arches(&self, top: &Table<'_>) -> Vec<Arch> {
        if !top.has("arch") {
            self.problems.add_with_hint(
                &top.span,
                "`arch` is missing: the architectures to bake for",
                "for example `arch = [\"x86_64\", \"aarch64\"]`",
            );
        }
        let mut arches = Vec::new();
        let words = top.string_or_strings("arch");
        if top.is_empty_list("arch") {
            self.problems
                .add(&top.key_span("arch"), "`arch` names no architecture");
        }
        for word in words {
            match self.arch(&word) {
                Some(arch) if arches.contains(&arch) => {
                    self.problems
                        .add(&word.span, format!("`{arch}` is named twice"));
                }
                Some(arch) => arches.push(arch),
                None => {}
            }
        }
        arches
    }

    fn arch(&self, word: &At<String>) -> Option<Arch> {
        let arch = Arch::from_name(&word.value);
        if arch.is_none() {
            let names = Arch::ALL.map(Arch::name);
            let hint = Arch::from_alias(&word.value)
                .map(Arch::name)
                .or_else(|| nearest(&word.value, names.into_iter()))
                .map_or_else(
                    || format!("Alpine has {}", names.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
            let message = format!("unknown architecture `{}`", word.value);
            self.problems.add_with_hint(&word.span, message, hint);
        }
        arch
    }

    fn packages(&self, packages: &[At<String>]) {
        let mut names = Vec::new();
        for package in packages {
            match crate::world::check_entry(&package.value) {
                Err(message) => {
                    let hint = crate::world::ENTRY_HINT;
                    self.problems.add_with_hint(&package.span, message, hint);
                }
                // Of two entries of one name apk keeps the last, which nobody means.
                Ok(name) if names.contains(&name) => {
                    self.problems
                        .add(&package.span, format!("`{name}` is named twice"));
                }
                Ok(name) => names.push(name),
            }
        }
    }

    fn base(&self, top: &Table<'_>, arches: &[Arch]) -> Option<Base> {
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
        if !table.has("release") && !table.has("url") {
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
        let keys = self.keys(&table);
        Some(Base {
            release,
            url,
            sha256,
            keys,
        })
    }

    fn is_release(&self, release: &At<String>) -> bool {
        let good = release.value.starts_with(|c: char| c.is_ascii_digit())
            && release
                .value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
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

    fn base_digests(&self, table: &Table<'_>, arches: &[Arch]) -> Vec<(Arch, Sha256)> {
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

    fn digest(&self, text: &At<String>) -> Option<Sha256> {
        let digest = text.value.parse();
        if let Err(error) = &digest {
            self.problems.add(&text.span, format!("{error}"));
        }
        digest.ok()
    }

    fn keys(&self, table: &Table<'_>) -> Vec<TrustedKey> {
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

    fn urls(&self, urls: &[At<String>]) -> Vec<String> {
        urls.iter()
            .filter(|url| self.is_url(url))
            .map(|url| without_slash(&url.value))
            .collect()
    }

    fn is_url(&self, url: &At<String>) -> bool {
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

    fn is_template(&self, text: &At<String>) -> bool {
        self.template(text).is_some()
    }

    fn template(&self, text: &At<String>) -> Option<Template> {
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

    fn repository(&self, table: &Table<'_>) -> Option<Repository> {
        let url = table
            .required_string(
                "url",
                "the folder above the architecture's, as in apk's `repositories`",
            )
            .filter(|url| self.is_url(url));
        let tag = table.string("tag").and_then(|tag| {
            let word = tag.value.strip_prefix('@').unwrap_or(&tag.value);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
            if word.is_empty() || !word.chars().all(plain) {
                self.problems
                    .add(&tag.span, format!("`{}` is not a tag", tag.value));
                return None;
            }
            Some(word.to_owned())
        });
        let keys = self.keys(table);
        let mirrors = self.urls(&table.strings("mirrors"));
        let url = url.map(|url| At {
            value: without_slash(&url.value),
            span: url.span,
        })?;
        Some(Repository {
            url,
            tag,
            keys,
            mirrors,
        })
    }

    fn file(&self, table: &Table<'_>) -> Option<File> {
        let path = table.required_string("path", "where the file goes in the rootfs");
        let path = path.and_then(
            |path| match GuestPath::from_absolute(path.value.as_bytes()) {
                Ok(guest) if !guest.is_root() => Some(At {
                    value: guest,
                    span: path.span,
                }),
                Ok(_) => {
                    self.problems.add(&path.span, "`path` is the root itself");
                    None
                }
                Err(error) => {
                    let message = format!("`{}` is not an absolute, normal path", path.value);
                    self.problems
                        .add_with_hint(&path.span, message, format!("it {error}"));
                    None
                }
            },
        );
        let content = table.string("content");
        let source = table.string("source");
        let content = match (table.has("content"), table.has("source")) {
            (true, false) => content.map(|text| FileContent::Text(text.value)),
            (false, true) => source.map(|at| FileContent::Source {
                path: self.folder.join(&at.value),
                at,
            }),
            (true, true) => {
                self.problems
                    .add(&table.key_span("source"), "both `content` and `source`");
                None
            }
            (false, false) => {
                self.problems.add_with_hint(
                    &table.span,
                    "`[[file]]` has neither `content` nor `source`",
                    "the text itself, or a file beside the recipe",
                );
                None
            }
        };
        let mode = if table.has("mode") {
            table.mode("mode")
        } else {
            Some(DEFAULT_FILE_MODE)
        };
        let (user, group) = self.owner(table)?;
        Some(File {
            path: path?,
            content: content?,
            mode: mode?,
            user,
            group,
        })
    }

    /// Reads `owner` as `user`, or `user:group`; names or numbers; root where it is not given.
    fn owner(&self, table: &Table<'_>) -> Option<(String, String)> {
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

    fn outputs(&self, top: &Table<'_>, arches: &[Arch]) -> Vec<Output> {
        let mut outputs = Vec::new();
        for table in top.tables("output", "[[output]]", OUTPUT) {
            let Some(path) = table.required_string("path", "the file to write") else {
                continue;
            };
            let format = Format::from_path(&path.value);
            if format.is_none() {
                let message = format!("`{}` names no known format", path.value);
                let hint = format!("known endings: {}", Format::NAMES.join(", "));
                self.problems.add_with_hint(&path.span, message, hint);
            }
            let Some(template) = self.template(&path) else {
                continue;
            };
            if arches.len() > 1 && !template.uses(Variable::Arch) {
                self.problems.add_with_hint(
                    &path.span,
                    "one path for several architectures",
                    "put `{arch}` into it",
                );
            }
            if let Some(format) = format {
                outputs.push(Output {
                    path: At {
                        value: template,
                        span: path.span,
                    },
                    format,
                });
            }
        }
        if !top.has("output")
            && let Ok(template) = Template::parse("{name}-{arch}.tar.gz")
        {
            let path = At {
                value: template,
                span: 0..0,
            };
            outputs.push(Output {
                path,
                format: Format::TarGz,
            });
        }
        outputs
    }
}

fn without_slash(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}
