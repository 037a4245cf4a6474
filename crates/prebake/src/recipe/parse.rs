//! From a recipe's text to a [`Recipe`].

mod account;
mod audit;
mod base;
mod etc;
mod file;
mod output;
mod package;
mod placed;
mod repository;
mod script;
mod service;
mod word;

use std::ops::Range;
use std::path::{Path, PathBuf};

use prebake_apk::path::GuestPath;

use super::{ALPINE_MIRROR, Etc, Group, Recipe, User};
use crate::arch::Arch;
use crate::document::{self, At, DocumentError, Problems, Table, nearest};

const TOP: &[&str] = &[
    "name",
    "arch",
    "packages",
    "mirrors",
    "vendor",
    "base",
    "repository",
    "unusual",
    "scripts",
    "script",
    "user",
    "group",
    "service",
    "file",
    "link",
    "dir",
    "remove",
    "etc",
    "audit",
    "output",
];
const REPOSITORY: &[&str] = &["url", "tag", "keys", "mirrors"];
const USER: &[&str] = &[
    "name",
    "uid",
    "gid",
    "group",
    "groups",
    "gecos",
    "home",
    "create_home",
    "home_mode",
    "shell",
    "system",
];
const GROUP: &[&str] = &["name", "gid"];
const SERVICE: &[&str] = &["name", "runlevel"];
const FILE: &[&str] = &["path", "content", "source", "mode", "owner"];
const LINK: &[&str] = &["path", "target", "hard"];
const DIR: &[&str] = &["path", "mode", "owner"];
const REMOVE: &[&str] = &["path", "recursive"];

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
        let (packages, locals) = self.packages(top, &arches);
        let base = self.base(top, &arches);
        let mirrors = self.urls(&top.strings("mirrors"));
        let vendor = top.string("vendor");
        if let Some(empty) = vendor.as_ref().filter(|folder| folder.value.is_empty()) {
            self.problems.add(&empty.span, "`vendor` names no folder");
        }
        let repositories = all(top, "repository", REPOSITORY, |table| {
            self.repository(table)
        });
        let groups = all(top, "group", GROUP, |table| self.group(table));
        let users = all(top, "user", USER, |table| self.user(table));
        let services = all(top, "service", SERVICE, |table| self.service(table));
        let files = all(top, "file", FILE, |table| self.file(table));
        let links = all(top, "link", LINK, |table| self.link(table));
        let directories = all(top, "dir", DIR, |table| self.directory(table));
        let removals = all(top, "remove", REMOVE, |table| self.remove(table));
        let etc = self.etc(top);
        self.names_once(users.iter().map(|user| &user.name));
        self.names_once(groups.iter().map(|group| &group.name));
        let placed = files.iter().map(|file| &file.path);
        let placed = placed.chain(links.iter().map(|link| &link.path));
        let placed = placed.chain(directories.iter().map(|directory| &directory.path));
        let (from_etc, from_users) = (etc_paths(&etc), account_paths(&users, &groups));
        let written = from_etc.iter().chain(&from_users);
        self.paths_once(written.chain(placed));
        self.paths_once(removals.iter().map(|removal| &removal.path));
        let outputs = self.outputs(top, &arches);
        Some(Recipe {
            path: PathBuf::new(),
            text: String::new(),
            name: name?.value,
            arches,
            packages,
            locals,
            base: base?,
            mirrors: if mirrors.is_empty() {
                vec![ALPINE_MIRROR.to_owned()]
            } else {
                mirrors
            },
            vendor: vendor.map(|folder| self.folder.join(folder.value)),
            repositories,
            unusual: self.unusual(top),
            scripts: self.scripts(top),
            groups,
            users,
            services,
            files,
            links,
            directories,
            removals,
            etc,
            audit: self.audit(top),
            outputs,
            confined: None,
        })
    }

    /// Reads the names of packages; an empty list is a slip.
    fn unusual(&self, top: &Table<'_>) -> Vec<At<String>> {
        let names = top.strings("unusual");
        for name in &names {
            let plain = |char: char| char.is_whitespace() || "/@<>=~".contains(char);
            if name.value.is_empty() || name.value.contains(plain) {
                self.problems.add_with_hint(
                    &name.span,
                    format!("`{}` is not the name of a package", name.value),
                    "name a package without its version, or `base` for the base",
                );
            }
        }
        names
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

    /// Refuses two things of one name.
    fn names_once<'n>(&self, names: impl Iterator<Item = &'n At<String>>) {
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if seen.contains(&name.value.as_str()) {
                let message = format!("`{}` is named twice", name.value);
                self.problems.add(&name.span, message);
            }
            seen.push(&name.value);
        }
    }

    /// Refuses two things in one place: which of them would be there in the end?
    fn paths_once<'p>(&self, paths: impl Iterator<Item = &'p At<GuestPath>>) {
        let mut seen: Vec<&GuestPath> = Vec::new();
        for path in paths {
            if seen.contains(&&path.value) {
                let message = format!("`{}` is named twice", path.value);
                self.problems.add(&path.span, message);
            }
            seen.push(&path.value);
        }
    }
}

/// Returns the files that `[etc]` writes.
fn etc_paths(etc: &Etc) -> Vec<At<GuestPath>> {
    let zone = etc.timezone.as_ref().map(|at| &at.span);
    let paths = [
        ("etc/hostname", etc.hostname.as_ref().map(|at| &at.span)),
        ("etc/localtime", zone),
        ("etc/timezone", zone),
        (
            "etc/apk/repositories",
            etc.repositories.as_ref().map(|at| &at.span),
        ),
        ("etc/resolv.conf", etc.resolv.as_ref().map(|at| &at.span)),
    ];
    let paths = paths.into_iter();
    paths.filter_map(|(path, span)| at(path, span?)).collect()
}

/// Returns the files that users and groups are written to, where there are any: a file of the
/// recipe's own in their place would lose them.
fn account_paths(users: &[User], groups: &[Group]) -> Vec<At<GuestPath>> {
    let user = users.first().map(|user| &user.name.span);
    let Some(span) = user.or_else(|| groups.first().map(|group| &group.name.span)) else {
        return Vec::new();
    };
    let paths = ["etc/passwd", "etc/group", "etc/shadow"];
    paths.iter().filter_map(|path| at(path, span)).collect()
}

fn at(path: &str, span: &Range<usize>) -> Option<At<GuestPath>> {
    Some(At {
        value: GuestPath::from_relative(path.as_bytes()).ok()?,
        span: span.clone(),
    })
}

/// Reads every `[[key]]`; those that reported a problem are left out.
fn all<'t, T>(
    top: &Table<'t>,
    key: &str,
    known: &[&str],
    read: impl Fn(&Table<'t>) -> Option<T>,
) -> Vec<T> {
    let tables = top.tables(key, &format!("[[{key}]]"), known);
    tables.iter().filter_map(read).collect()
}
