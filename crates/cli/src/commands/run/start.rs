//! What `run` begins from: a rootfs that is there, or one that is baked for it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use prebake::arch::Arch;
use prebake::recipe::Recipe;
use prebake::{Context, Error, LockState, RootfsFile, Upgrade};
use prebake_launch::{About, Host, Image, Rootfs};
use tempfile::TempDir;

use crate::arguments::{Global, RunArguments};
use crate::failure::Failure;
use crate::output;
use crate::session::{self, Interrupt};

/// The first bytes of every gzip member (RFC 1952), and so of a rootfs.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A rootfs to begin from, and the folder that its bytes are in for as long as this lives.
pub(crate) struct Start {
    pub(crate) rootfs: Rootfs,
    _folder: Option<TempDir>,
}

/// Finds out what the command's argument is, and bakes it if it is a recipe.
pub(crate) fn start(
    arguments: &RunArguments,
    global: &Global,
    interrupt: &Interrupt,
    host: &Host,
) -> Result<Start, Failure> {
    if is_rootfs(&arguments.source) {
        return Ok(Start {
            rootfs: from_file(&arguments.source)?,
            _folder: None,
        });
    }
    let recipe = session::recipe(&arguments.source, &arguments.host)?;
    let cancel = interrupt.cancel.clone();
    let context = session::open_with(&arguments.host, global, cancel)?;
    Ok(from_recipe(&recipe, arguments.locked, &context, host)?)
}

/// Says by its first bytes whether a file is a rootfs, and no recipe.
pub(crate) fn is_rootfs(path: &Path) -> bool {
    let mut start = [0; GZIP.len()];
    let read = std::fs::OpenOptions::new()
        .read(true)
        .open(path)
        .and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == GZIP
}

/// Reads what a rootfs is called by.
fn from_file(path: &Path) -> Result<Rootfs, Error> {
    let file = RootfsFile::read(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split('.').next().unwrap_or_default().to_owned();
    let about = About {
        name: name.into(),
        release: String::new().into(),
        arch: file.base.arch.clone().unwrap_or_default().into(),
        identity: file.identity,
        unpacked: file.uncompressed_size,
        packages: Vec::new().into(),
    };
    Ok(Rootfs::new(about, Image::File(path.to_owned())))
}

/// Bakes what the recipe's lock names for this machine, unless the host has it already.
fn from_recipe(
    recipe: &Recipe,
    locked: bool,
    context: &Context,
    host: &Host,
) -> Result<Start, Error> {
    let arch = std::env::consts::ARCH;
    let arch = Arch::from_name(arch).map_or_else(|| arch.to_owned(), |arch| arch.name().to_owned());
    let arches = prebake::select_arches(recipe, &[arch])?;
    let lock = if locked {
        prebake::check_lock(recipe)?
    } else {
        let locked = prebake::update_lock(recipe, &Upgrade::Keep, context)?;
        if locked.state == LockState::Updated {
            output::notice("the lock was updated");
        }
        locked.lock
    };
    let rootfs = arches.first().and_then(|arch| lock.rootfs(*arch));
    let rootfs = rootfs.ok_or_else(|| Error::NoLock(recipe.path.clone()))?;
    if host.has(&rootfs.identity) {
        let about = About {
            name: recipe.name.clone().into(),
            release: rootfs.release.clone().unwrap_or_default().into(),
            arch: rootfs.arch.name().into(),
            identity: rootfs.identity,
            unpacked: 0,
            packages: Vec::new().into(),
        };
        let nowhere = Image::File(PathBuf::new());
        return Ok(Start {
            rootfs: Rootfs::new(about, nowhere),
            _folder: None,
        });
    }
    let folder = TempDir::with_prefix_in("run-", context.cache_root());
    let folder = folder.map_err(|source| Error::Write {
        path: context.cache_root().to_owned(),
        source,
    })?;
    let path = folder.path().join("rootfs.tar.gz");
    let built = prebake::bake_to(recipe, rootfs, &path, context)?;
    Ok(Start {
        rootfs: Rootfs::new(built.about, Image::File(path)),
        _folder: Some(folder),
    })
}
