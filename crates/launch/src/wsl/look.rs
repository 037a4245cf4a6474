//! What this host has of WSL.
//!
//! Windows brings a `wsl.exe` even where WSL is not installed: a stub that installs it. Where it
//! is, there are two generations. The one from the Store answers `--version`. The one that came
//! with Windows does not, and its oldest versions know neither `--import` nor WSL 2; what it knows
//! stands in its `--help`, whose words are translated, but not the names of options. The exit code
//! of `--help` says nothing (it is -1 for a success, microsoft/WSL issue 6192).

use super::program::{self, Answer, Program, QUESTION};
use super::text;
use super::trouble::Trouble;
use crate::finding::{Check, State};
use crate::host::Settings;
use crate::launch_error::LaunchError;

/// The page to which WSL sends people whose virtual machines are off, in every language.
const VIRTUAL_MACHINES_OFF: &str = "aka.ms/enablevirtualization";

/// Looks, and changes nothing.
pub(super) fn look(settings: &Settings) -> Vec<Check> {
    let wsl = match Program::find(settings) {
        Ok(wsl) => wsl,
        Err(why) => {
            let mend = cfg!(windows).then(|| {
                "Windows 10 version 2004 or newer has it; there `wsl --install`, as administrator"
                    .to_owned()
            });
            return vec![check("wsl.exe", State::Missing, why, mend)];
        }
    };
    let seen = wsl.path().display().to_string();
    let mut checks = vec![check("wsl.exe", State::Good, seen, None)];
    match generation(&wsl) {
        Ok(found) => {
            let is_there = found.state != State::Missing;
            checks.push(found);
            if is_there {
                checks.push(virtual_machines(&wsl).unwrap_or_else(|error| gone(&error)));
            }
        }
        Err(error) => checks.push(gone(&error)),
    }
    checks
}

fn check(
    what: &'static str,
    state: State,
    seen: impl Into<String>,
    mend: impl Into<Option<String>>,
) -> Check {
    Check {
        what,
        state,
        seen: seen.into(),
        mend: mend.into(),
    }
}

/// Says that `wsl.exe` did not answer.
fn gone(error: &LaunchError) -> Check {
    let source = std::error::Error::source(error);
    let seen = source.map_or_else(|| error.to_string(), ToString::to_string);
    check("WSL's answer", State::Missing, seen, None)
}

fn ask(wsl: &Program, option: &str) -> Result<Answer, LaunchError> {
    let doing = format!("ask wsl.exe for its {}", option.trim_start_matches('-'));
    wsl.call(&doing, &program::arguments(&[option]), QUESTION)
}

fn generation(wsl: &Program) -> Result<Check, LaunchError> {
    const WHAT: &str = "WSL 2";
    let missing = |seen: &str, mend: &str| check(WHAT, State::Missing, seen, mend.to_owned());
    let version = ask(wsl, "--version")?;
    if version.is_success() {
        let words = version
            .said
            .split(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
        let mut numbers = words.filter(|word| word.split('.').count() >= 3);
        let number = numbers.next().unwrap_or("of the Store");
        return Ok(check(WHAT, State::Good, number, None));
    }
    let help = ask(wsl, "--help")?.said;
    let knows = |option: &str| {
        help.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
            .any(|word| word == option)
    };
    if knows("--import") && knows("--set-version") {
        let seen = "the one that came with Windows, which gets no new versions";
        return Ok(check(
            WHAT,
            State::Lacking,
            seen,
            "`wsl --update`".to_owned(),
        ));
    }
    if knows("--import") {
        return Ok(missing(
            "this version of Windows has WSL 1 only",
            "Windows 10 version 2004 or newer, and there `wsl --update`",
        ));
    }
    if knows("--exec") {
        return Ok(missing(
            "this version of WSL is too old: it does not know `--import`",
            "Windows 10 version 2004 or newer, and there `wsl --update`",
        ));
    }
    Ok(missing(
        &format!("WSL is not installed: {}", text::for_people(&version.said)),
        "as administrator `wsl --install --no-distribution`, and restart",
    ))
}

fn virtual_machines(wsl: &Program) -> Result<Check, LaunchError> {
    const WHAT: &str = "virtual machines";
    let status = ask(wsl, "--status")?;
    let trouble = Trouble::of(&status.said);
    let is_off =
        trouble == Trouble::NoVirtualMachines || status.said.contains(VIRTUAL_MACHINES_OFF);
    let trouble = if is_off {
        Trouble::NoVirtualMachines
    } else {
        trouble
    };
    if let Some(mend) = trouble.mend() {
        let seen = text::for_people(&status.said);
        return Ok(check(WHAT, State::Missing, seen, mend.to_owned()));
    }
    let seen = "WSL complains of nothing; whether one starts is known when it does";
    Ok(check(WHAT, State::Good, seen, None))
}
