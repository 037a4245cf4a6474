//! The table in `docs/faults.md`: every fault is done to the program, and what it said is what
//! stands there. `UPDATE=1` writes it anew.

mod host;
mod servers;

use std::fmt::Write as _;
use std::path::Path;

use crate::kitchen::Output;
use crate::stove::{OLD, Stove};

/// What stands above the part of the file that this writes.
const MARK: &str = "<!-- What follows is written by crates/cli/tests/faults/table.rs. -->\n";

/// One fault.
pub(crate) struct Row {
    /// What it is.
    pub(crate) fault: &'static str,
    /// What was done.
    pub(crate) done: &'static str,
    /// What prebake did.
    pub(crate) did: &'static str,
    /// The exit code.
    pub(crate) code: i32,
    /// Does it. `None` where this host cannot.
    pub(crate) run: fn(&Stove) -> Option<Seen>,
}

/// What came of a fault.
pub(crate) struct Seen {
    pub(crate) output: Output,
    /// Names of this run, and what stands for them in the table.
    pub(crate) names: Vec<(String, &'static str)>,
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        let names = Vec::new();
        Self { output, names }
    }
}

impl Row {
    /// Does the fault, checks what must hold after any of them, and returns what was seen.
    fn text(&self) -> Option<String> {
        let stove = Stove::new();
        let good = stove.bake();
        stove.forget();
        stove.put_old();
        let seen = (self.run)(&stove)?;
        seen.output.expect(self.code);
        let found = stove.output();
        let expected = if self.code == 0 { &good } else { OLD };
        assert!(
            found.as_deref() == Some(expected),
            "{}: the output",
            self.fault
        );
        stove.assert_clean();
        let mut text = seen.output.stderr.clone();
        if self.code == 0 {
            // What a build that ends well says of its output is no part of this.
            text = String::new();
            for line in seen.output.stderr.lines() {
                if line.starts_with("retrying") {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        for (name, stands_for) in &seen.names {
            text = text.replace(name, stands_for);
        }
        for (name, stands_for) in [
            (stove.url(), "http://mirror"),
            (stove.mirror.root().display().to_string(), "/mirror"),
            (stove.kitchen.path("").display().to_string(), "/project/"),
        ] {
            text = text.replace(&name, stands_for);
        }
        let lines = text.lines().map(|line| same_every_time(line) + "\n");
        Some(lines.collect())
    }
}

/// Takes out of a line what is another in every run: how long a wait was, a part of which is left
/// to chance, what time it is, and the names of temporary files.
fn same_every_time(line: &str) -> String {
    if let Some((head, tail)) = line.split_once("` in ")
        && line.starts_with("retrying")
    {
        let (_, rest) = tail.split_once(" s: ").unwrap();
        return format!("{head}` in a moment: {rest}");
    }
    if let Some((head, _)) = line.split_once(": verification time") {
        return head.to_owned();
    }
    let words = line.split(' ').map(|word| {
        let Some((head, tail)) = word.split_once(".part") else {
            return word.to_owned();
        };
        let (folder, _) = head.rsplit_once('/').unwrap();
        format!("{folder}/….part{tail}")
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_table_of_faults_is_true() {
    let rows: Vec<Row> = servers::rows().into_iter().chain(host::rows()).collect();
    let texts: Vec<Option<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = rows.iter().map(|row| scope.spawn(|| row.text())).collect();
        let texts = threads.into_iter().map(|thread| thread.join().unwrap());
        texts.collect()
    });
    let mut table = String::from(
        "| | Fault | What was done | What prebake did | Exit |\n|--:|---|---|---|--:|\n",
    );
    let mut seen = String::new();
    for (number, (row, text)) in rows.iter().zip(texts).enumerate() {
        let number = number + 1;
        // This host cannot do all of them: it was said, and in CI the test has failed.
        let Some(text) = text else { return };
        let Row {
            fault,
            done,
            did,
            code,
            ..
        } = row;
        let link = if text.is_empty() {
            number.to_string()
        } else {
            write!(seen, "\n### {number}\n\n{fault}:\n\n```text\n{text}```\n").unwrap();
            format!("[{number}](#{number})")
        };
        writeln!(table, "| {link} | {fault} | {done} | {did} | {code} |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md");
    let file = fs_err::read_to_string(&path).unwrap();
    let (head, tail) = file.split_once(MARK).unwrap();
    let now = format!("\n{table}\n## What the user saw\n{seen}");
    if std::env::var_os("UPDATE").is_some() {
        fs_err::write(&path, format!("{head}{MARK}{now}")).unwrap();
        return;
    }
    for (line, (now, then)) in now.lines().zip(tail.lines()).enumerate() {
        assert_eq!(
            now, then,
            "line {line} of the written part of docs/faults.md (UPDATE=1 writes it)"
        );
    }
    assert!(
        now == tail,
        "docs/faults.md has more or fewer lines (UPDATE=1 writes it)"
    );
}
