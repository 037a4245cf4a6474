//! Whether anything in a network namespace has tried to reach an address.
//!
//! A new network namespace has one device, the loopback, and it is down: no address has a route.
//! The kernel counts what it could send nowhere (`OutNoRoutes` in `/proc/net/snmp` and `snmp6`,
//! RFC 4293's `ipSystemStatsOutNoRoutes`), which tells of attempts with no filter on system calls.

use std::io::Read as _;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, openat};

/// The most that is read of a table of counters, in bytes. They have some kilobytes.
const MOST: u64 = 64 << 10;

/// Returns how many packets found no route in this process's network namespace, by its `/proc`.
pub(crate) fn unroutable(proc: BorrowedFd<'_>) -> u64 {
    four(&table(proc, "self/net/snmp")) + six(&table(proc, "self/net/snmp6"))
}

/// Reads a table; an empty one where the kernel has none, as without IPv6.
fn table(proc: BorrowedFd<'_>, path: &str) -> String {
    let mut text = String::new();
    if let Ok(file) = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = std::fs::File::from(file)
            .take(MOST)
            .read_to_string(&mut text);
    }
    text
}

/// `Ip: Forwarding … OutNoRoutes …`, and below it `Ip: 1 … 0 …`.
fn four(text: &str) -> u64 {
    let mut lines = text.lines().filter(|line| line.starts_with("Ip: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return 0;
    };
    let mut pairs = names.split(' ').zip(values.split(' '));
    let found = pairs.find(|(name, _)| *name == "OutNoRoutes");
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// `Ip6OutNoRoutes <TAB> 0`.
fn six(text: &str) -> u64 {
    let mut words = text.lines().map(str::split_whitespace);
    let found = words.find_map(|mut words| {
        (words.next() == Some("Ip6OutNoRoutes")).then(|| words.next()?.parse().ok())
    });
    found.flatten().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{four, six};

    #[test]
    fn counters_are_found_by_name() {
        let text = "Ip: Forwarding OutNoRoutes FragOKs\nIp: 1 7 0\nIcmp: InMsgs\nIcmp: 3\n";
        assert_eq!(four(text), 7);
        assert_eq!(four("Ip: Forwarding\n"), 0);
        let text = "Ip6InReceives                   \t0\nIp6OutNoRoutes                  \t5\n";
        assert_eq!(six(text), 5);
        assert_eq!(six(""), 0);
    }
}
