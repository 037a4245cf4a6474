//! Programs of another machine, by `qemu-user` and `binfmt_misc`.
//!
//! The kernel's `binfmt_misc` starts an interpreter for files that begin with certain bytes. With
//! the flag `F` it opens the interpreter when it is registered, so that it need not be in the
//! tree. Since Linux 6.7 a user namespace can have registrations of its own.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount};

use super::stage::Failure;
use crate::sandbox::{Machine, Unavailable};

/// Where the host's registrations are.
const HOST: &str = "/proc/sys/fs/binfmt_misc";
/// Where the sandbox's own are.
const OWN: &str = "/binfmt";

/// How much is read of an emulator to see whether it stands alone, in bytes: its headers.
const HEAD: u64 = 4096;

/// Returns what programs of `machine` are to be run by; `None` where the host runs them.
pub(crate) fn needed(machine: Machine) -> Result<Option<PathBuf>, Unavailable> {
    if machine.is_native() || is_registered(machine) {
        return Ok(None);
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let arch = machine.qemu_name();
    let found = find(machine, &search);
    found.map(Some).ok_or(Unavailable::NoEmulator { arch })
}

/// Says whether the host runs programs of `machine` in any tree by a registration of its own.
fn is_registered(machine: Machine) -> bool {
    let path = Path::new(HOST).join(format!("qemu-{}", machine.qemu_name()));
    let mut text = String::new();
    let Ok(file) = fs_open(&path) else {
        return false;
    };
    if file.take(HEAD).read_to_string(&mut text).is_err() {
        return false;
    }
    let opened = |line: &str| line.strip_prefix("flags:").is_some_and(|f| f.contains('F'));
    text.lines().any(|line| line == "enabled") && text.lines().any(opened)
}

/// Finds an emulator for `machine` in the folders of `search` (`PATH`'s value).
///
/// One that needs libraries is not taken: it would look for them in the tree.
fn find(machine: Machine, search: &OsStr) -> Option<PathBuf> {
    let name = format!("qemu-{}", machine.qemu_name());
    let names = [format!("{name}-static"), name];
    std::env::split_paths(search)
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| names.clone().map(|name| folder.join(name)))
        .find(|path| stands_alone(path).unwrap_or(false))
}

/// Says whether an ELF file asks for no dynamic loader (`PT_INTERP`).
fn stands_alone(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    fs_open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(needs_no_loader(&head).unwrap_or(false))
}

/// Reads the program headers of a 64-bit ELF file of this host's byte order.
fn needs_no_loader(head: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    if head.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let half = |at: usize| {
        let bytes = head.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_ne_bytes(bytes)))
    };
    let table = u64::from_ne_bytes(head.get(32..40)?.try_into().ok()?);
    let (size, count) = (half(54)?, half(56)?);
    for index in 0..count {
        let at = usize::try_from(table).ok()?.checked_add(index * size)?;
        let kind = head.get(at..at.checked_add(4)?)?.try_into().ok()?;
        if u32::from_ne_bytes(kind) == PT_INTERP {
            return Some(false);
        }
    }
    Some(true)
}

/// Registers `emulator` for `machine` with the user namespace of this process. `stage` is where
/// the sandbox's file system is, with the host's still around it.
pub(crate) fn register(machine: Machine, emulator: &Path, stage: &str) -> Result<(), Failure> {
    let fail = |error: io::Error| ("register an emulator", error);
    let at = format!("{stage}{OWN}");
    let made = rustix::fs::mkdir(&*at, Mode::from(0o755));
    made.map_err(|error| fail(error.into()))?;
    mount(
        "binfmt_misc",
        &*at,
        "binfmt_misc",
        MountFlags::empty(),
        None,
    )
    .map_err(|error| fail(error.into()))?;
    let folder = rustix::fs::open(
        &*at,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    register_in(
        &folder.map_err(|error| fail(error.into()))?,
        machine,
        emulator,
    )
}

/// Registers `emulator` for `machine` with the `binfmt_misc` at `folder`.
pub(crate) fn register_in(
    folder: &OwnedFd,
    machine: Machine,
    emulator: &Path,
) -> Result<(), Failure> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let register = rustix::fs::openat(folder, "register", flags, Mode::empty());
    // One write is one registration.
    register
        .map_err(io::Error::from)
        .and_then(|file| std::fs::File::from(file).write_all(&registration(machine, emulator)))
        .map_err(|error| ("register an emulator", error))
}

/// Returns the line to register: the first bytes of an ELF file of the machine, executable or
/// position-independent, of any system's ABI.
fn registration(machine: Machine, emulator: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    let (class, number, big) = machine.elf();
    let order = if big { 2 } else { 1 };
    let mut magic = vec![0x7f, b'E', b'L', b'F', class, order, 1];
    let mut mask = vec![0xff; magic.len()];
    magic.resize(16, 0);
    mask.resize(16, 0);
    // `e_type`: ET_EXEC is 2 and ET_DYN is 3, told apart by the lowest bit.
    let two_bytes = |value: u16| {
        if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    magic.extend(two_bytes(2));
    mask.extend(two_bytes(0xfffe));
    magic.extend(two_bytes(number));
    mask.extend(two_bytes(0xffff));
    let escaped = |bytes: &[u8]| -> String {
        bytes
            .iter()
            .fold(String::new(), |text, byte| text + &format!("\\x{byte:02x}"))
    };
    let mut line = format!(":prebake:M::{}:{}:", escaped(&magic), escaped(&mask)).into_bytes();
    line.extend_from_slice(emulator.as_os_str().as_bytes());
    line.extend_from_slice(b":F");
    line
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file that is not there is no error here"
)]
fn fs_open(path: &Path) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}
