//! `prebake run`: bake if needed, import, run, remove.

mod program;
mod start;

use std::io::IsTerminal as _;

use prebake::Error;
use prebake_launch::{
    Backend, Command, Host, Instance, LaunchError, Name, Output, Settings, Status, Stdio,
};
use serde_json::json;

use self::program::{command, shares};
pub(crate) use self::start::is_rootfs;
use self::start::{Start, start};
use crate::arguments::{Global, RunArguments};
use crate::failure::Failure;
use crate::progress::Bars;
use crate::session::{self, Interrupt};
use crate::{exit_code, output};

pub(crate) fn run(arguments: &RunArguments, global: &Global) -> Result<u8, Failure> {
    let interrupt = session::interrupt();
    let shares = shares(&arguments.share)?;
    let name = match &arguments.name {
        Some(name) => Some(name.parse::<Name>().map_err(LaunchError::from)?),
        None => None,
    };
    let host = host(arguments)?;
    if global.is_watched() {
        for note in host.notes() {
            output::notice(&format!("note: {note}"));
        }
    }
    let start = start(arguments, global, &interrupt, &host)?;
    let mut instance = instance(&host, &start, name, global)?;
    if arguments.keep {
        instance.keep()?;
    }
    let mut command = command(&instance, arguments, &shares)?;
    let result = if global.json {
        captured(&mut command, &interrupt)
    } else {
        attached(&mut command, &interrupt)
    };
    let interrupted = interrupt.cancel.is_cancelled();
    let name = instance.name().clone();
    // What the command came to is told even where its instance could not be taken away.
    let cleared = if arguments.keep {
        instance.stop()
    } else {
        instance.remove()
    };
    let ended = result?;
    cleared?;
    if interrupted {
        return Err(Error::Interrupted.into());
    }
    if let Ended::Captured(captured) = &ended {
        output::json(&json!({
            "name": name.as_str(),
            "backend": host.backend().name(),
            "identity": start.rootfs.identity().to_string(),
            "kept": arguments.keep,
            "exit_code": captured.status.code(),
            "stdout": String::from_utf8_lossy(&captured.stdout),
            "stderr": String::from_utf8_lossy(&captured.stderr),
            "truncated": captured.truncated,
        }));
    }
    if arguments.keep && global.is_watched() {
        output::notice(&format!(
            "kept: `prebake run --name {name}` goes on in it, `prebake rm {name}` removes it"
        ));
    }
    Ok(code(ended.status()))
}

/// Returns a program's exit code as this program's own.
fn code(status: Status) -> u8 {
    u8::try_from(status.code()).unwrap_or(exit_code::FAILURE)
}

/// What a command came to.
enum Ended {
    /// Its streams were this program's.
    Attached(Status),
    /// What it wrote is the result.
    Captured(Output),
}

impl Ended {
    fn status(&self) -> Status {
        match self {
            Self::Attached(status) => *status,
            Self::Captured(output) => output.status,
        }
    }
}

fn attached(command: &mut Command, interrupt: &Interrupt) -> Result<Ended, Failure> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        command.interactive();
    }
    let mut child = command.spawn()?;
    interrupt.ends(child.killer());
    Ok(Ended::Attached(child.wait()?))
}

fn captured(command: &mut Command, interrupt: &Interrupt) -> Result<Ended, Failure> {
    command.stdout(Stdio::Piped).stderr(Stdio::Piped);
    let child = command.spawn()?;
    interrupt.ends(child.killer());
    Ok(Ended::Captured(child.wait_with_output()?))
}

fn host(arguments: &RunArguments) -> Result<Host, Failure> {
    let settings = Settings::default();
    let Some(wanted) = &arguments.backend else {
        return Ok(Host::detect_with(&settings)?);
    };
    let backend = Backend::ALL.into_iter().find(|one| one.name() == wanted);
    let backend = backend.ok_or_else(|| wrong("--backend", wanted, &names()))?;
    Ok(Host::with(backend, &settings)?)
}

fn names() -> String {
    let names: Vec<_> = Backend::ALL.iter().map(|backend| backend.name()).collect();
    format!("it is one of {}", names.join(", "))
}

fn wrong(option: &str, value: &str, why: &str) -> Failure {
    let (option, value, why) = (option.to_owned(), value.to_owned(), why.to_owned());
    Failure::Usage { option, value, why }
}

/// Imports the rootfs, or takes up the instance of that name that was kept.
fn instance(
    host: &Host,
    start: &Start,
    name: Option<Name>,
    global: &Global,
) -> Result<Instance, Failure> {
    let rootfs = &start.rootfs;
    if let Some(name) = &name {
        let there = host.instances()?;
        let there = there.iter().find(|one| one.name == *name && one.kept);
        if let Some(one) = there {
            let same = one.identity.is_none_or(|one| one == *rootfs.identity());
            let why = "it was imported from another rootfs; remove it (`prebake rm`) or take \
                       another name";
            return if same {
                Ok(host.open(name)?)
            } else {
                Err(wrong("--name", name.as_str(), why))
            };
        }
    }
    let name = name.unwrap_or_else(|| Name::unique(rootfs.name()));
    let bars = Bars::new(global);
    let imported = host.import_with(&name, rootfs, &mut |bytes, total| {
        bars.unpacked(bytes, total);
    });
    bars.clear();
    Ok(imported?)
}
