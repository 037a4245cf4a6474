//! Who brought names that are one name on other hosts.

use prebake_apk::path::GuestPath;

use super::Merge;
use crate::tree::{Node, NodeKind, SourceId};

/// Who brought something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bringer {
    /// The package's name; `base` for the base, and `None` for the recipe.
    pub name: Option<String>,
    /// What people call it: `name-version`, `the base`, `the recipe`.
    pub label: String,
}

/// Two names that macOS or Windows take for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twins {
    /// The first by its bytes, and who brought what has it.
    pub one: (GuestPath, Bringer),
    /// The other.
    pub other: (GuestPath, Bringer),
    /// Why it is more than a nuisance to unpack both there; `None` for two files or two
    /// directories of one package, as some of Alpine's have.
    pub danger: Option<&'static str>,
}

impl Merge {
    /// Returns the names that are one name on hosts that do not tell case or Unicode forms apart,
    /// in pairs with the first of each kind. Two directories of whomever are none: they become one.
    pub fn twins(&self) -> Vec<Twins> {
        let mut twins = Vec::new();
        for group in self.tree.twins() {
            let mut group = group.into_iter();
            let Some((one, first)) = group
                .next()
                .and_then(|one| Some((one, self.tree.get(one)?)))
            else {
                continue;
            };
            for other in group {
                let Some(second) = self.tree.get(other) else {
                    continue;
                };
                if first.is_directory() && second.is_directory() {
                    continue;
                }
                let owners = (self.bringer(first), self.bringer(second));
                let danger = danger(first, second, owners.0 == owners.1);
                twins.push(Twins {
                    one: (one.clone(), owners.0),
                    other: (other.clone(), owners.1),
                    danger,
                });
            }
        }
        twins
    }

    fn bringer(&self, node: &Node) -> Bringer {
        let (name, label) = match node.source() {
            SourceId::BASE => (Some("base"), "the base"),
            SourceId(number) => match self.sources.get(number as usize - 1) {
                Some((name, label)) => (Some(name.as_str()), label.as_str()),
                None => (None, "the recipe"),
            },
        };
        Bringer {
            name: name.map(str::to_owned),
            label: label.to_owned(),
        }
    }
}

/// Says what is dangerous about two names that are one elsewhere.
fn danger(one: &Node, other: &Node, same_owner: bool) -> Option<&'static str> {
    let link = |node: &Node| matches!(node.kind, NodeKind::Symlink(_));
    if link(one) || link(other) {
        Some("one of them is a symbolic link, through which the other would be written")
    } else if one.is_directory() != other.is_directory() {
        Some("one of them is a directory and the other is none")
    } else if !same_owner {
        Some("they are not of one package, and one would take the place of the other")
    } else {
        None
    }
}
