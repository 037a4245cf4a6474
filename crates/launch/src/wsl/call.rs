//! A program of an instance, as arguments of `wsl.exe`.
//!
//! `wsl.exe` has options for the user (`-u`), the folder (`--cd`) and the environment (`WSLENV`),
//! and none of them is exact. A folder that is not there is passed over in silence. A variable in
//! `WSLENV` has to be one of `wsl.exe` itself too, so that `PATH` would be Windows' own, two names
//! that differ in case would be one, and none could be empty. So one shell script in the guest
//! (`run.sh`) does all of it, and `env -i` gives the program its environment.
//!
//! What follows `--exec` is taken apart by the rules of `CommandLineToArgvW`, which are those by
//! which the standard library puts a command line together, but for the first word: that one knows
//! no escapes. It is always `/bin/sh`.

use std::ffi::OsString;
use std::path::Path;

use prebake_apk::path::GuestPath;

use super::program::argument;
use super::share;
use crate::command::{Access, Call, Network};
use crate::finding::Backend;
use crate::launch_error::LaunchError;

/// The script that runs a program.
const RUN: &str = include_str!("run.sh");

/// Gives the script to itself, so that it can start its next stage.
const BEGIN: &str = "PREBAKE_RUN=$1; shift; export PREBAKE_RUN; eval \"$PREBAKE_RUN\"";

/// The script that kills a program.
pub(super) const KILL: &str = include_str!("kill.sh");

/// The `PATH` of every user, as Alpine's `/etc/profile` sets it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a user has by itself, but for `PATH`.
const OF_USER: [&str; 4] = ["HOME", "USER", "LOGNAME", "SHELL"];

/// Returns the error for what cannot be had.
pub(super) fn unsupported(what: impl Into<String>, why: impl Into<String>) -> LaunchError {
    LaunchError::Unsupported {
        backend: Backend::Wsl,
        what: what.into(),
        why: why.into(),
    }
}

/// Returns what follows `--exec`.
pub(super) fn arguments(call: &Call, id: &str) -> Result<Vec<OsString>, LaunchError> {
    refuse_limits(call)?;
    let environment = Environment::of(call)?;
    let program = text("the program", &call.program)?;
    if call.program.is_empty() || call.program.contains(&b'=') || call.program.starts_with(b"-") {
        return Err(unsupported(
            format!("the program `{}`", call.program.escape_ascii()),
            "its name is empty, has a `=` or begins with `-`; run it by a shell",
        ));
    }
    let folder = call.folder.as_deref().unwrap_or(b"/");
    let network = match call.network {
        Network::Host => "host",
        Network::None => "none",
    };
    let terminal = if call.interactive { "yes" } else { "no" };
    let user = call.user.as_deref().unwrap_or("root");
    let mut words: Vec<OsString> = ["/bin/sh", "-c", BEGIN, "prebake", RUN, "first", id]
        .map(OsString::from)
        .into();
    words.push(text("the user", user.as_bytes())?);
    words.push(text("the folder", folder)?);
    words.extend([network, terminal].map(OsString::from));
    words.push(environment.of_user.join(" ").into());
    words.push(environment.path);
    words.push(program.clone());
    words.push(call.shares.len().to_string().into());
    for share in &call.shares {
        words.push(source(&share.host)?);
        words.push(target(&share.guest)?);
        words.push(match share.access {
            Access::ReadOnly => "ro".into(),
            Access::ReadWrite => "rw".into(),
        });
    }
    words.extend(environment.assignments);
    words.push(program);
    for word in &call.arguments {
        words.push(text("an argument", word)?);
    }
    Ok(words)
}

/// What a program has in its environment.
struct Environment {
    of_user: Vec<&'static str>,
    /// The `PATH`, empty where there is none.
    path: OsString,
    assignments: Vec<OsString>,
}

impl Environment {
    fn of(call: &Call) -> Result<Self, LaunchError> {
        // The last word on a variable is what counts.
        let mut last: Vec<&(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        for change in &call.environment {
            let (name, _) = change;
            if name.is_empty() || name.contains(&b'=') || name.starts_with(b"-") {
                return Err(unsupported(
                    format!("the variable `{}`", name.escape_ascii()),
                    "its name is empty, has a `=` or begins with `-`",
                ));
            }
            last.retain(|(other, _)| other != name);
            last.push(change);
        }
        let is_own = |name: &str| {
            let is_said = last.iter().any(|(other, _)| other == name.as_bytes());
            !call.bare && !is_said
        };
        let mut assignments = Vec::new();
        let mut path = OsString::new();
        if is_own("PATH") {
            path = PATH.into();
            assignments.push(format!("PATH={PATH}").into());
        }
        for (name, value) in &last {
            let Some(value) = value else { continue };
            if name == b"PATH" {
                path = text("the variable PATH", value)?;
            }
            let assignment = [name.as_slice(), b"=", value].concat();
            assignments.push(text("a variable", &assignment)?);
        }
        Ok(Self {
            of_user: OF_USER.into_iter().filter(|name| is_own(name)).collect(),
            path,
            assignments,
        })
    }
}

/// Refuses what WSL has for all distributions together or not at all.
fn refuse_limits(call: &Call) -> Result<(), LaunchError> {
    let for_all = "all distributions share one virtual machine and its limits; set them for all \
                   of them in `%USERPROFILE%\\.wslconfig`";
    let what = [
        (call.memory.is_some(), "a bound on memory", "`memory`"),
        (
            call.cpus.is_some(),
            "a bound on processor time",
            "`processors`",
        ),
    ];
    for (is_asked, what, key) in what {
        if is_asked {
            return Err(unsupported(what, format!("{for_all}: {key}")));
        }
    }
    if call.processes.is_some() {
        let why = "WSL counts none, and what Linux counts is a user's and not a program's";
        return Err(unsupported("a bound on processes", why));
    }
    Ok(())
}

fn text(what: &str, bytes: &[u8]) -> Result<OsString, LaunchError> {
    argument(bytes).ok_or_else(|| {
        unsupported(
            format!("{what} `{}`", bytes.escape_ascii()),
            "a command line of Windows is Unicode, without a NUL",
        )
    })
}

fn source(host: &Path) -> Result<OsString, LaunchError> {
    let shared = share::in_guest(host);
    let shared = shared.map_err(|why| unsupported(format!("a share of {}", host.display()), why));
    Ok(shared?.into())
}

fn target(guest: &[u8]) -> Result<OsString, LaunchError> {
    let path = GuestPath::from_absolute(guest).map_err(|source| LaunchError::GuestPath {
        path: guest.to_vec(),
        source,
    })?;
    if path.is_root() {
        let why = "it would hide all that is in the instance";
        return Err(unsupported("a share at `/`", why));
    }
    text("the path", &[b"/", path.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::{Access, Call, Environment, KILL, RUN, arguments};
    use crate::command::{Network, Share};

    fn said(call: &Call) -> String {
        match arguments(call, "7") {
            Ok(words) => {
                let words = words[5..].iter().map(|word| word.to_str().unwrap());
                words.collect::<Vec<_>>().join("\n")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_script_gets_every_part() {
        let call = Call {
            program: b"prog".to_vec(),
            arguments: vec![b"a b".to_vec(), Vec::new(), br#"c\"d"#.to_vec()],
            environment: vec![
                (b"A".to_vec(), Some(b"1".to_vec())),
                (b"HOME".to_vec(), None),
                (b"A".to_vec(), Some(b"".to_vec())),
                (b"PATH".to_vec(), Some(b"/opt".to_vec())),
            ],
            folder: Some(b"/srv".to_vec()),
            user: Some("guest".to_owned()),
            network: Network::Host,
            shares: vec![Share {
                host: r"C:\data".into(),
                guest: b"/data".to_vec(),
                access: Access::ReadOnly,
            }],
            ..Call::default()
        };
        insta::assert_snapshot!(said(&call));
    }

    #[test]
    fn the_environment_is_the_users_own_unless_told() {
        let of = |call: &Call| {
            let environment = Environment::of(call).unwrap();
            (environment.of_user.len(), environment.assignments.len())
        };
        assert_eq!(of(&Call::default()), (4, 1));
        let bare = Call {
            bare: true,
            ..Call::default()
        };
        assert_eq!(of(&bare), (0, 0));
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_a_reason() {
        let call = || Call {
            program: b"a".to_vec(),
            ..Call::default()
        };
        let share = |host: &str, guest: &[u8]| Share {
            host: host.into(),
            guest: guest.to_vec(),
            access: Access::ReadWrite,
        };
        let calls = [
            Call {
                memory: Some(1),
                ..call()
            },
            Call {
                cpus: Some(1.0),
                ..call()
            },
            Call {
                processes: Some(1),
                ..call()
            },
            Call {
                program: b"a=b".to_vec(),
                ..call()
            },
            Call {
                arguments: vec![b"\xff".to_vec()],
                ..call()
            },
            Call {
                environment: vec![(b"a=".to_vec(), None)],
                ..call()
            },
            Call {
                shares: vec![share(r"\\server\a", b"/a")],
                ..call()
            },
            Call {
                shares: vec![share(r"C:\a", b"a")],
                ..call()
            },
            Call {
                shares: vec![share(r"C:\a", b"/")],
                ..call()
            },
        ];
        let all: Vec<_> = calls.iter().map(said).collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn scripts_are_as_a_guest_reads_them() {
        // A checkout on Windows may end lines in CR LF, which are no words of a shell.
        assert!(!RUN.contains('\r') && !KILL.contains('\r'));
        // Windows takes 32,767 characters of it, and quoting doubles backslashes and quotes.
        assert!(RUN.len() < 8192, "{}", RUN.len());
    }
}
