//! Messages between processes that can carry descriptors: one byte that says what it is, what
//! belongs to it, and any number of descriptors.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::descriptors::above_standard;

/// The most descriptors that go with one message: the kernel's own bound (`SCM_MAX_FD`).
pub(crate) const MOST: usize = 253;

/// The longest message that keeps its bounds, in bytes.
const LONGEST: usize = 32 << 10;

/// Returns the two ends of a connection that keeps the bounds of messages.
pub(crate) fn messages() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::SEQPACKET)
}

/// Returns the two ends of a connection that does not.
pub(crate) fn stream() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::STREAM)
}

/// None has the number of a standard stream, which a forked child makes its own.
fn pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok((above_standard(one)?, above_standard(other)?))
}

/// Sends all of `bytes`, which are not none, and `fds` with the first of them. Nobody at the other
/// end is an error, and no signal.
pub(crate) fn send(to: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(fds.len()))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match sendmsg(
            &to,
            &[IoSlice::new(rest)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                sent += count;
                control.clear();
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Receives one message of a connection that keeps their bounds; `None` at its end.
pub(crate) fn receive(from: impl AsFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; LONGEST];
    let (count, fds) = receive_into(from, &mut bytes)?;
    bytes.truncate(count);
    Ok((count > 0).then_some((bytes, fds)))
}

/// Receives one byte and what descriptors go with it; `None` at the connection's end.
pub(crate) fn receive_byte(from: impl AsFd) -> io::Result<Option<(u8, Vec<OwnedFd>)>> {
    let mut byte = [0];
    let (count, fds) = receive_into(from, &mut byte)?;
    let [byte] = byte;
    Ok((count > 0).then_some((byte, fds)))
}

fn receive_into(from: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let into = &mut [IoSliceMut::new(bytes)];
        match recvmsg(&from, into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            // An end that was closed with something unread in it.
            Err(Errno::CONNRESET) => return Ok((0, Vec::new())),
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            for fd in rights {
                fds.push(above_standard(fd)?);
            }
        }
    }
    Ok((received.bytes, fds))
}

/// Reads the bytes of a connection that has no bounds of messages.
#[derive(Debug)]
pub(crate) struct Incoming<'a>(pub(crate) BorrowedFd<'a>);

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0, buffer)?)
    }
}
