//! Where the data outside the repository is: the folder `shared` beside the checkout.
//!
//! A test that needs it asks here, so that "missing" means the same everywhere: a line that says
//! what was skipped on somebody's own machine, a failure where `CI` is set.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Returns the `shared` folder beside the checkout, or `None` where there is none.
pub fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    folder.canonicalize().ok().filter(|folder| folder.is_dir())
}

/// Returns the small real Alpine mirror (`shared/alpine`) for the test `test`.
///
/// Without it, says on stderr that `test` was skipped and returns `None`.
///
/// # Panics
///
/// Where it is missing and the environment variable `CI` is set.
pub fn real_mirror(test: &str) -> Option<PathBuf> {
    let mirror = shared().map(|shared| shared.join("alpine"));
    found_or_skipped(
        mirror.filter(|mirror| mirror.is_dir()),
        test,
        "../shared/alpine",
    )
}

/// Returns the real apk (`shared/oracle/apk`, a script) for the test `test`.
///
/// It runs on x86_64 Linux only; elsewhere, and without it, says on stderr that `test` was
/// skipped and returns `None`.
///
/// # Panics
///
/// Where it is missing and the environment variable `CI` is set.
pub fn oracle(test: &str) -> Option<PathBuf> {
    let oracle = shared().map(|shared| shared.join("oracle/apk"));
    let runs_here = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    found_or_skipped(
        oracle.filter(|oracle| runs_here && oracle.is_file()),
        test,
        "../shared/oracle/apk on x86_64 Linux",
    )
}

/// Returns `what`, or says that `test` was skipped for want of it: on stderr, or by a panic where
/// `CI` is set, as a judge that never sits proves nothing.
pub fn found_or_skipped<T>(what: Option<T>, test: &str, name: &str) -> Option<T> {
    if what.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test} needs {name}, and CI is set"
        );
        // Not by `eprintln!`, which the test harness keeps to itself where a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: {test} needs {name}");
    }
    what
}
