//! Progress on a terminal: a line of what is going on with a bar of bytes, and one for each
//! architecture while several are worked on side by side.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use prebake::arch::Arch;
use prebake::{Origin, Progress, Reporter, Stage};
use prebake_apk::shown;

use crate::arguments::Global;
use crate::output;

/// Draws bars on standard error, or nothing where nobody would see them.
#[derive(Debug)]
pub(crate) struct Bars {
    /// The lines of all.
    all: MultiProgress,
    bar: ProgressBar,
    quiet: bool,
    fetch: Mutex<Fetch>,
}

/// A fetch, item by item, so that a download which starts over counts once.
#[derive(Debug, Default)]
struct Fetch {
    /// How many items there are.
    count: usize,
    /// The bytes that each has, and how many it is to have where that is known.
    items: BTreeMap<usize, (u64, Option<u64>)>,
}

impl Fetch {
    /// Returns how many bytes all items are to have; `None` until it is known of each.
    fn total(&self) -> Option<u64> {
        let known = self.items.len() == self.count;
        let sizes = self.items.values().map(|(_, size)| *size);
        sizes.sum::<Option<u64>>().filter(|_| known)
    }
}

impl Bars {
    pub(crate) fn new(global: &Global) -> Self {
        let seen = std::io::stderr().is_terminal() && !global.quiet && !global.no_progress;
        let target = if seen {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self::on(MultiProgress::with_draw_target(target), global.quiet)
    }

    /// Adds a line to those of a terminal.
    fn on(all: MultiProgress, quiet: bool) -> Self {
        let bars = Self {
            bar: all.add(ProgressBar::no_length()),
            all,
            quiet,
            fetch: Mutex::default(),
        };
        // What is drawn before the first stage is known is a line, and not the default bar.
        bars.style(NO_BYTES);
        bars
    }

    /// Adds a line below, for what goes on beside this.
    fn another(&self) -> Self {
        Self::on(self.all.clone(), self.quiet)
    }

    /// Shows how far an import is.
    pub(crate) fn unpacked(&self, bytes: u64, total: u64) {
        self.bar.set_message("unpacking");
        self.length(total);
        self.bar.set_position(bytes);
    }

    /// Takes the bar away: the terminal is somebody else's now.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn fetch(&self) -> MutexGuard<'_, Fetch> {
        self.fetch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws a bar of that many bytes.
    fn length(&self, bytes: u64) {
        if self.bar.length() != Some(bytes) {
            self.style(BYTES);
            self.bar.set_length(bytes);
        }
    }

    fn style(&self, template: &str) {
        // The templates below are constants that parse; a wrong one falls back to the default.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    /// Prints a line above the bar.
    fn say(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| output::notice(line));
        }
    }
}

const BYTES: &str = "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
const NO_TOTAL: &str = "{spinner} {msg} {bytes}";
const NO_BYTES: &str = "{spinner} {msg}";

impl Progress for Bars {
    fn begin(&self, items: usize, bytes: Option<u64>) {
        *self.fetch() = Fetch {
            count: items,
            items: BTreeMap::new(),
        };
        self.bar.reset();
        match bytes {
            Some(bytes) => self.length(bytes),
            None => self.style(NO_TOTAL),
        }
    }

    fn position(&self, item: usize, bytes: u64, size: Option<u64>) {
        let mut fetch = self.fetch();
        fetch.items.insert(item, (bytes, size));
        if let Some(total) = fetch.total() {
            self.length(total);
        }
        let bytes = fetch.items.values().map(|(bytes, _)| bytes).sum();
        self.bar.set_position(bytes);
    }

    fn retry(&self, _item: usize, url: &str, problem: &str, wait: Duration) {
        self.say(&format!(
            "retrying `{url}` in {:.1} s: {problem}",
            wait.as_secs_f64()
        ));
    }

    fn warning(&self, text: &str) {
        self.say(&format!("warning: {text}"));
    }

    fn finish(&self, _item: usize, _origin: Origin) {
        self.bar.tick();
    }
}

impl Reporter for Bars {
    fn beside(&self, _arch: Arch) -> Arc<dyn Reporter> {
        Arc::new(self.another())
    }

    fn stage(&self, stage: &Stage) {
        self.bar.reset();
        self.bar.unset_length();
        self.style(NO_BYTES);
        self.bar.set_message(shown::shown(stage.to_string()));
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    fn written(&self, bytes: u64, total: u64) {
        self.length(total);
        self.bar.set_position(bytes);
    }

    fn notice(&self, text: &str) {
        self.say(text);
    }

    fn done(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_side_by_side_is_counted_apart() {
        let hidden = ProgressDrawTarget::hidden();
        let whole = Bars::on(MultiProgress::with_draw_target(hidden), true);
        let (one, other) = (whole.another(), whole.another());
        one.begin(2, Some(50));
        one.position(0, 20, Some(20));
        // Its items have the same numbers.
        other.begin(1, Some(7));
        other.position(0, 3, Some(7));
        one.position(1, 10, Some(30));
        let shown = |bars: &Bars| (bars.bar.position(), bars.bar.length());
        assert_eq!(shown(&one), (30, Some(50)));
        assert_eq!(shown(&other), (3, Some(7)));
        other.done();
        assert_eq!(shown(&one), (30, Some(50)));
    }
}
