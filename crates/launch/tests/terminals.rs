//! A program on this process's terminal, which is a pseudo-terminal that the test has the other end
//! of. The test begins itself again as the process that has it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "support/instance.rs"]
mod instance;

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use instance::{Home, shell, shell_ok};
use prebake_launch::LaunchError;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

/// Says that this is the run on the terminal.
const ON_TERMINAL: &str = "PREBAKE_TEST_ON_TERMINAL";

#[test]
fn a_program_has_the_terminal() {
    let test = "a_program_has_the_terminal";
    let Some(home) = Home::new(test) else {
        return;
    };
    let one = home.import("one");
    if std::env::var_os(ON_TERMINAL).is_some() {
        let status = one.command("sh").env("PS1", "$ ").interactive().status();
        let mut out = std::io::stdout();
        writeln!(out, "ended {:?}", status.unwrap()).unwrap();
        return;
    }
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
    let before = tcgetattr(&theirs).unwrap();
    let stream = || Stdio::from(theirs.try_clone().unwrap());
    resize(&ours, 20, 70);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ON_TERMINAL, "1")
        .env("TERM", "vt52")
        .stdin(stream())
        .stdout(stream())
        .stderr(stream())
        .spawn()
        .unwrap();
    let mut screen = Screen {
        terminal: ours,
        seen: String::new(),
    };
    screen.until("$ ");
    screen.type_in("stty size; tty; echo $TERM; test -t 0 -a -t 1 -a -t 2 && echo all three\r");
    for line in ["20 70\r\n", "/dev/pts/0\r\n", "vt52\r\n", "all three\r\n"] {
        screen.until(line);
    }
    // It is a controlling terminal: its keys are signals, and jobs can be controlled.
    screen.type_in("sh -c 'echo st\"art\"ed; exec sleep 1000'\r");
    screen.until("started\r\n");
    screen.type_in("\x03");
    screen.type_in("echo in\"ter\"rupted $?\r");
    screen.until("interrupted 130\r\n");
    resize(&screen.terminal, 33, 44);
    screen.type_in("until stty size | grep -q '33 44'; do :; done; echo re\"siz\"ed\r");
    screen.until("resized\r\n");
    screen.type_in("exit 5\r");
    screen.until("ended Exited(5)\r\n");
    assert!(child.wait().unwrap().success());
    let after = tcgetattr(&theirs).unwrap();
    assert_eq!(after.local_modes, before.local_modes);
    assert_eq!(after.input_modes, before.input_modes);
    assert_eq!(after.output_modes, before.output_modes);
    // Without a terminal it is told that there is none.
    let mut command = one.command("sh");
    let piped = command.interactive().stdout(prebake_launch::Stdio::Piped);
    match piped.status().unwrap_err() {
        LaunchError::Unsupported { what, .. } => assert_eq!(what, "a terminal"),
        other => panic!("{other:?}"),
    }
    assert_eq!(shell_ok(&one, "pgrep sleep | wc -l"), "0\n");
    assert!(shell(&one, "tty").stdout.starts_with(b"not a tty"));
    one.remove().unwrap();
    assert!(home.left().is_empty(), "{:?}", home.left());
    assert_eq!(home.again().swept(), []);
}

fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

struct Screen {
    terminal: OwnedFd,
    seen: String,
}

impl Screen {
    fn type_in(&self, keys: &str) {
        assert_eq!(
            rustix::io::write(&self.terminal, keys.as_bytes()).unwrap(),
            keys.len()
        );
    }

    /// Reads until this is seen, and forgets what was seen up to there.
    fn until(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let mut piece = [0; 1024];
            let count = rustix::io::read(&self.terminal, &mut piece);
            let count = count.unwrap_or_else(|error| panic!("{text:?}: {error}: {:?}", self.seen));
            self.seen
                .push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    }
}
