//! The capabilities of a file, from the bytes of `security.capability`.
//!
//! The layout is the kernel's `vfs_cap_data` (linux/capability.h): a little-endian word with the
//! revision in its top byte and the effective flag in its lowest bit, then pairs of permitted and
//! inheritable words, the low halves first; revision 3 adds the id of the user namespace's root.
//! The text is that of `getcap`, which judges it in the tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const EFFECTIVE: u32 = 1;

/// The names by number, without `cap_`, as linux/capability.h has them up to Linux 6.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Returns the capabilities as text, `cap_net_admin,cap_net_raw=ep`; `None` for bytes that the
/// kernel would not read either.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let mut words = Vec::new();
    for word in bytes.chunks(4) {
        words.push(u32::from_le_bytes(word.try_into().ok()?));
    }
    let (magic, rest) = words.split_first()?;
    let (sets, root) = match (magic >> 24, rest) {
        (1, sets @ [_, _]) | (2, sets @ [_, _, _, _]) => (sets, 0),
        (3, [sets @ .., root]) if sets.len() == 4 => (sets, *root),
        _ => return None,
    };
    let effective = magic & EFFECTIVE != 0;
    // By the flags, so that what is alike stands together; `e` before `i` before `p`.
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (half, pair) in sets.chunks(2).enumerate() {
        let [permitted, inheritable] = pair else {
            return None;
        };
        for bit in 0..32 {
            let has = |word: &u32| word >> bit & 1 == 1;
            let mut flags = String::new();
            if !has(permitted) && !has(inheritable) {
                continue;
            }
            for (flag, is) in [
                ('e', effective),
                ('i', has(inheritable)),
                ('p', has(permitted)),
            ] {
                flags.extend(is.then_some(flag));
            }
            let number = 32 * half + bit;
            let name = NAMES
                .get(number)
                .map_or_else(|| number.to_string(), |name| format!("cap_{name}"));
            groups.entry(flags).or_default().push(name);
        }
    }
    let groups = groups.iter();
    let groups = groups.map(|(flags, names)| format!("{}={flags}", names.join(",")));
    let mut text = groups.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        text.push('=');
    }
    if root != 0 {
        let _ = write!(text, " [rootid={root}]");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn every_revision_is_read_and_nothing_else() {
        // By `setcap cap_net_raw+ep`, and `setcap -n 100000 cap_net_raw+ep`, read by `getfattr`.
        let two = bytes(&[0x0200_0001, 0x2000, 0, 0, 0]);
        assert_eq!(text(&two).as_deref(), Some("cap_net_raw=ep"));
        let three = bytes(&[0x0300_0001, 0x2000, 0, 0, 0, 100_000]);
        assert_eq!(
            text(&three).as_deref(),
            Some("cap_net_raw=ep [rootid=100000]")
        );
        let one = bytes(&[0x0100_0000, 1, 1 << 31]);
        assert_eq!(text(&one).as_deref(), Some("cap_setfcap=i cap_chown=p"));
        assert_eq!(
            text(&bytes(&[0x0200_0000, 0, 0, 1 << 31, 0])).as_deref(),
            Some("63=p")
        );
        assert_eq!(
            text(&bytes(&[0x0200_0000, 0, 0, 0, 0])).as_deref(),
            Some("=")
        );
        for wrong in [
            &b""[..],
            b"abc",
            &two[..19],
            &[&two[..], b"x"].concat(),
            &bytes(&[0x0400_0000, 0, 0, 0, 0]),
            &bytes(&[0x0300_0000, 0, 0, 0, 0]),
        ] {
            assert_eq!(text(wrong), None, "{wrong:?}");
        }
    }
}
