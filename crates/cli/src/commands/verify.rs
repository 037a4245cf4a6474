//! `prebake verify`: hold a rootfs against its own apk database and the lock.

use std::path::PathBuf;

use prebake::verify::{Finding, verify};
use prebake::{Error, RootfsFile};
use serde_json::json;

use crate::arguments::{Global, VerifyArguments};
use crate::commands::build;
use crate::{exit_code, output, session};

/// The lock that is used where none is named, if it is there.
const DEFAULT_LOCK: &str = "prebake.lock";

pub(crate) fn run(arguments: &VerifyArguments, global: &Global) -> Result<u8, Error> {
    let path = arguments.lock.clone().or_else(|| {
        let path = PathBuf::from(DEFAULT_LOCK);
        path.exists().then_some(path)
    });
    let lock = path.as_deref().map(|path| session::lock(path, false));
    let lock = lock.transpose()?;
    let rootfs = RootfsFile::read(&arguments.rootfs)?;
    let found = verify(&rootfs, lock.as_ref());
    let good = found.findings.is_empty();
    let texts = |findings: &[Finding]| findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    if global.json {
        output::json(&json!({
            "rootfs": rootfs.path.display().to_string(),
            "good": good,
            "identity": rootfs.identity.to_string(),
            "arch": found.arch.map(prebake::arch::Arch::name),
            "lock": path.map(|path| path.display().to_string()),
            "packages": found.packages,
            "files": found.files,
            "scripts_not_run": build::scripts_json(&found.scripts_not_run),
            "findings": texts(&found.findings),
            "notes": texts(&found.notes),
        }));
    } else {
        for finding in &found.findings {
            output::line(&format!("wrong: {finding}"));
        }
        let verdict = if good { "good" } else { "not good" };
        let (files, packages) = (found.files, found.packages);
        output::line(&format!(
            "{verdict}: {files} files of {packages} packages, identity {}",
            rootfs.identity
        ));
        if !global.quiet {
            for note in &found.notes {
                output::notice(&format!(
                    "note: {note}, which is the recipe's or a script's to say"
                ));
            }
            for script in &found.scripts_not_run {
                output::notice(&format!(
                    "note: what {} of {} does is not in it",
                    script.kind, script.package
                ));
            }
            if !found.locked {
                output::notice("note: there was no lock to hold it against");
            }
        }
    }
    Ok(if good {
        exit_code::SUCCESS
    } else {
        exit_code::INTEGRITY
    })
}
