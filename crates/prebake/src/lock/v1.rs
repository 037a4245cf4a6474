//! Version 1 of the lock's format: TOML, written by hand so that its order is ours.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::package::ScriptKind;
use prebake_rootfs::merge::Script as PackageScript;

use super::{Lock, LockedBase, LockedIndex, LockedPackage, LockedRootfs, Step};
use crate::arch::Arch;
use crate::document::{self, At, DocumentError, Problems, Table};
use crate::timestamp::Timestamp;

const TOP: &[&str] = &["version", "recipe", "rootfs"];
const ROOTFS: &[&str] = &[
    "arch",
    "release",
    "identity",
    "scripts",
    "scripts-not-run",
    "triggers",
    "base",
    "index",
    "package",
];
const BASE: &[&str] = &["url", "size", "sha256"];
const INDEX: &[&str] = &["url", "description", "made", "size", "sha256", "key"];
const PACKAGE: &[&str] = &[
    "name", "version", "tag", "remove", "retag", "path", "url", "size", "sha256", "identity",
    "key", "index",
];

/// The number that stands in the file. A reader that knows only this one refuses any other.
const VERSION: u64 = 1;

const HEADER: &str = "\
# Written by `prebake lock`: every input of the rootfs and what it is known by.
# Commit it. Read it in a diff; change prebake.toml, not this.
";

pub(super) fn write(lock: &Lock) -> String {
    let mut out = String::from(HEADER);
    // Writing to a `String` cannot fail, so the results below are dropped on purpose.
    let _ = writeln!(out, "version = {VERSION}");
    let _ = writeln!(out, "recipe = \"{}\"", lock.recipe);
    for rootfs in &lock.rootfs {
        let _ = writeln!(out, "\n[[rootfs]]\narch = \"{}\"", rootfs.arch);
        if let Some(release) = &rootfs.release {
            string(&mut out, "release", release);
        }
        let _ = writeln!(out, "identity = \"{}\"", rootfs.identity);
        if let Some(scripts) = &rootfs.scripts {
            let _ = writeln!(out, "scripts = \"{scripts}\"");
        }
        if !rootfs.scripts_not_run.is_empty() {
            let scripts = rootfs.scripts_not_run.iter();
            let names = scripts.map(|script| format!("{}.{}", script.package, script.kind));
            let names = toml::Value::from(names.collect::<Vec<_>>());
            let _ = writeln!(out, "scripts-not-run = {names}");
        }
        if !rootfs.triggers.is_empty() {
            let triggers = toml::Value::from(rootfs.triggers.clone());
            let _ = writeln!(out, "triggers = {triggers}");
        }
        if let Some(base) = &rootfs.base {
            out.push_str("\n[rootfs.base]\n");
            blob(&mut out, &base.url, base.size, &base.sha256);
        }
        for index in &rootfs.indexes {
            out.push_str("\n[[rootfs.index]]\n");
            if !index.description.is_empty() {
                string(&mut out, "description", &index.description);
            }
            if let Some(made) = index.made {
                string(&mut out, "made", &made.to_string());
            }
            blob(&mut out, &index.url, index.size, &index.sha256);
            let _ = writeln!(out, "key = \"{}\"", index.key);
        }
        for step in &rootfs.steps {
            out.push_str("\n[[rootfs.package]]\n");
            match step {
                Step::Install(package) => install(&mut out, package),
                Step::Remove { name, version } => {
                    string(&mut out, "name", name);
                    string(&mut out, "version", version);
                    out.push_str("remove = true\n");
                }
                Step::Retag { name, version, tag } => {
                    string(&mut out, "name", name);
                    string(&mut out, "version", version);
                    if let Some(tag) = tag {
                        string(&mut out, "tag", tag);
                    }
                    out.push_str("retag = true\n");
                }
            }
        }
    }
    out
}

fn install(out: &mut String, package: &LockedPackage) {
    string(out, "name", &package.name);
    string(out, "version", &package.version);
    if let Some(tag) = &package.tag {
        string(out, "tag", tag);
    }
    let place = if package.local { "path" } else { "url" };
    string(out, place, &package.url);
    digests(out, package.size, &package.sha256);
    let _ = writeln!(out, "identity = \"{}\"", package.identity.to_apk());
    if let Some(key) = package.key {
        let _ = writeln!(out, "key = \"{key}\"");
    }
    if let Some(stanza) = &package.index_stanza {
        string(out, "index", stanza);
    }
}

fn blob(out: &mut String, url: &str, size: u64, sha256: &Sha256) {
    string(out, "url", url);
    digests(out, size, sha256);
}

fn digests(out: &mut String, size: u64, sha256: &Sha256) {
    let _ = writeln!(out, "size = {size}");
    let _ = writeln!(out, "sha256 = \"{sha256}\"");
}

fn string(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {}", toml::Value::String(value.to_owned()));
}

struct Reader<'a> {
    problems: &'a Problems,
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Lock, DocumentError> {
    document::read("the lock", path, text, TOP, |top, problems| {
        let reader = Reader { problems };
        let version = reader.required_number(top, "version")?;
        if version != VERSION {
            problems.add_with_hint(
                &top.value_span("version"),
                format!("version {version} of the lock is not known"),
                format!("this prebake reads version {VERSION}; use a newer one, or lock again"),
            );
            return None;
        }
        reader.lock(top)
    })
}

impl Reader<'_> {
    fn lock(&self, top: &Table<'_>) -> Option<Lock> {
        let recipe = self.digest(top, "recipe")?;
        let tables = top.tables("rootfs", "[[rootfs]]", ROOTFS);
        let rootfs: Vec<_> = tables
            .iter()
            .filter_map(|table| self.rootfs(table))
            .collect();
        for (index, one) in rootfs.iter().enumerate() {
            if rootfs
                .iter()
                .take(index)
                .any(|other| other.arch == one.arch)
            {
                self.problems.add(
                    &top.key_span("rootfs"),
                    format!("two rootfs for {}", one.arch),
                );
            }
        }
        (rootfs.len() == tables.len()).then_some(Lock { recipe, rootfs })
    }

    fn rootfs(&self, table: &Table<'_>) -> Option<LockedRootfs> {
        let arch = text(table, "arch")?;
        let Some(known) = Arch::from_name(&arch.value) else {
            self.problems
                .add(&arch.span, format!("unknown architecture `{}`", arch.value));
            return None;
        };
        let base = table.table("base", "[rootfs.base]", BASE);
        let base = match base {
            Some(base) => Some(self.base(&base)?),
            // It is not there where the rootfs starts from nothing.
            None if table.has("base") => return None,
            None => None,
        };
        let indexes: Vec<_> = table
            .tables("index", "[[rootfs.index]]", INDEX)
            .iter()
            .map(|table| self.index(table))
            .collect();
        let steps: Vec<_> = table
            .tables("package", "[[rootfs.package]]", PACKAGE)
            .iter()
            .map(|table| self.step(table))
            .collect();
        Some(LockedRootfs {
            arch: known,
            release: table.string("release").map(|release| release.value),
            identity: self.digest(table, "identity")?,
            scripts: if table.has("scripts") {
                Some(self.digest(table, "scripts")?)
            } else {
                None
            },
            scripts_not_run: self.scripts(table)?,
            triggers: table
                .strings("triggers")
                .into_iter()
                .map(|name| name.value)
                .collect(),
            base,
            indexes: indexes.into_iter().collect::<Option<_>>()?,
            steps: steps.into_iter().collect::<Option<_>>()?,
        })
    }

    /// Reads the names of scripts as apk has them: `name-version.post-install`.
    fn scripts(&self, table: &Table<'_>) -> Option<Vec<PackageScript>> {
        let names = table.strings("scripts-not-run").into_iter();
        let scripts: Vec<_> = names
            .map(|name| {
                let script = name.value.rsplit_once('.').and_then(|(package, kind)| {
                    Some(PackageScript {
                        package: package.to_owned(),
                        kind: ScriptKind::from_name(kind.as_bytes())?,
                    })
                });
                if script.is_none() {
                    let message = format!("`{}` is no package's script", name.value);
                    self.problems.add(&name.span, message);
                }
                script
            })
            .collect();
        scripts.into_iter().collect()
    }

    fn base(&self, table: &Table<'_>) -> Option<LockedBase> {
        Some(LockedBase {
            url: text(table, "url")?.value,
            size: self.required_number(table, "size")?,
            sha256: self.digest(table, "sha256")?,
        })
    }

    fn index(&self, table: &Table<'_>) -> Option<LockedIndex> {
        Some(LockedIndex {
            url: text(table, "url")?.value,
            description: table
                .string("description")
                .map_or_else(String::new, |text| text.value),
            made: match table.string("made") {
                Some(made) => Some(self.reported(&made.span, Timestamp::from_str(&made.value))?),
                None => None,
            },
            size: self.required_number(table, "size")?,
            sha256: self.digest(table, "sha256")?,
            key: self.digest(table, "key")?,
        })
    }

    fn step(&self, table: &Table<'_>) -> Option<Step> {
        let name = text(table, "name")?.value;
        let version = text(table, "version")?.value;
        if table.flag("remove")? {
            return Some(Step::Remove { name, version });
        }
        let tag = table.string("tag").map(|tag| tag.value);
        if table.flag("retag")? {
            return Some(Step::Retag { name, version, tag });
        }
        let local = table.has("path");
        let identity = text(table, "identity")?;
        Some(Step::Install(LockedPackage {
            name,
            version,
            tag,
            url: text(table, if local { "path" } else { "url" })?.value,
            local,
            size: self.required_number(table, "size")?,
            sha256: self.digest(table, "sha256")?,
            identity: self.reported(&identity.span, Sha1::from_apk(identity.value.as_bytes()))?,
            // The recipe itself may vouch for a local one.
            key: if local && !table.has("key") {
                None
            } else {
                Some(self.digest(table, "key")?)
            },
            index_stanza: table.string("index").map(|text| text.value),
        }))
    }

    fn required_number(&self, table: &Table<'_>, key: &str) -> Option<u64> {
        if !table.has(key) {
            self.problems.add(
                &table.span,
                format!("`{key}` is missing: every lock has it"),
            );
        }
        table.number(key)
    }

    fn digest(&self, table: &Table<'_>, key: &str) -> Option<Sha256> {
        let text = text(table, key)?;
        self.reported(&text.span, Sha256::from_str(&text.value))
    }

    fn reported<T, E: std::fmt::Display>(
        &self,
        at: &Range<usize>,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|error| self.problems.add(at, error.to_string()))
            .ok()
    }
}

fn text(table: &Table<'_>, key: &str) -> Option<At<String>> {
    table.required_string(key, "every lock has it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Lock {
        let sha256 = Sha256::of(b"x");
        let package = LockedPackage {
            name: "jq".to_owned(),
            version: "1.7.1-r0".to_owned(),
            url: "https://example.com/a \"b\"/jq.apk".to_owned(),
            size: 7,
            local: false,
            sha256,
            identity: Sha1::of(b"y"),
            key: Some(sha256),
            tag: Some("edge".to_owned()),
            index_stanza: Some("C:Q1\nP:jq\n".to_owned()),
        };
        Lock {
            recipe: sha256,
            rootfs: vec![LockedRootfs {
                arch: Arch::X86_64,
                release: Some("3.21.3".to_owned()),
                identity: sha256,
                scripts: Some(sha256),
                scripts_not_run: vec![PackageScript {
                    package: "jq-1.7.1-r0".to_owned(),
                    kind: ScriptKind::PostInstall,
                }],
                triggers: vec!["busybox".to_owned(), "jq".to_owned()],
                base: Some(LockedBase {
                    url: "file:///b".to_owned(),
                    size: 1,
                    sha256,
                }),
                indexes: vec![LockedIndex {
                    url: "file:///i".to_owned(),
                    description: "v3.21".to_owned(),
                    made: Some(Timestamp::from_seconds(1_718_724_996)),
                    size: 2,
                    sha256,
                    key: sha256,
                }],
                steps: vec![
                    Step::Remove {
                        name: "a".to_owned(),
                        version: "1".to_owned(),
                    },
                    Step::Retag {
                        name: "b".to_owned(),
                        version: "1".to_owned(),
                        tag: None,
                    },
                    Step::Install(LockedPackage {
                        url: "./dist/app.apk".to_owned(),
                        local: true,
                        key: None,
                        ..package.clone()
                    }),
                    Step::Install(package),
                ],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let lock = sample();
        let text = lock.to_text();
        assert_eq!(Lock::parse(Path::new("prebake.lock"), &text).unwrap(), lock);
    }

    #[test]
    fn what_starts_from_nothing_has_no_base() {
        let mut lock = sample();
        for rootfs in &mut lock.rootfs {
            rootfs.base = None;
        }
        let text = lock.to_text();
        assert!(!text.contains("[rootfs.base]"), "{text}");
        assert_eq!(Lock::parse(Path::new("prebake.lock"), &text).unwrap(), lock);
    }

    #[test]
    fn every_missing_or_changed_line_is_noticed() {
        let text = sample().to_text();
        let lines: Vec<_> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let optional = [
                "release",
                "scripts",
                "triggers",
                "description",
                "made",
                "tag",
                "remove",
                "retag",
                "index",
                "C:Q1",
                "P:jq",
            ];
            let mut without = lines.clone();
            without.remove(index);
            let read = Lock::parse(Path::new("prebake.lock"), &without.join("\n"));
            if let Ok(read) = read {
                assert!(
                    optional.iter().any(|key| line.starts_with(key)),
                    "{line} was not missed"
                );
                assert_ne!(read, sample(), "{line} does not matter");
            }
        }
    }

    #[test]
    fn another_version_is_refused() {
        let text = sample().to_text().replace("version = 1\n", "version = 2\n");
        let error = Lock::parse(Path::new("prebake.lock"), &text).unwrap_err();
        assert!(
            error.to_string().contains("prebake.lock:3:11: version 2"),
            "{error}"
        );
    }
}
