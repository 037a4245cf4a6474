//! The tree of a root filesystem, and apk's rules for merging packages into it.
//!
//! A [`Merge`] is told of a base's entries, then of each package's in the order in which apk
//! installs them, and gives the [`Tree`] that `apk add --no-scripts` would have left, with apk's
//! database in it. What apk would print an error for and skip is an error here.
//!
//! Contents stay where they are: a node says which source holds its bytes and at what offset, and
//! [`Tree::in_order`] lists the nodes so that every source is read once, from front to back. Only
//! what the merge itself must read ([`Merge::wants_inline`]) is held in memory.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use prebake_apk::entry::{Entry, EntryKind};
//! use prebake_apk::path::GuestPath;
//! use prebake_rootfs::Merge;
//! use prebake_rootfs::merge::Owner;
//!
//! let mut merge = Merge::new(1_700_000_000);
//! merge.base_entry(
//!     Entry {
//!         path: GuestPath::from_archive(b"./etc/")?,
//!         kind: EntryKind::Directory,
//!         mode: 0o755,
//!         uid: 0,
//!         gid: 0,
//!         user: Vec::new(),
//!         group: Vec::new(),
//!         mtime: 1_600_000_000,
//!         xattrs: BTreeMap::new(),
//!         checksum: None,
//!         size: 0,
//!         offset: 512,
//!     },
//!     None,
//! )?;
//! merge.base_done()?;
//! let hosts = GuestPath::from_absolute(b"/etc/hosts")?;
//! let root = Owner::Id(0);
//! merge.add_file(&hosts, &b"127.0.0.1 localhost\n"[..], 0o644, &root, &root)?;
//! let (tree, report) = merge.finish(&[b"jq".to_vec()], "x86_64")?;
//! assert_eq!(tree.get(&hosts).unwrap().mtime, 1_700_000_000);
//! let world = GuestPath::from_absolute(b"/etc/apk/world")?;
//! assert_eq!(tree.inline(&world), Some(&b"jq\n"[..]));
//! assert!(report.scripts.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing here touches a host's file system, clock or environment. The judge is the real apk
//! 2.14.4 (`tests/differential.rs`, `tests/matrix.rs`).

pub mod change;
pub mod merge;
pub mod tree;

mod glob;

pub use change::{Attributes, Change, Made};
pub use merge::{Call, Merge, MergeError, Report};
pub use tree::{Content, Difference, Node, NodeKind, SourceId, Tree};
