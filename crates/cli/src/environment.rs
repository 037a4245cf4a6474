//! The environment variables that prebake reads.

/// Anything but empty or `0`: fetch nothing, as `--offline` does.
pub(crate) const OFFLINE: &str = "PREBAKE_OFFLINE";
/// Anything but empty or `0`: let a recipe name only what lies in its own folder, as `--untrusted`
/// does.
pub(crate) const UNTRUSTED: &str = "PREBAKE_UNTRUSTED";
/// How many threads compress. Default: what the machine has. It changes no output.
pub(crate) const THREADS: &str = "PREBAKE_THREADS";

/// A shared cache, as `--remote-cache` names it.
#[cfg(feature = "remote-cache")]
pub(crate) const REMOTE_CACHE: &str = "PREBAKE_REMOTE_CACHE";
/// Anything but empty or `0`: give it what is downloaded, as `--remote-cache-write` does.
#[cfg(feature = "remote-cache")]
pub(crate) const REMOTE_CACHE_WRITE: &str = "PREBAKE_REMOTE_CACHE_WRITE";

/// The variables and what they do, for `--help`.
pub(crate) const HELP: &str = "\
Environment:
  PREBAKE_CACHE    the cache's folder (default: the platform's own place for caches)
  PREBAKE_INSTANCES  the folder of instances (default: the platform's own place for data)
  PREBAKE_NETWORK_TIMEOUT  after how many seconds a silent server is given up
  PREBAKE_OFFLINE  set to 1: fetch nothing, as `--offline` does
  PREBAKE_REMOTE_CACHE  the URL of a shared cache, as `--remote-cache` takes it; its credentials
                   come from the store's own variables: AWS_…, GOOGLE_…, AZURE_…
  PREBAKE_REMOTE_CACHE_WRITE  set to 1: give it what is downloaded, as `--remote-cache-write` does
  PREBAKE_SEAL     the file of your key for what the cache keeps (default: in the temporary
                   folder)
  PREBAKE_VENDOR   vendored folders that are looked into first, as `--vendor` names them
  PREBAKE_THREADS  how many threads compress; changes no output
  PREBAKE_UNTRUSTED  set to 1: let a recipe name only what lies in its folder, as `--untrusted` does
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and NO_COLOR as elsewhere";

/// Reads a variable that is on unless it is empty or `0`.
pub(crate) fn is_on(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}
