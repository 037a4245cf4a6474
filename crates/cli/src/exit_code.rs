//! The exit codes, which scripts may rely on.

use prebake::ErrorKind;

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
  130  interrupted";

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
