//! Scripts that change nothing in the tree they are run in, known without running them.
//!
//! Nearly every package wakes the trigger of busybox, and nearly never does that have anything to
//! do. Were it not recognised, no lock could be made on a host without a sandbox. What is not
//! recognised for sure is run. The tests run what is recognised and see that it changes nothing.

use prebake_apk::digest::Sha256;
use prebake_apk::path::GuestPath;
use prebake_rootfs::Tree;

/// The trigger of busybox, the same text from Alpine 3.13 to 3.20: for a directory of kernel
/// modules it runs `depmod`, for any other it makes those links to applets that are missing.
const BUSYBOX_TRIGGER: &str = "0d63b08ed79c5a2348548852c9674c5c947abe2c97691162bd94a887ebd7d1f0";

/// Where busybox's package lists the applets that it makes links for, a path a line.
pub(super) const BUSYBOX_PATHS: &[u8] = b"etc/busybox-paths.d/busybox";

/// Programs whose links the trigger makes as well, and whose lists are nowhere.
const OTHER_LINKERS: [&[u8]; 2] = [b"bin/bbsuid", b"bin/busybox-extras"];

/// Says whether a script with these arguments changes nothing in `tree`.
pub(crate) fn is_needless(script: &[u8], arguments: &[Vec<u8>], tree: &Tree) -> bool {
    says_nothing(script)
        || (Sha256::of(script).to_string() == BUSYBOX_TRIGGER && has_every_link(arguments, tree))
}

/// Says whether a shell script holds nothing but comments and ways to say yes.
fn says_nothing(script: &[u8]) -> bool {
    script.starts_with(b"#!/bin/sh")
        && script.split(|byte| *byte == b'\n').all(|line| {
            let line = line.trim_ascii();
            line.is_empty()
                || line.starts_with(b"#")
                || [&b"exit 0"[..], b"true", b":"].contains(&line)
        })
}

/// Says whether busybox's trigger finds all its links there, and no kernel's modules.
fn has_every_link(arguments: &[Vec<u8>], tree: &Tree) -> bool {
    // The directory may be reached through a link; the last name may be one that hangs.
    let there = |path: &[u8]| {
        GuestPath::from_relative(path)
            .ok()
            .and_then(|path| tree.real_name(&path).ok())
            .is_some_and(|name| tree.get(&name).is_some())
    };
    let list = GuestPath::from_relative(BUSYBOX_PATHS);
    let Some(list) = list.ok().and_then(|path| tree.inline(&path)) else {
        return false;
    };
    !arguments
        .iter()
        .any(|argument| argument.starts_with(b"/lib/modules/"))
        && !OTHER_LINKERS.iter().any(|path| there(path))
        && list
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .all(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_nothing_says_nothing() {
        for nothing in [
            "#!/bin/sh\n",
            "#!/bin/sh\n# x\n\n  exit 0\n",
            "#!/bin/sh\n:\ntrue",
        ] {
            assert!(says_nothing(nothing.as_bytes()), "{nothing}");
        }
        for something in [
            "",
            "\n",
            "#!/sbin/ldconfig\n",
            "#!/bin/sh -x\ntouch a\n",
            "#!/bin/sh\nexit 1\n",
            "#!/bin/sh\ntrue; rm x\n",
        ] {
            assert!(!says_nothing(something.as_bytes()), "{something}");
        }
    }
}
