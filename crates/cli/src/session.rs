//! What a command may use of the host, from arguments and environment.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prebake::lock::Lock;
use prebake::recipe::Recipe;
use prebake::{Cancel, Context, Error, HostOptions, NETWORK_TIMEOUT};
use prebake_launch::Killer;

use crate::arguments::{Global, HostArguments};
use crate::progress::Bars;
use crate::{environment, exit_code};

/// The most threads taken from a machine that nobody gave a number for.
const MAX_DEFAULT_THREADS: usize = 16;

/// What Ctrl-C stops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    /// Whether it was asked for; what bakes looks at it.
    pub(crate) cancel: Cancel,
    /// The program that runs in an instance, if one does.
    program: Arc<Mutex<Option<Killer>>>,
}

impl Interrupt {
    /// Has Ctrl-C end `program` too. One that was asked for before ends it now.
    pub(crate) fn ends(&self, program: Killer) {
        let mut known = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked for under the lock: whoever interrupts later finds the program there.
        if self.cancel.is_cancelled() {
            let _ = program.kill();
        }
        *known = Some(program);
    }

    fn happen(&self) {
        self.cancel.cancel();
        let program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = &*program {
            let _ = program.kill();
        }
    }
}

/// Makes Ctrl-C stop the command, and a second one end it at once.
pub(crate) fn interrupt() -> Interrupt {
    let interrupt = Interrupt::default();
    let theirs = interrupt.clone();
    // Where no handler can be set the default one ends the process at once, which loses no more
    // than a kill does.
    let _ = ctrlc::set_handler(move || {
        if theirs.cancel.is_cancelled() {
            leave();
        }
        theirs.happen();
    });
    interrupt
}

/// Reads the recipe at `path`: one that nobody looked at only if it stays in its folder.
pub(crate) fn recipe(path: &Path, arguments: &HostArguments) -> Result<Recipe, Error> {
    if arguments.untrusted || environment::is_on(environment::UNTRUSTED) {
        Recipe::read_untrusted(path)
    } else {
        Recipe::read(path)
    }
}

/// Reads a lock that is not beside a recipe: one that nobody looked at only if it stays in its folder.
pub(crate) fn lock(path: &Path, untrusted: bool) -> Result<Lock, Error> {
    if untrusted || environment::is_on(environment::UNTRUSTED) {
        prebake::read_lock_file_untrusted(path)
    } else {
        prebake::read_lock_file(path)
    }
}

/// Opens the cache, the network and the terminal for a command, and makes Ctrl-C stop it.
pub(crate) fn open(arguments: &HostArguments, global: &Global) -> Result<Context, Error> {
    open_with(arguments, global, interrupt().cancel)
}

/// As [`open`], for a command that has made Ctrl-C stop more than this.
pub(crate) fn open_with(
    arguments: &HostArguments,
    global: &Global,
    cancel: Cancel,
) -> Result<Context, Error> {
    let threads = arguments.threads.unwrap_or_else(|| {
        std::thread::available_parallelism()
            .map_or(NonZeroUsize::MIN, |found| found.min(most_threads()))
    });
    let context = Context::open(HostOptions {
        cache: arguments.cache.clone(),
        offline: arguments.offline || environment::is_on(environment::OFFLINE),
        threads,
        reporter: Arc::new(Bars::new(global)),
        cancel,
        environment: &|name| match &arguments.network_timeout {
            Some(seconds) if name == NETWORK_TIMEOUT => Some(seconds.into()),
            _ => std::env::var_os(name),
        },
    })?;
    let context = context.vendored(arguments.vendor.iter().cloned());
    #[cfg(feature = "remote-cache")]
    return share(context, arguments);
    #[cfg(not(feature = "remote-cache"))]
    Ok(context)
}

/// Adds the cache that many machines share, where one is named.
#[cfg(feature = "remote-cache")]
fn share(context: Context, arguments: &HostArguments) -> Result<Context, Error> {
    let named = arguments.remote_cache.clone().or_else(|| {
        let url = std::env::var(environment::REMOTE_CACHE).ok();
        url.filter(|url| !url.is_empty())
    });
    if let Some(url) = named {
        let write = environment::is_on(environment::REMOTE_CACHE_WRITE);
        let writes = arguments.remote_cache_write || write;
        context.share(&url, writes, &|name| std::env::var_os(name))?;
    }
    Ok(context)
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
