//! Work on a list of things, done some way ahead of whoever takes the results in order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

/// How many things are done ahead at least: enough of a recipe's packages for one thread while
/// another is at work on the base.
pub(crate) const AHEAD: usize = 16;

/// Does `work` on each of `items`, on up to `threads` threads and no further ahead than [`AHEAD`],
/// or twice their number, while `body` takes the results, in the order of the items.
pub(crate) fn ahead<T: Send, U: Send, R>(
    items: impl Iterator<Item = T>,
    threads: usize,
    work: impl Fn(T) -> U + Sync,
    body: impl FnOnce(&mut dyn FnMut() -> Option<U>) -> R,
) -> R {
    let mut items = items.fuse();
    if threads < 2 {
        return body(&mut || items.next().map(&work));
    }
    let (jobs, queue) = channel::<(T, SyncSender<U>)>();
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        let (work, queue) = (&work, &queue);
        let mut started = 0;
        for _ in 0..threads {
            let run = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((item, reply)) = job else { return };
                    // Nobody waits any more if the body gave up.
                    let _ = reply.send(work(item));
                }
            };
            // A system that gives no more threads gets the work done by fewer.
            started += usize::from(Builder::new().spawn_scoped(scope, run).is_ok());
        }
        let mut flight: VecDeque<Receiver<U>> = VecDeque::new();
        // The threads end when the channel of jobs does, with the body.
        let jobs = jobs;
        let result = body(&mut || {
            if started == 0 {
                return items.next().map(work);
            }
            while flight.len() < AHEAD.max(2 * started)
                && let Some(item) = items.next()
            {
                let (reply, result) = sync_channel(1);
                jobs.send((item, reply)).ok()?;
                flight.push_back(result);
            }
            flight.pop_front()?.recv().ok()
        });
        drop(jobs);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_some_are_enough() {
        for threads in [1, 2, 7] {
            let all = ahead(
                0..100,
                threads,
                |number| number * 2,
                |next| std::iter::from_fn(next).collect::<Vec<_>>(),
            );
            assert_eq!(all, (0..100).map(|number| number * 2).collect::<Vec<_>>());
            let some = ahead(0.., threads, |number: u64| number, |next| (next(), next()));
            assert_eq!(some, (Some(0), Some(1)));
        }
    }
}
