//! Whether cargo may use the network, as far as a build script can see that.
//!
//! Cargo (1.95, tried out) hands `CARGO_NET_OFFLINE` on if it was given that, and tells a build
//! script nothing of `--offline`, `--frozen` and `net.offline` in its configuration. The last one
//! is looked up where cargo looks it up; the first two are seen on Linux, where a process can
//! read its parent's arguments. Elsewhere `PREBAKE_OFFLINE=1` says it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Anything but empty or `0`: fetch nothing.
const PREBAKE_OFFLINE: &str = "PREBAKE_OFFLINE";

/// The names under which cargo looks for its configuration in each `.cargo`.
const CONFIGS: [&str; 2] = ["config.toml", "config"];

/// The options by which cargo is told to stay away from the network.
const OPTIONS: [&str; 2] = ["--offline", "--frozen"];

/// Returns why nothing may be fetched; `None` if it may.
pub(crate) fn why(
    environment: &dyn Fn(&str) -> Option<OsString>,
    package: &Path,
) -> Option<String> {
    if is_on(environment(PREBAKE_OFFLINE)) {
        return Some(format!("`{PREBAKE_OFFLINE}` is set"));
    }
    let cargos = environment("CARGO_NET_OFFLINE");
    if let Some(value) = cargos.filter(|value| !value.is_empty()) {
        // Cargo's own configuration does not count where its variable is set.
        return is_on(Some(value)).then(|| "`CARGO_NET_OFFLINE` is set".to_owned());
    }
    let (arguments, folder) = parent();
    if let Some(option) = asked_for(&arguments) {
        return Some(format!("cargo was started with `{option}`"));
    }
    let folder = folder.as_deref().unwrap_or(package);
    let home = environment("CARGO_HOME").map(PathBuf::from);
    configured(folder, home.as_deref())
}

fn is_on(value: Option<OsString>) -> bool {
    value.is_some_and(|value| !value.is_empty() && value != "0" && value != "false")
}

/// Returns the option among cargo's arguments that forbids the network. What follows `--` is not
/// cargo's.
fn asked_for(arguments: &[String]) -> Option<&str> {
    arguments
        .iter()
        .map(String::as_str)
        .take_while(|argument| *argument != "--")
        .find(|argument| OPTIONS.contains(argument) || argument.ends_with("net.offline=true"))
}

/// Returns the arguments and the working folder of the process that started this one.
#[cfg(target_os = "linux")]
fn parent() -> (Vec<String>, Option<PathBuf>) {
    let parent = format!("/proc/{}", std::os::unix::process::parent_id());
    let line = fs_err::read(format!("{parent}/cmdline")).unwrap_or_default();
    let arguments = line.split(|byte| *byte == 0);
    let arguments = arguments.map(|argument| String::from_utf8_lossy(argument).into_owned());
    let folder = fs_err::read_link(format!("{parent}/cwd")).ok();
    (arguments.collect(), folder)
}

#[cfg(not(target_os = "linux"))]
fn parent() -> (Vec<String>, Option<PathBuf>) {
    (Vec::new(), None)
}

/// Looks for `net.offline` as cargo does: in `.cargo` of the folder and of all above it, then in
/// cargo's home. The first that has it counts.
fn configured(folder: &Path, home: Option<&Path>) -> Option<String> {
    let folders = folder.ancestors().map(|folder| folder.join(".cargo"));
    for folder in folders.chain(home.map(Path::to_owned)) {
        for name in CONFIGS {
            let path = folder.join(name);
            let Ok(text) = fs_err::read_to_string(&path) else {
                continue;
            };
            // What cargo could not read, it has complained about itself.
            let Ok(table) = text.parse::<toml::Table>() else {
                continue;
            };
            let net = table.get("net").and_then(toml::Value::as_table);
            let offline = net.and_then(|net| net.get("offline"));
            if let Some(offline) = offline.and_then(toml::Value::as_bool) {
                return offline.then(|| format!("`net.offline` is set in `{}`", path.display()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_count_up_to_the_programs_own() {
        let asked = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            asked_for(&words).map(str::to_owned)
        };
        assert_eq!(asked("cargo build --release"), None);
        assert_eq!(asked("cargo build --offline"), Some("--offline".to_owned()));
        assert_eq!(asked("cargo --frozen test"), Some("--frozen".to_owned()));
        assert_eq!(asked("cargo run -- --offline"), None);
        assert!(asked("cargo build --config net.offline=true").is_some());
        assert!(asked("cargo build --config=net.offline=true").is_some());
    }

    #[test]
    fn the_nearest_configuration_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let inner = root.join("a/b");
        fs_err::create_dir_all(inner.join(".cargo")).unwrap();
        fs_err::create_dir_all(root.join(".cargo")).unwrap();
        let home = root.join("home");
        fs_err::create_dir_all(&home).unwrap();
        assert_eq!(configured(&inner, Some(&home)), None);
        fs_err::write(home.join("config.toml"), "[net]\noffline = true\n").unwrap();
        let why = configured(&inner, Some(&home)).unwrap();
        assert!(why.contains("home") && why.contains("net.offline"), "{why}");
        fs_err::write(root.join(".cargo/config.toml"), "[net]\noffline = false\n").unwrap();
        assert_eq!(configured(&inner, Some(&home)), None);
        fs_err::write(inner.join(".cargo/config"), "net.offline = true").unwrap();
        assert!(configured(&inner, Some(&home)).is_some());
    }

    #[test]
    fn variables_count_before_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let set = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| OsString::from(value))
        };
        let of = |environment: &dyn Fn(&str) -> Option<OsString>| why(environment, folder.path());
        assert!(of(&set("PREBAKE_OFFLINE", "1")).is_some());
        assert!(of(&set("CARGO_NET_OFFLINE", "true")).is_some());
        assert_eq!(of(&set("CARGO_NET_OFFLINE", "false")), None);
    }
}
