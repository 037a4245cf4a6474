//! Where a host's instances are.

use std::io;
use std::path::PathBuf;

use crate::host::Settings;
use crate::launch_error::LaunchError;

/// What names the folder before all else.
const VARIABLE: &str = "PREBAKE_INSTANCES";

/// Returns the folder of `settings`, or this host's default for it, as an absolute path. It need
/// not be there.
pub(crate) fn find(settings: &Settings) -> Result<PathBuf, LaunchError> {
    let chosen = settings.folder.clone();
    let chosen = chosen.or_else(|| variable(VARIABLE)).or_else(default);
    let fail = |source| LaunchError::Host {
        doing: format!("find the folder for instances; set {VARIABLE}"),
        source,
    };
    let chosen = chosen.ok_or_else(|| fail(io::Error::other("there is no home folder")))?;
    std::path::absolute(chosen).map_err(fail)
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

#[cfg(windows)]
fn default() -> Option<PathBuf> {
    variable("LOCALAPPDATA").map(|folder| folder.join("prebake"))
}

#[cfg(target_os = "macos")]
fn default() -> Option<PathBuf> {
    variable("HOME").map(|home| home.join("Library/Application Support/prebake"))
}

#[cfg(not(any(windows, target_os = "macos")))]
fn default() -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/prebake"));
    }
    // The XDG Base Directory Specification has it that a relative path is to be ignored.
    let data = variable("XDG_DATA_HOME").filter(|folder| folder.is_absolute());
    let data = data.or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    data.map(|folder| folder.join("prebake"))
}
