//! Numbers of users and groups: whose they are, and which are free.

use super::{Accounts, FIRST_SYSTEM_ID};
use crate::customise::Customise;
use crate::document::At;
use crate::error::Error;
use crate::recipe::{FIRST_ORDINARY_ID, PrimaryGroup, User};

impl Customise<'_> {
    pub(super) fn different(
        &self,
        at: &std::ops::Range<usize>,
        name: &str,
        (what, wanted, found): (&str, &str, &str),
        file: &str,
    ) -> Error {
        let message = format!(
            "`{name}` has the {what} {wanted} in the recipe, but {found} in the rootfs's {file}"
        );
        let hint = format!(
            "the base or a package brings `{name}`: leave `{what}` out, or take another name"
        );
        self.problem(at, message, Some(hint))
    }

    pub(super) fn no_id(
        &self,
        accounts: &Accounts,
        key: &str,
        name: &At<String>,
        from: u32,
    ) -> Error {
        let message = format!(
            "`{key}` is missing: the base and the packages have no `{}`",
            name.value
        );
        let free = self.free(accounts, from);
        let hint = format!("`{key} = {free}` is free; a number that stands here never changes");
        self.problem(&name.span, message, Some(hint))
    }

    pub(super) fn taken(
        &self,
        accounts: &Accounts,
        key: &str,
        name: &str,
        id: &At<u32>,
        other: &str,
        from: u32,
    ) -> Error {
        let message = format!("the {key} {} of `{name}` is that of `{other}`", id.value);
        let from = if id.value < FIRST_ORDINARY_ID {
            FIRST_SYSTEM_ID
        } else {
            from
        };
        let hint = format!("{} is free", self.free(accounts, from));
        self.problem(&id.span, message, Some(hint))
    }

    /// Returns the first number from `from` on that neither a user nor a group has.
    pub(super) fn free(&self, accounts: &Accounts, from: u32) -> u32 {
        let recipe = self.recipe;
        let asked = |id: &u32| {
            let gid = |user: &User| match &user.group {
                PrimaryGroup::Own(Some(gid)) => Some(gid.value),
                _ => None,
            };
            let mut users = recipe.users.iter();
            let mut groups = recipe.groups.iter();
            users.any(|user| {
                user.uid.as_ref().is_some_and(|uid| uid.value == *id) || gid(user) == Some(*id)
            }) || groups.any(|group| group.gid.as_ref().is_some_and(|gid| gid.value == *id))
        };
        (from..u32::from(u16::MAX))
            .find(|id| {
                let used = accounts
                    .passwd
                    .name_of(*id)
                    .or_else(|| accounts.group.name_of(*id));
                used.is_none() && !asked(id)
            })
            .unwrap_or(from)
    }
}

/// Refuses an id that is not the one a name has already.
pub(super) fn same(
    customise: &Customise<'_>,
    key: &str,
    name: &At<String>,
    wanted: Option<&At<u32>>,
    found: u32,
    file: &str,
) -> Result<(), Error> {
    match wanted.filter(|wanted| wanted.value != found) {
        None => Ok(()),
        Some(wanted) => {
            let wrong = (key, wanted.value.to_string(), found.to_string());
            let wrong = (wrong.0, wrong.1.as_str(), wrong.2.as_str());
            Err(customise.different(&wanted.span, &name.value, wrong, file))
        }
    }
}
