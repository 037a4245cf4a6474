//! What this host has for instances. Nothing is changed by looking.

use crate::finding::{Check, State};
use crate::host::Settings;
use crate::linux::guest_root;

pub(crate) fn examine(_settings: &Settings) -> Vec<Check> {
    let made = guest_root::run(|_| 0);
    vec![match made {
        Ok(_) => Check {
            what: "user namespaces",
            state: State::Good,
            seen: "they can be made".to_owned(),
            mend: None,
        },
        Err(error) => Check {
            what: "user namespaces",
            state: State::Missing,
            seen: format!("they cannot be made ({error})"),
            mend: Some("sysctl -w user.max_user_namespaces=15000".to_owned()),
        },
    }]
}
