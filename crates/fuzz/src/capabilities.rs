//! The capabilities of files: the text says what the bits say, all of it and no more.

use std::collections::BTreeSet;

use prebake::fuzzing;

use crate::tame::assert_tame;

/// Reads the bytes of a `security.capability`.
pub(crate) fn capabilities(data: &[u8]) {
    let words: Vec<_> = data
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().expect("it has four bytes")))
        .collect();
    // By linux/capability.h: the length goes with the revision.
    let lengths = [None, Some(12), Some(20), Some(24)];
    let revision = words.first().map_or(0, |magic| (magic >> 24) as usize);
    let is_read = lengths.get(revision).copied().flatten() == Some(data.len());
    let text = fuzzing::capabilities(data);
    assert_eq!(text.is_some(), is_read, "{text:?}");
    let Some(text) = text else { return };
    assert_tame(&text);
    let pairs = if revision == 1 { 1 } else { 2 };
    let mut expected = BTreeSet::new();
    for half in 0..pairs {
        for bit in 0..32 {
            let has = |word: usize| words[word] >> bit & 1 == 1;
            let (permitted, inheritable) = (has(1 + 2 * half), has(2 + 2 * half));
            if permitted || inheritable {
                expected.insert((32 * half + bit, permitted, inheritable));
            }
        }
    }
    let (sets, root) = match text.split_once(" [rootid=") {
        Some((sets, root)) => (sets, root.strip_suffix(']').and_then(|id| id.parse().ok())),
        None => (&*text, Some(0)),
    };
    assert_eq!(root, Some(words.get(5).copied().unwrap_or(0)));
    let mut said = BTreeSet::new();
    for group in sets.split(' ').filter(|group| *group != "=") {
        let (names, flags) = group.split_once('=').expect("a group has flags");
        assert_eq!(flags.contains('e'), words[0] & 1 == 1, "{text}");
        for name in names.split(',') {
            let known = NAMES.iter().position(|known| *known == name);
            let number = known
                .or_else(|| name.parse().ok())
                .expect("a name or a number");
            said.insert((number, flags.contains('p'), flags.contains('i')));
        }
    }
    assert_eq!(said, expected, "{text}");
}

/// The names as linux/capability.h has them.
const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];
