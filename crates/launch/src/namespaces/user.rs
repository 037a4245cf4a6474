//! Who a program runs as, by the instance's own tables.

use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

/// The most that is read of a table, in bytes.
const MOST: u64 = 4 << 20;

/// A user, and what a program of theirs is told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) name: Vec<u8>,
    pub(super) home: Vec<u8>,
    pub(super) shell: Vec<u8>,
}

/// Finds a user of the root directory's `/etc/passwd` and `/etc/group`, root if none is asked
/// for; `None` if there is no such user. A number needs no line there.
pub(super) fn find(asked: Option<&str>) -> Option<User> {
    find_in(asked, &table("/etc/passwd"), &table("/etc/group"))
}

/// Reads a table of the instance, as far as it can be read: what is in the way is the instance's
/// own affair.
fn table(path: &str) -> Vec<u8> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let mut bytes = Vec::new();
    let read = |file: std::fs::File| -> io::Result<()> {
        if file.metadata()?.is_file() {
            file.take(MOST).read_to_end(&mut bytes)?;
        }
        Ok(())
    };
    let _ = opened.and_then(read);
    bytes
}

fn find_in(asked: Option<&str>, passwd: &[u8], group: &[u8]) -> Option<User> {
    let asked = asked.unwrap_or("0");
    let by_name = lines(passwd).find(|fields| field(fields, 0) == asked.as_bytes());
    if let Some(found) = by_name.and_then(|fields| of_line(&fields, group)) {
        return Some(found);
    }
    let (uid, gid) = match asked.split_once(':') {
        Some((uid, gid)) => (uid.parse().ok()?, Some(gid.parse().ok()?)),
        None => (asked.parse::<u32>().ok()?, None),
    };
    let mut by_number = lines(passwd).filter(|fields| parsed(fields, 2) == Some(uid));
    let mut user = by_number
        .find_map(|fields| of_line(&fields, group))
        .unwrap_or_else(|| nameless(uid));
    if let Some(gid) = gid {
        // Who names a group wants that one, and not those of the table.
        user.gid = gid;
        user.groups.clear();
    }
    Some(user)
}

/// Returns a user that the table does not know.
fn nameless(uid: u32) -> User {
    let is_root = uid == 0;
    User {
        uid,
        gid: uid,
        groups: Vec::new(),
        name: if is_root {
            b"root".to_vec()
        } else {
            Vec::new()
        },
        home: if is_root {
            b"/root".to_vec()
        } else {
            b"/".to_vec()
        },
        shell: b"/bin/sh".to_vec(),
    }
}

fn of_line(fields: &[&[u8]], group: &[u8]) -> Option<User> {
    let name = field(fields, 0);
    let or = |value: &[u8], other: &[u8]| if value.is_empty() { other } else { value }.to_vec();
    let gid = parsed(fields, 3)?;
    let groups = lines(group).filter(|fields| {
        let mut members = field(fields, 3).split(|byte| *byte == b',');
        members.any(|member| !name.is_empty() && member == name)
    });
    let groups = groups.filter_map(|fields| parsed(&fields, 2));
    Some(User {
        uid: parsed(fields, 2)?,
        gid,
        groups: groups.filter(|group| *group != gid).collect(),
        name: name.to_vec(),
        home: or(field(fields, 5), b"/"),
        shell: or(field(fields, 6), b"/bin/sh"),
    })
}

fn lines(table: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.map(|line| line.split(|byte| *byte == b':').collect())
}

fn field<'a>(fields: &[&'a [u8]], index: usize) -> &'a [u8] {
    fields.get(index).copied().unwrap_or_default()
}

fn parsed(fields: &[&[u8]], index: usize) -> Option<u32> {
    std::str::from_utf8(field(fields, index)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::find_in;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/ash\nbroken\nbin:x:1:1:bin:/bin:\n\
                            two:x:1:7::/two:/bin/x\n";
    const GROUP: &[u8] = b"root:x:0:root\nadm:x:4:root,bin\ntape:x:26:root\nx:x:y:root\n";

    fn shown(asked: Option<&str>, passwd: &[u8]) -> String {
        let Some(user) = find_in(asked, passwd, GROUP) else {
            return "nobody".to_owned();
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!(
            "{} {}:{} {:?} {} {}",
            text(&user.name),
            user.uid,
            user.gid,
            user.groups,
            text(&user.home),
            text(&user.shell)
        )
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        for (asked, found) in [
            (None, "root 0:0 [4, 26] /root /bin/ash"),
            (Some("root"), "root 0:0 [4, 26] /root /bin/ash"),
            (Some("bin"), "bin 1:1 [4] /bin /bin/sh"),
            (Some("1"), "bin 1:1 [4] /bin /bin/sh"),
            (Some("1:5"), "bin 1:5 [] /bin /bin/sh"),
            (Some("1000"), " 1000:1000 [] / /bin/sh"),
            (Some("1000:100"), " 1000:100 [] / /bin/sh"),
            (Some("somebody"), "nobody"),
            (Some("broken"), "nobody"),
            (Some("1:x"), "nobody"),
            (Some(""), "nobody"),
        ] {
            assert_eq!(shown(asked, PASSWD), found, "{asked:?}");
        }
        assert_eq!(shown(None, b""), "root 0:0 [] /root /bin/sh");
    }
}
