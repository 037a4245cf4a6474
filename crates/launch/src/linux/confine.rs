//! What is taken away from a program before it begins.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

/// What package scripts may do as root: with files, with their own processes, and nothing with
/// the system. All of it holds in their user namespace only.
pub(crate) const SCRIPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SYS_CHROOT);

/// What programs of an instance may do as root: what they may in a common container, and all that
/// concerns the instance's own network.
pub(crate) const INSTANCE: CapabilitySet = SCRIPT
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETPCAP);

/// How many files a process may have open.
const OPEN_FILES: u64 = 4096;

/// The kernel's own limits for one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceilings {
    /// Processes and threads of one user.
    pub(crate) processes: u64,
    /// Memory that one process may write to, in bytes.
    pub(crate) memory: u64,
    /// The largest file, in bytes.
    pub(crate) file: u64,
}

/// Limits this process and what it becomes.
pub(crate) fn limit(ceilings: &Ceilings) -> io::Result<()> {
    for (resource, most) in [
        (Resource::Nproc, ceilings.processes),
        (Resource::Data, ceilings.memory),
        (Resource::Fsize, ceilings.file),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Core, 0),
    ] {
        // What the host allows less of stays: raising it takes a right that nobody here has.
        let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Some(most.min(allowed));
        let limit = Rlimit {
            current: limit,
            maximum: limit,
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Takes every right that is not kept from this process and from what it becomes, for good.
pub(crate) fn drop_rights(kept: CapabilitySet) -> io::Result<()> {
    leave_bounds(kept)?;
    limit_rights(kept)
}

/// Takes from this process, and from what it becomes, the way back to any right but `kept`.
pub(crate) fn leave_bounds(kept: CapabilitySet) -> io::Result<()> {
    for right in !kept {
        match remove_capability_from_bounding_set(right) {
            // Newer than this kernel.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Takes every right but `kept` from this process itself, and forbids new ones.
pub(crate) fn limit_rights(kept: CapabilitySet) -> io::Result<()> {
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    Ok(set_no_new_privs(true)?)
}
