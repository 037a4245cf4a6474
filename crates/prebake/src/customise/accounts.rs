//! Users and groups, as BusyBox `addgroup` and `adduser -D` write them.
//!
//! Measured on BusyBox 1.36 in release 3.19. A line is appended to `/etc/group`, `/etc/passwd` and
//! `/etc/shadow`, with `!` for a password and the day of today; a user that is put into a group by
//! name is appended to that group's members, also to those of its first group; a home is made with
//! mode 2755. The day here is that of the newest input. The copies `passwd-` and their like, which
//! BusyBox leaves behind, are not made.

mod ids;
mod lines;

use prebake_apk::path::GuestPath;
use prebake_rootfs::merge::Owner;

use self::ids::same;
use self::lines::Lines;
use super::near::names_in;
use super::{Customise, guest};
use crate::document::{At, nearest};
use crate::error::Error;
use crate::recipe::{FIRST_ORDINARY_ID, Group, PrimaryGroup, User};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const SHADOW: &str = "/etc/shadow";

/// What `adduser` writes where nobody says who a user is.
const DEFAULT_GECOS: &str = "Linux User,,,";

/// What `adduser -S` gives a user that nobody logs in as.
const NO_LOGIN: &str = "/sbin/nologin";

/// The lowest id that a package or a system user takes.
const FIRST_SYSTEM_ID: u32 = 100;

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// The three files, as they are by now.
struct Accounts {
    passwd: Lines,
    group: Lines,
    shadow: Lines,
}

/// A home directory that is to be made.
struct Home<'u> {
    user: &'u User,
    path: GuestPath,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Customise<'_> {
    pub(super) fn accounts(&mut self) -> Result<(), Error> {
        let recipe = self.recipe;
        let first = recipe.groups.first().map(|group| &group.name);
        let first = first.or_else(|| recipe.users.first().map(|user| &user.name));
        let Some(first) = first else {
            return Ok(());
        };
        let read = |path: &str| {
            let text = self.merge.text(&guest(path));
            let text = text.map_err(|error| self.problem(&first.span, error.to_string(), None))?;
            Ok::<_, Error>(Lines::new(text))
        };
        let mut accounts = Accounts {
            passwd: read(PASSWD)?,
            group: read(GROUP)?,
            shadow: read(SHADOW)?,
        };
        for (path, lines) in [(PASSWD, &accounts.passwd), (GROUP, &accounts.group)] {
            if lines.is_empty() {
                let message = format!("there is no {path} in the rootfs");
                let hint = "add `alpine-baselayout` to `packages`".to_owned();
                return Err(self.problem(&first.span, message, Some(hint)));
            }
        }
        for group in &recipe.groups {
            self.group(&mut accounts, group)?;
        }
        let mut homes = Vec::new();
        for user in &recipe.users {
            homes.extend(self.user(&mut accounts, user)?);
        }
        for (path, lines) in [
            (PASSWD, accounts.passwd),
            (GROUP, accounts.group),
            (SHADOW, accounts.shadow),
        ] {
            if let Some(text) = lines.changed() {
                let written = self.merge.rewrite_file(&guest(path), text, 0o644);
                self.changed(written, &first.span)?;
            }
        }
        for home in homes {
            // One that is there stays as it is: `adduser` leaves it alone as well.
            if self.merge.tree().follow(&home.path).is_none() {
                let (uid, gid) = (Owner::Id(home.uid), Owner::Id(home.gid));
                let made = self.merge.add_directory(&home.path, home.mode, &uid, &gid);
                self.changed(made, &home.user.name.span)?;
            }
        }
        Ok(())
    }

    fn group(&self, accounts: &mut Accounts, group: &Group) -> Result<(), Error> {
        let name = &group.name;
        let Some(there) = accounts.group.id_of(&name.value) else {
            let Some(gid) = &group.gid else {
                return Err(self.no_id(accounts, "gid", name, FIRST_ORDINARY_ID));
            };
            self.add_group(accounts, &name.value, gid)?;
            return Ok(());
        };
        same(self, "gid", name, group.gid.as_ref(), there, GROUP)
    }

    fn add_group(&self, accounts: &mut Accounts, name: &str, gid: &At<u32>) -> Result<(), Error> {
        if let Some(other) = accounts.group.name_of(gid.value) {
            return Err(self.taken(accounts, "gid", name, gid, &other, FIRST_ORDINARY_ID));
        }
        accounts.group.push(&format!("{name}:x:{}:", gid.value));
        Ok(())
    }

    /// Adds a user, and returns the home directory to make.
    fn user<'u>(&self, accounts: &mut Accounts, user: &'u User) -> Result<Option<Home<'u>>, Error> {
        let name = &user.name;
        let first = if user.system {
            FIRST_SYSTEM_ID
        } else {
            FIRST_ORDINARY_ID
        };
        let home = if let Some(there) = accounts.passwd.id_of(&name.value) {
            same(self, "uid", name, user.uid.as_ref(), there, PASSWD)?;
            self.unchanged(accounts, user)?;
            None
        } else {
            let Some(uid) = &user.uid else {
                return Err(self.no_id(accounts, "uid", name, first));
            };
            if let Some(other) = accounts.passwd.name_of(uid.value) {
                return Err(self.taken(accounts, "uid", &name.value, uid, &other, first));
            }
            let gid = self.primary_group(accounts, user, uid)?;
            let gecos = user.gecos.as_ref();
            let gecos = gecos.map_or(DEFAULT_GECOS, |gecos| &gecos.value);
            let home = user.home.as_ref().map(|home| home.value.clone());
            let home = home.unwrap_or_else(|| guest(&format!("/home/{}", name.value)));
            let shell = self.shell(accounts, user)?;
            let (name, uid) = (&name.value, uid.value);
            let line = format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}");
            accounts.passwd.push(&line);
            if !accounts.shadow.is_empty() {
                let day = self.epoch.max(0) / SECONDS_A_DAY;
                accounts
                    .shadow
                    .push(&format!("{name}:!:{day}:0:99999:7:::"));
            }
            user.home_mode.map(|mode| Home {
                user,
                path: home,
                mode,
                uid,
                gid,
            })
        };
        for group in &user.groups {
            self.join(accounts, group, &name.value)?;
        }
        Ok(home)
    }

    fn primary_group(
        &self,
        accounts: &mut Accounts,
        user: &User,
        uid: &At<u32>,
    ) -> Result<u32, Error> {
        let name = &user.name.value;
        match &user.group {
            PrimaryGroup::Named(group) => self.join(accounts, group, name),
            PrimaryGroup::Own(gid) => {
                if let Some(there) = accounts.group.id_of(name) {
                    same(self, "gid", &user.name, gid.as_ref(), there, GROUP)?;
                    return Ok(there);
                }
                let gid = gid.as_ref().unwrap_or(uid);
                self.add_group(accounts, name, gid)?;
                Ok(gid.value)
            }
        }
    }

    /// Makes `user` a member of a group, and returns the group's number.
    fn join(&self, accounts: &mut Accounts, group: &At<String>, user: &str) -> Result<u32, Error> {
        let Some(gid) = accounts.group.id_of(&group.value) else {
            let names = accounts.group.names();
            let near = nearest(&group.value, names.iter().map(String::as_str));
            let hint = near.map_or_else(
                || format!("a [[group]] with `name = \"{}\"` makes one", group.value),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("there is no group `{}` in {GROUP}", group.value);
            return Err(self.problem(&group.span, message, Some(hint)));
        };
        accounts.group.add_member(&group.value, user);
        Ok(gid)
    }

    /// Returns the shell of a new user: root's own, as `adduser` takes it, or none for a program's.
    fn shell(&self, accounts: &Accounts, user: &User) -> Result<String, Error> {
        let Some(shell) = &user.shell else {
            let root = accounts.passwd.field("root", 6);
            let root = root.filter(|_| !user.system);
            return Ok(root.unwrap_or_else(|| NO_LOGIN.to_owned()));
        };
        let tree = self.merge.tree();
        if tree.follow(&shell.value).is_none() {
            let folder = shell.value.parent().unwrap_or_default();
            let name = String::from_utf8_lossy(shell.value.name().unwrap_or_default()).into_owned();
            let names = names_in(tree, &folder);
            let near = nearest(&name, names.iter().map(String::as_str));
            let hint = near
                .and_then(|near| folder.join(near.as_bytes()).ok())
                .map_or_else(
                    || "add the package that brings it to `packages`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
            let message = format!("there is no shell {} in the rootfs", shell.value);
            return Err(self.problem(&shell.span, message, Some(hint)));
        }
        Ok(shell.value.to_string())
    }

    /// Holds what the recipe says of a user against what `/etc/passwd` says of it already.
    fn unchanged(&self, accounts: &Accounts, user: &User) -> Result<(), Error> {
        let name = &user.name.value;
        let gid = accounts.passwd.field(name, 3);
        let wanted = match &user.group {
            PrimaryGroup::Own(gid) => gid.as_ref().map(|gid| At {
                value: gid.value.to_string(),
                span: gid.span.clone(),
            }),
            PrimaryGroup::Named(group) => Some(At {
                value: accounts
                    .group
                    .id_of(&group.value)
                    .map_or_else(|| group.value.clone(), |gid| gid.to_string()),
                span: group.span.clone(),
            }),
        };
        let path = |path: &At<GuestPath>| At {
            value: path.value.to_string(),
            span: path.span.clone(),
        };
        for (what, wanted, found) in [
            ("gid", wanted, gid),
            ("gecos", user.gecos.clone(), accounts.passwd.field(name, 4)),
            (
                "home",
                user.home.as_ref().map(path),
                accounts.passwd.field(name, 5),
            ),
            (
                "shell",
                user.shell.as_ref().map(path),
                accounts.passwd.field(name, 6),
            ),
        ] {
            let found = found.unwrap_or_default();
            if let Some(wanted) = wanted.filter(|wanted| wanted.value != found) {
                let wrong = (what, wanted.value.as_str(), found.as_str());
                return Err(self.different(&wanted.span, name, wrong, PASSWD));
            }
        }
        Ok(())
    }
}
