//! Runs jobs, each in a fresh instance of a rootfs that this program carries.
//!
//! ```text
//! cargo run --release -- --jobs 20 --parallel 4
//! ```
//!
//! Nothing is fetched: it runs with the network unplugged.

mod arguments;
mod job;
mod report;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use prebake_launch::{Host, LaunchError};

use crate::arguments::{Arguments, USAGE};
use crate::job::{Finished, Work};
use crate::report::Report;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("error: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", report::chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Runs all jobs; returns how many failed.
fn run(arguments: &Arguments) -> Result<usize, LaunchError> {
    let rootfs = prebake_embed::include_rootfs!("ci-daemon");
    // Also removes what an earlier run left, had it been killed.
    let host = Host::detect()?;
    let start = Instant::now();
    let next = AtomicUsize::new(1);
    let (send, finished) = mpsc::channel();
    let mut report = Report::new(arguments, &host, rootfs);
    thread::scope(|scope| {
        for _ in 0..arguments.parallel.min(arguments.jobs) {
            let (send, next, host) = (send.clone(), &next, &host);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > arguments.jobs {
                        break;
                    }
                    let work = Work {
                        number,
                        source: &arguments.source,
                    };
                    let finished = Finished::of(work, host, rootfs);
                    if send.send(finished).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for one in finished {
            report.add(one);
        }
    });
    Ok(report.end(start.elapsed()))
}
