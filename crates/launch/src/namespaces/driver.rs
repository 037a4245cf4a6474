//! The backend itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use super::examine;
use super::instance::Held;
use super::store::{Lock, State, Store};
use super::tree;
use prebake_apk::digest::Sha256;

use crate::driver::{Driven, Driver, Progress};
use crate::finding::{self, Backend, Check};
use crate::folder;
use crate::host::{Listed, Settings};
use crate::launch_error::LaunchError;
use crate::linux::emulator;
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::name::Name;
use crate::rootfs::Rootfs;
use crate::sandbox::Machine;

#[derive(Debug)]
struct Namespaces {
    store: Store,
    #[cfg(target_pointer_width = "64")]
    filter: Filter,
}

pub(crate) fn driver(settings: &Settings) -> Result<Arc<dyn Driver>, LaunchError> {
    let store = Store::new(folder::find(settings)?);
    store.make()?;
    Ok(Arc::new(Namespaces {
        store,
        #[cfg(target_pointer_width = "64")]
        filter: Filter::for_instances().map_err(|source| LaunchError::Host {
            doing: "make a filter for system calls".to_owned(),
            source,
        })?,
    }))
}

impl Namespaces {
    fn held(
        &self,
        name: &Name,
        tree: PathBuf,
        state: State,
        lock: Lock,
        (machine, emulator): (Machine, Option<PathBuf>),
    ) -> Held {
        Held {
            store: self.store.clone(),
            name: name.clone(),
            tree,
            state: Mutex::new(state),
            lock: Mutex::new(Some(lock)),
            up: Mutex::new(None),
            removed: AtomicBool::new(false),
            programs: AtomicU64::new(0),
            places: OnceLock::new(),
            machine,
            emulator,
            #[cfg(target_pointer_width = "64")]
            filter: Some(self.filter.clone()).filter(|_| machine.calls_as_host()),
        }
    }
}

/// Finds what runs the programs of an architecture of Alpine's: this host, or an emulator.
fn machine(rootfs: &str, arch: &str) -> Result<(Machine, Option<PathBuf>), LaunchError> {
    let wrong = |why: String| LaunchError::WrongMachine {
        name: rootfs.to_owned(),
        arch: arch.to_owned(),
        why,
    };
    let machine = Machine::of_alpine(arch);
    let machine = machine.ok_or_else(|| wrong("it is not one of Alpine's".to_owned()))?;
    match emulator::needed(machine) {
        Ok(emulator) => Ok((machine, emulator)),
        Err(why) => Err(wrong(why.to_string())),
    }
}

impl Driver for Namespaces {
    fn backend(&self) -> Backend {
        Backend::Namespaces
    }

    fn notes(&self) -> Vec<String> {
        let checks = examine::checks(&self.store);
        let lacking = checks
            .into_iter()
            .filter(|check| check.state != finding::State::Good);
        let words = |check: Check| match check.mend {
            Some(mend) => format!("{}: {} ({mend})", check.what, check.seen),
            None => format!("{}: {}", check.what, check.seen),
        };
        lacking.map(words).collect()
    }

    fn sweep(&self) -> Result<Vec<Name>, LaunchError> {
        self.store.sweep()
    }

    fn has(&self, identity: &Sha256) -> bool {
        tree::of(&self.store, identity).is_dir()
    }

    fn import(
        &self,
        name: &Name,
        rootfs: &Rootfs,
        progress: Progress<'_>,
    ) -> Result<Arc<dyn Driven>, LaunchError> {
        let machine = machine(rootfs.name(), rootfs.arch())?;
        if self.store.instance(name).exists() && self.store.holder_of(name).is_some() {
            return Err(LaunchError::NameTaken { name: name.clone() });
        }
        let tree = tree::provide(&self.store, rootfs, progress)?;
        let state = State {
            identity: *rootfs.identity(),
            kept: false,
            copied: false,
            arch: rootfs.arch().to_owned(),
        };
        let lock = self.store.create(name, &state, &tree)?;
        let held = self.held(name, tree, state, lock, machine);
        if let Err(error) = held.up().map(drop) {
            let _ = held.remove();
            return Err(error);
        }
        Ok(Arc::new(held))
    }

    fn open(&self, name: &Name) -> Result<Arc<dyn Driven>, LaunchError> {
        let (lock, state) = self.store.take(name)?;
        let tree = tree::of(&self.store, &state.identity);
        let machine = machine(name.as_str(), &state.arch)?;
        Ok(Arc::new(self.held(name, tree, state, lock, machine)))
    }

    fn instances(&self) -> Result<Vec<Listed>, LaunchError> {
        let all = self.store.list()?.into_iter();
        Ok(all
            .map(|(name, state)| Listed {
                backend: Backend::Namespaces,
                identity: state.as_ref().map(|state| state.identity),
                kept: state.is_some_and(|state| state.kept),
                holder: self.store.holder_of(&name),
                name,
            })
            .collect())
    }
}
