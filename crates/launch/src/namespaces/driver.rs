//! The backend itself.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::instance::Held;
use super::store::{State, Store};
use super::tree;
use prebake_apk::digest::Sha256;

use crate::driver::{Driven, Driver, Progress};
use crate::finding::Backend;
use crate::folder;
use crate::host::{Listed, Settings};
use crate::launch_error::LaunchError;
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
        tree: std::path::PathBuf,
        state: State,
        lock: fs_err::File,
    ) -> Held {
        Held {
            store: self.store.clone(),
            name: name.clone(),
            tree,
            state: Mutex::new(state),
            lock: Mutex::new(Some(lock)),
            up: Mutex::new(None),
            removed: AtomicBool::new(false),
            #[cfg(target_pointer_width = "64")]
            filter: Some(self.filter.clone()),
        }
    }
}

impl Driver for Namespaces {
    fn backend(&self) -> Backend {
        Backend::Namespaces
    }

    fn notes(&self) -> Vec<String> {
        Vec::new()
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
        let wrong = |why: &str| LaunchError::WrongMachine {
            name: rootfs.name().to_owned(),
            arch: rootfs.arch().to_owned(),
            why: why.to_owned(),
        };
        let machine = Machine::of_alpine(rootfs.arch());
        let machine = machine.ok_or_else(|| wrong("it is not one of Alpine's"))?;
        if !machine.is_native() {
            return Err(wrong("bake it for this host's architecture"));
        }
        if self.store.instance(name).exists() && self.store.holder_of(name).is_some() {
            return Err(LaunchError::NameTaken { name: name.clone() });
        }
        let tree = tree::provide(&self.store, rootfs, progress)?;
        let state = State {
            identity: *rootfs.identity(),
            kept: false,
            copied: false,
        };
        let lock = self.store.create(name, &state)?;
        let held = self.held(name, tree, state, lock);
        match held.up() {
            Ok(_) => {}
            Err(error) => {
                let _ = held.remove();
                return Err(error);
            }
        }
        Ok(Arc::new(held))
    }

    fn open(&self, name: &Name) -> Result<Arc<dyn Driven>, LaunchError> {
        let (lock, state) = self.store.take(name)?;
        let tree = tree::of(&self.store, &state.identity);
        Ok(Arc::new(self.held(name, tree, state, lock)))
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
