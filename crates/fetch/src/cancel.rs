//! The wish to stop, as of a user who pressed Ctrl-C.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A token that many threads watch and anyone may pull, once and for good. Clones are the same
/// token.
#[derive(Clone, Default)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    hooks: Mutex<Vec<Hook>>,
    changed: Condvar,
}

type Hook = Box<dyn FnOnce() + Send>;

impl Cancel {
    /// Asks everything that watches this token to stop, and interrupts what waits. May be called
    /// from any thread, any number of times.
    pub fn cancel(&self) {
        let hooks = {
            // The flag changes under the lock, so that no waiter can miss it between its look at
            // the flag and its falling asleep.
            let mut hooks = self
                .inner
                .hooks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.inner.cancelled.store(true, Ordering::SeqCst);
            std::mem::take(&mut *hooks)
        };
        self.inner.changed.notify_all();
        for hook in hooks {
            hook();
        }
    }

    /// Returns whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// Waits for `time`, or less when the token is pulled; returns whether it was.
    pub fn wait(&self, time: Duration) -> bool {
        let hooks = self
            .inner
            .hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .inner
            .changed
            .wait_timeout_while(hooks, time, |_| !self.is_cancelled());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.is_cancelled()
    }

    /// Runs `hook` when the token is pulled, or now if it was already.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        let mut hooks = self
            .inner
            .hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.is_cancelled() {
            drop(hooks);
            hook();
        } else {
            hooks.push(Box::new(hook));
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_waiter_is_woken() {
        let cancel = Cancel::default();
        let (ready, is_ready) = mpsc::channel();
        let waiter = std::thread::spawn({
            let cancel = cancel.clone();
            move || {
                ready.send(()).unwrap();
                cancel.wait(Duration::from_hours(1))
            }
        });
        is_ready.recv().unwrap();
        cancel.cancel();
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn hooks_run_once_and_also_when_late() {
        let cancel = Cancel::default();
        let (sender, receiver) = mpsc::channel();
        let early = sender.clone();
        cancel.on_cancel(move || early.send("early").unwrap());
        cancel.cancel();
        cancel.cancel();
        cancel.on_cancel(move || sender.send("late").unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["early", "late"]);
    }
}
