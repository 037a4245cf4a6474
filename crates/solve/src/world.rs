//! Worlds: the list of what shall be there.

use std::cmp::Ordering;

use prebake_apk::dependency::Dependency;

/// Returns the world that `apk add` makes of the one a base has and what is added to it, in the
/// order in which apk writes it to `etc/apk/world`.
///
/// An addition replaces what the world says of the same name; of several additions of one name
/// the last one counts.
pub fn world<'a>(base: &[Dependency<'a>], added: &[Dependency<'a>]) -> Vec<Dependency<'a>> {
    let mut world: Vec<Dependency<'a>> = Vec::with_capacity(base.len() + added.len());
    for dependency in base.iter().chain(added) {
        match world.iter_mut().find(|known| known.name == dependency.name) {
            Some(known) => *known = *dependency,
            None => world.push(*dependency),
        }
    }
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
    let lower = |name: &str| {
        name.bytes()
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    lower(left).cmp(&lower(right)).then_with(|| left.cmp(right))
}
