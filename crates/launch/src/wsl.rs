//! Instances as distributions of the Windows Subsystem for Linux, by its own program `wsl.exe`.
//!
//! Each instance is a distribution, `prebake-NAME`, made by `wsl.exe --import`. Which ones are
//! ours is known by that prefix and by our own record (`store.rs`) together; no other is touched.
//!
//! - `program.rs` calls `wsl.exe`, each time with a limit; `text.rs` reads what it says, and
//!   `trouble.rs` what its codes mean. Decisions are made by exit codes, by names that it lists,
//!   and by codes that it does not translate, never by its words.
//! - `images.rs` has the files to import from, `store.rs` who has which instance.
//! - `instance.rs` is an instance, `call.rs` and `run.sh` how a program is run in it, `running.rs`
//!   how one waits for it and `kill.sh` kills it.
//! - `look.rs` finds out what this host has.
//!
//! It compiles on every host, and takes its `wsl.exe` from [`Settings::wsl`], so that its tests
//! run everywhere; it is looked for on Windows alone.
//!
//! What WSL does is told by Microsoft's pages "Basic commands for WSL", "Import any Linux
//! distribution", "Working across file systems", "Advanced settings configuration in WSL" and
//! "Troubleshooting"; where a comment says more, it was read in the source of WSL 2, which is
//! public (microsoft/WSL).

mod call;
mod images;
mod instance;
mod look;
mod program;
mod running;
mod share;
mod store;
pub(crate) mod text;
mod trouble;

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use self::instance::WslInstance;
use self::program::{IMPORT, Program, QUESTION, START};
use self::store::{Record, Store};
use self::trouble::Trouble;
use crate::driver::{Driven, Driver, Progress};
use crate::finding::{Backend, Check, Finding};
use crate::folder;
use crate::host::{Listed, Settings};
use crate::launch_error::LaunchError;
use crate::name::Name;
use crate::rootfs::Rootfs;

/// What the distributions of ours begin with.
const PREFIX: &str = "prebake-";

/// Returns the name of an instance's distribution.
fn distribution(name: &Name) -> String {
    format!("{PREFIX}{name}")
}

/// Looks at what this host has of WSL.
pub(crate) fn examine(settings: &Settings) -> Vec<Check> {
    look::look(settings)
}

/// Returns the driver. Whether WSL works is seen at the first import; [`examine`] looks.
pub(crate) fn driver(settings: &Settings) -> Result<Arc<dyn Driver>, LaunchError> {
    let Ok(wsl) = Program::find(settings) else {
        return Err(LaunchError::NoBackend(vec![Finding {
            backend: Backend::Wsl,
            checks: examine(settings),
        }]));
    };
    let store = Store::new(folder::find(settings)?.join("wsl"));
    Ok(Arc::new(WslDriver { wsl, store }))
}

/// Lists the distributions of this user.
fn registered(wsl: &Program) -> Result<Vec<String>, LaunchError> {
    let doing = "list the distributions of WSL";
    let words = program::arguments(&["--list", "--quiet"]);
    let answer = wsl.call(doing, &words, QUESTION)?;
    // Older versions say that there is none by an error of their own, and newer ones by nothing.
    if !answer.is_success() && Trouble::of(&answer.said) != Trouble::NoDistribution {
        return Err(LaunchError::Host {
            doing: doing.to_owned(),
            source: io::Error::other(trouble::explain(&answer.said)),
        });
    }
    let names = answer.said.lines().map(str::trim);
    Ok(names.map(str::to_owned).collect())
}

/// Takes an instance's distribution away, with all that runs in it. That there is none is no
/// error.
///
/// Since 2026 `--unregister` asks before it does so, and where it cannot ask it does nothing,
/// unless there is a `--force` ("Basic commands for WSL"). Versions before that pass over what
/// follows the name.
fn unregister(wsl: &Program, name: &Name) -> Result<(), LaunchError> {
    let doing = format!("remove {name}");
    let name = distribution(name);
    let answer = wsl.call(
        &doing,
        &program::arguments(&["--unregister", &name, "--force"]),
        START,
    )?;
    if !registered(wsl)?.contains(&name) {
        return Ok(());
    }
    // One that does not know `--force` after all.
    let plainly = program::arguments(&["--unregister", &name]);
    let again = wsl.call(&doing, &plainly, START)?;
    if again.is_success() && !registered(wsl)?.contains(&name) {
        return Ok(());
    }
    Err(LaunchError::Host {
        doing,
        source: io::Error::other(trouble::explain(&answer.said)),
    })
}

/// The driver.
#[derive(Clone, Debug)]
struct WslDriver {
    wsl: Program,
    store: Store,
}

impl Driver for WslDriver {
    fn backend(&self) -> Backend {
        Backend::Wsl
    }

    fn notes(&self) -> Vec<String> {
        [
            "instances share one virtual machine, its kernel and its memory: they are kept apart \
             from each other and from Windows as one's own programs are, and not as a stranger's \
             should be",
            "without a network a program has a loopback device alone, in a network namespace of \
             its instance; but WSL's own channel to Windows is open to who is root and looks for \
             it",
            "memory, processors and processes are not bound by program; `%USERPROFILE%\\.wslconfig` \
             bounds them for all distributions together",
            "what a program mounts is seen by itself only",
        ]
        .map(str::to_owned)
        .into()
    }

    fn sweep(&self) -> Result<Vec<Name>, LaunchError> {
        let mut gone = Vec::new();
        for (name, claim) in self.store.left_overs()? {
            // What cannot be removed now, as Windows is still at it, is a left-over next time too.
            if self.undo(&name).is_ok() && self.store.forget(&name, claim).is_ok() {
                gone.push(name);
            }
        }
        images::sweep(&self.store)?;
        Ok(gone)
    }

    fn import(
        &self,
        name: &Name,
        rootfs: &Rootfs,
        progress: Progress<'_>,
    ) -> Result<Arc<dyn Driven>, LaunchError> {
        check_machine(rootfs)?;
        let claim = self.store.begin(name, *rootfs.identity())?;
        let imported = images::file(&self.store, rootfs, progress)
            .and_then(|image| self.import_file(name, image.as_os_str()));
        if let Err(error) = imported {
            if self.undo(name).is_ok() {
                let _ = self.store.forget(name, claim);
            }
            return Err(error);
        }
        Ok(self.instance(name, claim))
    }

    fn open(&self, name: &Name) -> Result<Arc<dyn Driven>, LaunchError> {
        let (_, claim) = self.store.take(name)?;
        if !registered(&self.wsl)?.contains(&distribution(name)) {
            // Somebody unregistered it by hand.
            self.store.forget(name, claim)?;
            return Err(LaunchError::NotThere { name: name.clone() });
        }
        Ok(self.instance(name, claim))
    }

    fn instances(&self) -> Result<Vec<Listed>, LaunchError> {
        let known = self.store.list()?;
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let registered = registered(&self.wsl)?;
        let listed = known.into_iter().filter_map(|(name, record, held)| {
            let Record {
                identity,
                kept,
                holder,
            } = record;
            let is_there = held || registered.contains(&distribution(&name));
            is_there.then(|| Listed {
                name,
                backend: Backend::Wsl,
                identity: Some(identity),
                kept,
                holder: held.then_some(holder),
            })
        });
        Ok(listed.collect())
    }
}

impl WslDriver {
    fn instance(&self, name: &Name, claim: store::Claim) -> Arc<dyn Driven> {
        let (wsl, store) = (self.wsl.clone(), self.store.clone());
        Arc::new(WslInstance::new(wsl, store, name.clone(), claim))
    }

    fn import_file(&self, name: &Name, image: &OsStr) -> Result<(), LaunchError> {
        let doing = format!("import {name} by wsl.exe");
        let distribution = distribution(name);
        let disk = self.store.disk(name);
        let words = [
            OsStr::new("--import"),
            OsStr::new(&distribution),
            disk.as_os_str(),
            image,
            OsStr::new("--version"),
            OsStr::new("2"),
        ];
        let answer = self.wsl.call(&doing, &words, IMPORT)?;
        if answer.is_success() {
            return Ok(());
        }
        let is_taken = || -> Result<bool, LaunchError> {
            let is_listed = registered(&self.wsl)?.contains(&distribution);
            Ok(is_listed && !self.is_ours(name))
        };
        if Trouble::of(&answer.said) == Trouble::Exists || is_taken().unwrap_or(false) {
            return Err(LaunchError::NameTaken { name: name.clone() });
        }
        Err(LaunchError::Host {
            doing,
            source: io::Error::other(trouble::explain(&answer.said)),
        })
    }

    /// Says whether a distribution of this name is ours: its disk is then in our folder.
    fn is_ours(&self, name: &Name) -> bool {
        fs_err::read_dir(self.store.disk(name)).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Takes away what there is of an instance at WSL. One of the same name that is another's
    /// stays.
    fn undo(&self, name: &Name) -> Result<(), LaunchError> {
        if self.is_ours(name) {
            unregister(&self.wsl, name)?;
        }
        Ok(())
    }
}

/// Refuses programs of another machine: WSL emulates none.
fn check_machine(rootfs: &Rootfs) -> Result<(), LaunchError> {
    let host = std::env::consts::ARCH;
    let runs = match rootfs.arch() {
        "x86" | "x86_64" => host == "x86_64",
        "aarch64" => host == "aarch64",
        _ => false,
    };
    if runs {
        return Ok(());
    }
    Err(LaunchError::WrongMachine {
        name: rootfs.name().to_owned(),
        arch: rootfs.arch().to_owned(),
        why: format!("WSL runs the programs of {host} here; bake it for that"),
    })
}
