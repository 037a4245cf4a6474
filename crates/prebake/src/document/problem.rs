//! What is wrong with a document, and where.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// One mistake in a recipe or a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// Where, in bytes of the document's text.
    pub span: Range<usize>,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

/// A recipe or a lock that could not be used, with every mistake found in it.
#[derive(Clone, Debug)]
pub struct DocumentError {
    /// What it is: `the recipe` or `the lock`.
    pub what: &'static str,
    /// The document's file, as it was named.
    pub path: PathBuf,
    /// The text that the spans point into.
    pub text: String,
    /// The mistakes, in the order they stand in the text; at least one.
    pub problems: Vec<Problem>,
}

impl DocumentError {
    /// Returns the line and column (from 1, in characters) where `problem` begins.
    pub fn position(&self, problem: &Problem) -> (usize, usize) {
        let before = self.text.get(..problem.span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let (line, column) = self.position(problem);
            if index > 0 {
                writeln!(f)?;
            }
            write!(
                f,
                "{}:{line}:{column}: {}",
                self.path.display(),
                problem.message
            )?;
            if let Some(hint) = &problem.hint {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for DocumentError {}
