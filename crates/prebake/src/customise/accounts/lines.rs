//! A file of lines with colons: `passwd`, `group`, `shadow`.

/// The text of such a file. What nobody changes stays byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    text: Vec<u8>,
    changed: bool,
}

impl Lines {
    pub(super) fn new(text: Vec<u8>) -> Self {
        Self {
            text,
            changed: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the text if it is another than it was.
    pub(super) fn changed(self) -> Option<Vec<u8>> {
        self.changed.then_some(self.text)
    }

    /// Returns a field of the first line that `name` begins, counted from 0.
    pub(super) fn field(&self, name: &str, number: usize) -> Option<String> {
        let mut lines = self.lines();
        let line = lines.find(|line| fields(line).next() == Some(name.as_bytes()))?;
        let field = fields(line).nth(number)?;
        Some(String::from_utf8_lossy(field).into_owned())
    }

    /// Returns the number of a name.
    pub(super) fn id_of(&self, name: &str) -> Option<u32> {
        self.field(name, 2)?.parse().ok()
    }

    /// Returns the first name that has a number.
    pub(super) fn name_of(&self, id: u32) -> Option<String> {
        let id = id.to_string();
        let mut lines = self.lines();
        let line = lines.find(|line| fields(line).nth(2) == Some(id.as_bytes()))?;
        let name = fields(line).next().unwrap_or_default();
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Returns all names.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.lines().filter_map(|line| fields(line).next());
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Appends a line.
    pub(super) fn push(&mut self, line: &str) {
        if !self.text.is_empty() && !self.text.ends_with(b"\n") {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
        self.changed = true;
    }

    /// Appends to the last field of a group's line, its members, unless it has `member`.
    pub(super) fn add_member(&mut self, group: &str, member: &str) {
        let mut text = Vec::with_capacity(self.text.len() + member.len() + 1);
        let mut found = false;
        for line in self.text.split_inclusive(|byte| *byte == b'\n') {
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            text.extend_from_slice(bare);
            if !found && fields(bare).next() == Some(group.as_bytes()) {
                found = true;
                let members = fields(bare).nth(3).unwrap_or_default();
                if !members
                    .split(|byte| *byte == b',')
                    .any(|own| own == member.as_bytes())
                {
                    if !members.is_empty() {
                        text.push(b',');
                    }
                    text.extend_from_slice(member.as_bytes());
                    self.changed = true;
                }
            }
            text.extend_from_slice(line.get(bare.len()..).unwrap_or_default());
        }
        self.text = text;
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|byte| *byte == b'\n')
    }
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_appended_as_busybox_does_it() {
        let mut lines = Lines::new(b"a:x:1:\nb:x:2:root\n\nb:x:3:\nc:x:4:q".to_vec());
        lines.add_member("b", "root");
        assert_eq!(lines.clone().changed(), None);
        for group in ["a", "b", "c"] {
            lines.add_member(group, "new");
        }
        lines.push("d:x:5:");
        let text = lines.changed();
        let expected = b"a:x:1:new\nb:x:2:root,new\n\nb:x:3:\nc:x:4:q,new\nd:x:5:\n";
        assert_eq!(text.as_deref(), Some(&expected[..]));
    }

    #[test]
    fn names_and_numbers_are_found() {
        let lines =
            Lines::new(b"root:x:0:0:root:/root:/bin/ash\nx\nme:x:7:8::/:/bin/sh\n".to_vec());
        assert_eq!(lines.id_of("me"), Some(7));
        assert_eq!(lines.id_of("x"), None);
        assert_eq!(lines.name_of(7).as_deref(), Some("me"));
        assert_eq!(lines.name_of(8), None);
        assert_eq!(lines.field("root", 6).as_deref(), Some("/bin/ash"));
    }
}
