//! Worlds: the list of what shall be there.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use prebake_apk::dependency::Dependency;

/// Returns the world that `apk add` makes of the one a base has and what is added to it, in the
/// order in which apk writes it to `etc/apk/world`.
///
/// An addition replaces what the world says of the same name; of several additions of one name
/// the last one counts.
pub fn world<'a>(base: &[Dependency<'a>], added: &[Dependency<'a>]) -> Vec<Dependency<'a>> {
    let entries = base.iter().chain(added);
    let by_name: BTreeMap<&str, Dependency<'a>> = entries
        .map(|dependency| (dependency.name, *dependency))
        .collect();
    let mut world: Vec<_> = by_name.into_values().collect();
    sort_by_name(&mut world, |dependency| *dependency);
    world
}

/// Sorts as apk sorts a world: by name without regard to case, then by name.
pub(crate) fn sort_by_name<'a, T>(items: &mut [T], dependency: impl Fn(&T) -> Dependency<'a>) {
    items.sort_by(|left, right| {
        let (left, right) = (dependency(left), dependency(right));
        compare_names(left.name, right.name).then_with(|| left.cmp(&right))
    });
}

/// Orders names without regard to ASCII case, then with it.
pub(crate) fn compare_names(left: &str, right: &str) -> Ordering {
    fn lower(name: &str) -> impl Iterator<Item = u8> {
        name.bytes().map(|byte| byte.to_ascii_lowercase())
    }
    lower(left).cmp(lower(right)).then_with(|| left.cmp(right))
}
