//! A network namespace's loopback, and whether anything has tried to reach further.
//!
//! A new network namespace has one device, the loopback, and no route to any address that is not
//! its own. The kernel counts what it could send nowhere (`OutNoRoutes` in `/proc/net/snmp` and
//! `snmp6`, RFC 4293's `ipSystemStatsOutNoRoutes`), which tells of attempts with no filter on
//! system calls. For IPv6 it does so only while the loopback is up (measured on Linux 6.18; with
//! it down the programs fail just the same). Whoever asks the machine itself and finds nobody, as
//! a resolver without `/etc/resolv.conf` does, is counted as well.

#![expect(unsafe_code, reason = "the device's flags are set by ioctl")]

use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// The most that is read of a table of counters, in bytes. They have some kilobytes.
const MOST: u64 = 64 << 10;

/// The counters of attempts in `snmp`, where a line `Tcp: NAME …` stands over a line `Tcp: VALUE
/// …`, and in `snmp6`, where each has a line.
const IN_SNMP: [(&str, &str); 3] = [
    ("Ip: ", "OutNoRoutes"),
    ("Tcp: ", "AttemptFails"),
    ("Udp: ", "NoPorts"),
];
const IN_SNMP6: [&str; 2] = ["Ip6OutNoRoutes", "Udp6NoPorts"];

/// Switches the loopback of this process's network namespace on.
pub(crate) fn start_loopback() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: `ifreq` is plain data, for which zeros are a value: no name and no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the call reads an `ifreq` with name and flags, which this is.
    let set = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Returns how often something was sent to where nothing is, in this process's network namespace,
/// by its `/proc`.
pub(crate) fn attempts(proc: BorrowedFd<'_>) -> u64 {
    in_snmp(&table(proc, "self/net/snmp")) + in_snmp6(&table(proc, "self/net/snmp6"))
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

fn in_snmp(text: &str) -> u64 {
    let counter = |(protocol, wanted): (&str, &str)| -> Option<u64> {
        let mut lines = text.lines().filter(|line| line.starts_with(protocol));
        let (names, values) = (lines.next()?, lines.next()?);
        let mut pairs = names.split(' ').zip(values.split(' '));
        pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
    };
    IN_SNMP.into_iter().filter_map(counter).sum()
}

fn in_snmp6(text: &str) -> u64 {
    let counter = |line: &str| -> Option<u64> {
        let mut words = line.split_whitespace();
        let wanted = IN_SNMP6.contains(&words.next()?);
        words.next().filter(|_| wanted)?.parse().ok()
    };
    text.lines().filter_map(counter).sum()
}

#[cfg(test)]
mod tests {
    use super::{in_snmp, in_snmp6};

    #[test]
    fn counters_are_found_by_name() {
        let text = "Ip: Forwarding OutNoRoutes FragOKs\nIp: 1 7 0\nIcmp: InMsgs\nIcmp: 3\n\
                    Tcp: ActiveOpens AttemptFails\nTcp: 5 2\nUdp: InErrors\nUdp: 9\n";
        assert_eq!(in_snmp(text), 9);
        assert_eq!(in_snmp("Ip: Forwarding\n"), 0);
        let text = "Ip6InReceives                   \t3\nIp6OutNoRoutes                  \t5\n";
        assert_eq!(in_snmp6(text), 5);
        assert_eq!(in_snmp6(""), 0);
    }
}
