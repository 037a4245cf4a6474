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
mod failure;
mod output;
mod progress;
mod session;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let Arguments { command, global } = Arguments::parse();
    let done = |result: Result<u8, prebake::Error>| result.map_err(Failure::from);
    let result = match &command {
        Command::Init(arguments) => done(commands::init::run(arguments, &global)),
        Command::Lock(arguments) => done(commands::lock::run(arguments, &global)),
        Command::Build(arguments) => done(commands::build::run(arguments, &global)),
        Command::Vendor(arguments) => done(commands::vendor::run(arguments, &global)),
        Command::Add(arguments) => done(commands::edit::add(arguments, &global)),
        Command::Remove(arguments) => done(commands::edit::remove(arguments, &global)),
        Command::Why(arguments) => done(commands::graph::why(arguments, &global)),
        Command::Tree(arguments) => done(commands::graph::tree(arguments, &global)),
        Command::Outdated(arguments) => done(commands::outdated::run(arguments, &global)),
        Command::Inspect(arguments) => done(commands::inspect::run(arguments, &global)),
        Command::Verify(arguments) => done(commands::verify::run(arguments, &global)),
        Command::Audit(arguments) => commands::audit::run(arguments, &global),
        Command::Run(arguments) => commands::run::run(arguments, &global),
        Command::Ps => commands::instances::list(&global),
        Command::Rm(arguments) => commands::instances::remove(arguments, &global),
        Command::Doctor => Ok(commands::doctor::run(&global)),
    };
    let result =
        result.and_then(|code| output::take_failure().map_or(Ok(code), |error| Err(error.into())));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(fail(&error, global.json)),
    }
}

/// Reports `error` and returns the exit code that stands for it.
fn fail(error: &Failure, json: bool) -> u8 {
    let code = error.code();
    if json {
        output::error(error, code);
    }
    if !error.is_interruption() || !json {
        diagnostic::print(error);
    }
    code
}
