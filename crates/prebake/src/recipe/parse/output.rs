//! `[[output]]`: what is written.

use super::Reader;
use crate::arch::Arch;
use crate::document::{At, Table, nearest};
use crate::recipe::{FORMATS, Format, Level, Output, format_of};
use crate::template::{Template, Variable};

const OUTPUT: &[&str] = &["path", "level"];

impl Reader<'_> {
    pub(super) fn outputs(&self, top: &Table<'_>, arches: &[Arch]) -> Vec<Output> {
        let mut outputs = Vec::new();
        for table in top.tables("output", "[[output]]", OUTPUT) {
            let Some(path) = table.required_string("path", "the file to write") else {
                continue;
            };
            let format = format_of(&path.value);
            if format.is_none() {
                let message = format!("`{}` names no known format", path.value);
                let endings = FORMATS.map(|(ending, _)| ending);
                let hint = format!("known endings: {}", endings.join(", "));
                self.problems.add_with_hint(&path.span, message, hint);
            }
            let level = self.level(&table);
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
                    level,
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
                level: Level::default(),
            });
        }
        outputs
    }

    /// Reads how small an output is to be.
    fn level(&self, table: &Table<'_>) -> Level {
        let Some(name) = table.string("level") else {
            return Level::default();
        };
        Level::from_name(&name.value).unwrap_or_else(|| {
            let names = Level::ALL.map(Level::name);
            let message = format!("`{}` is no level", name.value);
            let hint = match nearest(&name.value, names.into_iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known levels: {}", names.join(", ")),
            };
            self.problems.add_with_hint(&name.span, message, hint);
            Level::default()
        })
    }
}
