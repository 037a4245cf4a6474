//! What is aimed at, beside what was measured.

use super::say;

/// The goals of all parts that ran.
#[derive(Default)]
pub(super) struct Goals(Vec<Goal>);

struct Goal {
    work: String,
    wanted: String,
    measured: String,
    /// Nothing where that is for the reader to say.
    is_met: Option<bool>,
}

impl Goals {
    /// Adds a goal that more is better for.
    pub(super) fn at_least(&mut self, work: &str, wanted: f64, measured: f64, unit: &str) {
        self.add(work, "at least", wanted, measured, unit, measured >= wanted);
    }

    /// Adds a goal that less is better for.
    pub(super) fn at_most(&mut self, work: &str, wanted: f64, measured: f64, unit: &str) {
        self.add(work, "at most", wanted, measured, unit, measured <= wanted);
    }

    fn add(&mut self, work: &str, how: &str, wanted: f64, measured: f64, unit: &str, met: bool) {
        self.0.push(Goal {
            work: work.to_owned(),
            wanted: format!("{how} {wanted} {unit}"),
            measured: format!("{measured:.2} {unit}"),
            is_met: Some(met),
        });
    }

    /// Adds a goal that is not a number.
    pub(super) fn shown(&mut self, work: &str, wanted: &str, measured: String) {
        self.0.push(Goal {
            work: work.to_owned(),
            wanted: wanted.to_owned(),
            measured,
            is_met: None,
        });
    }

    pub(super) fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        say("\n| work | goal | measured | |\n|---|---|---|---|");
        for goal in &self.0 {
            let verdict = match goal.is_met {
                Some(true) => "met",
                Some(false) => "not met",
                None => "",
            };
            let Goal {
                work,
                wanted,
                measured,
                ..
            } = goal;
            say(&format!("| {work} | {wanted} | {measured} | {verdict} |"));
        }
    }
}
