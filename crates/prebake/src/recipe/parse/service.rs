//! `[[service]]`: what OpenRC starts.

use super::Reader;
use crate::document::{At, Table};
use crate::recipe::Service;

/// The runlevel that a service is in unless the recipe says otherwise: the one of a running system,
/// which `rc-update add` takes there as well.
const DEFAULT_RUNLEVEL: &str = "default";

impl Reader<'_> {
    pub(super) fn service(&self, table: &Table<'_>) -> Option<Service> {
        let name = table.required_string("name", "the script's name in /etc/init.d");
        let name = name.filter(|name| self.is_file_name(name));
        let runlevel = if table.has("runlevel") {
            table
                .string("runlevel")
                .filter(|level| self.is_file_name(level))?
        } else {
            At {
                value: DEFAULT_RUNLEVEL.to_owned(),
                span: table.span.clone(),
            }
        };
        Some(Service {
            name: name?,
            runlevel,
        })
    }

    fn is_file_name(&self, name: &At<String>) -> bool {
        let text = name.value.as_str();
        let good = !text.is_empty()
            && text.len() <= 255
            && !matches!(text, "." | "..")
            && !text.contains(|c: char| c == '/' || c.is_control() || c.is_whitespace());
        if !good {
            let message = format!("`{text}` is not the name of one file");
            self.problems.add(&name.span, message);
        }
        good
    }
}
