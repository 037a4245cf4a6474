//! Stops a sandbox from another thread.

#[cfg(target_os = "linux")]
use std::net::Shutdown;
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixStream;
#[cfg(target_os = "linux")]
use std::sync::Weak;

/// Stops a [`Sandbox`](super::Sandbox) from another thread, while that one waits for a program.
#[derive(Clone, Debug)]
pub struct Stopper {
    /// The connection to the agent, which ends with it; gone when the sandbox is.
    #[cfg(target_os = "linux")]
    pub(super) connection: Weak<UnixStream>,
}

impl Stopper {
    /// Ends the sandbox and all that runs in it. A call that waits for it ends with
    /// [`SandboxError::Lost`](super::SandboxError::Lost). That it is gone already is no error.
    pub fn stop(&self) {
        #[cfg(target_os = "linux")]
        if let Some(connection) = self.connection.upgrade() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
