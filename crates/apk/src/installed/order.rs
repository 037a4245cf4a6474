//! The order in which apk sorts packages and the world.

use std::cmp::Ordering;

/// Compares two package names as apk sorts them: letters without their case first, and only
/// between names that are then equal by their bytes (measured: `A a a+ a-b a.b a1 Ab ab aC`).
pub fn compare_names(one: &[u8], other: &[u8]) -> Ordering {
    let folded = |name: &[u8]| name.to_ascii_lowercase();
    folded(one).cmp(&folded(other)).then_with(|| one.cmp(other))
}
