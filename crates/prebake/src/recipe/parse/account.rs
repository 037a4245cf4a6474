//! `[[user]]` and `[[group]]`.

use super::Reader;
use super::word::mode;
use crate::document::{At, Table};
use crate::recipe::{Group, HOME_MODE, PrimaryGroup, User};

/// The longest name of a user or group: what `utmp` and BusyBox have room for.
const MAX_NAME: usize = 32;

impl Reader<'_> {
    pub(super) fn user(&self, table: &Table<'_>) -> Option<User> {
        let name = table.required_string("name", "what the user is called");
        let name = name.filter(|name| self.is_account(name));
        let system = table.flag("system")?;
        let uid = self.id(table, "uid");
        let gid = self.id(table, "gid");
        let group = table.string("group");
        let group = group.filter(|group| self.is_account(group));
        if table.has("group") && table.has("gid") {
            self.problems.add_with_hint(
                &table.key_span("gid"),
                "both `group` and `gid`",
                "a `[[group]]` of that name can have the `gid`",
            );
        }
        let group = match group {
            Some(group) => PrimaryGroup::Named(group),
            None => PrimaryGroup::Own(gid),
        };
        let gecos = table.string("gecos").filter(|text| self.is_field(text));
        let home = self.field_path(table, "home");
        let shell = self.field_path(table, "shell");
        // As `adduser` has it: a person's home is made, and a program's only where that is asked.
        let make_home = if table.has("create_home") {
            table.flag("create_home")?
        } else {
            !system || table.has("home_mode")
        };
        let home_mode = mode(table, "home_mode", HOME_MODE)?;
        let groups = table.strings("groups");
        let groups = groups.into_iter().filter(|group| self.is_account(group));
        Some(User {
            name: name?,
            uid,
            group,
            gecos,
            home,
            home_mode: make_home.then_some(home_mode),
            shell,
            groups: groups.collect(),
            system,
        })
    }

    pub(super) fn group(&self, table: &Table<'_>) -> Option<Group> {
        let name = table.required_string("name", "what the group is called");
        let name = name.filter(|name| self.is_account(name));
        let gid = self.id(table, "gid");
        Some(Group { name: name?, gid })
    }

    fn is_account(&self, name: &At<String>) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let text = &name.value;
        let good = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(plain)
            && text.len() <= MAX_NAME;
        if !good {
            let message = format!("`{text}` is not a name for a user or group");
            let hint = format!(
                "use up to {MAX_NAME} letters, digits, `-`, `_` and `.`, a letter or `_` first"
            );
            self.problems.add_with_hint(&name.span, message, hint);
        }
        good
    }

    fn id(&self, table: &Table<'_>, key: &str) -> Option<At<u32>> {
        if !table.has(key) {
            return None;
        }
        let number = table.number(key)?;
        let span = table.value_span(key);
        // The last number of 16 and of 32 bits are how system calls say "no change".
        match u32::try_from(number) {
            Ok(value) if value != u32::from(u16::MAX) && value != u32::MAX => {
                Some(At { value, span })
            }
            _ => {
                self.problems
                    .add(&span, format!("`{key}` {number} is not an id"));
                None
            }
        }
    }

    fn field_path(&self, table: &Table<'_>, key: &str) -> Option<At<prebake_apk::path::GuestPath>> {
        let text = table.string(key).filter(|text| self.is_field(text));
        self.any_path(text)
    }

    /// Says whether a text can stand between two colons of a line.
    fn is_field(&self, text: &At<String>) -> bool {
        let good = !text.value.contains(|c: char| c == ':' || c.is_control());
        if !good {
            self.problems.add(
                &text.span,
                "a line of /etc/passwd has no room for a `:` or a line's end",
            );
        }
        good
    }
}
