//! The `prebake` command.
//!
//! One file a command under `commands/`. Nothing here decides anything about a rootfs: it reads
//! arguments, shows progress, prints results and turns failures into messages and exit codes.
//! Standard output is data; everything else goes to standard error.

mod arguments;
mod commands;
mod diagnostic;
mod environment;
mod exit_code;
mod output;
mod progress;
mod session;

use std::process::ExitCode;

use clap::Parser as _;
use prebake::{Error, ErrorKind};

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { command, global } = Arguments::parse();
    let result = match &command {
        Command::Init(arguments) => commands::init::run(arguments, &global),
        Command::Lock(arguments) => commands::lock::run(arguments, &global),
        Command::Build(arguments) => commands::build::run(arguments, &global),
        Command::Add(arguments) => commands::edit::add(arguments, &global),
        Command::Remove(arguments) => commands::edit::remove(arguments, &global),
        Command::Why(arguments) => commands::graph::why(arguments, &global),
        Command::Tree(arguments) => commands::graph::tree(arguments, &global),
        Command::Outdated(arguments) => commands::outdated::run(arguments, &global),
        Command::Inspect(arguments) => commands::inspect::run(arguments, &global),
        Command::Verify(arguments) => commands::verify::run(arguments, &global),
    };
    let result = result.and_then(|code| output::take_failure().map_or(Ok(code), Err));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(fail(&error, global.json)),
    }
}

/// Reports `error` and returns the exit code that stands for it.
fn fail(error: &Error, json: bool) -> u8 {
    let kind = error.kind();
    let code = exit_code::of(kind);
    if json {
        output::error(error, code);
    }
    if kind != ErrorKind::Interrupted || !json {
        diagnostic::print(error);
    }
    code
}
