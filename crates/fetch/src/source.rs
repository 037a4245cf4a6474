//! One URL of a wanted file, and what has come of it so far.

use std::time::Duration;

use crate::retry::backoff;
use crate::{Options, Problem, Tried, url};

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) url: String,
    /// How many tries failed.
    pub(crate) tries: u32,
    /// How long to wait before the next one.
    pub(crate) wait: Duration,
    /// Whether there will be no next one.
    pub(crate) given_up: bool,
    /// Whether to ask for the rest of a file that was begun: not any more, once the server got
    /// that wrong.
    pub(crate) ranges: bool,
    problem: Option<Problem>,
}

impl Source {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            tries: 0,
            wait: Duration::ZERO,
            given_up: false,
            ranges: true,
            problem: None,
        }
    }

    /// Notes a failed try and settles whether and when there is another. A try that `came_on`
    /// does not count.
    pub(crate) fn failed(&mut self, problem: Problem, came_on: bool, options: &Options) {
        if !came_on || self.tries == 0 {
            self.tries += 1;
        }
        self.given_up = !problem.is_transient() || self.tries >= options.tries.max(1);
        self.wait = backoff(options, self.tries);
        match problem {
            Problem::RetryAfter { wait, .. } if wait > options.max_retry_after => {
                self.given_up = true;
            }
            Problem::RetryAfter { wait, .. } => self.wait = self.wait.max(wait),
            _ => {}
        }
        self.problem = Some(problem);
    }

    /// Returns what came of it, if it was tried.
    pub(crate) fn into_tried(self) -> Option<Tried> {
        let (url, tries) = (url::redact(&self.url), self.tries);
        self.problem.map(|problem| Tried {
            url,
            tries,
            problem,
        })
    }
}
