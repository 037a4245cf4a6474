//! `[etc]`: what a host is told of itself.

use std::net::IpAddr;

use crate::document::At;

/// The most name servers that musl asks.
pub const MAX_NAMESERVERS: usize = 3;

/// The longest host name that Linux takes, in bytes.
pub const MAX_HOSTNAME: usize = 64;

/// What the rootfs is told of the host that it will be. Nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Etc {
    /// The host's name, for `/etc/hostname` and `/etc/hosts`.
    pub hostname: Option<At<String>>,
    /// The name of a time zone, as in `Europe/Berlin`, for `/etc/localtime` and `/etc/timezone`.
    pub timezone: Option<At<String>>,
    /// The lines of `/etc/apk/repositories`; `None` to leave the base's.
    pub repositories: Option<At<Vec<String>>>,
    /// What is in `/etc/resolv.conf`; `None` to leave what is there.
    pub resolv: Option<At<Resolv>>,
}

/// How names are looked up.
#[derive(Clone, Debug, Default)]
pub struct Resolv {
    /// The domains that a name is looked for in.
    pub search: Vec<String>,
    /// The servers to ask.
    pub nameservers: Vec<IpAddr>,
}
