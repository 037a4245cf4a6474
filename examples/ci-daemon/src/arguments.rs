//! What the program is asked to do.

/// What `--help` says.
pub const USAGE: &str = "\
Runs jobs, each in a fresh instance of the rootfs that this program carries.

Usage: ci-daemon [--jobs N] [--parallel N] [--source NETWORK] [--json]

  --jobs N          how many jobs to run (20)
  --parallel N      how many at once (4)
  --source NETWORK  whose packets each job's NAT rule is for (10.0.0.0/8)
  --json            the result as JSON, on standard output
";

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    pub jobs: usize,
    pub parallel: usize,
    pub source: String,
    pub json: bool,
}

impl Arguments {
    /// Reads the command line; `None` if help is asked for.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut arguments = Self {
            jobs: 20,
            parallel: 4,
            source: "10.0.0.0/8".to_owned(),
            json: false,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} takes a value"));
            match word.as_str() {
                "--jobs" => arguments.jobs = count(&value()?)?,
                "--parallel" => arguments.parallel = count(&value()?)?,
                "--source" => arguments.source = value()?,
                "--json" => arguments.json = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        Ok(Some(arguments))
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text} is not a number from 1 on")),
        Ok(number) => Ok(number),
    }
}
