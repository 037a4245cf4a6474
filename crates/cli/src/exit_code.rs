//! The exit codes, which scripts may rely on.

use prebake::ErrorKind;
use prebake_launch::LaunchError;
use prebake_launch::sandbox::NotRun;

/// Everything went well.
pub(crate) const SUCCESS: u8 = 0;
/// Something failed that no other code names: a bug, or a host file that cannot be read.
pub(crate) const FAILURE: u8 = 1;
/// The command line, the recipe or the lock is wrong.
pub(crate) const USAGE: u8 = 2;
/// A hash or a signature does not hold, or a file from outside is malformed.
pub(crate) const INTEGRITY: u8 = 3;
/// No choice of packages satisfies the recipe, or the packages do not fit together.
pub(crate) const UNSATISFIABLE: u8 = 4;
/// Something could not be fetched.
pub(crate) const NETWORK: u8 = 5;
/// The lock is not the recipe's: `lock --check` and `build --locked` say so with this code.
pub(crate) const NOT_CURRENT: u8 = 6;
/// An output, the lock or the cache could not be written.
pub(crate) const WRITE: u8 = 7;
/// A package's script cannot be run here, or does what it must not.
pub(crate) const SCRIPT: u8 = 8;
/// `audit` found what must not be there.
pub(crate) const DENIED: u8 = 9;
/// This host cannot run an instance, or one failed: what `run` exits with where no other code
/// says more, so that it is not mistaken for the command's.
pub(crate) const LAUNCH: u8 = 125;
/// The command of `run` is there and cannot be run, as a shell says it.
pub(crate) const NOT_RUN: u8 = 126;
/// The command of `run` is not there, as a shell says it.
pub(crate) const NOT_FOUND: u8 = 127;
/// Interrupted, as a shell reports it for Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// The codes and what they mean, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    success
  1    something failed that no other code names
  2    the command line, the recipe or the lock is wrong
  3    a hash or a signature does not hold, or a file is malformed
  4    no choice of packages satisfies the recipe, or they do not fit together
  5    something could not be fetched
  6    the lock is not current (`lock --check`, `build --locked`)
  7    an output, the lock or the cache could not be written
  8    a package's script cannot be run here, or does what it must not
  9    `audit` found what must not be in the rootfs
  125  an instance cannot be had or was lost (`run`, `ps`, `rm`, `doctor`)
  126  the command of `run` cannot be run
  127  the command of `run` is not there
  130  interrupted
Where the command of `run` runs, its exit code is that of `run`: 128 and the number for a signal.";

/// Returns the code for a failure.
pub(crate) fn of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Recipe => USAGE,
        ErrorKind::Integrity => INTEGRITY,
        ErrorKind::Unsatisfiable => UNSATISFIABLE,
        ErrorKind::Network => NETWORK,
        ErrorKind::NotCurrent => NOT_CURRENT,
        ErrorKind::Write => WRITE,
        ErrorKind::Script => SCRIPT,
        ErrorKind::Interrupted => INTERRUPTED,
        ErrorKind::Other => FAILURE,
    }
}

/// Returns the code for a failure of an instance.
pub(crate) fn of_launch(error: &LaunchError) -> u8 {
    match error {
        LaunchError::Name(_) | LaunchError::GuestPath { .. } => USAGE,
        LaunchError::WrongIdentity { .. } => INTEGRITY,
        LaunchError::NotRun { why, .. } => match why {
            NotRun::Missing => NOT_FOUND,
            _ => NOT_RUN,
        },
        _ => LAUNCH,
    }
}
