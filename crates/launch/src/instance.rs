//! An instance: a root filesystem of one's own, in which programs are run.

use std::sync::Arc;

use prebake_apk::path::GuestPath;

use crate::command::Command;
use crate::driver::Driven;
use crate::launch_error::LaunchError;
use crate::name::Name;

/// An instance: a root filesystem of one's own, in which programs are run.
///
/// All its programs share its files, its processes and its network, as those of one machine do.
/// When it is dropped, all that runs in it ends; it is removed too, unless it is kept.
#[derive(Debug)]
pub struct Instance {
    name: Name,
    driven: Arc<dyn Driven>,
    kept: bool,
    removed: bool,
}

impl Instance {
    pub(crate) fn new(name: Name, driven: Arc<dyn Driven>, kept: bool) -> Self {
        Self {
            name,
            driven,
            kept,
            removed: false,
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Makes a directory, by its absolute path in the instance, and those above it: root's, with
    /// mode 0755. One that is there stays as it is.
    pub fn create_dir(&self, path: impl AsRef<[u8]>) -> Result<(), LaunchError> {
        let path = path.as_ref();
        let parsed = GuestPath::from_absolute(path).map_err(|source| LaunchError::GuestPath {
            path: path.to_vec(),
            source,
        })?;
        self.driven.create_dir(&parsed)
    }

    /// Prepares a program to be run, by its absolute path in the instance, or by its name, which
    /// is looked up in the `PATH` that the program will have.
    pub fn command(&self, program: impl AsRef<[u8]>) -> Command {
        Command::new(Arc::clone(&self.driven), program.as_ref())
    }

    /// Has the instance outlive this value and this process: [`Host::open`](crate::Host::open)
    /// takes it up again. What runs in it ends all the same.
    pub fn keep(&mut self) -> Result<(), LaunchError> {
        self.driven.keep()?;
        self.kept = true;
        Ok(())
    }

    /// Ends all that runs in it, and waits until it has. The next program starts it again.
    pub fn stop(&self) -> Result<(), LaunchError> {
        self.driven.stop()
    }

    /// Ends all that runs in it and takes it away.
    pub fn remove(mut self) -> Result<(), LaunchError> {
        self.removed = true;
        self.driven.remove()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        // What could not be removed is a left-over, which the next start finds.
        let _ = if self.kept {
            self.driven.stop()
        } else {
            self.driven.remove()
        };
    }
}
