//! What modes, owners and extended attributes give away.

use std::collections::BTreeSet;

use prebake_apk::path::GuestPath;
use prebake_rootfs::{Node, NodeKind};

use super::guest::{Guest, guest_path, is_file};
use super::{Finding, Kind, capabilities};

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o0002;
const GROUP_WRITE: u32 = 0o0020;

/// The attribute that the kernel keeps a file's capabilities in.
const CAPABILITY: &[u8] = b"security.capability";

/// The folders of programs, as Alpine's `/etc/profile` has them in `PATH`.
const PATH: [&str; 6] = [
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
    "usr/local/bin",
    "usr/local/sbin",
];

pub(super) fn find(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    for (path, node) in guest.names() {
        let mut found = |kind, detail| findings.push(at(guest, kind, path, detail));
        let rights = || guest.rights(node);
        if is_file(node) && node.mode & SETUID != 0 {
            found(Kind::Setuid, rights());
        }
        if is_file(node) && node.mode & SETGID != 0 {
            found(Kind::Setgid, rights());
        }
        if let Some(bytes) = node.xattrs.get(CAPABILITY) {
            let text = capabilities::text(bytes);
            let text = text.unwrap_or_else(|| "in a form that is not known".to_owned());
            found(Kind::Capabilities, text);
        }
        match &node.kind {
            NodeKind::CharDevice(device) => {
                let (major, minor) = (device.major, device.minor);
                found(
                    Kind::Devices,
                    format!("character {major}:{minor}, {}", rights()),
                );
            }
            NodeKind::BlockDevice(device) => {
                let (major, minor) = (device.major, device.minor);
                found(
                    Kind::Devices,
                    format!("block {major}:{minor}, {}", rights()),
                );
            }
            // A link's own mode means nothing.
            NodeKind::Symlink(_) => {}
            _ if node.mode & OTHERS_WRITE == 0 => {}
            NodeKind::Directory if node.mode & STICKY != 0 => {
                found(Kind::WorldWritableSticky, rights());
            }
            NodeKind::Directory => {
                let rights = rights();
                let detail = format!(
                    "{rights}, without the sticky bit: everybody may remove what others put there"
                );
                found(Kind::WorldWritable, detail);
            }
            _ => found(Kind::WorldWritable, rights()),
        }
    }
    writable_programs(guest, findings);
}

/// Returns a finding at a path.
pub(super) fn at(guest: &Guest<'_>, kind: Kind, path: &GuestPath, detail: String) -> Finding {
    Finding {
        kind,
        subject: path.to_string(),
        detail,
        package: guest.package(path).map(str::to_owned),
    }
}

/// Says whether somebody else than root may change it: whoever owns it may make it writable.
fn is_open(node: &Node) -> bool {
    let group = node.gid != 0 && node.mode & GROUP_WRITE != 0;
    node.uid != 0 || group || node.mode & OTHERS_WRITE != 0
}

fn writable_programs(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let mut looked_at = BTreeSet::new();
    for folder in PATH {
        let mut paths = guest.list(folder);
        let mut above = Some(guest_path(folder));
        while let Some(path) = above {
            above = path.parent();
            paths.push(path);
        }
        for path in paths {
            // Of `/bin` and `/usr/bin` one may be a link to the other.
            let Ok(real) = guest.tree.resolve(&path) else {
                continue;
            };
            let Some(node) = guest.tree.get(&real).filter(|node| is_open(node)) else {
                continue;
            };
            if !looked_at.insert(real.clone()) {
                continue;
            }
            let mut detail = guest.rights(node);
            if real != path {
                detail.push_str(", by the name ");
                detail.push_str(&path.to_string());
            }
            findings.push(at(guest, Kind::WritablePrograms, &real, detail));
        }
    }
}
