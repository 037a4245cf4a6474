//! A sandbox with a real Alpine in it.

use std::io::{Read as _, Write as _};

use prebake_launch::sandbox::{
    Call, Finished, Found, Kind, Limits, Machine, Sandbox, SandboxError,
};
use prebake_testkit::shared::{found_or_skipped, real_mirror};

pub(crate) struct Alpine(pub(crate) Sandbox);

pub(crate) fn base(test: &str, name: &str) -> Option<Vec<u8>> {
    let mirror = real_mirror(test)?;
    let file = fs_err::File::open(mirror.join(name)).expect("the base is there");
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_end(&mut tar)
        .expect("a gzip file");
    Some(tar)
}

pub(crate) const V3_19: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

/// Starts an empty sandbox for this machine's programs; `None`, said on stderr, where there is none.
pub(crate) fn sandbox(test: &str, limits: &Limits) -> Option<Sandbox> {
    let machine = Machine::of_alpine("x86_64").expect("a known machine");
    let sandbox = match Sandbox::start(limits, machine) {
        Ok(sandbox) => Some(sandbox),
        Err(SandboxError::Unavailable(why)) => {
            let _ = writeln!(std::io::stderr(), "{test}: {why:?}");
            None
        }
        Err(other) => panic!("{other:?}"),
    };
    found_or_skipped(sandbox, test, "namespaces")
}

impl Alpine {
    pub(crate) fn with(test: &str, limits: &Limits) -> Option<Self> {
        let tar = base(test, V3_19)?;
        let mut sandbox = sandbox(test, limits)?;
        sandbox
            .update(&[], &mut |out| out.write_all(&tar))
            .expect("unpacks");
        Some(Self(sandbox))
    }

    pub(crate) fn call(line: &str) -> Call {
        Call {
            program: b"/bin/sh".to_vec(),
            arguments: vec![b"sh".to_vec(), b"-c".to_vec(), line.as_bytes().to_vec()],
            environment: vec![(b"PATH".to_vec(), b"/usr/sbin:/usr/bin:/sbin:/bin".to_vec())],
            ..Call::default()
        }
    }

    pub(crate) fn shell(&mut self, line: &str) -> Finished {
        self.0.run(&Self::call(line)).expect("runs")
    }

    pub(crate) fn shell_ok(&mut self, line: &str) -> String {
        let finished = self.shell(line);
        assert!(finished.succeeded(), "{finished:?}");
        String::from_utf8_lossy(&finished.output).into_owned()
    }

    pub(crate) fn changes(&mut self) -> Vec<Found> {
        self.0.changes().expect("tells")
    }
}

/// Shows differences one a line: the name, what it is, mode, owner and how many bytes; `@` for a
/// time that a test has set, of 2001.
pub(crate) fn told(found: &[Found]) -> String {
    let lines: Vec<String> = found.iter().map(line).collect();
    lines.join("\n         ")
}

fn line(found: &Found) -> String {
    let name = String::from_utf8_lossy(found.path().as_bytes());
    let Found::There(_, node) = found else {
        return format!("{name} gone");
    };
    let (kind, size) = match &node.kind {
        Kind::File(content) => ("file".to_owned(), format!(" {}", content.len())),
        Kind::Hardlink(first) => {
            return format!("{name} = {}", String::from_utf8_lossy(first.as_bytes()));
        }
        Kind::Symlink(target) => (
            format!("symlink {}", String::from_utf8_lossy(target)),
            String::new(),
        ),
        other => (format!("{other:?}").to_lowercase(), String::new()),
    };
    let set = if node.mtime.seconds == 1_000_000_000 {
        " @"
    } else {
        ""
    };
    format!(
        "{name} {kind} {:04o} {}:{}{size}{set}",
        node.mode, node.uid, node.gid
    )
}
