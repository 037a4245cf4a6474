//! The command line.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use prebake::NETWORK_TIMEOUT;
use prebake::audit::{Allowance, Kind};

use crate::{environment, exit_code};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Bake an Alpine root filesystem at build time, so that nothing is installed when it boots
#[derive(Debug, Parser)]
#[command(name = "prebake", version, styles = STYLES, max_term_width = 100)]
#[command(after_help = format!("{}\n\n{}", exit_code::HELP, environment::HELP))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Print the result as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show no progress bar, also on a terminal
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

impl Global {
    /// Says whether a person is there to be told what is no data and no warning.
    pub(crate) fn is_watched(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a recipe to start from
    Init(InitArguments),
    /// Choose the packages and write the lock
    Lock(LockArguments),
    /// Bake what the lock names and write the outputs
    Build(BuildArguments),
    /// Put everything that the lock names into a folder, as a mirror that prebake and apk can use
    Vendor(VendorArguments),
    /// Add packages to the recipe, or change what it says of them, and lock
    Add(EditArguments),
    /// Take packages out of the recipe, and lock
    Remove(EditArguments),
    /// Say why a package is in the rootfs: every chain from the world to it
    Why(WhyArguments),
    /// Show the recipe's packages and what they need
    Tree(TreeArguments),
    /// Hold the lock against what the mirrors have now
    Outdated(OutdatedArguments),
    /// Show what is in an .apk, an APKINDEX.tar.gz or a rootfs
    Inspect(InspectArguments),
    /// Hold a rootfs against its own apk database and the lock
    Verify(VerifyArguments),
    /// List what a reviewer wants to see in a rootfs, and refuse what must not be there
    Audit(AuditArguments),
    /// Run a command in a fresh instance of a rootfs, and remove it
    Run(RunArguments),
    /// List the instances on this host
    Ps,
    /// Remove instances
    Rm(RmArguments),
    /// Say what this host can do, what is missing, and what would mend it
    Doctor,
}

/// Which recipe, and what of the host it may use.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeArguments {
    /// The recipe, or the folder it is in
    #[arg(default_value = "prebake.toml", value_name = "RECIPE")]
    pub(crate) recipe: PathBuf,
    #[command(flatten)]
    pub(crate) host: HostArguments,
}

/// The same for commands whose own arguments are names of packages.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeOption {
    /// The recipe, or the folder it is in
    #[arg(long, default_value = "prebake.toml", value_name = "RECIPE")]
    pub(crate) recipe: PathBuf,
    #[command(flatten)]
    pub(crate) host: HostArguments,
}

/// What of the host a command may use.
#[derive(Clone, Debug, Args)]
pub(crate) struct HostArguments {
    /// Fetch nothing: use the cache and vendored folders alone
    #[arg(long)]
    pub(crate) offline: bool,
    /// Let the recipe name only what lies in its own folder
    #[arg(long)]
    pub(crate) untrusted: bool,
    /// Look for files in this folder first, which `prebake vendor` filled; may be given again
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: Vec<PathBuf>,
    /// Keep downloads in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Ask this cache that many machines share before any mirror: s3://BUCKET/PATH, gs://…,
    /// az://…, https://… or file:///DIR
    #[cfg(feature = "remote-cache")]
    #[arg(long, value_name = "URL")]
    pub(crate) remote_cache: Option<String>,
    /// Give the shared cache what is downloaded from elsewhere
    #[cfg(feature = "remote-cache")]
    #[arg(long)]
    pub(crate) remote_cache_write: bool,
    /// Give a server up that is silent for so long [default: 30]
    #[arg(long, value_name = "SECONDS", env = NETWORK_TIMEOUT, hide_env = true)]
    pub(crate) network_timeout: Option<String>,
    /// Compress with this many threads; changes no output
    #[arg(long, value_name = "N", env = environment::THREADS, hide_env = true)]
    pub(crate) threads: Option<NonZeroUsize>,
}

/// Change the recipe's packages
#[derive(Debug, Args)]
pub(crate) struct EditArguments {
    /// Packages, as `apk add` takes them
    #[arg(required = true, value_name = "PKG")]
    pub(crate) packages: Vec<String>,
    #[command(flatten)]
    pub(crate) recipe: RecipeOption,
}

/// Say why a package is in the rootfs
#[derive(Debug, Args)]
pub(crate) struct WhyArguments {
    /// The package
    #[arg(value_name = "PKG")]
    pub(crate) package: String,
    /// Only for these architectures of the recipe
    #[arg(long, value_delimiter = ',')]
    pub(crate) arch: Vec<String>,
    #[command(flatten)]
    pub(crate) recipe: RecipeOption,
}

/// Show the recipe's packages and what they need
#[derive(Debug, Args)]
pub(crate) struct TreeArguments {
    /// Show what the base's own world asks for as well
    #[arg(long)]
    pub(crate) base: bool,
    /// Only for these architectures of the recipe
    #[arg(long, value_delimiter = ',')]
    pub(crate) arch: Vec<String>,
    #[command(flatten)]
    pub(crate) recipe: RecipeOption,
}

/// Hold the lock against what the mirrors have now
#[derive(Debug, Args)]
pub(crate) struct OutdatedArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
}

/// Write a recipe to start from
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Where to write it: a file, or a folder for prebake.toml
    #[arg(default_value = "prebake.toml", value_name = "RECIPE")]
    pub(crate) recipe: PathBuf,
    /// The Alpine release to start from
    #[arg(long, default_value = DEFAULT_RELEASE)]
    pub(crate) release: String,
    /// The architectures to bake for
    #[arg(long, value_delimiter = ',', default_value = "x86_64")]
    pub(crate) arch: Vec<String>,
    /// A package to install; may be given again
    #[arg(short, long = "package", value_name = "PKG")]
    pub(crate) packages: Vec<String>,
}

/// The release that `init` writes: that of the recipe which prebake was made for.
pub(crate) const DEFAULT_RELEASE: &str = "3.21.3";

/// Choose the packages and write the lock
#[derive(Debug, Args)]
pub(crate) struct LockArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// Move on to what the mirrors have now: everything, or only these packages
    #[arg(long, num_args = 0.., value_name = "PKG")]
    pub(crate) upgrade: Option<Vec<String>>,
    /// Take an index that is older than the lock's, which a replayed one or a lagging mirror is
    #[arg(long, conflicts_with = "check")]
    pub(crate) allow_older_index: bool,
    /// Only say whether the lock is the recipe's; exit with 6 where it is not
    #[arg(long, conflicts_with = "upgrade")]
    pub(crate) check: bool,
}

/// Bake what the lock names and write the outputs
#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// Refuse to write a lock: exit with 6 where there is none or it is not the recipe's
    #[arg(long)]
    pub(crate) locked: bool,
    /// Bake only for these architectures of the recipe
    #[arg(long, value_delimiter = ',')]
    pub(crate) arch: Vec<String>,
}

/// Put everything that the lock names into a folder, as a mirror that prebake and apk can use
#[derive(Debug, Args)]
pub(crate) struct VendorArguments {
    /// The folder [default: what the recipe's `vendor` names]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Remove what an earlier `vendor` put there and no lock names any longer
    #[arg(long)]
    pub(crate) prune: bool,
    #[command(flatten)]
    pub(crate) recipe: RecipeOption,
}

/// Show what is in an .apk, an APKINDEX.tar.gz or a rootfs
#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// List every file in it
    #[arg(short, long)]
    pub(crate) long: bool,
}

/// Hold a rootfs against its own apk database and the lock
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The rootfs, as `build` wrote it
    #[arg(value_name = "ROOTFS")]
    pub(crate) rootfs: PathBuf,
    /// The lock it was baked from [default: prebake.lock, where there is one]
    #[arg(long, value_name = "LOCK")]
    pub(crate) lock: Option<PathBuf>,
}

/// List what a reviewer wants to see in a rootfs, and refuse what must not be there
#[derive(Debug, Args)]
#[command(after_help = KINDS_HELP.as_str())]
pub(crate) struct AuditArguments {
    /// The recipe, the folder it is in, or a rootfs as `build` wrote it
    #[arg(default_value = "prebake.toml", value_name = "RECIPE|ROOTFS")]
    pub(crate) source: PathBuf,
    /// Exit with 9 where anything of these kinds is found; the recipe's `[audit] deny` counts too
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    pub(crate) deny: Vec<Kind>,
    /// Let this very thing be, as it is listed: `setuid:/bin/bbsuid`; may be given again
    #[arg(long, value_name = "KIND:SUBJECT")]
    pub(crate) allow: Vec<Allowance>,
    /// Say what is new and what is gone since this older lock or rootfs
    #[arg(long, value_name = "LOCK|ROOTFS")]
    pub(crate) against: Option<PathBuf>,
    /// The lock that a ROOTFS was baked from [default: prebake.lock, where there is one]
    #[arg(long, value_name = "LOCK")]
    pub(crate) lock: Option<PathBuf>,
    /// Only for these architectures of the recipe
    #[arg(long, value_delimiter = ',')]
    pub(crate) arch: Vec<String>,
    #[command(flatten)]
    pub(crate) host: HostArguments,
}

/// The kinds of findings and what they are.
static KINDS_HELP: LazyLock<String> = LazyLock::new(|| {
    let width = Kind::ALL.iter().map(|kind| kind.name().len()).max();
    let width = width.unwrap_or_default();
    let lines = Kind::ALL.map(|kind| format!("\n  {:width$}  {}", kind.name(), kind.explanation()));
    format!("Kinds:{}", lines.concat())
});

/// Run a command in a fresh instance of a rootfs, and remove it
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The recipe, the folder it is in, or a rootfs as `build` wrote it
    #[arg(default_value = "prebake.toml", value_name = "RECIPE|ROOTFS")]
    pub(crate) source: PathBuf,
    /// The command [default: a shell]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// Call the instance so; take it up again if it was kept
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Keep the instance for a later `run --name`
    #[arg(long)]
    pub(crate) keep: bool,
    /// Show a folder or file of the host in the instance; may be given again
    #[arg(long, value_name = "HOST:GUEST[:ro]")]
    pub(crate) share: Vec<String>,
    /// Let the command use the host's network
    #[arg(long)]
    pub(crate) net: bool,
    /// Run it by this: namespaces or wsl [default: the first that this host has]
    #[arg(long, value_name = "BACKEND")]
    pub(crate) backend: Option<String>,
    /// Run the command as this user: a name, UID or UID:GID [default: root]
    #[arg(short, long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Set an environment variable; may be given again
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Run the command in this folder of the instance
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// Bound the command's memory: bytes, or with K, M or G
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) memory: Option<u64>,
    /// Bound the processors that the command has: 1.5 is one and a half
    #[arg(long, value_name = "N", value_parser = processors)]
    pub(crate) cpus: Option<f64>,
    /// Kill the command after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Refuse to write a lock: exit with 6 where there is none or it is not the recipe's
    #[arg(long)]
    pub(crate) locked: bool,
    #[command(flatten)]
    pub(crate) host: HostArguments,
}

/// Remove instances
#[derive(Debug, Args)]
pub(crate) struct RmArguments {
    /// The instances
    #[arg(required_unless_present = "all", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// All that no process has
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,
}

/// Reads an amount of memory: `512M`.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is no amount of memory: 1048576, 1024K, 512M or 2G");
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number: u64 = text
        .strip_suffix(unit)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(wrong)?;
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(wrong()),
    };
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(wrong)
}

/// Reads a number of processors: `1.5`.
fn processors(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("\"{text}\" is no number of processors: 2 or 0.5"))
}
