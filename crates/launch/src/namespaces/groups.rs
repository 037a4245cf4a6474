//! Control groups: limits that the kernel keeps for a program and all that it begins together.
//!
//! A group is made below the one that this process is in (version 1), or beside it, where whoever
//! delegated that lets us (version 2, which has no group with processes of its own and groups
//! below it that have limits). Each is written down before it is made, and so is found after a
//! crash.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};

use crate::name::Name;

/// What groups of ours are called: this, the instance and a number.
const PREFIX: &str = "prebake.";

/// Where an instance's groups are written down, beside its lock.
pub(super) const FILE: &str = "groups";

/// How long a turn is in which processors are shared out, in microseconds: the kernel's default.
const TURN: u32 = 100_000;

/// How often and how long apart it is tried to remove a group that the dead are still in.
const TRIES: u32 = 500;
const AGAIN: Duration = Duration::from_millis(1);

/// What is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) memory: Option<u64>,
    pub(super) cpus: Option<f64>,
    pub(super) processes: Option<u32>,
}

/// The groups of one program. They are removed when this is dropped, or later where something
/// still runs in them.
#[derive(Debug)]
pub(super) struct Groups {
    folders: Vec<PathBuf>,
}

/// Where groups can be made for a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    folder: PathBuf,
    version: u8,
}

/// What of control groups this process can use, by controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    memory: Option<Place>,
    cpu: Option<Place>,
    pids: Option<Place>,
}

impl Places {
    /// Looks at this process's own groups.
    pub(super) fn find() -> Self {
        let read = |path| fs_err::read_to_string(path).unwrap_or_default();
        let (mounts, own) = (read("/proc/self/mountinfo"), read("/proc/self/cgroup"));
        let place = |controller| {
            let found = of_version_1(controller, &mounts, &own);
            found.or_else(|| of_version_2(controller, &mounts, &own))
        };
        Self {
            memory: place("memory"),
            cpu: place("cpu"),
            pids: place("pids"),
        }
    }

    /// Says in words what can be had: the controllers, and of which version.
    pub(super) fn words(&self) -> (Vec<String>, Vec<&'static str>) {
        let all = [
            ("memory", &self.memory),
            ("cpu", &self.cpu),
            ("pids", &self.pids),
        ];
        let there = all.iter().filter_map(|(name, place)| {
            let version = place.as_ref()?.version;
            Some(format!("{name} (version {version})"))
        });
        let missing = all.iter().filter(|(_, place)| place.is_none());
        (there.collect(), missing.map(|(name, _)| *name).collect())
    }

    pub(super) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(super) fn has_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    pub(super) fn has_pids(&self) -> bool {
        self.pids.is_some()
    }

    /// Makes groups with these bounds, of which there must be the controllers, for a program of an
    /// instance whose folder is `instance`.
    pub(super) fn make(
        &self,
        instance: &Path,
        name: &Name,
        number: u64,
        bounds: Bounds,
    ) -> io::Result<Groups> {
        let mut wanted: Vec<(&Place, Vec<Setting>)> = Vec::new();
        if let (Some(place), Some(bytes)) = (&self.memory, bounds.memory) {
            wanted.push((place, memory(place.version, bytes)));
        }
        if let (Some(place), Some(processors)) = (&self.cpu, bounds.cpus) {
            wanted.push((place, cpu(place.version, processors)));
        }
        if let (Some(place), Some(most)) = (&self.pids, bounds.processes) {
            wanted.push((place, vec![setting("pids.max", most)]));
        }
        let own = format!("{PREFIX}{name}.{}.{number}", std::process::id());
        let mut groups = Groups {
            folders: Vec::new(),
        };
        let written = instance.join(FILE);
        let mut options = fs_err::OpenOptions::new();
        let mut written = options.create(true).append(true).open(written)?;
        for (place, settings) in wanted {
            let folder = place.folder.join(&own);
            if !groups.folders.contains(&folder) {
                writeln!(written, "{}", folder.display())?;
                fs_err::create_dir(&folder)?;
                groups.folders.push(folder.clone());
            }
            for setting in settings {
                match fs_err::write(folder.join(setting.file), &setting.value) {
                    Ok(()) => {}
                    Err(_) if setting.optional => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(groups)
    }
}

impl Groups {
    /// Puts a process into them, by its number.
    pub(super) fn add(&self, pid: u32) -> io::Result<()> {
        for folder in &self.folders {
            fs_err::write(folder.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for folder in &self.folders {
            // What something runs in still is removed with the instance.
            let _ = fs_err::remove_dir(folder);
        }
    }
}

/// Removes the groups that are written down in an instance's folder, in which nothing runs.
pub(super) fn remove_of(instance: &Path) {
    let Ok(text) = fs_err::read_to_string(instance.join(FILE)) else {
        return;
    };
    for folder in text.lines().map(Path::new) {
        let name = folder.file_name().and_then(|name| name.to_str());
        if folder.is_absolute() && name.is_some_and(|name| name.starts_with(PREFIX)) {
            // The dead leave their groups a moment after they were waited for.
            for _ in 0..TRIES {
                match fs_err::remove_dir(folder) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(AGAIN);
                    }
                    _ => break,
                }
            }
        }
    }
}

/// A file of a group, and what is written to it.
struct Setting {
    file: &'static str,
    value: String,
    /// Whether it is no matter if the kernel has no such file.
    optional: bool,
}

fn setting(file: &'static str, value: impl ToString) -> Setting {
    Setting {
        file,
        value: value.to_string(),
        optional: false,
    }
}

/// Returns a setting of what not every kernel has.
fn optional(file: &'static str, value: impl ToString) -> Setting {
    Setting {
        optional: true,
        ..setting(file, value)
    }
}

fn memory(version: u8, bytes: u64) -> Vec<Setting> {
    if version == 1 {
        vec![
            setting("memory.limit_in_bytes", bytes),
            // Memory and what of it is swapped out together.
            optional("memory.memsw.limit_in_bytes", bytes),
        ]
    } else {
        vec![
            setting("memory.max", bytes),
            optional("memory.swap.max", 0),
            optional("memory.oom.group", 1),
        ]
    }
}

fn cpu(version: u8, processors: f64) -> Vec<Setting> {
    // The kernel takes no less than a millisecond a turn.
    let share = (processors * f64::from(TURN)).max(1000.0) as u64;
    if version == 1 {
        vec![
            setting("cpu.cfs_period_us", TURN),
            setting("cpu.cfs_quota_us", share),
        ]
    } else {
        vec![setting("cpu.max", format!("{share} {TURN}"))]
    }
}

/// A file system of control groups: where it is mounted, and which of its groups is there.
struct Mount<'a> {
    root: &'a str,
    place: &'a str,
    kind: &'a str,
    options: &'a str,
}

/// Reads `mountinfo` (`proc_pid_mountinfo(5)`): after four fields the place, and after a dash the
/// type, the source and the options of the file system.
fn mounts(text: &str) -> impl Iterator<Item = Mount<'_>> {
    text.lines().filter_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut system = system.split(' ');
        Some(Mount {
            root: mount.next()?,
            place: mount.next()?,
            kind: system.next()?,
            options: system.nth(1)?,
        })
    })
}

/// Returns where a group is, by its path as `/proc/self/cgroup` has it.
fn folder(mount: &Mount<'_>, group: &str) -> Option<PathBuf> {
    let below = Path::new(group).strip_prefix(mount.root).ok()?;
    Some(Path::new(mount.place).join(below))
}

fn is_ours(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK).is_ok()
}

fn of_version_1(controller: &str, mount_table: &str, own: &str) -> Option<Place> {
    let has = |list: &str| list.split(',').any(|one| one == controller);
    let group = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        has(controllers).then_some(group)
    })?;
    let mut all = mounts(mount_table).filter(|mount| mount.kind == "cgroup");
    let mount = all.find(|mount| has(mount.options))?;
    let folder = folder(&mount, group).filter(|folder| is_ours(folder))?;
    Some(Place { folder, version: 1 })
}

fn of_version_2(controller: &str, mount_table: &str, own: &str) -> Option<Place> {
    let group = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts(mount_table).find(|mount| mount.kind == "cgroup2")?;
    let lowest = folder(&mount, group)?;
    let gives_on = |folder: &Path| {
        let given = fs_err::read_to_string(folder.join("cgroup.subtree_control"));
        given.is_ok_and(|given| given.split_whitespace().any(|one| one == controller))
    };
    let above = lowest.ancestors();
    let above = above.take_while(|folder| folder.starts_with(mount.place));
    // A process moves only where its mover may write to both groups and what is above both.
    let mut ours = above.take_while(|folder| is_ours(&folder.join("cgroup.procs")));
    let folder = ours.find(|folder| is_ours(folder) && gives_on(folder))?;
    Some(Place {
        folder: folder.to_owned(),
        version: 2,
    })
}

#[cfg(test)]
mod tests {
    use super::{cpu, folder, memory, mounts};

    #[test]
    fn own_groups_are_found_below_their_mounts() {
        let table = "30 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro\n\
                     31 30 0:27 /outer /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                     broken\n";
        let all: Vec<_> = mounts(table).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].kind, all[1].options), ("cgroup", "rw,cpu,cpuacct"));
        let found = folder(&all[1], "/outer/own").unwrap();
        assert_eq!(found.to_str(), Some("/sys/fs/cgroup/cpu/own"));
        assert!(folder(&all[1], "/elsewhere").is_none());
    }

    #[test]
    fn bounds_are_written_as_each_version_has_them() {
        let shown = |settings: Vec<super::Setting>| -> Vec<String> {
            let one = |one: &super::Setting| format!("{}={}", one.file, one.value);
            settings.iter().map(one).collect()
        };
        assert_eq!(shown(cpu(2, 1.5)), ["cpu.max=150000 100000"]);
        assert_eq!(
            shown(cpu(1, 0.0001)),
            ["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=1000"]
        );
        assert_eq!(shown(memory(2, 7))[0], "memory.max=7");
        assert_eq!(shown(memory(1, 7))[0], "memory.limit_in_bytes=7");
    }
}
