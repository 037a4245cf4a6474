//! Errors as people see them: what failed, where, why, and what to do next.

use std::error::Error as _;
use std::fmt;
use std::io::IsTerminal as _;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use prebake::document::{DocumentError, Problem};
use prebake_apk::shown;

use crate::failure::Failure;
use crate::output;

/// One problem in a recipe or a lock, drawn with the lines around it.
#[derive(Debug)]
struct Drawn<'a> {
    problem: &'a Problem,
    source: NamedSource<String>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&output::plain(&self.problem.message))
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem
            .hint
            .as_ref()
            .map(|hint| Box::new(output::plain(hint)) as Box<dyn fmt::Display>)
    }
}

/// Prints `error` on standard error.
pub(crate) fn print(error: &Failure) {
    if let Some(document) = error.document() {
        output::complain(&draw(document));
        return;
    }
    output::complain(&output::plain(&text(error)));
}

/// Returns `error` in plain lines: the failure, its causes, and hints.
pub(crate) fn text(error: &Failure) -> String {
    let mut out = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(source) = cause {
        for (index, line) in source.to_string().lines().enumerate() {
            let prefix = if index == 0 {
                "  caused by: "
            } else {
                "             "
            };
            out.push_str(prefix);
            out.push_str(line);
            out.push('\n');
        }
        cause = source.source();
    }
    for (index, hint) in error.hints().iter().enumerate() {
        if index == 0 {
            out.push('\n');
        }
        out.push_str("hint: ");
        out.push_str(hint);
        out.push('\n');
    }
    out
}

/// Returns a document's text as it can be drawn: what would steer a terminal is replaced by as many
/// bytes, so that places in it stay what they are.
fn harmless(text: &str) -> String {
    let harmless = |char: char| match char {
        '\n' | '\t' => char,
        '\r' => ' ',
        _ if !shown::steers(char) => char,
        _ => match char.len_utf8() {
            1 => '?',
            2 => '¿',
            _ => char::REPLACEMENT_CHARACTER,
        },
    };
    text.chars().map(harmless).collect()
}

fn draw(document: &DocumentError) -> String {
    let styled = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if styled {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
    let mut out = String::new();
    for problem in &document.problems {
        let name = shown::plain(&document.path.display().to_string(), usize::MAX);
        let source = NamedSource::new(name, harmless(&document.text));
        // Writing to a `String` cannot fail.
        let _ = handler.render_report(&mut out, &Drawn { problem, source });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_steers_nothing_and_stays_in_its_place() {
        let text = "a = \u{1b}[2J\u{7f}\n\tb = \u{9b}\u{202e}ü\r\n";
        let drawn = harmless(text);
        assert_eq!(drawn, "a = ?[2J?\n\tb = ¿\u{fffd}ü \n");
        assert_eq!(drawn.len(), text.len());
    }
}
