//! What people and programs are told.

use std::error::Error;
use std::time::Duration;

use prebake_launch::{Host, Rootfs};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::job::Finished;

/// What happened so far. Progress goes to standard error, the result to standard output.
#[derive(Debug)]
pub struct Report<'a> {
    arguments: &'a Arguments,
    host: &'a Host,
    rootfs: &'a Rootfs,
    finished: Vec<Finished>,
}

impl<'a> Report<'a> {
    pub fn new(arguments: &'a Arguments, host: &'a Host, rootfs: &'a Rootfs) -> Self {
        for note in host.notes() {
            eprintln!("note: {note}");
        }
        for name in host.swept() {
            eprintln!("note: {name} was left over and is gone");
        }
        Self {
            arguments,
            host,
            rootfs,
            finished: Vec::new(),
        }
    }

    /// Takes one more.
    pub fn add(&mut self, one: Finished) {
        let (number, took) = (one.number, milliseconds(one.took));
        let (count, all) = (self.finished.len() + 1, self.arguments.jobs);
        match &one.outcome {
            Ok(done) => eprintln!("[{count}/{all}] {took:.0} ms: {}", done.said),
            Err(why) => eprintln!("[{count}/{all}] {took:.0} ms: job {number} FAILED: {why}"),
        }
        self.finished.push(one);
    }

    /// Tells the result; returns how many failed.
    pub fn end(mut self, took: Duration) -> usize {
        self.finished.sort_by_key(|one| one.number);
        let failed = self.finished.iter().filter(|one| one.outcome.is_err());
        let failed = failed.count();
        if self.arguments.json {
            println!("{:#}", self.to_json(took, failed));
            return failed;
        }
        let mut imports: Vec<_> = self
            .finished
            .iter()
            .filter_map(|one| Some(one.outcome.as_ref().ok()?.import))
            .collect();
        imports.sort();
        let import = imports.get(imports.len() / 2).copied().unwrap_or_default();
        println!(
            "{} {} for {}: {} jobs, {failed} failed, {:.0} ms in all, {:.1} ms to import (median)",
            self.rootfs.name(),
            self.rootfs.release(),
            self.rootfs.arch(),
            self.finished.len(),
            milliseconds(took),
            milliseconds(import),
        );
        failed
    }

    fn to_json(&self, took: Duration, failed: usize) -> Value {
        let jobs = self.finished.iter().map(|one| match &one.outcome {
            Ok(done) => json!({
                "job": one.number,
                "ok": true,
                "milliseconds": milliseconds(one.took),
                "instance": done.instance,
                "import_milliseconds": milliseconds(done.import),
                "said": done.said,
                "rules": done.rules,
            }),
            Err(why) => json!({
                "job": one.number,
                "ok": false,
                "milliseconds": milliseconds(one.took),
                "error": why.to_string(),
            }),
        });
        json!({
            "backend": self.host.backend().name(),
            "rootfs": {
                "name": self.rootfs.name(),
                "release": self.rootfs.release(),
                "arch": self.rootfs.arch(),
                "identity": self.rootfs.identity().to_string(),
            },
            "jobs": jobs.collect::<Vec<_>>(),
            "failed": failed,
            "milliseconds": milliseconds(took),
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Returns an error and what caused it, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
