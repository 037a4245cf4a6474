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
//! Nothing here touches a host's file system, clock or environment. The judge is the real apk
//! 2.14.4 (`tests/differential.rs`, `tests/matrix.rs`).

pub mod merge;
pub mod tree;

mod glob;

pub use merge::{Merge, MergeError, Report};
pub use tree::{Content, Node, NodeKind, SourceId, Tree};
