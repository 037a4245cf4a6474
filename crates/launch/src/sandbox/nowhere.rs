//! What stands for a started sandbox where there can be none.

use std::convert::Infallible;
use std::io::{self, Write};

use prebake_apk::path::GuestPath;

use super::{Call, Finished, Found, Limits, Machine, Owners, SandboxError, Stopper, Unavailable};

/// A sandbox that was started, of which there is none.
#[derive(Debug)]
pub(super) struct Session(Infallible);

impl Session {
    pub(super) fn start(_: &Limits, _: Machine) -> Result<Self, SandboxError> {
        Err(Unavailable::NotLinux.into())
    }

    pub(super) fn owners(&self) -> Owners {
        match self.0 {}
    }

    pub(super) fn stopper(&self) -> Stopper {
        match self.0 {}
    }

    pub(super) fn update(
        &mut self,
        _: &[GuestPath],
        _: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), SandboxError> {
        match self.0 {}
    }

    pub(super) fn run(&mut self, _: &Call) -> Result<Finished, SandboxError> {
        match self.0 {}
    }

    pub(super) fn changes(&mut self) -> Result<Vec<Found>, SandboxError> {
        match self.0 {}
    }
}
