//! What a command may use of the host, from arguments and environment.

use std::num::NonZeroUsize;

use prebake::{Cancel, Context, Error, HostOptions};

use crate::arguments::{Global, HostArguments};
use crate::progress::Bars;
use crate::{environment, exit_code};

/// The most threads taken from a machine that nobody gave a number for.
const MAX_DEFAULT_THREADS: usize = 16;

/// Opens the cache, the network and the terminal for a command, and makes Ctrl-C stop it.
pub(crate) fn open(arguments: &HostArguments, global: &Global) -> Result<Context, Error> {
    let cancel = Cancel::default();
    let token = cancel.clone();
    // Where no handler can be set the default one ends the process at once, which loses no more
    // than a kill does.
    let _ = ctrlc::set_handler(move || {
        if token.is_cancelled() {
            leave();
        }
        token.cancel();
    });
    let threads = arguments.threads.unwrap_or_else(|| {
        std::thread::available_parallelism()
            .map_or(NonZeroUsize::MIN, |found| found.min(most_threads()))
    });
    Context::open(HostOptions {
        cache: arguments.cache.clone(),
        offline: arguments.offline || environment::is_on(environment::OFFLINE),
        threads,
        reporter: std::sync::Arc::new(Bars::new(global)),
        cancel,
        environment: &|name| std::env::var_os(name),
    })
}

fn most_threads() -> NonZeroUsize {
    NonZeroUsize::new(MAX_DEFAULT_THREADS).unwrap_or(NonZeroUsize::MIN)
}

/// Ends the process at once, for somebody who asked twice: a name that is being looked up cannot
/// be interrupted. What is left over is removed by the next start.
#[expect(clippy::exit, reason = "that is what was asked for")]
fn leave() -> ! {
    std::process::exit(i32::from(exit_code::INTERRUPTED))
}
