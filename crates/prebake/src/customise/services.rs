//! OpenRC services: a link in a runlevel's directory, as `rc-update add` makes it.
//!
//! Measured on openrc 0.52: `/etc/runlevels/LEVEL/NAME` is a symbolic link to `/etc/init.d/NAME`,
//! and both the script and the runlevel must be there.

use super::near::names_in;
use super::{Customise, guest};
use crate::document::nearest;
use crate::error::Error;

const SCRIPTS: &str = "/etc/init.d";
const RUNLEVELS: &str = "/etc/runlevels";

impl Customise<'_> {
    pub(super) fn services(&mut self) -> Result<(), Error> {
        for service in &self.recipe.services {
            let (name, level) = (&service.name, &service.runlevel);
            if !self.merge.is_installed(b"openrc") && !self.is_there(RUNLEVELS) {
                let message = format!(
                    "there is no OpenRC in the rootfs that could start `{}`",
                    name.value
                );
                let hint = "add `openrc` to `packages`".to_owned();
                return Err(self.problem(&name.span, message, Some(hint)));
            }
            let script = format!("{SCRIPTS}/{}", name.value);
            if !self.is_there(&script) {
                let hint = self.near(SCRIPTS, &name.value).unwrap_or_else(|| {
                    format!(
                        "Alpine often has it in a package of its own: `{}-openrc`",
                        name.value
                    )
                });
                let message = format!("there is no service `{script}` in the rootfs");
                return Err(self.problem(&name.span, message, Some(hint)));
            }
            let folder = format!("{RUNLEVELS}/{}", level.value);
            if !self.is_there(&folder) {
                let hint = self.near(RUNLEVELS, &level.value).unwrap_or_else(|| {
                    format!("a [[dir]] with `path = \"{folder}\"` makes a new one")
                });
                let message = format!("there is no runlevel `{folder}` in the rootfs");
                return Err(self.problem(&level.span, message, Some(hint)));
            }
            let link = guest(&format!("{folder}/{}", name.value));
            let added = self.merge.add_symlink(&link, script.as_bytes());
            self.changed(added, &name.span)?;
        }
        Ok(())
    }

    fn is_there(&self, path: &str) -> bool {
        self.merge.tree().follow(&guest(path)).is_some()
    }

    fn near(&self, folder: &str, name: &str) -> Option<String> {
        let names = names_in(self.merge.tree(), &guest(folder));
        let near = nearest(name, names.iter().map(String::as_str))?;
        Some(format!("did you mean `{near}`?"))
    }
}
