//! Threads that encode segments and bring kept ones.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope};

use crate::encoding::{Encoded, Encoder, Encoding};
use crate::store::Store;
use crate::stream::Piece;

/// The most threads that are started, whatever is asked for.
const MAX_THREADS: usize = 256;

/// Something to do; where it goes is gone if the writing was given up.
enum Job {
    /// Encode a segment, and keep it under that name.
    Encode(Arc<Piece>, Option<String>, SyncSender<Option<Encoded>>),
    /// Bring what is kept under a name.
    Bring(String, SyncSender<Option<Encoded>>),
}

/// Who does it: threads, or without any whoever asks.
pub(crate) struct Workers<'e> {
    store: &'e dyn Store,
    encoding: Encoding,
    jobs: Option<Sender<Job>>,
    own: Option<Encoder>,
    count: usize,
}

impl<'e> Workers<'e> {
    /// Starts `threads` of them in `scope`; fewer than two are none. They end when this is dropped.
    pub(crate) fn start<'s>(
        scope: &'s Scope<'s, '_>,
        store: &'e dyn Store,
        encoding: Encoding,
        threads: usize,
    ) -> Self
    where
        'e: 's,
    {
        let mut workers = Self {
            store,
            encoding,
            jobs: None,
            own: None,
            count: 0,
        };
        if threads < 2 {
            return workers;
        }
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.min(MAX_THREADS) {
            let queue = Arc::clone(&queue);
            let work = move || {
                let mut encoder = None;
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    job.run(store, encoding, &mut encoder);
                }
            };
            // A system that gives no more threads gets the work done by fewer.
            let spawned = Builder::new()
                .name("encode".to_owned())
                .spawn_scoped(scope, work);
            if spawned.is_err() {
                break;
            }
            workers.count += 1;
        }
        workers.jobs = (workers.count > 0).then_some(jobs);
        workers
    }

    /// Returns how many segments are worth having in flight: two for each thread keep all of them
    /// busy while one is being written.
    pub(crate) fn flight(&self) -> usize {
        2 * self.count
    }

    /// Encodes `segment`. What is received is `None` where that failed.
    pub(crate) fn encode(
        &mut self,
        segment: Arc<Piece>,
        name: Option<String>,
    ) -> Receiver<Option<Encoded>> {
        let (reply, encoded) = sync_channel(1);
        self.give(Job::Encode(segment, name, reply));
        encoded
    }

    /// Brings what is kept under `name`. What is received is `None` where nothing is.
    pub(crate) fn bring(&mut self, name: String) -> Receiver<Option<Encoded>> {
        let (reply, encoded) = sync_channel(1);
        self.give(Job::Bring(name, reply));
        encoded
    }

    fn give(&mut self, job: Job) {
        let job = match &self.jobs {
            Some(jobs) => match jobs.send(job) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
            None => job,
        };
        job.run(self.store, self.encoding, &mut self.own);
    }
}

impl Job {
    fn run(self, store: &dyn Store, encoding: Encoding, encoder: &mut Option<Encoder>) {
        match self {
            Self::Encode(segment, name, reply) => {
                if encoder.is_none() {
                    *encoder = encoding.encoder();
                }
                let mut encoded = encoder
                    .as_mut()
                    .and_then(|encoder| encoder.encode(&segment.bytes, &segment.origins));
                drop(segment);
                if let (Some(encoded), Some(name)) = (&mut encoded, &name) {
                    encoded.put(store, name);
                }
                let _ = reply.send(encoded);
            }
            Self::Bring(name, reply) => {
                let _ = reply.send(Encoded::get(store, &name));
            }
        }
    }
}
