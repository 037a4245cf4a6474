//! The bounds on everything that comes from outside.
//!
//! Each is far above what any published Alpine file holds and far below what would hurt a small
//! machine. Raising one changes only what is refused, never what is written. `docs/bounds.md` lists
//! them with those of the other crates, and the tests of each; `xtask` holds it to what stands here.

/// The largest pax header or GNU long name of one tar entry, in bytes.
///
/// Linux allows 64 KiB for an extended attribute and as much for their names, so that a file with
/// several large attributes still fits.
pub const MAX_TAR_METADATA: u64 = 1 << 20;

/// The most headers that one archive may hold, of which an entry may have several; every entry
/// becomes a node in memory. Twice what a full desktop has.
pub const MAX_TAR_ENTRIES: u64 = 1 << 19;

/// The most bytes that the names, link targets and extended attributes of one archive's entries
/// may have together: they are held in memory, while contents stream. A full desktop's quarter of
/// a million files have some 20 MB.
pub const MAX_TAR_HELD: u64 = 64 << 20;

/// The largest file of an archive, in bytes: the first size that a ustar header's eleven octal
/// digits cannot say.
pub const MAX_FILE: u64 = 1 << 33;

/// The most bytes that all files of one archive may have together.
pub const MAX_CONTENTS: u64 = 1 << 36;

/// The most bytes of output for each byte of a gzip file, beyond [`FREE_OF_RATIO`]. Deflate's own
/// limit is 1032. Alpine's packages stay below 10 but for the empty ones, whose 10 kB of zeros
/// give 38.
pub const MAX_RATIO: u64 = 200;

/// How many bytes of a gzip file's output are free of [`MAX_RATIO`]: more than [`MAX_CONTROL`], which
/// thus is what a bomb of control data goes over.
pub const FREE_OF_RATIO: u64 = 24 << 20;

/// The most gzip members in a row that a base may be made of. Parallel compressors write one for
/// each block, of 64 KiB at the smallest.
pub const MAX_GZIP_MEMBERS: u32 = 1 << 17;

/// The longest part of a path, in bytes: Linux's `NAME_MAX`.
pub const MAX_NAME: usize = 255;

/// The most parts that a path may have. Alpine's deepest have some twenty.
pub const MAX_DEPTH: usize = 128;

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

/// The largest uncompressed index, in bytes: five times that of Alpine's `community`, which is the
/// largest.
pub const MAX_INDEX: u64 = 40 << 20;

/// The most packages that an index may have: five times those of Alpine's `community`.
pub const MAX_INDEX_PACKAGES: usize = 100_000;
