//! The command that `run` runs, by its options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use prebake_launch::{Access, Command, Instance, Network};

use super::wrong;
use crate::arguments::RunArguments;
use crate::failure::Failure;

/// What is run where no command is given: what every Alpine has.
const SHELL: [&str; 2] = ["/bin/sh", "-l"];

/// Prepares the command, as the options say.
pub(crate) fn command(
    instance: &Instance,
    arguments: &RunArguments,
    shares: &[(PathBuf, String, Access)],
) -> Result<Command, Failure> {
    let words: Vec<Vec<u8>> = if arguments.command.is_empty() {
        SHELL.iter().map(|word| word.as_bytes().to_vec()).collect()
    } else {
        arguments.command.iter().map(guest_bytes).collect()
    };
    let mut words = words.into_iter();
    let mut command = instance.command(words.next().unwrap_or_default());
    command.args(words);
    if let Ok(term) = std::env::var("TERM") {
        command.env("TERM", term);
    }
    for one in &arguments.env {
        let (name, value) = one
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| wrong("--env", one, "it is NAME=VALUE"))?;
        command.env(name, value);
    }
    for (from, to, access) in shares {
        command.share(from, to, *access);
    }
    if arguments.net {
        command.network(Network::Host);
    }
    if let Some(user) = &arguments.user {
        command.user(user);
    }
    if let Some(folder) = &arguments.workdir {
        command.current_dir(folder);
    }
    if let Some(bytes) = arguments.memory {
        command.memory(bytes);
    }
    if let Some(processors) = arguments.cpus {
        command.cpus(processors);
    }
    if let Some(seconds) = arguments.timeout {
        command.time_limit(Duration::from_secs(seconds));
    }
    Ok(command)
}

/// Returns a word of the command line as the guest is to see it.
#[cfg(unix)]
fn guest_bytes(word: &OsString) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    word.as_bytes().to_vec()
}

/// Returns a word of the command line as the guest is to see it: UTF-8.
#[cfg(not(unix))]
fn guest_bytes(word: &OsString) -> Vec<u8> {
    word.to_string_lossy().into_owned().into_bytes()
}

/// Reads `HOST:GUEST[:ro]`. A Windows path has a colon of its own, and a guest's begins with `/`.
pub(crate) fn shares(texts: &[String]) -> Result<Vec<(PathBuf, String, Access)>, Failure> {
    let one = |text: &String| {
        let (rest, access) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, Access::ReadOnly),
            None => (text.strip_suffix(":rw").unwrap_or(text), Access::ReadWrite),
        };
        let at = rest.rfind(":/").filter(|at| *at > 0);
        let (from, to) = at
            .map(|at| rest.split_at(at))
            .ok_or_else(|| wrong("--share", text, "it is HOST:GUEST, GUEST an absolute path"))?;
        // The kernel and WSL want to be told a path that does not depend on where this runs.
        let from = std::path::absolute(from)
            .map_err(|error| wrong("--share", text, &error.to_string()))?;
        Ok((from, to.trim_start_matches(':').to_owned(), access))
    };
    texts.iter().map(one).collect()
}
