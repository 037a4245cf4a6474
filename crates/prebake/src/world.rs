//! The world: what apk is asked to keep installed.

/// The longest world entry taken, in bytes.
const MAX_ENTRY: usize = 512;

/// Checks that `entry` has the form of a world entry: `[!]name[@tag][operator version]`.
pub(crate) fn check_entry(entry: &str) -> Result<(), String> {
    let name = entry.strip_prefix('!').unwrap_or(entry);
    let end = name.find(['<', '>', '=', '~', '@']).unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default();
    if name.is_empty() || entry.len() > MAX_ENTRY {
        return Err(format!("`{entry}` names no package"));
    }
    if entry.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{entry}` holds a space"));
    }
    Ok(())
}
