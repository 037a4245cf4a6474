//! Runs scripts in a sandbox and writes down what they change.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use prebake_apk::path::GuestPath;
use prebake_fetch::Cancel;
use prebake_image::{ImageError, tar};
use prebake_launch::sandbox::{self, Limits, Machine, Owners, Sandbox, Status};
use prebake_rootfs::Tree;
use prebake_rootfs::merge::Call;
use prebake_rootfs::tree::{Difference, NodeId};

use super::error::ScriptError;
use super::observe::Observer;
use super::record::Recorded;
use crate::arch::Arch;
use crate::blobs::Blobs;

/// What a script sees as the host's name.
const HOSTNAME: &[u8] = b"localhost";

/// A sandbox with the tree as the last script left it.
#[derive(Debug)]
pub(crate) struct Recorder {
    arch: Arch,
    cancel: Cancel,
    limits: Limits,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    sandbox: Sandbox,
    /// What was put there for the last script.
    tree: Tree,
    /// The names that the last script changed.
    changed: Vec<GuestPath>,
}

impl Recorder {
    /// Nothing is started before the first script.
    pub(crate) fn new(arch: Arch, cancel: Cancel) -> Self {
        Self::within(arch, Limits::default(), cancel)
    }

    /// What is run uses no more than `limits`.
    pub(super) fn within(arch: Arch, limits: Limits, cancel: Cancel) -> Self {
        Self {
            arch,
            cancel,
            limits,
            kept: None,
        }
    }

    /// Runs a script on `tree`, whose contents are in `blobs`, and returns what to record of it;
    /// `epoch` is the time of what a bake makes, in seconds since 1970.
    pub(crate) fn run(
        &mut self,
        call: &Call,
        tree: &Tree,
        blobs: &mut Blobs,
        epoch: i64,
    ) -> Result<Vec<Recorded>, ScriptError> {
        let mut kept = match self.kept.take() {
            Some(kept) => kept,
            None => Kept {
                sandbox: self.start()?,
                tree: Tree::default(),
                changed: Vec::new(),
            },
        };
        owners_can_be_had(kept.sandbox.owners(), tree)?;
        kept.bring_up_to(tree, blobs)?;
        // The sandbox's files have the host's time, which a kernel may give out a little late.
        let started = seconds_since_1970() - 1;
        let finished = kept.sandbox.run(&sandbox::Call {
            program: absolute(&call.path),
            arguments: std::iter::once(call.path.as_bytes().to_vec())
                .chain(call.arguments.iter().cloned())
                .collect(),
            environment: call
                .environment
                .iter()
                .map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()))
                .collect(),
            hostname: HOSTNAME.to_vec(),
            script: Some(sandbox::Script {
                path: call.path.clone(),
                content: call.bytes.to_vec(),
            }),
        });
        let finished = finished.map_err(ScriptError::Stopped)?;
        if !finished.succeeded() {
            return Err(ScriptError::Failed {
                status: status(finished.status),
                refused: finished.refused,
                output: String::from_utf8_lossy(&finished.output).into_owned(),
            });
        }
        if !finished.refused.is_empty() {
            return Err(ScriptError::Refused {
                refused: finished.refused,
                output: String::from_utf8_lossy(&finished.output).into_owned(),
            });
        }
        let found = kept.sandbox.changes().map_err(ScriptError::Untold)?;
        kept.changed = found.iter().map(|found| found.path().clone()).collect();
        let observed = Observer::new(tree, epoch, started).observe(found)?;
        self.kept = Some(kept);
        Ok(observed)
    }

    /// Starts a sandbox, which ends when somebody asks to stop.
    fn start(&self) -> Result<Sandbox, ScriptError> {
        let machine = Machine::of_alpine(self.arch.name());
        let machine = machine.ok_or(ScriptError::UnknownMachine)?;
        let sandbox = Sandbox::start(&self.limits, machine).map_err(ScriptError::Sandbox)?;
        let stopper = sandbox.stopper();
        self.cancel.on_cancel(move || stopper.stop());
        Ok(sandbox)
    }
}

impl Kept {
    /// Makes what is in the sandbox what is in `tree`.
    fn bring_up_to(&mut self, tree: &Tree, blobs: &mut Blobs) -> Result<(), ScriptError> {
        let mut gone: BTreeSet<&GuestPath> = BTreeSet::new();
        let mut there: BTreeSet<&GuestPath> = BTreeSet::new();
        let differences = self.tree.changes_to(tree);
        for difference in &differences {
            match difference {
                Difference::Remove(path) => gone.insert(path),
                Difference::Make(path, _)
                | Difference::Link(path, _)
                | Difference::Attributes(path, _) => there.insert(path),
            };
        }
        // What the script left was made the bake's own before it came into the tree.
        for path in &self.changed {
            let set = if tree.get(path).is_some() {
                &mut there
            } else {
                &mut gone
            };
            set.insert(path);
        }
        // A file is unpacked as a new one, so that all its names have to come with it.
        let inodes: BTreeSet<NodeId> = tree
            .in_order()
            .filter(|(path, node, _)| !node.is_directory() && there.contains(path))
            .map(|(_, _, id)| id)
            .collect();
        there.extend(
            tree.in_order()
                .filter(|(_, _, id)| inodes.contains(id))
                .map(|(path, ..)| path),
        );
        let gone: Vec<GuestPath> = gone.into_iter().cloned().collect();
        let mut failure = None;
        let updated = self.sandbox.update(&gone, &mut |out| {
            let written = tar::write_part(tree, &|path| there.contains(path), blobs, out);
            written.map(drop).map_err(|error| match error {
                ImageError::Output(error) => error,
                error => {
                    let message = error.to_string();
                    failure = Some(error);
                    std::io::Error::other(message)
                }
            })
        });
        match (updated, failure) {
            (_, Some(error)) => Err(ScriptError::Tree(error)),
            (Err(error), None) => Err(ScriptError::Sandbox(error)),
            (Ok(()), None) => {
                self.tree = tree.clone();
                Ok(())
            }
        }
    }
}

/// Refuses to run a script where the owners of files could come out as others than they are.
///
/// Without ids for them, everything in the sandbox is root's. The sandbox tells where a script
/// touched a file of somebody else's, and that is not enough: `cp -a` of one makes a file of
/// root's, a `chown … || true` that fails leaves one, a file made in a directory with the set-gid
/// bit has root's group, and what `stat` or `find -user` says goes into files or decides what is
/// done. Nothing of this can be seen afterwards, not even in a script that changed nothing. So
/// none is run, whatever the tree: a record must be the same whoever made it.
///
/// The same goes for an owner beyond the ids that every other sandbox has.
fn owners_can_be_had(owners: Owners, tree: &Tree) -> Result<(), ScriptError> {
    if owners != Owners::All {
        let mut nodes = tree.in_order();
        let theirs = nodes.find(|(_, node, _)| (node.uid, node.gid) != (0, 0));
        let path = theirs.map(|(path, ..)| path.clone());
        return Err(ScriptError::NoOwners { path });
    }
    let mut nodes = tree.in_order();
    match nodes.find(|(_, node, _)| node.uid.max(node.gid) >= Sandbox::IDS) {
        Some((path, node, _)) => Err(ScriptError::Stranger {
            path: path.clone(),
            uid: node.uid,
            gid: node.gid,
        }),
        None => Ok(()),
    }
}

fn status(status: Status) -> String {
    match status {
        Status::Exited(code) => format!("exit status {code}"),
        Status::Signalled(signal) => format!("signal {signal}"),
    }
}

fn absolute(path: &GuestPath) -> Vec<u8> {
    [b"/", path.as_bytes()].concat()
}

fn seconds_since_1970() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}
