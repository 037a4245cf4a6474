//! Small universes as text: packages in one line each, and what the real apk makes of them.
//!
//! ```text
//! installed: a 1 | D:b | s:edge
//! installed: b 1
//! base world: a
//! repository
//! package: b 2 | p:c=1 d | k:10
//! repository @edge
//! package: a 2 | D:b>1 | i:c d
//! add: a !d
//! outcome: Upgrading b (1 -> 2)
//! ```
//!
//! The letters are those of an index. A line that begins with `#` says what a case shows.

use std::fmt::{self, Write as _};

use prebake_apk::digest::Sha1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) comment: Vec<String>,
    pub(crate) installed: Vec<String>,
    pub(crate) base_world: Vec<String>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) add: Vec<String>,
    pub(crate) outcome: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) tag: Option<String>,
    pub(crate) packages: Vec<String>,
}

impl Case {
    pub(crate) fn parse(text: &str) -> Self {
        let mut case = Self::default();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if line.starts_with('#') {
                case.comment.push(line.to_owned());
            } else if let Some(tag) = line.strip_prefix("repository") {
                case.repositories.push(Repository {
                    tag: tag.strip_prefix(" @").map(str::to_owned),
                    packages: Vec::new(),
                });
            } else {
                let (key, value) = line.split_once(": ").expect("`key: value`");
                match key {
                    "installed" => case.installed.push(value.to_owned()),
                    "base world" => case.base_world = words(value),
                    "package" => {
                        let repository = case.repositories.last_mut().expect("a repository");
                        repository.packages.push(value.to_owned());
                    }
                    "add" => case.add = words(value),
                    "outcome" => case.outcome.push(value.to_owned()),
                    _ => panic!("unknown key in `{line}`"),
                }
            }
        }
        case
    }

    /// Returns the installed database's text.
    pub(crate) fn installed_text(&self) -> String {
        self.installed
            .iter()
            .map(|line| stanza(line, true))
            .collect()
    }
}

impl Repository {
    /// Returns the index's text.
    pub(crate) fn text(&self) -> String {
        self.packages
            .iter()
            .map(|line| stanza(line, false))
            .collect()
    }
}

/// Writes a package's line as a stanza. The identity comes from what the line says, so that the
/// same line means the same package everywhere; the installed database's own letters stay out.
fn stanza(line: &str, installed: bool) -> String {
    let mut parts = line.split(" | ");
    let (name, version) = parts
        .next()
        .and_then(|part| part.split_once(' '))
        .expect("a name and a version");
    let (own, of_index): (Vec<_>, Vec<_>) =
        parts.partition(|part| part.starts_with("s:") || part.starts_with("r:"));
    let identity = Sha1::of(format!("{name} {version} {of_index:?}").as_bytes()).to_apk();
    let mut text = format!("C:{identity}\nP:{name}\nV:{version}\nA:x86_64\nS:10\nI:20\n");
    let own = if installed { own } else { Vec::new() };
    for part in of_index.iter().chain(&own) {
        // A line for telling builds of one version apart.
        if !part.starts_with("build") {
            text.extend([part, "\n"]);
        }
    }
    text + "\n"
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for line in &self.comment {
            writeln!(text, "{line}")?;
        }
        for line in &self.installed {
            writeln!(text, "installed: {line}")?;
        }
        if !self.base_world.is_empty() {
            writeln!(text, "base world: {}", self.base_world.join(" "))?;
        }
        for repository in &self.repositories {
            text.push_str("repository");
            if let Some(tag) = &repository.tag {
                write!(text, " @{tag}")?;
            }
            text.push('\n');
            for line in &repository.packages {
                writeln!(text, "package: {line}")?;
            }
        }
        writeln!(text, "add: {}", self.add.join(" "))?;
        for line in &self.outcome {
            writeln!(text, "outcome: {line}")?;
        }
        f.write_str(&text)
    }
}
