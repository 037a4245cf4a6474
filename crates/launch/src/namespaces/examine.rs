//! What this host has for instances. Nothing is changed by looking.

use std::io;
use std::path::Path;

use rustix::fs::{Access, access, statfs};

use super::groups::Places;
use super::probe;
use super::store::Store;
use crate::finding::{Check, State};
use crate::folder;
use crate::host::Settings;
use crate::linux::id_map;

/// File systems that cannot be an overlay's upper layer, by the number that `statfs` gives
/// (`linux/magic.h`), which the kernel says itself only when it refuses.
const NOT_UPPER: [(u64, &str); 4] = [
    (0x794c_7630, "overlayfs"),
    (0x6969, "NFS"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
];

pub(crate) fn examine(settings: &Settings) -> Vec<Check> {
    match folder::find(settings) {
        Ok(folder) => checks(&Store::new(folder)),
        Err(error) => vec![missing("folder", error.to_string(), None)],
    }
}

pub(super) fn checks(store: &Store) -> Vec<Check> {
    let mut checks = vec![folder_check(store.folder())];
    let probed = probe::run();
    checks.extend(namespaces(&probed));
    checks.push(ids(&probed));
    if let Ok(found) = &probed {
        checks.push(overlay(found.overlay.as_ref(), store.folder()));
    }
    checks.push(groups());
    checks.push(filter());
    checks
}

fn good(what: &'static str, seen: impl Into<String>) -> Check {
    Check {
        what,
        state: State::Good,
        seen: seen.into(),
        mend: None,
    }
}

fn lacking(what: &'static str, seen: impl Into<String>, mend: Option<&str>) -> Check {
    Check {
        state: State::Lacking,
        mend: mend.map(str::to_owned),
        ..good(what, seen)
    }
}

fn missing(what: &'static str, seen: impl Into<String>, mend: Option<&str>) -> Check {
    Check {
        state: State::Missing,
        ..lacking(what, seen, mend)
    }
}

fn namespaces(probed: &io::Result<probe::Found>) -> Vec<Check> {
    let users = "user namespaces";
    let found = match probed {
        Ok(found) => found,
        Err(error) => {
            let seen = format!("they cannot be made: {error}");
            return vec![missing(users, seen, Some(mend_namespaces()))];
        }
    };
    let mut checks = vec![good(users, "they can be made")];
    checks.push(match &found.others {
        None => good(
            "other namespaces",
            "of processes, mounts, IPC, host names, networks and control groups",
        ),
        Some(error) => missing(
            "other namespaces",
            format!("they cannot be made: {error}"),
            Some(
                "take a kernel with CONFIG_PID_NS, CONFIG_NET_NS, CONFIG_IPC_NS and CONFIG_UTS_NS",
            ),
        ),
    });
    if let Some(error) = &found.proc {
        checks.push(missing(
            "/proc",
            format!("a new one cannot be mounted: {error}"),
            Some("in a container, have its runtime leave /proc unmasked"),
        ));
    }
    checks
}

/// Returns what to do where there are no user namespaces, by the settings of the systems that have
/// one for it.
fn mend_namespaces() -> &'static str {
    let is = |path: &str, value: &str| {
        fs_err::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "sysctl -w user.max_user_namespaces=15000"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sysctl -w kernel.unprivileged_userns_clone=1"
    } else if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else {
        "in a container, have its seccomp profile allow unshare and clone with CLONE_NEWUSER"
    }
}

fn ids(probed: &io::Result<probe::Found>) -> Check {
    let what = "users";
    if id_map::is_full_root() {
        return good(what, "root gives instances ids of their own");
    }
    if probed.as_ref().is_ok_and(|found| found.all) {
        return good(
            what,
            "all that a rootfs needs, by newuidmap and /etc/subuid",
        );
    }
    lacking(
        what,
        "an instance has root alone, who owns all files; its programs cannot be other users",
        Some(
            "apt-get install uidmap && usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \"$USER\"",
        ),
    )
}

fn overlay(refused: Option<&io::Error>, folder: &Path) -> Check {
    let what = "overlay";
    let instead = "each instance gets a copy of its tree";
    if let Some(error) = refused {
        let seen = format!("the kernel has none for us ({error}); {instead}");
        return lacking(
            what,
            seen,
            Some("take Linux 5.11 or later with CONFIG_OVERLAY_FS"),
        );
    }
    let kind = nearest(folder).and_then(|folder| Some(statfs(folder).ok()?.f_type as u64));
    let unfit = NOT_UPPER.iter().find(|(number, _)| Some(*number) == kind);
    match unfit {
        Some((_, name)) => lacking(
            what,
            format!(
                "{} is on {name}, which cannot be a layer; {instead}",
                folder.display()
            ),
            Some("have PREBAKE_INSTANCES name a folder on ext4, XFS, btrfs or tmpfs"),
        ),
        None => good(what, "instances share a tree, each with a layer of its own"),
    }
}

/// Returns the folder, or the one above it that is there.
fn nearest(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.exists())
}

fn folder_check(folder: &Path) -> Check {
    let what = "folder";
    let shown = folder.display();
    match nearest(folder) {
        Some(there) if there.is_dir() && access(there, Access::WRITE_OK).is_ok() => {
            let made = if there == folder {
                ""
            } else {
                ", which will be made"
            };
            good(what, format!("{shown}{made}"))
        }
        _ => missing(
            what,
            format!("{shown} cannot be written to"),
            Some("have PREBAKE_INSTANCES name a folder that can"),
        ),
    }
}

fn groups() -> Check {
    let what = "control groups";
    let (there, absent) = Places::find().words();
    let have = "loginctl enable-linger, or systemd-run --user --scope -p Delegate=yes COMMAND";
    if absent.is_empty() {
        return good(what, there.join(", "));
    }
    let instead = "memory and processes are bounded by looking at them";
    let cpus = if absent.contains(&"cpu") {
        ", and processors cannot be"
    } else {
        ""
    };
    let seen = format!("none for {}; {instead}{cpus}", absent.join(", "));
    lacking(what, seen, Some(have))
}

fn filter() -> Check {
    let what = "system calls";
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    if !cfg!(target_pointer_width = "64") || !status.contains("\nSeccomp:") {
        let seen = "they are not filtered: only rights keep programs from the kernel";
        return lacking(what, seen, Some("take a kernel with CONFIG_SECCOMP_FILTER"));
    }
    good(what, "filtered by seccomp")
}
