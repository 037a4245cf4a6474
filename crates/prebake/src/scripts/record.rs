//! The record: `prebake.scripts`, what the packages' scripts changed when the lock was made.
//!
//! It stands beside the lock and is committed with it, so that every later bake, on any host, has
//! the scripts' effect without running one. It is TOML, made for reading in a diff: a table for
//! each script that changed something or was run to see that it does not, a line for each change.
//! A run is found by its key, which covers all that the script could see; the lock
//! holds a digest of the runs of each of its rootfs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prebake_apk::digest::Sha256;
use prebake_apk::entry::Device;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use toml::Value;

use crate::arch::Arch;
use crate::document::{self, At, DocumentError, Problems, Table};
use crate::lock::Lock;

/// The longest record read, in bytes. One with all of Alpine's certificates has 40 kB.
pub const MAX_RECORD_BYTES: u64 = 64 << 20;

/// The number that stands in the file. A reader that knows only this one refuses any other.
const VERSION: u64 = 1;

const HEADER: &str = "\
# Written by `prebake lock`: what the packages' scripts changed. Commit it with the lock.
";

/// What is said of a key that is not there.
const EVERY: &str = "every record has it";

const TOP: &[&str] = &["version", "run"];
const RUN: &[&str] = &["arch", "package", "script", "key", "changes"];
const CHANGE: &[&str] = &[
    "path",
    "gone",
    "link",
    "symlink",
    "directory",
    "fifo",
    "char",
    "block",
    "text",
    "append",
    "base64",
    "same-as",
    "mode",
    "owner",
    "time",
    "xattrs",
];

/// What every script of a lock changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The runs: those of each architecture together, in the order in which apk runs them.
    pub runs: Vec<Run>,
}

/// What one run of a script changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// For which architecture.
    pub arch: Arch,
    /// Whose script it is, `name-version`.
    pub package: String,
    /// Which of its scripts.
    pub script: ScriptKind,
    /// The digest of everything that went into it.
    pub key: Sha256,
    /// What it changed, by path.
    pub changes: Vec<Recorded>,
}

/// One name that a script changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The name.
    pub path: GuestPath,
    /// What became of it.
    pub what: What,
}

/// What became of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is gone.
    Gone,
    /// It is another name of a file.
    Link(GuestPath),
    /// It is something new.
    Made(Made, Attributes),
    /// It is what it was, but for these.
    Attributes(Attributes),
}

/// What a script made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A file with the bytes that it had before the script ran, and these.
    Appended(Vec<u8>),
    /// A file with the bytes that another file had before the script ran.
    SameAs(GuestPath),
    /// A directory.
    Directory,
    /// A symbolic link to any text.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
}

/// The rest of an inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last change.
    pub time: Time,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The time of a file that a script changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The time of what was there before.
    Kept,
    /// The time at which the script ran, which is that of what a bake itself makes.
    Now,
    /// A time that the script set, in seconds since 1970.
    At(i64),
}

impl Run {
    /// Returns the first name that the same script changed otherwise in another run.
    pub(crate) fn difference(&self, other: &Self) -> Option<GuestPath> {
        if self.key == other.key && self.changes == other.changes {
            return None;
        }
        let one = self
            .changes
            .iter()
            .find(|change| !other.changes.contains(change));
        let two = other
            .changes
            .iter()
            .find(|change| !self.changes.contains(change));
        let first = one.into_iter().chain(two).map(|change| &change.path).min();
        Some(first.cloned().unwrap_or_default())
    }
}

/// Returns where the record of the lock `lock` is: beside it, with the ending `.scripts`.
pub fn record_path(lock: &Path) -> PathBuf {
    lock.with_extension("scripts")
}

impl Record {
    /// Reads a record from its text. `path` names it in messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, DocumentError> {
        document::read("the record", path, text, TOP, |top, problems| {
            let reader = Reader { problems };
            reader.expect(top, "version")?;
            let version = top.number("version")?;
            if version != VERSION {
                problems.add_with_hint(
                    &top.value_span("version"),
                    format!("version {version} of the record is not known"),
                    format!("this prebake reads version {VERSION}; use a newer one, or lock again"),
                );
                return None;
            }
            let runs: Vec<_> = top
                .tables("run", "[[run]]", RUN)
                .iter()
                .map(|table| reader.run(table))
                .collect();
            Some(Self {
                runs: runs.into_iter().collect::<Option<_>>()?,
            })
        })
    }

    /// Returns the record's text.
    pub fn to_text(&self) -> String {
        let mut out = String::from(HEADER);
        // Writing to a `String` cannot fail, so the results below are dropped on purpose.
        let _ = writeln!(out, "version = {VERSION}");
        for run in &self.runs {
            write_run(&mut out, run);
        }
        out
    }

    /// Returns the run for `arch` that `key` names.
    pub fn find(&self, arch: Arch, key: &Sha256) -> Option<&Run> {
        let mut runs = self.runs.iter();
        runs.find(|run| run.arch == arch && run.key == *key)
    }

    /// Returns the runs that `lock` vouches for; none without a lock.
    pub(crate) fn vouched_for(&self, lock: Option<&Lock>) -> Self {
        let locked = lock.iter().flat_map(|lock| &lock.rootfs);
        let good = locked.filter(|rootfs| rootfs.scripts == self.digest(rootfs.arch));
        let good: Vec<Arch> = good.map(|rootfs| rootfs.arch).collect();
        let runs = self.runs.iter().filter(|run| good.contains(&run.arch));
        Self {
            runs: runs.cloned().collect(),
        }
    }

    /// Returns the digest by which a lock knows the runs for `arch`; `None` if there are none.
    pub fn digest(&self, arch: Arch) -> Option<Sha256> {
        let mut text = String::new();
        for run in self.runs.iter().filter(|run| run.arch == arch) {
            write_run(&mut text, run);
        }
        (!text.is_empty()).then(|| Sha256::of(text.as_bytes()))
    }
}

fn write_run(out: &mut String, run: &Run) {
    let _ = writeln!(out, "\n[[run]]\narch = \"{}\"", run.arch);
    let _ = writeln!(out, "package = {}", string(&run.package));
    let _ = writeln!(out, "script = \"{}\"", run.script);
    let _ = writeln!(out, "key = \"{}\"", run.key);
    out.push_str("changes = [");
    for change in &run.changes {
        let _ = write!(out, "\n  {{ {} }},", fields(change).join(", "));
    }
    out.push_str(if run.changes.is_empty() {
        "]\n"
    } else {
        "\n]\n"
    });
}

/// Returns a change's keys and values, in their order. All that is not a content is UTF-8, for
/// nothing else is ever recorded.
fn fields(change: &Recorded) -> Vec<String> {
    let text = |bytes: &[u8]| string(&String::from_utf8_lossy(bytes));
    let path = text(change.path.as_bytes());
    let (made, attributes) = match &change.what {
        What::Gone => return vec![format!("path = {path}"), "gone = true".to_owned()],
        What::Link(to) => {
            let to = text(to.as_bytes());
            return vec![format!("path = {path}"), format!("link = {to}")];
        }
        What::Made(made, attributes) => (Some(made), attributes),
        What::Attributes(attributes) => (None, attributes),
    };
    let mut fields = vec![format!("path = {path}")];
    let device = |device: &Device| format!("\"{}:{}\"", device.major, device.minor);
    match made {
        None | Some(Made::File(_) | Made::Appended(_)) => {}
        Some(Made::SameAs(path)) => {
            fields.push(format!("same-as = {}", text(path.as_bytes())));
        }
        Some(Made::Directory) => fields.push("directory = true".to_owned()),
        Some(Made::Symlink(target)) => {
            fields.push(format!("symlink = {}", text(target)));
        }
        Some(Made::Fifo) => fields.push("fifo = true".to_owned()),
        Some(Made::CharDevice(it)) => fields.push(format!("char = {}", device(it))),
        Some(Made::BlockDevice(it)) => fields.push(format!("block = {}", device(it))),
    }
    let is_link = matches!(made, Some(Made::Symlink(_)));
    if !is_link {
        fields.push(format!("mode = \"{:04o}\"", attributes.mode));
    }
    if !is_link || (attributes.uid, attributes.gid) != (0, 0) {
        fields.push(format!("owner = \"{}:{}\"", attributes.uid, attributes.gid));
    }
    match (attributes.time, made.is_some()) {
        (Time::Kept, false) | (Time::Now, true) => {}
        (Time::Kept, true) => fields.push("time = \"kept\"".to_owned()),
        (Time::Now, false) => fields.push("time = \"now\"".to_owned()),
        (Time::At(time), _) => fields.push(format!("time = \"{time}\"")),
    }
    if !attributes.xattrs.is_empty() {
        let mut xattrs = Vec::new();
        for (name, value) in &attributes.xattrs {
            let name = key(&String::from_utf8_lossy(name));
            xattrs.push(format!("{name} = \"{}\"", BASE64.encode(value)));
        }
        fields.push(format!("xattrs = {{ {} }}", xattrs.join(", ")));
    }
    if let Some(Made::File(bytes)) = made {
        fields.push(match std::str::from_utf8(bytes) {
            Ok(text) if is_readable(text) => format!("text = {}", string(text)),
            _ => format!("base64 = {}", string(&BASE64.encode(bytes))),
        });
    }
    if let Some(Made::Appended(bytes)) = made {
        fields.push(format!("append = {}", text(bytes)));
    }
    fields
}

/// Says whether a person can read it: nothing but lines.
pub(super) fn is_readable(text: &str) -> bool {
    text.chars()
        .all(|char| !char.is_control() || "\n\t".contains(char))
}

fn string(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// Returns a name of any characters as a key, which has to stand in one line.
fn key(name: &str) -> String {
    let mut out = String::from('"');
    for char in name.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

/// A problem that was reported already.
struct Reported;

struct Reader<'a> {
    problems: &'a Problems,
}

impl Reader<'_> {
    fn run(&self, table: &Table<'_>) -> Option<Run> {
        let arch = required(table, "arch")?;
        let Some(known) = Arch::from_name(&arch.value) else {
            self.problems
                .add(&arch.span, format!("unknown architecture `{}`", arch.value));
            return None;
        };
        let key = required(table, "key")?;
        let changes: Vec<_> = table
            .tables("changes", "a change", CHANGE)
            .iter()
            .map(|table| self.change(table))
            .collect();
        Some(Run {
            arch: known,
            package: required(table, "package")?.value,
            script: self.kind(&required(table, "script")?)?,
            key: self.reported(&key, Sha256::from_str(&key.value))?,
            changes: changes.into_iter().collect::<Option<_>>()?,
        })
    }

    fn kind(&self, name: &At<String>) -> Option<ScriptKind> {
        let kind = ScriptKind::from_name(name.value.as_bytes());
        if kind.is_none() {
            let message = format!("`{}` is no script that a package has", name.value);
            self.problems.add(&name.span, message);
        }
        kind
    }

    fn change(&self, table: &Table<'_>) -> Option<Recorded> {
        let path = self.path(&required(table, "path")?)?;
        let what = if table.flag("gone")? {
            What::Gone
        } else if let Some(to) = table.string("link") {
            What::Link(self.path(&to)?)
        } else {
            let made = self.made(table).ok()?;
            let attributes = self.attributes(table, made.as_ref())?;
            match made {
                Some(made) => What::Made(made, attributes),
                None => What::Attributes(attributes),
            }
        };
        Some(Recorded { path, what })
    }

    /// Reads what was made, if it was: the first `Err` is a problem that was reported.
    fn made(&self, table: &Table<'_>) -> Result<Option<Made>, Reported> {
        let made = if table.flag("directory").ok_or(Reported)? {
            Made::Directory
        } else if table.flag("fifo").ok_or(Reported)? {
            Made::Fifo
        } else if let Some(target) = table.string("symlink") {
            Made::Symlink(target.value.into_bytes())
        } else if let Some(device) = table.string("char") {
            Made::CharDevice(self.device(&device).ok_or(Reported)?)
        } else if let Some(device) = table.string("block") {
            Made::BlockDevice(self.device(&device).ok_or(Reported)?)
        } else if let Some(text) = table.string("text") {
            Made::File(text.value.into_bytes())
        } else if let Some(text) = table.string("append") {
            Made::Appended(text.value.into_bytes())
        } else if let Some(text) = table.string("base64") {
            let bytes = self.reported(&text, BASE64.decode(&text.value));
            Made::File(bytes.ok_or(Reported)?)
        } else if let Some(path) = table.string("same-as") {
            Made::SameAs(self.path(&path).ok_or(Reported)?)
        } else {
            return Ok(None);
        };
        Ok(Some(made))
    }

    fn attributes(&self, table: &Table<'_>, made: Option<&Made>) -> Option<Attributes> {
        let is_link = matches!(made, Some(Made::Symlink(_)));
        let mode = if is_link {
            0o777
        } else {
            self.expect(table, "mode")?;
            table.mode("mode")?
        };
        let (uid, gid) = match table.string("owner") {
            None => (0, 0),
            Some(owner) => self.pair(&owner)?,
        };
        let time = match (table.string("time"), made) {
            (None, None) => Time::Kept,
            (None, Some(_)) => Time::Now,
            (Some(time), _) => match time.value.as_str() {
                "kept" => Time::Kept,
                "now" => Time::Now,
                _ => Time::At(self.reported(&time, time.value.parse())?),
            },
        };
        let mut xattrs = BTreeMap::new();
        for (name, value) in table.string_map("xattrs") {
            let bytes = self.reported(&value, BASE64.decode(&value.value))?;
            xattrs.insert(name.value.into_bytes(), bytes);
        }
        Some(Attributes {
            mode,
            uid,
            gid,
            time,
            xattrs,
        })
    }

    fn device(&self, text: &At<String>) -> Option<Device> {
        let (major, minor) = self.pair(text)?;
        Some(Device { major, minor })
    }

    /// Reads two numbers with a colon between them.
    fn pair(&self, text: &At<String>) -> Option<(u32, u32)> {
        let pair = text
            .value
            .split_once(':')
            .and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
        if pair.is_none() {
            let message = format!("`{}` is not two numbers as in \"0:0\"", text.value);
            self.problems.add(&text.span, message);
        }
        pair
    }

    fn path(&self, text: &At<String>) -> Option<GuestPath> {
        self.reported(text, GuestPath::from_relative(text.value.as_bytes()))
    }

    /// Reports `key` where it is not there.
    fn expect(&self, table: &Table<'_>, key: &str) -> Option<()> {
        if !table.has(key) {
            let message = format!("`{key}` is missing: {EVERY}");
            self.problems.add(&table.span, message);
        }
        table.has(key).then_some(())
    }

    fn reported<T, E: std::fmt::Display>(&self, at: &At<String>, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.problems.add(&at.span, error.to_string()))
            .ok()
    }
}

fn required(table: &Table<'_>, key: &str) -> Option<At<String>> {
    table.required_string(key, EVERY)
}

#[cfg(test)]
mod tests;
