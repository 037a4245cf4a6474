//! Where there are no namespaces.

use std::sync::Arc;

use crate::driver::Driver;
use crate::finding::{Backend, Check, Finding, State};
use crate::host::Settings;
use crate::launch_error::LaunchError;

pub(crate) fn examine(_settings: &Settings) -> Vec<Check> {
    vec![Check {
        what: "system",
        state: State::Missing,
        seen: format!(
            "only Linux has namespaces, and this is {}",
            std::env::consts::OS
        ),
        mend: None,
    }]
}

pub(crate) fn driver(settings: &Settings) -> Result<Arc<dyn Driver>, LaunchError> {
    Err(LaunchError::NoBackend(vec![Finding {
        backend: Backend::Namespaces,
        checks: examine(settings),
    }]))
}
