//! The environment variables that prebake reads.

/// Anything but empty or `0`: fetch nothing, as `--offline` does.
pub(crate) const OFFLINE: &str = "PREBAKE_OFFLINE";
/// How many threads compress. Default: what the machine has. It changes no output.
pub(crate) const THREADS: &str = "PREBAKE_THREADS";

/// The variables and what they do, for `--help`.
pub(crate) const HELP: &str = "\
Environment:
  PREBAKE_CACHE    the cache's folder (default: the platform's own place for caches)
  PREBAKE_INSTANCES  the folder of instances (default: the platform's own place for data)
  PREBAKE_OFFLINE  set to 1: fetch nothing, as `--offline` does
  PREBAKE_SEAL     the file of your key for what the cache keeps (default: among your data)
  PREBAKE_VENDOR   vendored folders that are looked into first, as `--vendor` names them
  PREBAKE_THREADS  how many threads compress; changes no output
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and NO_COLOR as elsewhere";

/// Reads a variable that is on unless it is empty or `0`.
pub(crate) fn is_on(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}
