//! What a backend does. Namespaces, WSL and, one day, virtual machines are each one of these.

use std::fmt;
use std::sync::Arc;

use prebake_apk::digest::Sha256;
use prebake_apk::path::GuestPath;

use crate::child::Child;
use crate::command::{Call, Stdio};
use crate::finding::Backend;
use crate::host::Listed;
use crate::launch_error::LaunchError;
use crate::name::Name;
use crate::rootfs::Rootfs;

/// What tells how far an import is: bytes of the uncompressed stream, of all of them.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// A backend that this host has.
pub(crate) trait Driver: fmt::Debug + Send + Sync {
    /// Returns which one it is.
    fn backend(&self) -> Backend;

    /// Returns what it does less well here than it could, and why, for people.
    fn notes(&self) -> Vec<String>;

    /// Removes what dead processes have left. Returns the instances that are gone by that.
    fn sweep(&self) -> Result<Vec<Name>, LaunchError>;

    /// Says whether an import of this identity needs none of the rootfs' bytes.
    fn has(&self, identity: &Sha256) -> bool {
        let _ = identity;
        false
    }

    /// Makes an instance. After an error there is nothing of it.
    fn import(
        &self,
        name: &Name,
        rootfs: &Rootfs,
        progress: Progress<'_>,
    ) -> Result<Arc<dyn Driven>, LaunchError>;

    /// Takes up an instance that was kept.
    fn open(&self, name: &Name) -> Result<Arc<dyn Driven>, LaunchError>;

    /// Lists the instances, by name.
    fn instances(&self) -> Result<Vec<Listed>, LaunchError>;
}

/// An instance of a backend.
pub(crate) trait Driven: fmt::Debug + Send + Sync {
    /// Makes a directory, and those above it.
    fn create_dir(&self, path: &GuestPath) -> Result<(), LaunchError>;

    /// Starts a program with these for standard input, output and error.
    fn spawn(&self, call: &Call, streams: [Stdio; 3]) -> Result<Child, LaunchError>;

    /// Has the instance outlive this process: it is no left-over from now on.
    fn keep(&self) -> Result<(), LaunchError>;

    /// Ends all that runs in it, and waits until it has.
    fn stop(&self) -> Result<(), LaunchError>;

    /// Ends all that runs in it and takes it away. That it is gone is no error.
    fn remove(&self) -> Result<(), LaunchError>;
}
