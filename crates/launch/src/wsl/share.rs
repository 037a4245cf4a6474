//! Where a folder of Windows is in the guest.
//!
//! WSL mounts each fixed drive at `/mnt/` and its letter ("Advanced settings configuration in
//! WSL", automount). A folder is bound from there to where it is asked for, so that it can be at
//! any path and read-only.

use std::path::Path;

/// Returns the path in the guest, or why there is none.
pub(super) fn in_guest(host: &Path) -> Result<String, String> {
    let given = host.to_str().ok_or("its name is not Unicode")?;
    if is_whole(given) {
        return translate(given);
    }
    let whole = std::path::absolute(host).map_err(|error| error.to_string())?;
    translate(whole.to_str().ok_or("its name is not Unicode")?)
}

/// Says whether it names a place by itself, in Windows' way, whatever host this is.
fn is_whole(path: &str) -> bool {
    path.starts_with(r"\\") || drive(path).is_some()
}

/// Returns the drive's letter and what comes behind `C:\`.
fn drive(path: &str) -> Option<(char, &str)> {
    let mut letters = path.chars();
    let letter = letters.next().filter(char::is_ascii_alphabetic)?;
    let rest = letters.as_str().strip_prefix(':')?;
    let rest = rest.strip_prefix(['\\', '/'])?;
    Some((letter.to_ascii_lowercase(), rest))
}

fn translate(path: &str) -> Result<String, String> {
    // The form without limits on length, as `canonicalize` gives it.
    let path = match path.strip_prefix(r"\\?\") {
        Some(rest) => match rest.strip_prefix(r"UNC\") {
            Some(rest) => &format!(r"\\{rest}"),
            None => rest,
        },
        None => path,
    };
    if let Some(rest) = path.strip_prefix(r"\\") {
        let server = rest.split(['\\', '/']).next().unwrap_or_default();
        let is_wsl = ["wsl$", "wsl.localhost"]
            .iter()
            .any(|name| server.eq_ignore_ascii_case(name));
        return Err(if is_wsl {
            "it is inside a distribution, and one does not see another's files; copy it to a drive"
                .to_owned()
        } else {
            format!(
                "it is on {server}, and WSL sees the drives of this machine only; copy it to one \
                 (letters of `net use` are not seen either)"
            )
        });
    }
    let Some((letter, rest)) = drive(path) else {
        return Err("it is on no drive with a letter".to_owned());
    };
    let mut guest = format!("/mnt/{letter}");
    for part in rest.split(['\\', '/']).filter(|part| !part.is_empty()) {
        if part == ".." {
            return Err("it has a `..` part".to_owned());
        }
        if part != "." {
            guest.push('/');
            guest.push_str(part);
        }
    }
    Ok(guest)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::{in_guest, translate};

    #[test]
    fn drives_are_below_mnt() {
        for (host, guest) in [
            (r"C:\Users\me\data", "/mnt/c/Users/me/data"),
            (r"c:\", "/mnt/c"),
            ("D:/a b/ü/", "/mnt/d/a b/ü"),
            (r"\\?\C:\very\long", "/mnt/c/very/long"),
            (r"C:\a\.\b", "/mnt/c/a/b"),
        ] {
            assert_eq!(translate(host).as_deref(), Ok(guest), "{host}");
            assert_eq!(in_guest(Path::new(host)).as_deref(), Ok(guest), "{host}");
        }
    }

    #[test]
    fn what_is_on_no_drive_is_refused() {
        let mut all = String::new();
        for host in [
            r"\\server\share\a",
            r"\\?\UNC\server\share",
            r"\\wsl$\Ubuntu\home",
            r"\\wsl.localhost\Ubuntu\home",
            r"\\.\pipe\a",
            r"\\?\Volume{0}\a",
            r"C:\a\..\b",
            "C:relative",
            "/etc",
            "",
        ] {
            let why = translate(host).unwrap_err();
            writeln!(all, "{host}: {why}").unwrap();
        }
        insta::assert_snapshot!(all);
    }
}
