//! Which script apk would run now, and what becomes of it.
//!
//! The merge runs none. After [`Merge::begin_package`], [`Merge::end_package`],
//! [`Merge::begin_removal`], [`Merge::end_removal`] and [`Merge::begin_triggers`] it says by
//! [`Merge::script`] which is due; the caller runs it on [`Merge::tree`] and hands back what it
//! changed by [`Merge::apply`], until none is due any more. What the caller passes over is in the
//! [`Report`](super::Report) as not run.
//!
//! Measured on apk 2.14.4 with made-up packages whose scripts say how they are called:
//!
//! - `pre-install`, the package's data, `post-install`, then the next package; `pre-upgrade` and
//!   `post-upgrade` of the new version in their place when a version of it is there, an older, a
//!   newer or the same; none of the old version's. `pre-deinstall` and `post-deinstall` around a
//!   removal. Triggers after all changes, in the order in which apk goes through the packages of
//!   its solution: from each entry of the sorted world downwards, what stays among what comes.
//! - The argument is the version; the new and the old version for an upgrade. A trigger is told
//!   the watched directories, each once, those that went away in this run too, in the order of a
//!   hash table; here they are sorted.
//! - The program is `lib/apk/exec/<name>-<version>.<kind>`, in the root as working directory,
//!   mode 0755, gone when it ended. The environment holds `PATH` alone, the umask is 022, SIGPIPE
//!   is ignored, and apk mounts `/proc` if it is not there. Standard input is apk's own, so that a
//!   bake has nothing to give there.
//! - `installed`, `triggers`, `scripts.tar` and `world` are the old ones while any script runs,
//!   the triggers included: apk writes them last.
//! - A script that fails is an error that apk counts and goes on after: the package is there, its
//!   other scripts are run, and the database has `f:s` for it. A bake should not go on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use prebake_apk::installed::Stanza;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;

use super::base::guest;
use super::report::{Script, Trigger};
use super::{Merge, MergeError};
use crate::change::Change;
use crate::glob;
use crate::tree::NodeKind;

/// Where apk puts a script to run it.
const EXEC: &str = "lib/apk/exec";

/// The environment that apk 2.14 gives to scripts, all of it.
const PATH: (&str, &str) = ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");

/// A script that apk would run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The package's name.
    pub name: Vec<u8>,
    /// The package, `name-version`.
    pub package: String,
    /// Which of its scripts.
    pub kind: ScriptKind,
    /// The program.
    pub bytes: Arc<[u8]>,
    /// Where it is while it runs, and nowhere before and after. It is called by this name without
    /// a `/` before it, in the root as working directory. A directory for it that is not there is
    /// made for the script, with mode 0700, and stays.
    pub path: GuestPath,
    /// Its arguments, its own name not among them.
    pub arguments: Vec<Vec<u8>>,
    /// All of its environment, by name.
    pub environment: Vec<(String, String)>,
}

/// A script that is due or will be.
#[derive(Clone, Debug)]
pub(super) struct Due {
    call: Call,
    /// What a trigger is told of.
    directories: Vec<GuestPath>,
}

/// The scripts that are due, the next first.
pub(super) type Queue = VecDeque<Due>;

impl Merge {
    /// Returns the script that apk would run now, if there is one. It stays the one until
    /// [`Merge::apply`] or [`Merge::skip_script`] says what became of it.
    pub fn script(&self) -> Option<&Call> {
        self.due.front().map(|due| &due.call)
    }

    /// Takes what the script that was due changed: it was run. The next is due then.
    ///
    /// # Errors
    ///
    /// If none is due, or if a change does not fit the tree as it is; see [`Change`]. The merge
    /// is of no more use after that.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), MergeError> {
        let due = self.due.pop_front().ok_or(NONE_DUE)?;
        let Call { package, kind, .. } = due.call;
        for change in changes {
            let place = self.next_place();
            self.change(change, place)
                .map_err(|problem| MergeError::Change {
                    package: package.clone(),
                    kind,
                    path: change.path().clone(),
                    problem,
                })?;
        }
        // apk makes the directory that it runs scripts from, and leaves it there.
        if self.tree.follow(&guest(EXEC.as_bytes())).is_none() {
            self.make_node(guest(EXEC.as_bytes()), NodeKind::Directory, 0o700)?;
        }
        self.forget_owners();
        self.report.ran.push(Script { package, kind });
        Ok(())
    }

    /// Passes over the script that is due: it is not run. The next is due then.
    ///
    /// # Errors
    ///
    /// If none is due.
    pub fn skip_script(&mut self) -> Result<(), MergeError> {
        let due = self.due.pop_front().ok_or(NONE_DUE)?;
        let Call { package, kind, .. } = due.call;
        if kind == ScriptKind::Trigger {
            let directories = due.directories;
            self.report.triggers.push(Trigger {
                package,
                directories,
            });
        } else {
            self.report.scripts.push(Script { package, kind });
        }
        Ok(())
    }

    /// Passes over all that are due, since the merge goes on.
    pub(super) fn pass_over(&mut self) {
        while self.skip_script().is_ok() {}
    }

    /// Ends the changes: the triggers are due, those of every package, for the watched
    /// directories that packages came to or left, and for all watched ones if the package itself
    /// is new. They come in the order in which `order` names their packages, those that it does not
    /// name in the order of the database behind them.
    ///
    /// [`Merge::finish`] and [`Merge::add_file`] do it if it was not done, and run none.
    ///
    /// # Errors
    ///
    /// If a package has begun and not ended, or the triggers were due before.
    pub fn begin_triggers(&mut self, order: &[Vec<u8>]) -> Result<(), MergeError> {
        if self.current.is_some() || self.leaving.is_some() {
            return Err(MergeError::Order("the triggers come within a package"));
        }
        if self.triggered {
            return Err(MergeError::Order("the triggers came before"));
        }
        self.make_triggers_due();
        let place = |due: &Due| order.iter().position(|name| *name == due.call.name);
        let due = self.due.make_contiguous();
        due.sort_by_key(|due| place(due).unwrap_or(order.len()));
        Ok(())
    }

    /// Ends the changes.
    pub(super) fn make_triggers_due(&mut self) {
        self.pass_over();
        self.triggered = true;
        self.settle_directories();
        // A directory that went away in this run of apk is still one that a trigger is told of.
        let root = GuestPath::root();
        let mut known: BTreeSet<&GuestPath> = self.database.directories().collect();
        known.extend(self.visited.iter().chain([&root]));
        let mut due = Queue::new();
        for installed in self.database.packages.values() {
            let stanza = &installed.package.stanza;
            let own = &mut self.database.triggers.iter();
            let Some(trigger) = own.find(|trigger| trigger.identity == stanza.identity) else {
                continue;
            };
            let patterns: Vec<_> = trigger.patterns.split(|byte| *byte == b' ').collect();
            let matching = known.iter().copied().filter(|path| {
                (installed.new || self.visited.contains(*path)) && {
                    let absolute = absolute(path);
                    let mut patterns = patterns.iter();
                    patterns.any(|pattern| glob::path_matches(pattern, &absolute))
                }
            });
            let directories: Vec<GuestPath> = matching.cloned().collect();
            let scripts = installed.scripts.iter().flat_map(|own| &own.scripts);
            let script = scripts
                .into_iter()
                .find(|(kind, _)| *kind == ScriptKind::Trigger);
            if let (false, Some((kind, bytes))) = (directories.is_empty(), script) {
                let arguments = directories.iter().map(absolute).collect();
                let call = call(stanza, *kind, Arc::clone(bytes), arguments);
                due.push_back(Due { call, directories });
            }
        }
        self.due = due;
    }

    /// Makes the script of that kind due, if there is one among `scripts`.
    pub(super) fn make_due(
        &mut self,
        stanza: &Stanza,
        old_version: Option<Vec<u8>>,
        scripts: &[(ScriptKind, Arc<[u8]>)],
        kind: ScriptKind,
    ) {
        let Some((_, bytes)) = scripts.iter().find(|(own, _)| *own == kind) else {
            return;
        };
        let mut arguments = vec![stanza.version.clone()];
        arguments.extend(old_version);
        let call = call(stanza, kind, Arc::clone(bytes), arguments);
        self.due.push_back(Due {
            call,
            directories: Vec::new(),
        });
    }
}

/// No script is due.
const NONE_DUE: MergeError = MergeError::Order("no script is due");

fn absolute(path: &GuestPath) -> Vec<u8> {
    [b"/", path.as_bytes()].concat()
}

fn call(stanza: &Stanza, kind: ScriptKind, bytes: Arc<[u8]>, arguments: Vec<Vec<u8>>) -> Call {
    let package = stanza.label();
    Call {
        name: stanza.name.clone(),
        path: guest(format!("{EXEC}/{package}.{kind}").as_bytes()),
        package,
        kind,
        bytes,
        arguments,
        environment: vec![(PATH.0.to_owned(), PATH.1.to_owned())],
    }
}
