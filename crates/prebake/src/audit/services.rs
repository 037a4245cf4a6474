//! What starts by itself: OpenRC's runlevels, inetd, init, cron.

use std::collections::BTreeSet;

use prebake_apk::path::GuestPath;
use prebake_rootfs::NodeKind;

use super::accounts::is_said;
use super::guest::{Guest, guest_path, is_file};
use super::modes::at;
use super::{Finding, Kind};

/// The folders of scripts that Alpine's own crontab runs.
const PERIODIC: [&str; 5] = ["15min", "hourly", "daily", "weekly", "monthly"];

/// What Alpine's own inittab has init run, apart from terminals.
const OF_OPENRC: [&str; 5] = [
    "/sbin/openrc sysinit",
    "/sbin/openrc boot",
    "/sbin/openrc default",
    "/sbin/openrc shutdown",
    "/sbin/reboot",
];

/// What is different on every machine that made its own, by folder and name.
const HOST_KEYS: [(&str, &[u8], &[u8]); 2] = [
    ("etc/ssh", b"ssh_host_", b"_key"),
    ("etc/dropbear", b"dropbear_", b"_host_key"),
];

pub(super) fn find(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    runlevels(guest, findings);
    inetd(guest, findings);
    inittab(guest, findings);
    cron(guest, findings);
    host_identity(guest, findings);
}

fn name(path: &GuestPath) -> String {
    String::from_utf8_lossy(path.name().unwrap_or_default()).into_owned()
}

fn runlevels(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    for level in guest.list("etc/runlevels") {
        for path in guest.list_at(&level) {
            let service = name(&path);
            let stacked = guest
                .tree
                .follow(&path)
                .is_some_and(prebake_rootfs::Node::is_directory);
            let detail = match guest.tree.follow(&path) {
                Some(_) if stacked => "everything of that runlevel".to_owned(),
                Some(_) => listens(guest, &service),
                None => "its script is not there".to_owned(),
            };
            findings.push(Finding {
                kind: Kind::Services,
                subject: format!("{}/{service}", name(&level)),
                detail,
                package: guest
                    .tree
                    .resolve(&path)
                    .ok()
                    .and_then(|script| guest.package(&script).map(str::to_owned)),
            });
        }
    }
}

/// Says where a service listens, as far as its configuration says it.
fn listens(guest: &Guest<'_>, service: &str) -> String {
    match service {
        "sshd" => sshd(guest),
        "dropbear" => dropbear(guest),
        _ => String::new(),
    }
}

/// Reads what sshd_config(5) has for where to listen and whom to let in.
fn sshd(guest: &Guest<'_>) -> String {
    let mut lines = guest.lines(&guest_path("etc/ssh/sshd_config"));
    if lines
        .iter()
        .any(|line| line.to_ascii_lowercase().starts_with("include"))
    {
        for path in guest.list("etc/ssh/sshd_config.d") {
            lines.extend(guest.lines(&path));
        }
    }
    let (mut ports, mut addresses, mut lets) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines.iter().filter(|line| is_said(line)) {
        let mut words = line.split(|c: char| c.is_whitespace() || c == '=');
        let key = words.next().unwrap_or_default().to_ascii_lowercase();
        let value = words.find(|word| !word.is_empty()).unwrap_or_default();
        match key.as_str() {
            "port" => ports.push(value.to_owned()),
            "listenaddress" => addresses.push(value.to_owned()),
            "permitrootlogin" | "permitemptypasswords" | "passwordauthentication"
                if value.trim_matches('"').eq_ignore_ascii_case("yes") =>
            {
                lets.push(line.clone());
            }
            // Keys in other places than are looked into.
            "authorizedkeysfile" | "authorizedkeyscommand" | "trustedusercakeys" => {
                lets.push(line.clone());
            }
            _ => {}
        }
    }
    if ports.is_empty() {
        ports.push("22".to_owned());
    }
    let mut text = format!("listens on TCP port {}", ports.join(" and "));
    if !addresses.is_empty() {
        text = format!("{text} of {}", addresses.join(" and "));
    }
    for line in lets {
        text.push_str("; ");
        text.push_str(&line);
    }
    text
}

/// Reads the options that Alpine's init script gives dropbear(8).
fn dropbear(guest: &Guest<'_>) -> String {
    let lines = guest.lines(&guest_path("etc/conf.d/dropbear"));
    let options = lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("DROPBEAR_OPTS="));
    let options = options.unwrap_or_default().trim_matches(['"', '\'']);
    let mut words = options.split_whitespace();
    let mut ports = Vec::new();
    while let Some(word) = words.next() {
        if let Some(port) = word.strip_prefix("-p") {
            ports.extend(
                Some(port)
                    .filter(|port| !port.is_empty())
                    .or_else(|| words.next()),
            );
        }
    }
    if ports.is_empty() {
        ports.push("22");
    }
    format!("listens on TCP port {}", ports.join(" and "))
}

fn inetd(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let path = guest_path("etc/inetd.conf");
    for line in guest.lines(&path).iter().filter(|line| is_said(line)) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [service, _, protocol, _, user, program, ..] = words.as_slice() else {
            continue;
        };
        findings.push(Finding {
            kind: Kind::Services,
            subject: format!("inetd/{service}/{protocol}"),
            detail: format!("{program} as {user}, where an inetd runs"),
            package: guest.package(&path).map(str::to_owned),
        });
    }
}

fn inittab(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let path = guest_path("etc/inittab");
    for line in guest.lines(&path).iter().filter(|line| is_said(line)) {
        let fields: Vec<_> = line.splitn(4, ':').collect();
        if let [terminal, _, action, command] = fields.as_slice() {
            if OF_OPENRC.contains(command) {
                continue;
            }
            let whose = match *terminal {
                "" => String::new(),
                terminal => format!(" on {terminal}"),
            };
            findings.push(Finding {
                kind: Kind::Inittab,
                subject: (*command).to_owned(),
                detail: format!("{action}{whose}"),
                package: guest.package(&path).map(str::to_owned),
            });
        }
    }
}

fn cron(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let mut files = vec![guest_path("etc/crontab")];
    for folder in ["etc/crontabs", "etc/cron.d", "var/spool/cron/crontabs"] {
        files.extend(guest.list(folder));
    }
    let mut read = BTreeSet::new();
    for path in files {
        // `/var/spool/cron/crontabs` is a link to `/etc/crontabs`.
        let Ok(real) = guest.tree.resolve(&path) else {
            continue;
        };
        if read.contains(&real) {
            continue;
        }
        for line in guest.lines(&path).iter().filter(|line| is_said(line)) {
            let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
            findings.push(at(guest, Kind::Cron, &real, text));
        }
        read.insert(real);
    }
    for often in PERIODIC {
        for path in guest.list(&format!("etc/periodic/{often}")) {
            let node = guest.tree.follow(&path);
            if node.is_some_and(|node| is_file(node) && node.mode & 0o111 != 0) {
                findings.push(at(
                    guest,
                    Kind::Cron,
                    &path,
                    format!("run by the folder's time, {often}"),
                ));
            }
        }
    }
}

fn host_identity(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    for (folder, start, end) in HOST_KEYS {
        for path in guest.list(folder) {
            let name = path.name().unwrap_or_default();
            if name.starts_with(start) && name.ends_with(end) {
                let detail = "a private key of the host".to_owned();
                findings.push(at(guest, Kind::HostIdentity, &path, detail));
            }
        }
    }
    for path in ["etc/machine-id", "var/lib/dbus/machine-id"] {
        let path = guest_path(path);
        let is_link = matches!(
            guest.tree.get(&path).map(|node| &node.kind),
            Some(NodeKind::Symlink(_))
        );
        let id = guest.bytes(&path).unwrap_or_default().trim_ascii();
        if !is_link && !id.is_empty() && id != b"uninitialized" {
            let detail = "an id of the machine".to_owned();
            findings.push(at(guest, Kind::HostIdentity, &path, detail));
        }
    }
}
