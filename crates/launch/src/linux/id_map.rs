//! Whose ids a user namespace has: which users and groups inside are which outside.

use std::io;
use std::process::{Command, Stdio};

use rustix::process::{Pid, getegid, geteuid};
use rustix::thread::CapabilitySet;

use crate::sandbox::Sandbox;

/// Where root's sandboxes have their ids outside: above those that systemd gives to containers
/// (`524288` to `1879048191`) and below what programs take for negative.
///
/// Ids of their own are worth more than the namespace alone. Root's files are not theirs, among
/// them `/proc/sys`, and the kernel's limit of processes, which it never holds against root, holds
/// for them.
const OWN_RANGE: (u64, u64) = (0x7000_0000, COUNT);

/// How many ids there are inside, if they can be had. Never more, or a `chown` would work in one
/// sandbox and not in another.
const COUNT: u64 = Sandbox::IDS as u64;

/// Ids inside, ids outside, and how many.
type Range = (u64, u64, u64);

/// Gives the user namespace of `pid`, a child of this process that has none yet, its ids. Returns
/// whether it has all that a root filesystem needs, or its root's alone.
pub(crate) fn give(pid: Pid) -> io::Result<bool> {
    if geteuid().is_root()
        && let Ok(all) = give_as_root(pid)
    {
        return Ok(all);
    }
    if give_by_helper(pid).is_some() {
        return Ok(true);
    }
    // Whoever may not set groups may not drop them either: so the kernel wants it.
    write(pid, "setgroups", "deny")?;
    write(pid, "uid_map", &format!("0 {} 1\n", geteuid().as_raw()))?;
    write(pid, "gid_map", &format!("0 {} 1\n", getegid().as_raw()))?;
    Ok(false)
}

/// Says whether this process is the system's own root, with all rights, and can give sandboxes and
/// instances ids of their own: then it makes no user namespace for itself.
pub(crate) fn is_full_root() -> bool {
    let of_own = |table| of_root(table).is_ok_and(|ranges| ranges == [(0, OWN_RANGE.0, COUNT)]);
    let rights = rustix::thread::capabilities(None).map(|sets| sets.effective);
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID;
    geteuid().is_root()
        && rights.is_ok_and(|rights| rights.contains(needed))
        && of_own("/proc/self/uid_map")
        && of_own("/proc/self/gid_map")
}

/// The user and group outside that are root in a namespace that [`is_full_root`] gives ids.
pub(crate) const ROOT_OUTSIDE: u32 = OWN_RANGE.0 as u32;

/// Gives what root has itself, and returns whether that is enough: in a user namespace that
/// somebody else made it may be one id.
pub(crate) fn give_as_root(pid: Pid) -> io::Result<bool> {
    let users = of_root("/proc/self/uid_map")?;
    let groups = of_root("/proc/self/gid_map")?;
    write(pid, "uid_map", &lines(&users))?;
    write(pid, "gid_map", &lines(&groups))?;
    let enough = |ranges: &[Range]| ranges.iter().map(|range| range.2).sum::<u64>() == COUNT;
    Ok(enough(&users) && enough(&groups))
}

/// Returns the map that root gives, from what it has itself: [`OWN_RANGE`] if that is among it,
/// or else the same ids inside as outside.
fn of_root(own: &str) -> io::Result<Vec<Range>> {
    let text = fs_text(own)?;
    let mut ranges = Vec::new();
    for line in text.lines() {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        if let [inside, _, count] = numbers[..] {
            ranges.push((inside, inside, count));
        }
    }
    let (first, count) = OWN_RANGE;
    let holds = |(start, _, length): &Range| *start <= first && first + count <= start + length;
    if ranges.iter().any(holds) {
        return Ok(vec![(0, first, count)]);
    }
    ranges.retain(|(inside, ..)| *inside < COUNT);
    for (inside, _, count) in &mut ranges {
        *count = (*count).min(COUNT - *inside);
    }
    Ok(ranges)
}

fn lines(ranges: &[Range]) -> String {
    let line = |(inside, outside, count): &Range| format!("{inside} {outside} {count}\n");
    ranges.iter().map(line).collect()
}

/// Has the programs of shadow's `uidmap` give the ranges that the administrator wrote down for
/// this user. Returns `None` where there are none.
fn give_by_helper(pid: Pid) -> Option<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let name = user_name(uid);
    let users = granted("/etc/subuid", name.as_deref(), uid)?;
    let groups = granted("/etc/subgid", name.as_deref(), uid)?;
    for (program, own, (first, count)) in [("newuidmap", uid, users), ("newgidmap", gid, groups)] {
        let numbers = [
            u64::from(pid.as_raw_nonzero().get() as u32),
            0,
            u64::from(own),
            1,
            1,
            first,
            count,
        ];
        let status = Command::new(program)
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !status.ok()?.success() {
            return None;
        }
    }
    Some(())
}

/// Returns the first range of `table` (`name:first:count` lines) that is this user's and enough.
fn granted(table: &str, name: Option<&str>, uid: u32) -> Option<(u64, u64)> {
    let text = fs_text(table).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        let mine = Some(who) == name || who.parse() == Ok(uid);
        let first = fields.next()?.parse().ok()?;
        let count: u64 = fields.next()?.trim().parse().ok()?;
        // This user's own id is root's inside.
        (mine && count >= COUNT - 1).then_some((first, COUNT - 1))
    })
}

/// Returns the user's name by `/etc/passwd`: `newuidmap` asks no further either where a table
/// has names.
fn user_name(uid: u32) -> Option<String> {
    let text = fs_text("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "callers say what they did not get"
)]
fn fs_text(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "callers say what they could not give"
)]
fn write(pid: Pid, file: &str, text: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/{}/{file}", pid.as_raw_nonzero()), text)
}
