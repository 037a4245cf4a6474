//! `packages`: what to install.

use super::Reader;
use crate::arch::Arch;
use crate::document::{At, Item, Table};
use crate::recipe::{LocalPackage, is_package_file, local_path};
use crate::template::Variable;

/// A package file is named by a string or, where there is more to say of it, by a table in its
/// place: so the list stays one list, in which everything that is asked for stands.
const PACKAGE: &[&str] = &["path", "sha256", "keys"];

impl Reader<'_> {
    pub(super) fn packages(
        &self,
        top: &Table<'_>,
        arches: &[Arch],
    ) -> (Vec<At<String>>, Vec<LocalPackage>) {
        let (mut entries, mut locals) = (Vec::new(), Vec::new());
        for item in top.items("packages", "a package file", PACKAGE) {
            match item {
                Item::Text(text) => match local_path(&text.value) {
                    Some(_) => locals.extend(self.local(text, Vec::new(), Vec::new(), arches)),
                    None => entries.push(text),
                },
                Item::Table(table) => {
                    let path = table.required_string("path", "the package file");
                    let sha256 = self.base_digests(&table, arches);
                    let keys = self.keys(&table);
                    let local = path.and_then(|path| self.local(path, sha256, keys, arches));
                    locals.extend(local);
                }
            }
        }
        self.entries(&entries);
        (entries, locals)
    }

    fn local(
        &self,
        path: At<String>,
        sha256: Vec<(Arch, prebake_apk::digest::Sha256)>,
        keys: Vec<crate::recipe::TrustedKey>,
        arches: &[Arch],
    ) -> Option<LocalPackage> {
        let Some(value) = local_path(&path.value) else {
            let message = format!("`{}` is not the path of a package file", path.value);
            let hint = "it begins with `./`, `../` or `/` and ends with `.apk`";
            self.problems.add_with_hint(&path.span, message, hint);
            return None;
        };
        let span = path.span;
        let template = self.template(&At {
            value,
            span: span.clone(),
        })?;
        if arches.len() > 1 && !template.uses(Variable::Arch) && sha256.len() > 1 {
            let message = "one path for several architectures";
            self.problems
                .add_with_hint(&span, message, "put `{arch}` into it");
        }
        let path = At {
            value: template,
            span,
        };
        Some(LocalPackage { path, sha256, keys })
    }

    fn entries(&self, packages: &[At<String>]) {
        let mut names = Vec::new();
        for package in packages {
            match crate::world::check_entry(&package.value) {
                Err(message) => {
                    let hint = crate::world::ENTRY_HINT;
                    self.problems.add_with_hint(&package.span, message, hint);
                }
                Ok(name)
                    if name.contains('\\') || name.starts_with('.') || is_package_file(name) =>
                {
                    let message = format!("`{name}` is not the name of a package");
                    let hint =
                        "a package file's path begins with `./`, `../` or `/` and ends with `.apk`";
                    self.problems.add_with_hint(&package.span, message, hint);
                }
                // Of two entries of one name apk keeps the last, which nobody means.
                Ok(name) if names.contains(&name) => {
                    self.problems
                        .add(&package.span, format!("`{name}` is named twice"));
                }
                Ok(name) => names.push(name),
            }
        }
    }
}
