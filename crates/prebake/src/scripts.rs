//! What the packages' scripts do to the tree.
//!
//! A bake runs none. `lock` runs, in a sandbox, those that are not known to change nothing, and
//! writes down what they changed; every bake replays that [record](mod@record).

mod error;
mod needless;
mod observe;
pub mod record;
mod recorder;
mod replay;
#[cfg(test)]
mod trial;

use prebake_apk::digest::Sha256;
use prebake_fetch::Cancel;
use prebake_rootfs::Tree;
use prebake_rootfs::merge::Call;
use sha2::Digest as _;

use crate::arch::Arch;
use crate::blobs::Blobs;

pub use self::error::{ScriptError, Unrecordable};
use self::needless::is_needless;
use self::record::Recorded;
pub use self::record::{MAX_RECORD_BYTES, Record, Run, record_path};
use self::recorder::Recorder;
pub(crate) use self::replay::changes;

/// Returns the digest of everything that goes into a run: the script, its arguments and
/// environment, and the tree it sees. Another of any of them has another key.
pub(crate) fn key(call: &Call, tree: &Tree) -> Sha256 {
    let mut hash = sha2::Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(b"prebake script 1");
    add(call.package.as_bytes());
    add(call.kind.name().as_bytes());
    add(&call.bytes);
    add(&(call.arguments.len() as u64).to_le_bytes());
    for argument in &call.arguments {
        add(argument);
    }
    for (name, value) in &call.environment {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    add(tree.digest().as_bytes());
    Sha256::new(hash.finalize().into())
}

/// What is done when apk would run a script.
#[derive(Debug)]
pub(crate) enum Scripts<'r> {
    /// None is run, and each is said to be missing.
    Skip,
    /// What it changed is taken from what the record has for the architecture.
    Replay(Arch, &'r Record),
    /// What the record does not know is run and written down.
    Write(Box<Writer<'r>>),
}

/// A record that is being written.
#[derive(Debug)]
pub(crate) struct Writer<'r> {
    arch: Arch,
    known: &'r Record,
    recorder: Recorder,
    runs: Vec<Run>,
    /// How many scripts were run.
    ran: usize,
}

/// What a script does to the tree.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Nobody asked.
    Skipped,
    /// Nothing, and that needs no record.
    Needless,
    /// These changes.
    Changes(Vec<Recorded>),
}

impl<'r> Scripts<'r> {
    /// Writes a record; what stands in `known` is not run again. A script that runs when `cancel`
    /// is pulled is ended.
    pub(crate) fn writing(arch: Arch, known: &'r Record, cancel: Cancel) -> Self {
        Self::Write(Box::new(Writer {
            arch,
            known,
            recorder: Recorder::new(arch, cancel),
            runs: Vec::new(),
            ran: 0,
        }))
    }

    /// Returns what a script does to `tree`, whose contents are in `blobs`; `epoch` is the time
    /// of what a bake makes, in seconds since 1970. `running` is called before one is run.
    pub(crate) fn effect(
        &mut self,
        call: &Call,
        tree: &Tree,
        blobs: &mut Blobs,
        epoch: i64,
        running: &dyn Fn(),
    ) -> Result<Effect, ScriptError> {
        if matches!(self, Self::Skip) {
            return Ok(Effect::Skipped);
        }
        if is_needless(&call.bytes, &call.arguments, tree) {
            return Ok(Effect::Needless);
        }
        let key = key(call, tree);
        let changes = match self {
            Self::Skip => return Ok(Effect::Skipped),
            Self::Replay(arch, record) => {
                let run = record.find(*arch, &key).ok_or(ScriptError::NotRecorded)?;
                run.changes.clone()
            }
            Self::Write(writer) => writer.write(call, key, tree, blobs, epoch, running)?,
        };
        Ok(Effect::Changes(changes))
    }
}

impl Writer<'_> {
    fn write(
        &mut self,
        call: &Call,
        key: Sha256,
        tree: &Tree,
        blobs: &mut Blobs,
        epoch: i64,
        running: &dyn Fn(),
    ) -> Result<Vec<Recorded>, ScriptError> {
        let changes = if let Some(run) = self.known.find(self.arch, &key) {
            run.changes.clone()
        } else {
            self.ran += 1;
            running();
            self.recorder.run(call, tree, blobs, epoch)?
        };
        self.runs.push(Run {
            arch: self.arch,
            package: call.package.clone(),
            script: call.kind,
            key,
            changes: changes.clone(),
        });
        Ok(changes)
    }

    /// Returns what is known now, and how many scripts were run for it.
    pub(crate) fn into_runs(self) -> (Vec<Run>, usize) {
        (self.runs, self.ran)
    }
}
