//! This process's terminal, lent to a program.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// How often the terminal's size is looked at: a library has no handler for the signal that tells
/// of a change.
const LOOK: Duration = Duration::from_millis(200);

/// How much is copied at once, in bytes.
const PIECE: usize = 16 << 10;

/// This process's terminal, raw until this is dropped, and the program's.
#[derive(Debug)]
pub(super) struct Terminal {
    theirs: OwnedFd,
    before: Termios,
    copying: Mutex<Copying>,
}

#[derive(Debug)]
struct Copying {
    /// What was typed and the program has not taken yet.
    typed: Vec<u8>,
    /// Whether more may be typed.
    open: bool,
    /// Whether the program's end may write more.
    writes: bool,
    size: Option<(u16, u16)>,
}

/// Says whether this process's standard streams are a terminal.
pub(super) fn is_there() -> bool {
    isatty(stdin()) && isatty(stdout()) && isatty(rustix::stdio::stderr())
}

impl Terminal {
    /// Lends the terminal to whoever has the other end of `theirs`.
    pub(super) fn lend(theirs: OwnedFd) -> io::Result<Self> {
        let flags = fcntl_getfl(&theirs)?;
        fcntl_setfl(&theirs, flags | OFlags::NONBLOCK)?;
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        let terminal = Self {
            theirs,
            before,
            copying: Mutex::new(Copying {
                typed: Vec::new(),
                open: true,
                writes: true,
                size: None,
            }),
        };
        terminal.resize(
            &mut terminal
                .copying
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(terminal)
    }

    /// Copies until `end` has something to say or the time is over. Says whether it has.
    pub(super) fn copy_until(&self, end: &OwnedFd, until: Option<Instant>) -> io::Result<bool> {
        let mut copying = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.resize(&mut copying);
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let wait = left.map_or(LOOK, |left| left.min(LOOK));
            let [ended, typed, written] = self.wait(end, &copying, wait)?;
            if written {
                self.write_out(&mut copying)?;
            }
            if typed {
                read_typed(&mut copying)?;
            }
            self.hand_over(&mut copying);
            if ended {
                // What the program wrote before its end is there by now.
                while copying.writes && self.write_out(&mut copying)? {}
                return Ok(true);
            }
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
        }
    }

    fn wait(&self, end: &OwnedFd, copying: &Copying, time: Duration) -> io::Result<[bool; 3]> {
        let time = Timespec {
            tv_sec: time.as_secs() as _,
            tv_nsec: time.subsec_nanos().into(),
        };
        let when = |wanted, flags| if wanted { flags } else { PollFlags::empty() };
        let takes = copying.open && copying.typed.is_empty();
        let theirs =
            when(copying.writes, PollFlags::IN) | when(!copying.typed.is_empty(), PollFlags::OUT);
        let mut fds = vec![PollFd::new(end, PollFlags::IN)];
        // The kernel tells of an end whether one asks or not: so who does not ask is not there.
        if !theirs.is_empty() {
            fds.push(PollFd::new(&self.theirs, theirs));
        }
        if takes {
            fds.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
        }
        match poll(&mut fds, Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = fds.iter().map(PollFd::revents);
        let some = |flags: Option<PollFlags>| flags.is_some_and(|flags| !flags.is_empty());
        let ended = some(ready.next());
        let written = !theirs.is_empty()
            && ready.next().is_some_and(|flags| {
                flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
            });
        Ok([ended, takes && some(ready.next()), written])
    }

    /// Writes out a piece of what the program has written. Says whether there may be more now.
    fn write_out(&self, copying: &mut Copying) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        match rustix::io::read(&self.theirs, &mut piece) {
            // Nobody has the other end any more.
            Ok(0) | Err(Errno::IO) => {
                copying.writes = false;
                Ok(false)
            }
            Ok(count) => {
                let mut rest = piece.get(..count).unwrap_or_default();
                while !rest.is_empty() {
                    match rustix::io::write(stdout(), rest) {
                        Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => {
                            let mut fds = [PollFd::from_borrowed_fd(stdout(), PollFlags::OUT)];
                            let _ = poll(&mut fds, None);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the program what was typed, as far as it takes it.
    fn hand_over(&self, copying: &mut Copying) {
        if copying.typed.is_empty() {
            return;
        }
        match rustix::io::write(&self.theirs, &copying.typed) {
            Ok(count) => {
                copying.typed.drain(..count);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => copying.typed.clear(),
        }
    }

    /// Gives the program's terminal the size of this process's.
    fn resize(&self, copying: &mut Copying) {
        let Ok(size) = tcgetwinsize(stdin()) else {
            return;
        };
        let Winsize { ws_row, ws_col, .. } = size;
        if copying.size != Some((ws_row, ws_col)) {
            copying.size = Some((ws_row, ws_col));
            let _ = tcsetwinsize(self.theirs.as_fd(), size);
        }
    }
}

fn read_typed(copying: &mut Copying) -> io::Result<()> {
    let mut piece = [0; PIECE];
    match rustix::io::read(stdin(), &mut piece) {
        Ok(0) | Err(Errno::IO) => copying.open = false,
        Ok(count) => copying
            .typed
            .extend_from_slice(piece.get(..count).unwrap_or_default()),
        Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}
