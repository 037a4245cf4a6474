//! What a command may use of the host, from arguments and environment.

use std::num::NonZeroUsize;

use prebake::{Cancel, Context, Error, HostOptions};

use crate::arguments::{Global, HostArguments};
use crate::environment;
use crate::progress::Bars;

/// The most threads taken from a machine that nobody gave a number for.
const MAX_DEFAULT_THREADS: usize = 16;

/// Opens the cache, the network and the terminal for a command, and makes Ctrl-C stop it.
pub(crate) fn open(arguments: &HostArguments, global: &Global) -> Result<Context, Error> {
    let cancel = Cancel::default();
    let token = cancel.clone();
    // Where no handler can be set the default one ends the process at once, which loses no more
    // than a kill does.
    let _ = ctrlc::set_handler(move || token.cancel());
    let threads = arguments
        .threads
        .or_else(threads_from_environment)
        .unwrap_or_else(|| {
            std::thread::available_parallelism()
                .map_or(NonZeroUsize::MIN, |found| found.min(most_threads()))
        });
    Context::open(HostOptions {
        cache: arguments.cache.clone(),
        offline: arguments.offline || environment::is_on(environment::OFFLINE),
        threads,
        reporter: Box::new(Bars::new(global)),
        cancel,
        environment: &|name| std::env::var_os(name),
    })
}

fn most_threads() -> NonZeroUsize {
    NonZeroUsize::new(MAX_DEFAULT_THREADS).unwrap_or(NonZeroUsize::MIN)
}

fn threads_from_environment() -> Option<NonZeroUsize> {
    std::env::var(environment::THREADS).ok()?.parse().ok()
}
