//! The kernel work: processes in namespaces of their own, what they see, and what they may.
//!
//! Nothing here knows what is run. A process begins in [`process`], gets its users from
//! [`id_map`], its place in the file system from [`stage`], and if it is the first of a process
//! namespace its duties from [`init`]; [`confine`] takes away what the program need not have.

pub(crate) mod confine;
pub(crate) mod descendants;
pub(crate) mod descriptors;
pub(crate) mod emulator;
// Its library knows 64-bit machines only.
#[cfg(target_pointer_width = "64")]
pub(crate) mod filter;
pub(crate) mod guest_root;
pub(crate) mod id_map;
pub(crate) mod init;
pub(crate) mod interpreter;
pub(crate) mod network;
pub(crate) mod passing;
pub(crate) mod process;
pub(crate) mod remove;
pub(crate) mod stage;
pub(crate) mod usage;
pub(crate) mod wire;
