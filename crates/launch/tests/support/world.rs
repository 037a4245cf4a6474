//! What is on this machine of a sandbox, or was.

/// What of a sandbox could be seen from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct World {
    mounts: Vec<String>,
    descriptors: usize,
    children: Vec<String>,
}

impl World {
    /// Returns this process's mounts, open descriptors and children. Files there are none of.
    pub(crate) fn now() -> Self {
        // By the name that a sandbox gives its file systems: other programs mount things too.
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").expect("mounts");
        let mounts = mounts.lines().filter(|line| line.contains(" prebake "));
        let mounts = mounts.map(str::to_owned).collect();
        Self {
            mounts,
            descriptors: fs_err::read_dir("/proc/self/fd")
                .expect("descriptors")
                .count(),
            children: Self::children(),
        }
    }

    fn children() -> Vec<String> {
        let own = format!("PPid:\t{}\n", std::process::id());
        Self::processes()
            .into_iter()
            .filter(|pid| {
                fs_err::read_to_string(format!("/proc/{pid}/status"))
                    .is_ok_and(|text| text.contains(&own))
            })
            .collect()
    }

    fn processes() -> Vec<String> {
        fs_err::read_dir("/proc")
            .expect("processes")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .collect()
    }

    fn user_namespace(pid: &str) -> Option<std::path::PathBuf> {
        fs_err::read_link(format!("/proc/{pid}/ns/user")).ok()
    }

    /// Returns the user namespaces of this process's children that are not its own.
    pub(crate) fn of_children() -> Vec<std::path::PathBuf> {
        let own = Self::user_namespace("self");
        let mut all: Vec<_> = Self::children()
            .iter()
            .filter_map(|pid| Self::user_namespace(pid))
            .collect();
        all.retain(|namespace| Some(namespace) != own.as_ref());
        assert!(
            !all.is_empty(),
            "a sandbox is a child in a namespace of its own"
        );
        all
    }

    /// Returns the processes that are in any of these user namespaces.
    pub(crate) fn in_namespaces(namespaces: &[std::path::PathBuf]) -> Vec<String> {
        let mut all = Self::processes();
        all.retain(|pid| Self::user_namespace(pid).is_some_and(|one| namespaces.contains(&one)));
        all
    }
}
