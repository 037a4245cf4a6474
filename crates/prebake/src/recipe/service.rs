//! Services of OpenRC.

use crate::document::At;

/// A service that is to start in a runlevel.
#[derive(Clone, Debug)]
pub struct Service {
    /// The init script's name, in `/etc/init.d`.
    pub name: At<String>,
    /// The runlevel's name, in `/etc/runlevels`.
    pub runlevel: At<String>,
}
