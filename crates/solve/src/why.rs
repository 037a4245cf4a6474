//! Why a world cannot be satisfied: a tree of reasons, in terms of what was asked for.

use std::fmt;

/// Why there is no [`Solution`](crate::Solution).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// Nothing fits; the value says why.
    #[error("no set of packages satisfies the world")]
    Unsatisfiable(Unsatisfiable),
    /// The world pins something to a tag that no repository has, which apk refuses too.
    #[error("`{dependency}` is pinned to a tag that no repository has")]
    UnknownTag {
        /// The dependency as apk writes it.
        dependency: String,
    },
    /// The request has more than [`MAX_REPOSITORIES`](crate::MAX_REPOSITORIES) repositories.
    #[error("there are {0} repositories, more than {max}", max = crate::MAX_REPOSITORIES)]
    TooManyRepositories(usize),
    /// An index was read from a parsed form that was made for another dialect than the request's.
    #[error("an index was read from a parsed form of another dialect")]
    OtherDialect,
    /// The search was given up after its bound on work, some hundred times that of a real world.
    #[error("the search was given up after {0} steps")]
    TooMuchWork(u64),
}

/// The reasons for which a world cannot be satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsatisfiable {
    /// One for each thing that was asked for and cannot be had; at least one.
    pub reasons: Vec<Reason>,
}

/// Why one dependency cannot be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The dependency as apk writes it: `jq>9`.
    pub dependency: String,
    /// Who asks for it.
    pub requirer: Requirer,
    /// What there is of that name, and why each was out; for a conflict what is there
    /// nevertheless. Empty if nothing has the name.
    pub candidates: Vec<Candidate>,
    /// How many more there are, which are not told of.
    pub more: usize,
    /// Names much like it, nearest first, if nothing has the name.
    pub near: Vec<String>,
}

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirer {
    /// The world itself.
    World,
    /// A package, as `name-version`.
    Package(String),
}

/// A package that has the name asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// Who needs it; only told of what is forbidden.
    pub needs: Vec<Need>,
    /// Why it was out; empty for one that would do but for what else is asked for.
    pub objections: Vec<Objection>,
}

/// Who needs a package that something else forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The dependency that asks for it.
    pub dependency: String,
    /// The packages that lead to it, as `name-version`, each needed by the next; empty if the world
    /// itself asks for it.
    pub by: Vec<String>,
    /// Whether the world asks for the last of them.
    pub by_world: bool,
}

/// Why a candidate was out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It gives the name in another version, or in none.
    Version(Option<String>),
    /// It is in a repository with this tag only, and the name is not pinned to it.
    Tag(String),
    /// This apk cannot install it.
    Uninstallable,
    /// Something else does not allow it.
    Forbidden {
        /// Who does not.
        by: Requirer,
        /// The dependency that it breaks.
        dependency: String,
    },
    /// A name that it gives, and that one package alone can have, is another package's.
    Taken {
        /// The name.
        name: String,
        /// The package that has it, as `name-version`.
        by: String,
    },
    /// It would do for the name, but has neither a version nor a priority for it, so that apk
    /// does not take it unless it is asked for by its own name.
    NotByItself,
    /// It needs something that cannot be had.
    Needs(Box<Reason>),
    /// It needs something that cannot be had, the reason of which the tree already tells.
    NeedsAsSaid(String),
}

impl Unsatisfiable {
    /// Shows the tree of reasons, calling the world `world`: "the recipe", say.
    pub fn display<'a>(&'a self, world: &'a str) -> impl fmt::Display + 'a {
        Shown { why: self, world }
    }
}

impl fmt::Display for Unsatisfiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display("the world").fmt(f)
    }
}

/// A tree of reasons to be shown.
struct Shown<'a> {
    why: &'a Unsatisfiable,
    /// What the world is called.
    world: &'a str,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, reason) in self.why.reasons.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            self.reason(f, reason, 0)?;
        }
        Ok(())
    }
}

impl Shown<'_> {
    fn requirer(&self, requirer: &Requirer) -> String {
        match requirer {
            Requirer::World => self.world.to_owned(),
            Requirer::Package(package) => format!("`{package}`"),
        }
    }

    fn reason(&self, f: &mut fmt::Formatter<'_>, reason: &Reason, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        let (dependency, requirer) = (&reason.dependency, self.requirer(&reason.requirer));
        let is_conflict = dependency.starts_with('!');
        if is_conflict {
            write!(
                f,
                "{:indent$}`{dependency}` of {requirer} forbids what something else needs",
                ""
            )?;
        } else {
            write!(f, "{:indent$}`{dependency}`, asked for by {requirer}", "")?;
        }
        if reason.candidates.is_empty() && reason.more == 0 {
            f.write_str(": no package has this name")?;
            if let [nearest, rest @ ..] = &reason.near[..] {
                write!(f, "; did you mean `{nearest}`")?;
                for name in rest {
                    write!(f, " or `{name}`")?;
                }
                f.write_str("?")?;
            }
        }
        for candidate in &reason.candidates {
            let Candidate { name, version, .. } = candidate;
            write!(f, "\n{:indent$}  {name}-{version}: ", "")?;
            let next = |f: &mut fmt::Formatter<'_>, position: usize| match position {
                0 => Ok(()),
                _ => write!(f, "\n{:indent$}    and ", ""),
            };
            for (position, need) in candidate.needs.iter().enumerate() {
                next(f, position)?;
                self.need(f, need)?;
            }
            for (position, objection) in candidate.objections.iter().enumerate() {
                next(f, position)?;
                self.objection(f, objection, (reason, candidate), depth)?;
            }
            if candidate.needs.is_empty() && candidate.objections.is_empty() {
                f.write_str(if is_conflict {
                    "is there nevertheless"
                } else {
                    "would do, but does not fit with what else is asked for"
                })?;
            }
        }
        match reason.more {
            0 => Ok(()),
            more => write!(f, "\n{:indent$}  and {more} more packages", ""),
        }
    }

    /// Says who needs what is forbidden.
    fn need(&self, f: &mut fmt::Formatter<'_>, need: &Need) -> fmt::Result {
        let Need { dependency, by, .. } = need;
        let Some((first, rest)) = by.split_first() else {
            return write!(f, "{} asks for `{dependency}`", self.world);
        };
        write!(f, "`{first}` needs it (`{dependency}`)")?;
        for package in rest {
            write!(f, ", which `{package}` needs")?;
        }
        if need.by_world {
            write!(f, ", which {} asks for", self.world)?;
        }
        Ok(())
    }

    fn objection(
        &self,
        f: &mut fmt::Formatter<'_>,
        objection: &Objection,
        (reason, candidate): (&Reason, &Candidate),
        depth: usize,
    ) -> fmt::Result {
        let asked = &reason.dependency;
        match objection {
            Objection::Version(Some(version)) if *version == candidate.version => {
                write!(f, "this version does not match `{asked}`")
            }
            Objection::Version(Some(version)) => {
                write!(
                    f,
                    "has the name in version {version}, which does not match `{asked}`"
                )
            }
            Objection::Version(None) => {
                write!(
                    f,
                    "has the name without a version, which does not match `{asked}`"
                )
            }
            Objection::Tag(tag) => {
                write!(f, "is only in a repository tagged `@{tag}`")?;
                if reason.requirer == Requirer::World && !asked.contains(['@', '<', '=', '>', '~'])
                {
                    write!(f, "; `{asked}@{tag}` would take it from there")?;
                }
                Ok(())
            }
            Objection::Uninstallable => f.write_str("this apk cannot install it"),
            Objection::Forbidden { by, dependency } if dependency.starts_with('!') => {
                write!(f, "{} forbids it (`{dependency}`)", self.requirer(by))
            }
            Objection::Forbidden { by, dependency } => {
                write!(f, "{} asks for another (`{dependency}`)", self.requirer(by))
            }
            Objection::Taken { name, by } => {
                write!(f, "`{by}` is there, and only one of them can have `{name}`")
            }
            Objection::NotByItself => {
                let name = &candidate.name;
                write!(
                    f,
                    "has the name too, but is only taken where `{name}` is asked for"
                )
            }
            Objection::Needs(reason) => {
                f.write_str("needs what cannot be had:\n")?;
                self.reason(f, reason, depth + 3)
            }
            Objection::NeedsAsSaid(dependency) => {
                write!(f, "needs `{dependency}`, which cannot be had either")
            }
        }
    }
}
