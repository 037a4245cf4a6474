//! System calls that no package script or no instance needs, refused by a seccomp filter.
//!
//! Most of them the kernel refuses anyway, for the rights that they take are dropped: the filter
//! is the second lock on that door, and takes the kernel's code for them out of reach. What only
//! the filter keeps away is the virtual machine's host (`AF_VSOCK` knows no network namespaces)
//! and the kernel's keys.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// What is refused to all, whatever its arguments.
const REFUSED: [libc::c_long; 30] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// What is refused to scripts besides. In an instance debuggers are of use, and reach no further
/// than to programs that have no more rights than they.
const REFUSED_TO_SCRIPTS: [libc::c_long; 3] = [
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
];

/// The socket families that leave a network namespace, or are none of a script's.
const REFUSED_FAMILIES: [i32; 3] = [libc::AF_VSOCK, libc::AF_ALG, libc::AF_XDP];

/// A filter, ready for the kernel; none on machines that its library does not know.
#[derive(Clone, Debug)]
pub(crate) struct Filter(Option<BpfProgram>);

impl Filter {
    /// Returns the one for package scripts.
    pub(crate) fn for_scripts() -> io::Result<Self> {
        Self::of(REFUSED.iter().chain(&REFUSED_TO_SCRIPTS))
    }

    /// Returns the one for programs of an instance.
    pub(crate) fn for_instances() -> io::Result<Self> {
        Self::of(REFUSED.iter())
    }

    fn of<'a>(refused: impl Iterator<Item = &'a libc::c_long>) -> io::Result<Self> {
        let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else {
            return Ok(Self(None));
        };
        let program = program(refused, machine).map_err(io::Error::other)?;
        Ok(Self(Some(program)))
    }

    /// Has the kernel refuse this process, and what it becomes, the calls above with `EPERM`.
    pub(crate) fn install(&self) -> io::Result<()> {
        match &self.0 {
            Some(program) => apply_filter(program).map_err(io::Error::other),
            None => Ok(()),
        }
    }
}

fn program<'a>(
    refused: impl Iterator<Item = &'a libc::c_long>,
    machine: TargetArch,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        refused.map(|call| (*call, Vec::new())).collect();
    let family = |number: &i32| {
        let number = u64::from(number.unsigned_abs());
        let is = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number)?;
        SeccompRule::new(vec![is])
    };
    let families: Result<Vec<_>, _> = REFUSED_FAMILIES.iter().map(family).collect();
    rules.insert(libc::SYS_socket, families?);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, machine)?.try_into()
}
