//! Who gives which name: the index of an index.
//!
//! A solver asks for names, and an index is ordered by packages. The directory turns it round: of
//! each name that a package has, provides or waits for, the packages that give it and the packages
//! that it may bring. And it leads on from there: of each package the names that it refers to, by
//! their positions, so that who follows them need not look any name up.

use super::name_hash::name_hash;
use super::parsed;
use super::stanza::{self, Stanza};
use super::tables::{self, Entry, GIVER, TextAt, View, Word, words};
use super::{Record, slice};
use crate::dependency::{self, Dependencies, Dependency};
use crate::version::{Dialect, is_valid};

/// Who gives which name in an index; made by [`Index::directory`](super::Index::directory).
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    tables: View<'a>,
    packages: Packages<'a>,
    /// How many of the names are more than depended on.
    known: usize,
}

/// What says what a package refers to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packages<'a> {
    /// The text of the index.
    Text {
        text: &'a str,
        records: &'a [Record],
        dialect: Dialect,
    },
    /// Its parsed form.
    Parsed(parsed::Packages<'a>),
}

/// A name of a [`Directory`].
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pool: &'a [u8],
    entry: Entry,
    givers: &'a [[u8; GIVER]],
    waiting: &'a [Word],
}

/// A package under one of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Giver {
    /// The package's position in the index.
    pub package: usize,
    /// Whether the name is its own (`P:`) and not one that it provides.
    pub own: bool,
    /// The version that it has under the name, for [`Directory::text`]; `None` where a `provides`
    /// gives none.
    pub version: Option<TextAt>,
}

/// A package of a [`Directory`], and what it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Referring<'d, 'a> {
    directory: &'d Directory<'a>,
    position: usize,
}

/// A dependency of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    /// On the name at this position, whatever its version.
    Plain(usize),
    /// On something with more to it, or that the directory may not have.
    Written {
        /// The position of its name, if the directory has it.
        name: Option<usize>,
        /// The dependency.
        dependency: Dependency<'a>,
    },
    /// On something with more to it, which [`Directory::dependency`] reads.
    Kept {
        /// The position of its name.
        name: usize,
        /// Whether it forbids what it names.
        conflict: bool,
        /// Where it is kept.
        at: TextAt,
    },
}

/// Iterates over dependencies.
enum Links<'d, 'a> {
    Text(&'d Directory<'a>, Dependencies<'a>),
    Parsed(parsed::Links<'a>),
}

/// Iterates over what a package provides.
enum Provides<'d, 'a> {
    Text(Referring<'d, 'a>, Dependencies<'a>),
    Parsed(parsed::Provides<'a>),
}

impl<'a> Directory<'a> {
    pub(super) fn new(tables: View<'a>, packages: Packages<'a>, known: usize) -> Self {
        Self {
            tables,
            packages,
            known,
        }
    }

    /// Returns the number of names that some package has, provides or has in its `install_if`.
    #[inline]
    pub fn len(&self) -> usize {
        self.known
    }

    /// Says whether there is no such name.
    pub fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// Returns the number of positions that names have. Those from [`Directory::len`] on are of
    /// names that are depended on and no more.
    pub fn positions(&self) -> usize {
        self.tables.names.len()
    }

    /// Returns the position of a name that some package has, provides or has in its `install_if`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.tables.find(name_hash(name), || name)
    }

    /// Returns the position of a name of another directory, or of this one that is only depended on
    /// there, if [`Directory::find`] finds it.
    pub fn find_same(&self, named: &Named<'_>) -> Option<usize> {
        self.tables.find(named.hash(), || named.text())
    }

    /// Returns the text that begins at a place which this directory named.
    pub fn text(&self, at: TextAt) -> &'a str {
        self.tables.text(at.word())
    }

    /// Returns the name at a position. Positions are in the order in which the index first has the
    /// names, except for those that are only depended on.
    #[inline]
    pub fn get(&self, position: usize) -> Option<Named<'a>> {
        let tables = &self.tables;
        let entry = tables.entry(position)?;
        let before = position.checked_sub(1);
        let before = before.and_then(|before| tables.entry(before));
        let before = before.unwrap_or_default();
        let givers = before.givers as usize..entry.givers as usize;
        let waiting = before.waiting as usize..entry.waiting as usize;
        Some(Named {
            pool: tables.pool,
            entry,
            givers: tables.givers.get(givers).unwrap_or_default(),
            waiting: tables.waiting.get(waiting).unwrap_or_default(),
        })
    }

    /// Reads a dependency that a [`Link::Kept`] says the place of.
    pub fn dependency(&self, at: TextAt) -> Option<Dependency<'a>> {
        match self.packages {
            Packages::Text { .. } => None,
            Packages::Parsed(packages) => packages.dependency(self.text(at)),
        }
    }

    /// Looks the name of a dependency up.
    pub(super) fn link<'n>(&self, dependency: Dependency<'n>) -> Link<'n> {
        match self.find(dependency.name) {
            Some(name) if dependency.is_plain() => Link::Plain(name),
            name => Link::Written { name, dependency },
        }
    }

    /// Returns a package with what it refers to, by its position in the index.
    pub fn package(&self, position: usize) -> Referring<'_, 'a> {
        Referring {
            directory: self,
            position,
        }
    }
}

impl<'a> Named<'a> {
    /// Returns the name.
    pub fn text(&self) -> &'a str {
        tables::line(self.pool, self.entry.text)
    }

    /// Returns its [`name_hash`].
    #[inline]
    pub fn hash(&self) -> u32 {
        self.entry.hash
    }

    /// Returns who gives it, in the order of the index.
    #[inline]
    pub fn givers(&self) -> impl ExactSizeIterator<Item = Giver> + use<'a> {
        self.givers.iter().map(|giver| {
            let [package, version] = words(giver);
            Giver {
                package: package as usize / 2,
                own: package % 2 == 1,
                version: TextAt::new(version),
            }
        })
    }

    /// Returns where a version begins in the pool that a package has under this name.
    pub(super) fn version_at(&self, package: usize, version: &str) -> Option<TextAt> {
        let package_of = |giver: &[u8; GIVER]| words::<2, GIVER>(giver)[0] as usize / 2;
        let from = self
            .givers
            .partition_point(|giver| package_of(giver) < package);
        let givers = self.givers.iter().skip(from);
        givers
            .take_while(|giver| package_of(giver) == package)
            .filter_map(|giver| TextAt::new(words::<2, GIVER>(giver)[1]))
            .find(|at| tables::line(self.pool, at.word()) == version)
    }

    /// Returns the positions of the packages that have it in their `install_if`, in the order of
    /// the index.
    #[inline]
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = usize> + use<'a> {
        let waiting = self.waiting.iter();
        waiting.map(|package| u32::from_le_bytes(*package) as usize)
    }
}

impl<'d, 'a> Referring<'d, 'a> {
    /// Returns the package itself; `None` where the index has none at this position.
    pub fn stanza(&self) -> Option<Stanza<'a>> {
        Some(Stanza::new(match self.directory.packages {
            Packages::Text { text, records, .. } => stanza::Form::Text {
                text,
                record: records.get(self.position)?,
            },
            Packages::Parsed(packages) => stanza::Form::Parsed(packages.get(self.position)?),
        }))
    }

    /// Returns the position of its own name.
    pub fn name(&self) -> Option<usize> {
        match self.directory.packages {
            Packages::Text { text, records, .. } => {
                let record = records.get(self.position)?;
                self.directory.find(slice(text, record.name))
            }
            Packages::Parsed(packages) => Some(packages.get(self.position)?.name()),
        }
    }

    /// Returns the positions of the names that it provides beside its own, with the versions that
    /// it has under them, in their order.
    #[inline]
    pub fn provides(&self) -> impl Iterator<Item = (usize, Option<TextAt>)> + use<'d, 'a> {
        match self.directory.packages {
            Packages::Text {
                text,
                records,
                dialect,
            } => {
                let record = records.get(self.position);
                let provides = record.map_or("", |record| slice(text, record.provides));
                Provides::Text(*self, dependency::list(provides, dialect))
            }
            Packages::Parsed(packages) => Provides::Parsed(packages.provides(self.position)),
        }
    }

    /// Returns what it depends on, and what it forbids, in their order.
    #[inline]
    pub fn depends(&self) -> impl Iterator<Item = Link<'a>> + use<'d, 'a> {
        match self.directory.packages {
            Packages::Text { .. } => self.links(|record| record.depends),
            Packages::Parsed(packages) => Links::Parsed(packages.depends(self.position)),
        }
    }

    /// Returns what lets it be installed by itself, in its order.
    #[inline]
    pub fn install_if(&self) -> impl Iterator<Item = Link<'a>> + use<'d, 'a> {
        match self.directory.packages {
            Packages::Text { .. } => self.links(|record| record.install_if),
            Packages::Parsed(packages) => Links::Parsed(packages.install_if(self.position)),
        }
    }

    /// Says whether its version and all that it depends on can be read.
    pub fn is_sound(&self) -> bool {
        match self.directory.packages {
            Packages::Text {
                text,
                records,
                dialect,
            } => records.get(self.position).is_some_and(|record| {
                let mut depends = dependency::list(slice(text, record.depends), dialect);
                depends.by_ref().for_each(drop);
                is_sound(slice(text, record.version), &depends, dialect)
            }),
            Packages::Parsed(packages) => packages
                .get(self.position)
                .is_some_and(|package| package.is_sound()),
        }
    }

    fn links(&self, range: impl Fn(&Record) -> super::Range) -> Links<'d, 'a> {
        let (list, dialect) = match self.directory.packages {
            Packages::Text {
                text,
                records,
                dialect,
            } => {
                let record = records.get(self.position);
                (
                    record.map_or("", |record| slice(text, range(record))),
                    dialect,
                )
            }
            Packages::Parsed(_) => ("", Dialect::V2),
        };
        Links::Text(self.directory, dependency::list(list, dialect))
    }
}

/// Says whether a package's version and all that it depends on can be read; `depends` was gone
/// through to its end.
pub(super) fn is_sound(
    version: &str,
    depends: &dependency::Dependencies<'_>,
    dialect: Dialect,
) -> bool {
    is_valid(version, dialect) && !depends.is_malformed()
}

impl<'a> Iterator for Links<'_, 'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        match self {
            Self::Text(directory, list) => Some(directory.link(list.next()?)),
            Self::Parsed(links) => links.next(),
        }
    }

    fn fold<B, F: FnMut(B, Link<'a>) -> B>(self, init: B, mut take: F) -> B {
        match self {
            Self::Text(directory, list) => list.fold(init, |all, dependency| {
                take(all, directory.link(dependency))
            }),
            // Asked once which of the two it is, and not for every dependency.
            Self::Parsed(links) => links.fold(init, take),
        }
    }
}

impl Iterator for Provides<'_, '_> {
    type Item = (usize, Option<TextAt>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Text(referring, list) => {
                let provided = list.next()?;
                let name = referring.directory.find(provided.name)?;
                if provided.version.is_empty() {
                    return Some((name, None));
                }
                let named = referring.directory.get(name)?;
                Some((name, named.version_at(referring.position, provided.version)))
            }
            Self::Parsed(provides) => provides.next(),
        }
    }

    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, init: B, take: F) -> B {
        match self {
            Self::Text(..) => std::iter::from_fn(|| self.next()).fold(init, take),
            Self::Parsed(provides) => provides.fold(init, take),
        }
    }
}
