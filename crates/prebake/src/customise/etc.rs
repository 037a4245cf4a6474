//! `[etc]`: what a host is told of itself.
//!
//! Measured on alpine-conf 3.17: `setup-hostname` writes the name and a line's end to
//! `/etc/hostname` and nothing else, `setup-dns` writes `search` and then a `nameserver` a line,
//! `setup-timezone` links `/etc/localtime` to the zone's file. A name that nothing resolves makes
//! programs wait for name servers, so `/etc/hosts` gets a line for it here.

use std::fmt::Write as _;

use super::near;
use super::{Customise, guest};
use crate::error::Error;

const HOSTS: &str = "/etc/hosts";
const ZONES: &str = "/usr/share/zoneinfo";

impl Customise<'_> {
    pub(super) fn etc(&mut self) -> Result<(), Error> {
        let etc = &self.recipe.etc;
        if let Some(name) = &etc.hostname {
            let text = format!("{}\n", name.value);
            self.write("/etc/hostname", text, &name.span)?;
            self.host(&name.value, &name.span)?;
        }
        if etc.timezone.is_some() {
            self.timezone()?;
        }
        if let Some(lines) = &etc.repositories {
            let mut text = lines.value.join("\n");
            if !text.is_empty() {
                text.push('\n');
            }
            self.write("/etc/apk/repositories", text, &lines.span)?;
        }
        if let Some(resolv) = &etc.resolv {
            let mut text = String::new();
            // Writing to a `String` cannot fail, so the results are dropped on purpose.
            if !resolv.value.search.is_empty() {
                let _ = writeln!(text, "search {}", resolv.value.search.join(" "));
            }
            for server in &resolv.value.nameservers {
                let _ = writeln!(text, "nameserver {server}");
            }
            self.write("/etc/resolv.conf", text, &resolv.span)?;
        }
        Ok(())
    }

    /// Lets the host find itself by its name, unless `/etc/hosts` knows it already.
    fn host(&mut self, name: &str, at: &std::ops::Range<usize>) -> Result<(), Error> {
        let text = self.merge.text(&guest(HOSTS));
        let mut text = text.map_err(|error| self.problem(at, error.to_string(), None))?;
        let known = |line: &[u8]| {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let mut words = line.split(u8::is_ascii_whitespace);
            words.any(|word| word == name.as_bytes())
        };
        if text.split(|byte| *byte == b'\n').any(known) {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        let short = name.split('.').next().filter(|short| *short != name);
        let short = short.map_or_else(String::new, |short| format!(" {short}"));
        text.extend_from_slice(format!("127.0.1.1\t{name}{short}\n").as_bytes());
        let written = self.merge.rewrite_file(&guest(HOSTS), text, 0o644);
        self.changed(written, at)
    }

    fn timezone(&mut self) -> Result<(), Error> {
        let Some(zone) = &self.recipe.etc.timezone else {
            return Ok(());
        };
        let file = guest(&format!("{ZONES}/{}", zone.value));
        let tree = self.merge.tree();
        if tree.follow(&file).is_none_or(|node| node.file().is_none()) {
            let (message, hint) = if self.merge.is_installed(b"tzdata") {
                let message = format!("there is no time zone `{}` in the rootfs", zone.value);
                let near = near::path(tree, &file);
                let near = near.and_then(|near| {
                    let zone = near.strip_prefix(ZONES)?.strip_prefix('/')?.to_owned();
                    Some(format!("did you mean `{zone}`?"))
                });
                (message, near)
            } else {
                let message = "there are no time zones in the rootfs".to_owned();
                (message, Some("add `tzdata` to `packages`".to_owned()))
            };
            return Err(self.problem(&zone.span, message, hint));
        }
        let link = guest("/etc/localtime");
        let linked = self.merge.add_symlink(&link, file.to_string().as_bytes());
        self.changed(linked, &zone.span)?;
        let text = format!("{}\n", zone.value);
        self.write("/etc/timezone", text, &zone.span)
    }

    /// Writes a file of root's that all may read: a new one, so that none that a link leads to is
    /// changed.
    fn write(
        &mut self,
        path: &str,
        text: String,
        at: &std::ops::Range<usize>,
    ) -> Result<(), Error> {
        let root = super::Owner::Id(0);
        let path = guest(path);
        let written = self
            .merge
            .add_file(&path, text.into_bytes(), 0o644, &root, &root);
        self.changed(written, at)
    }
}
