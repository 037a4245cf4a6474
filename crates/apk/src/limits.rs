//! The bounds on everything that comes from outside.
//!
//! Each is far above what any published Alpine file holds and far below what would hurt a small
//! machine. Raising one changes only what is refused, never what is written. File contents have
//! no bound here, for they stream.

/// The largest pax header or GNU long name of one tar entry, in bytes.
///
/// Linux allows 64 KiB for an extended attribute and as much for their names, so that a file with
/// several large attributes still fits.
pub const MAX_TAR_METADATA: u64 = 1 << 20;

/// The most entries that one archive may hold; every entry becomes a node in memory.
pub const MAX_TAR_ENTRIES: u64 = 1 << 20;

/// The longest target of a symbolic link, in bytes: Linux's `PATH_MAX` less its final NUL.
pub const MAX_LINK_TARGET: usize = 4095;

/// The longest owner or group name, in bytes. Linux's own tools stop at 32.
pub const MAX_OWNER_NAME: usize = 255;

/// The largest signature or control member of a package, in bytes, compressed and uncompressed
/// alike: both are held in memory. Alpine's largest control members are some kilobytes.
pub const MAX_CONTROL: usize = 16 << 20;

/// The most signature members that a file may begin with. Alpine's files have one.
pub const MAX_SIGNATURE_MEMBERS: usize = 8;

/// The most signatures that a file may carry.
pub const MAX_SIGNATURES: usize = 64;

/// The largest signature, in bytes: apk 3 ignores larger ones too.
pub const MAX_SIGNATURE: usize = 64 << 10;

/// The largest public key file, in bytes. A PEM of RSA's largest allowed modulus is 1.5 kB.
pub const MAX_KEY: usize = 64 << 10;

/// The largest uncompressed index, in bytes: thirty times that of Alpine's `community`.
pub const MAX_INDEX: u64 = 256 << 20;
