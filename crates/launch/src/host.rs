//! What runs instances on this host.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prebake_apk::digest::Sha256;

use crate::driver::Driver;
use crate::finding::{Backend, Check, Finding, State};
use crate::instance::Instance;
use crate::launch_error::LaunchError;
use crate::name::Name;
use crate::namespaces;
use crate::rootfs::Rootfs;
use crate::wsl;

/// A way to run instances that this host has.
#[derive(Clone, Debug)]
pub struct Host {
    driver: Arc<dyn Driver>,
    swept: Vec<Name>,
}

/// What a [`Host`] can be told. The default is what one wants.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder where instances and unpacked trees are. By default `$PREBAKE_INSTANCES` if that
    /// is set; else on Linux `/var/lib/prebake` for root and `$XDG_DATA_HOME/prebake` (or
    /// `~/.local/share/prebake`) for others, on Windows `%LOCALAPPDATA%\prebake`, on macOS
    /// `~/Library/Application Support/prebake`.
    pub folder: Option<PathBuf>,
    /// The program `wsl.exe`. By default the system's.
    pub wsl: Option<PathBuf>,
    /// How long a call of `wsl.exe` may take, other than one that runs a program. By default
    /// each kind of call has a time of its own: a minute for a question, 20 for an import.
    pub wsl_patience: Option<Duration>,
}

/// An instance that is there, whoever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: Name,
    /// The backend it belongs to.
    pub backend: Backend,
    /// The identity of the rootfs that it was imported from, where that is known.
    pub identity: Option<Sha256>,
    /// Whether it outlives the process that has it.
    pub kept: bool,
    /// The process that has it now, if one does.
    pub holder: Option<u32>,
}

impl Host {
    /// Takes the first backend of [`Backend::ALL`] that this host has, and removes what dead
    /// processes have left of it.
    pub fn detect() -> Result<Self, LaunchError> {
        Self::detect_with(&Settings::default())
    }

    /// As [`Host::detect`], with settings.
    pub fn detect_with(settings: &Settings) -> Result<Self, LaunchError> {
        // Looking costs a process or two, so no further than to the first that will do.
        let mut lacking = Vec::new();
        for backend in Backend::ALL {
            let finding = look(backend, settings);
            if finding.is_usable() {
                return Self::with(backend, settings);
            }
            lacking.push(finding);
        }
        Err(LaunchError::NoBackend(lacking))
    }

    /// Takes this backend, and removes what dead processes have left of it.
    pub fn with(backend: Backend, settings: &Settings) -> Result<Self, LaunchError> {
        let driver = driver(backend, settings)?;
        let swept = driver.sweep()?;
        Ok(Self { driver, swept })
    }

    /// Returns which backend it is.
    pub fn backend(&self) -> Backend {
        self.driver.backend()
    }

    /// Returns what it does less well here than it could, and why, for people.
    pub fn notes(&self) -> Vec<String> {
        self.driver.notes()
    }

    /// Returns the instances that dead processes had left and that were removed at the start.
    pub fn swept(&self) -> &[Name] {
        &self.swept
    }

    /// Says whether a rootfs of this identity was imported before, so that an import of it needs
    /// none of its bytes.
    pub fn has(&self, identity: &Sha256) -> bool {
        self.driver.has(identity)
    }

    /// Makes an instance of `rootfs`. Where its identity was imported before, nothing is unpacked.
    ///
    /// It lives as long as the returned value, unless [`Instance::keep`] is called.
    pub fn import(&self, name: &Name, rootfs: &Rootfs) -> Result<Instance, LaunchError> {
        self.import_with(name, rootfs, &mut |_, _| {})
    }

    /// As [`Host::import`], and tells how far it is: bytes unpacked, of all of them. Not called
    /// where nothing is unpacked.
    pub fn import_with(
        &self,
        name: &Name,
        rootfs: &Rootfs,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Instance, LaunchError> {
        let driven = self.driver.import(name, rootfs, progress)?;
        Ok(Instance::new(name.clone(), driven, false))
    }

    /// Takes up an instance that was kept.
    pub fn open(&self, name: &Name) -> Result<Instance, LaunchError> {
        let driven = self.driver.open(name)?;
        Ok(Instance::new(name.clone(), driven, true))
    }

    /// Lists the instances of this backend, by name, those of other processes too.
    pub fn instances(&self) -> Result<Vec<Listed>, LaunchError> {
        self.driver.instances()
    }
}

/// Looks at what this host has for each backend. Nothing is changed by it.
pub fn examine(settings: &Settings) -> Vec<Finding> {
    Backend::ALL
        .into_iter()
        .map(|backend| look(backend, settings))
        .collect()
}

fn look(backend: Backend, settings: &Settings) -> Finding {
    let checks = checks(backend, settings);
    Finding { backend, checks }
}

fn checks(backend: Backend, settings: &Settings) -> Vec<Check> {
    match backend {
        Backend::Namespaces => namespaces::examine(settings),
        Backend::Wsl => wsl::examine(settings),
        _ => vec![missing(
            "support",
            format!("prebake does not drive {backend} yet"),
        )],
    }
}

fn missing(what: &'static str, seen: String) -> Check {
    Check {
        what,
        state: State::Missing,
        seen,
        mend: None,
    }
}

fn driver(backend: Backend, settings: &Settings) -> Result<Arc<dyn Driver>, LaunchError> {
    match backend {
        Backend::Namespaces => namespaces::driver(settings),
        Backend::Wsl => wsl::driver(settings),
        _ => Err(LaunchError::NoBackend(vec![look(backend, settings)])),
    }
}
