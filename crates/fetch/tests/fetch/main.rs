//! The fetcher against a real server over real sockets. One program, one module for each kind of
//! proof.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and a child process talks to its parent"
)]

mod cache;
mod cancel;
mod current;
mod faults;
mod foreign;
mod mirrors;
mod processes;
mod proxy;
mod resume;
mod setup;
mod tls;
