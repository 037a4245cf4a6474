//! `[[output]]`: what is written.

use super::Reader;
use crate::arch::Arch;
use crate::document::{At, Table};
use crate::recipe::{Format, Output};
use crate::template::{Template, Variable};

const OUTPUT: &[&str] = &["path"];

impl Reader<'_> {
    pub(super) fn outputs(&self, top: &Table<'_>, arches: &[Arch]) -> Vec<Output> {
        let mut outputs = Vec::new();
        for table in top.tables("output", "[[output]]", OUTPUT) {
            let Some(path) = table.required_string("path", "the file to write") else {
                continue;
            };
            let format = Format::from_path(&path.value);
            if format.is_none() {
                let message = format!("`{}` names no known format", path.value);
                let hint = format!("known endings: {}", Format::NAMES.join(", "));
                self.problems.add_with_hint(&path.span, message, hint);
            }
            let Some(template) = self.template(&path) else {
                continue;
            };
            if arches.len() > 1 && !template.uses(Variable::Arch) {
                self.problems.add_with_hint(
                    &path.span,
                    "one path for several architectures",
                    "put `{arch}` into it",
                );
            }
            if let Some(format) = format {
                outputs.push(Output {
                    path: At {
                        value: template,
                        span: path.span,
                    },
                    format,
                });
            }
        }
        if !top.has("output")
            && let Ok(template) = Template::parse("{name}-{arch}.tar.gz")
        {
            let path = At {
                value: template,
                span: 0..0,
            };
            outputs.push(Output {
                path,
                format: Format::TarGz,
            });
        }
        outputs
    }
}
