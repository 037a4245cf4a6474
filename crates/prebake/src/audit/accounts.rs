//! Who can get in: passwords, shells, keys, and rights without a password.

use std::collections::BTreeMap;

use super::guest::{Guest, guest_path, is_key_list};
use super::modes::at;
use super::{Finding, Kind};

/// The programs that let nobody in, by the ends of their paths.
const NO_SHELLS: [&str; 2] = ["/nologin", "/false"];

/// What three of Alpine's accounts run at login, and nothing else: no shell.
const NOT_SHELLS: [&str; 3] = ["/bin/sync", "/sbin/shutdown", "/sbin/halt"];

/// What an empty shell field stands for.
const DEFAULT_SHELL: &str = "/bin/sh";

pub(super) fn find(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let shadow = guest.lines(&guest_path("etc/shadow"));
    let hashes: BTreeMap<&str, &str> = shadow
        .iter()
        .rev()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.next()?))
        })
        .collect();
    for line in guest.lines(&guest_path("etc/passwd")) {
        let fields: Vec<_> = line.split(':').collect();
        let [name, password, id, _, _, _, rest @ ..] = fields.as_slice() else {
            continue;
        };
        let mut found = |kind, detail: String| {
            findings.push(Finding {
                kind,
                subject: (*name).to_owned(),
                detail,
                package: None,
            });
        };
        // Only `x` sends whoever asks to the other file.
        let hash = match *password {
            "x" => hashes.get(name).copied(),
            own => Some(own),
        };
        let lets_in = hash.and_then(lets_in);
        if let Some(how) = lets_in {
            found(Kind::Passwords, how.to_owned());
        }
        let shell = match rest.first() {
            None | Some(&"") => DEFAULT_SHELL,
            Some(shell) => shell,
        };
        let none = NO_SHELLS.iter().any(|end| shell.ends_with(end)) || NOT_SHELLS.contains(&shell);
        if !none {
            let path = guest_path(shell.trim_start_matches('/'));
            let there = match guest.tree.follow(&path) {
                Some(_) => "",
                None => ", which is not there",
            };
            let password = match lets_in {
                Some(_) => "",
                None => "; no password lets in",
            };
            found(Kind::Shells, format!("{shell}{there}{password}"));
        }
        if is_root(id) && *name != "root" {
            found(Kind::RootAccounts, "its id is 0".to_owned());
        }
    }
    keys(guest, findings);
    sudo(guest, findings);
    doas(guest, findings);
}

/// Says whether an id is root's, however it is written: no digits are 0 to musl, and it counts them
/// modulo 2^32, by experiments with `id` and `su` of Alpine 3.20.
fn is_root(id: &str) -> bool {
    let step = |value: u32, digit: u8| value.wrapping_mul(10).wrapping_add(u32::from(digit));
    let digits = id.bytes().map(|byte| byte.wrapping_sub(b'0'));
    digits.clone().all(|digit| digit < 10) && digits.fold(0, step) == 0
}

/// Says how the second field of `shadow` or `passwd` lets somebody in; `None` if it does not.
fn lets_in(hash: &str) -> Option<&'static str> {
    let des = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
    Some(match hash {
        "" => "no password is asked for",
        _ if hash.starts_with(['!', '*']) => return None,
        _ if hash.starts_with("$1$") => "a password, kept as MD5, which is soon guessed",
        _ if hash.starts_with("$2") => "a password, kept as bcrypt",
        _ if hash.starts_with("$5$") => "a password, kept as SHA-256",
        _ if hash.starts_with("$6$") => "a password, kept as SHA-512",
        _ if hash.starts_with("$y$") => "a password, kept as yescrypt",
        _ if hash.starts_with(['$', '_']) => "a password",
        _ if hash.len() == 13 && hash.chars().all(des) => {
            "a password, kept as DES, which is soon guessed"
        }
        // crypt(3) never makes such a text, so none lets in.
        _ => return None,
    })
}

fn keys(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    for (path, _) in guest.names().filter(|(path, _)| is_key_list(path)) {
        let lines = guest.lines(path);
        let keys = lines.iter().filter(|line| is_said(line));
        for key in keys {
            // The kind of key and its comment; the key itself is long and says nothing to people.
            let words: Vec<_> = key.split_whitespace().collect();
            let kind = words.iter().position(|word| is_key_type(word));
            let text = match kind {
                Some(kind) => {
                    let options = if kind > 0 { "with options, " } else { "" };
                    let comment = words.get(kind + 2..).unwrap_or_default().join(" ");
                    format!("{options}{} {comment}", words.get(kind).unwrap_or(&""))
                }
                None => "in a form that is not known".to_owned(),
            };
            findings.push(at(
                guest,
                Kind::AuthorizedKeys,
                path,
                text.trim().to_owned(),
            ));
        }
    }
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|kind| word.starts_with(kind))
}

/// Says whether a line of a configuration says anything.
pub(super) fn is_said(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn sudo(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let mut files = vec![guest_path("etc/sudoers")];
    // sudo passes over names with a dot, and those that end in `~`.
    let extra = guest.list("etc/sudoers.d").into_iter().filter(|path| {
        let name = path.name().unwrap_or_default();
        !name.contains(&b'.') && !name.ends_with(b"~")
    });
    files.extend(extra);
    for path in files {
        for line in joined(guest.lines(&path)) {
            let words = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '='));
            if is_said(&line)
                && words
                    .clone()
                    .any(|word| matches!(word, "NOPASSWD" | "!authenticate"))
            {
                findings.push(at(guest, Kind::NoPassword, &path, line));
            }
        }
    }
}

/// Joins lines that go on after a `\`.
fn joined(lines: Vec<String>) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let (text, more) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (line.as_str(), false),
        };
        match whole.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(text),
            None => whole.push(text.to_owned()),
        }
        goes_on = more;
    }
    whole
}

fn doas(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let mut files = vec![guest_path("etc/doas.conf")];
    let extra = guest.list("etc/doas.d").into_iter();
    files.extend(extra.filter(|path| path.as_bytes().ends_with(b".conf")));
    for path in files {
        for line in joined(guest.lines(&path)) {
            let rule = line.split('#').next().unwrap_or_default();
            let mut words = rule.split_whitespace();
            // As an argument of a command `nopass` means nothing; better one too many than one lost.
            if words.next() == Some("permit") && words.any(|word| word == "nopass") {
                findings.push(at(guest, Kind::NoPassword, &path, line));
            }
        }
    }
}
