//! One job: an instance of its own, from import to removal.

use std::fmt;
use std::io::Write as _;
use std::time::{Duration, Instant};

use prebake_launch::{Command, Host, Instance, LaunchError, Name, Output, Rootfs, Status, Stdio};

/// The program that each job runs, which `build.rs` compiled for glibc.
const STEP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/step"));

/// Where it is put.
const STEP_PATH: &str = "/usr/local/bin/step";

/// How long each program of a job may take.
const TIME: Duration = Duration::from_secs(60);

/// How much memory it may take, in bytes, where the host can bound that.
const MEMORY: u64 = 256 << 20;

/// What a job has to do.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Which job it is, from 1 on.
    pub number: usize,
    /// The network that its NAT rule is for.
    pub source: &'a str,
}

/// A job that is over.
#[derive(Debug)]
pub struct Finished {
    pub number: usize,
    /// From before the import to after the removal.
    pub took: Duration,
    pub outcome: Result<Done, JobError>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The name its instance had.
    pub instance: String,
    /// How long the import took.
    pub import: Duration,
    /// What the step said.
    pub said: String,
    /// The rules in the instance's own network.
    pub rules: Vec<String>,
}

/// Why a job failed.
#[derive(Debug)]
pub enum JobError {
    /// Its instance could not be had, or a program not be run in it.
    Launch(LaunchError),
    /// A program ended otherwise than well.
    Failed {
        program: &'static str,
        status: Status,
        said: String,
    },
    /// An instance was not as it must be.
    Wrong(String),
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch(error) => f.write_str(&crate::report::chain(error)),
            Self::Failed {
                program,
                status,
                said,
            } => write!(f, "{program} ended with {status}: {}", said.trim()),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<LaunchError> for JobError {
    fn from(error: LaunchError) -> Self {
        Self::Launch(error)
    }
}

impl Finished {
    /// Does the work.
    pub fn of(work: Work<'_>, host: &Host, rootfs: &Rootfs) -> Self {
        let start = Instant::now();
        let outcome = run(work, host, rootfs);
        Self {
            number: work.number,
            took: start.elapsed(),
            outcome,
        }
    }
}

fn run(work: Work<'_>, host: &Host, rootfs: &Rootfs) -> Result<Done, JobError> {
    let number = work.number.to_string();
    let name = Name::unique(&format!("job-{number}"));
    let start = Instant::now();
    let instance = host.import(&name, rootfs)?;
    let import = start.elapsed();

    let folder = format!("/data/{number}");
    instance.create_dir(&folder)?;
    put_step(&instance)?;
    let mut step = instance.command(STEP_PATH);
    let said = said("step", step.arg(&number).current_dir(&folder))?;

    let mut iptables = instance.command("iptables");
    iptables.args(["-t", "nat", "-A", "POSTROUTING", "-s", work.source]);
    self::said("iptables", iptables.args(["-j", "MASQUERADE"]))?;
    let mut list = instance.command("iptables");
    let rules = self::said("iptables", list.args(["-t", "nat", "-S", "POSTROUTING"]))?;
    let rules: Vec<_> = rules.lines().map(str::to_owned).collect();
    let own = rules.iter().filter(|rule| rule.starts_with("-A"));
    if own.count() != 1 {
        return Err(JobError::Wrong(format!("the rules are {rules:?}")));
    }

    // Nobody was here before, and what was written is there.
    let mut find = instance.command("find");
    let found = self::said("find", find.args(["/data", "-type", "f"]))?;
    if found.trim() != format!("{folder}/result") {
        return Err(JobError::Wrong(format!("/data has {found:?}")));
    }
    instance.remove()?;
    Ok(Done {
        instance: name.as_str().to_owned(),
        import,
        said: said.trim().to_owned(),
        rules,
    })
}

/// Puts the step into the instance, through a pipe: no file of the host has to do with it.
fn put_step(instance: &Instance) -> Result<(), JobError> {
    let mut shell = instance.command("sh");
    shell.args(["-c", "cat > $0 && chmod 755 $0", STEP_PATH]);
    shell.stdin(Stdio::Piped).stdout(Stdio::Piped);
    shell.stderr(Stdio::Piped).time_limit(TIME);
    let mut child = shell.spawn()?;
    let written = child.stdin.as_mut().map(|stdin| stdin.write_all(STEP));
    ended_well("sh", child.wait_with_output()?)?;
    match written {
        Some(Err(error)) => Err(JobError::Wrong(format!(
            "the step was not written: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Runs a program within bounds; returns what it said, if it ended well.
fn said(program: &'static str, command: &mut Command) -> Result<String, JobError> {
    ended_well(program, command.memory(MEMORY).time_limit(TIME).output()?)
}

fn ended_well(program: &'static str, output: Output) -> Result<String, JobError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(JobError::Failed {
        program,
        status: output.status,
        said: text(&output.stderr),
    })
}
