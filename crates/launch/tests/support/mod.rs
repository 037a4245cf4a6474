//! A sandbox with a real Alpine in it.

use std::io::{Read as _, Write as _};

use prebake_launch::sandbox::{Call, Finished, Found, Limits, Machine, Sandbox, SandboxError};
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

impl Alpine {
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::with(test, &Limits::default())
    }

    pub(crate) fn with(test: &str, limits: &Limits) -> Option<Self> {
        let tar = base(test, V3_19)?;
        let machine = Machine::of_alpine("x86_64").expect("a known machine");
        let sandbox = match Sandbox::start(limits, machine) {
            Ok(sandbox) => Some(sandbox),
            Err(SandboxError::Unavailable(why)) => {
                let _ = writeln!(std::io::stderr(), "{test}: {why:?}");
                None
            }
            Err(other) => panic!("{other:?}"),
        };
        let mut sandbox = found_or_skipped(sandbox, test, "namespaces")?;
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

pub(crate) fn paths(found: &[Found]) -> Vec<String> {
    found
        .iter()
        .map(|one| String::from_utf8_lossy(one.path().as_bytes()).into_owned())
        .collect()
}
