//! Merging packages into a base by apk's rules.
//!
//! The calls, in order: [`Merge::base_entry`] for each entry of the base, [`Merge::base_done`]
//! (or [`Merge::scratch`] and no base);
//! for each change [`Merge::begin_package`], [`Merge::package_entry`] for each entry of its
//! data, [`Merge::end_package`], or [`Merge::remove_package`]; then [`Merge::add_file`]
//! and the recipe's other changes;
//! then [`Merge::finish`]. After an error the merge is of no more use.
//!
//! Whoever runs scripts asks [`Merge::script`] after `begin_package` and `end_package`, has
//! [`Merge::begin_removal`] and [`Merge::end_removal`] instead of `remove_package`, and
//! [`Merge::begin_triggers`] after the last change; each may make scripts due.

mod added;
mod base;
mod change;
mod commit;
mod directories;
mod error;
mod finish;
mod owners;
mod package;
mod placed;
mod protect;
mod remove;
mod replaces;
mod report;
mod scratch;
mod scripts;
mod state;
mod twins;

use std::collections::{BTreeMap, BTreeSet};

use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;

use crate::tree::{FileContent, Node, NodeId, Place, SourceId, Tree};

pub use added::Owner;
pub use base::{Base, MAX_INLINE, MAX_INLINE_TOTAL, NamedFile};
pub use error::MergeError;
pub use package::NewPackage;
pub use placed::ChangeError;
pub use report::{Report, Script, Trigger};
pub use scripts::Call;
pub use twins::{Bringer, Twins};

use directories::Touched;
use owners::Names;
use package::Pending;
use protect::ProtectedPaths;
use scripts::Queue;
use state::{Database, PackageId};

/// A root filesystem into which packages are being merged.
#[derive(Clone, Debug)]
pub struct Merge {
    dialect: Dialect,
    /// The time of everything that has none of its own.
    epoch: i64,
    tree: Tree,
    /// Where the entry that is being merged comes from.
    place: Place,
    database: Database,
    users: Names,
    groups: Names,
    protected: ProtectedPaths,
    /// The directories that packages came to or left, in this merge.
    touched: BTreeMap<GuestPath, Touched>,
    /// All directories that packages came to or left, also those that went away.
    visited: BTreeSet<GuestPath>,
    /// What apk makes without a time of its own, so that it gets the last epoch's.
    made: Vec<NodeId>,
    /// The names and labels of the packages that came or went, in their order.
    sources: Vec<(String, String)>,
    /// How many bytes of contents were handed in inline.
    inline: u64,
    current: Option<Pending>,
    /// The package that is being removed.
    leaving: Option<PackageId>,
    /// The scripts that are due.
    due: Queue,
    /// Whether the triggers were due already.
    triggered: bool,
    report: Report,
}

impl Merge {
    /// Begins with nothing. `epoch` is the time, in seconds since 1970, that everything gets
    /// which no archive gives a time to: the apk database, the recipe's files, missing parents.
    pub fn new(epoch: i64) -> Self {
        Self {
            dialect: Dialect::V2,
            epoch,
            tree: Tree::new(epoch),
            place: Place {
                source: SourceId::BASE,
                position: 0,
            },
            database: Database::default(),
            users: Names::default(),
            groups: Names::default(),
            protected: ProtectedPaths::default(),
            touched: BTreeMap::new(),
            visited: BTreeSet::new(),
            made: Vec::new(),
            sources: Vec::new(),
            inline: 0,
            current: None,
            leaving: None,
            due: Queue::new(),
            triggered: false,
            report: Report::default(),
        }
    }

    /// Chooses whose rules apply. [`Merge::base_done`] chooses those of the apk that the base
    /// has, so this is for what comes after it, and for bases without any.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Changes the time that [`Merge::new`] was given, for what comes after it.
    pub fn set_epoch(&mut self, epoch: i64) {
        self.epoch = epoch;
    }

    /// Pins an installed package to another repository's tag, or to none.
    pub fn retag_package(&mut self, name: &[u8], tag: Option<Vec<u8>>) -> Result<(), MergeError> {
        let id = self.database.find(name);
        let installed = id.and_then(|id| self.database.packages.get_mut(&id));
        let installed = installed.ok_or_else(|| MergeError::NotInstalled {
            name: String::from_utf8_lossy(name).into_owned(),
        })?;
        installed.package.stanza.repository_tag = tag;
        Ok(())
    }

    /// Returns what there is, with no change to it: a base as it was read.
    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// Returns what there is so far.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Goes on to the next source and returns its number.
    fn next_source(&mut self, name: &[u8], label: String) -> Result<SourceId, MergeError> {
        if self.current.is_some() || self.leaving.is_some() {
            return Err(MergeError::Order("a change begins within a package"));
        }
        if self.triggered {
            return Err(MergeError::Order("a change comes after the triggers"));
        }
        self.pass_over();
        let source = SourceId(self.place.source.0.saturating_add(1));
        if source >= SourceId::GENERATED {
            return Err(MergeError::Order("a change comes after the recipe's files"));
        }
        self.place = Place {
            source,
            position: 0,
        };
        let name = String::from_utf8_lossy(name).into_owned();
        self.sources.push((name, label));
        Ok(source)
    }

    /// Counts a content that is held in memory.
    fn count_inline(
        &mut self,
        path: &GuestPath,
        file: Option<&FileContent>,
    ) -> Result<(), MergeError> {
        let bytes = file.and_then(FileContent::bytes).unwrap_or_default();
        self.inline += bytes.len() as u64;
        if self.inline > MAX_INLINE_TOTAL {
            return Err(MergeError::TooMuchInline { path: path.clone() });
        }
        Ok(())
    }

    /// Goes on to the next entry of the source and returns its place.
    fn next_place(&mut self) -> Place {
        self.place.position += 1;
        self.place
    }

    /// Goes on to the place of the next thing that no source has: it comes after all packages,
    /// their scripts and triggers.
    fn generated_place(&mut self) -> Place {
        if !self.triggered && self.current.is_none() && self.leaving.is_none() {
            self.make_triggers_due();
        }
        self.pass_over();
        if self.place.source != SourceId::GENERATED {
            self.place = Place {
                source: SourceId::GENERATED,
                position: 0,
            };
        }
        self.next_place()
    }

    /// Adds an inode and gives it its first name.
    fn put(&mut self, path: GuestPath, node: Node, place: Place) -> NodeId {
        let id = self.tree.add_node(node);
        self.tree.link(path, id, place);
        id
    }

    /// Makes the directories above `path` that are missing, root's and 0755, and returns the
    /// name that `path` really has when links on the way are followed.
    fn with_parents(
        &mut self,
        path: &GuestPath,
        mtime: i64,
        place: Place,
    ) -> Result<GuestPath, MergeError> {
        let Some(parent) = path.parent() else {
            return Ok(GuestPath::root());
        };
        // From the root down, so that each is there when the next is asked for.
        let mut above = vec![parent];
        while let Some(next) = above.last().and_then(GuestPath::parent) {
            above.push(next);
        }
        for directory in above.iter().rev() {
            let real = self.tree.real_name(directory).map_err(MergeError::from)?;
            if self.tree.get(&real).is_none() {
                let node = Node::new(crate::tree::NodeKind::Directory, 0o755, mtime, place);
                self.put(real, node, place);
            }
        }
        Ok(self.tree.real_name(path)?)
    }
}
