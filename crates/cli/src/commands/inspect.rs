//! `prebake inspect`: what is in a package, an index or a rootfs.

use prebake::inspect::{InspectedPackage, Inspection, inspect};
use prebake::{Error, RootfsFile};
use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::index::Index;
use serde_json::{Value, json};

use crate::arguments::{Global, InspectArguments};
use crate::output::{line, size};
use crate::{exit_code, output};

pub(crate) fn run(arguments: &InspectArguments, global: &Global) -> Result<u8, Error> {
    let inspection = inspect(&arguments.file)?;
    if global.json {
        output::json(&match &inspection {
            Inspection::Package(package) => package_json(package),
            Inspection::Index {
                description,
                signed_by,
                index,
            } => index_json(description, signed_by, index),
            Inspection::Rootfs(rootfs) => rootfs_json(rootfs),
        });
        return Ok(exit_code::SUCCESS);
    }
    match &inspection {
        Inspection::Package(package) => show_package(package, arguments.long),
        Inspection::Index {
            description,
            signed_by,
            index,
        } => {
            show_index(description, signed_by, index, arguments.long);
        }
        Inspection::Rootfs(rootfs) => show_rootfs(rootfs, arguments.long),
    }
    Ok(exit_code::SUCCESS)
}

/// Prints `label` and `text` in two columns, unless there is no text.
fn field(label: &str, text: &str) {
    if !text.is_empty() {
        line(&format!("{label:<12} {text}"));
    }
}

fn show_package(package: &InspectedPackage, long: bool) {
    let info = &package.info;
    line(&format!("package {} {}", info.name, info.version));
    field("description", &info.description);
    field("arch", &info.arch);
    field("license", &info.license);
    field("origin", info.origin.as_deref().unwrap_or_default());
    field("identity", &package.identity.to_apk());
    field("signed by", &signers(&package.signed_by));
    field("installed", &size(info.installed_size));
    field("depends", &info.depends.join(" "));
    field("provides", &info.provides.join(" "));
    field("replaces", &info.replaces.join(" "));
    field("install if", &info.install_if.join(" "));
    let scripts: Vec<_> = package.scripts.iter().map(|kind| kind.name()).collect();
    field("scripts", &scripts.join(" "));
    field("triggers", &info.triggers.join(" "));
    field("entries", &package.entries.len().to_string());
    if long {
        for entry in &package.entries {
            line(&entry_line(entry));
        }
    }
}

fn signers(names: &[String]) -> String {
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        format!("{} (not checked)", names.join(", "))
    }
}

fn kind_letter(kind: &EntryKind) -> char {
    match kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink(_) => 'l',
        EntryKind::Hardlink(_) => 'h',
        EntryKind::CharDevice(_) => 'c',
        EntryKind::BlockDevice(_) => 'b',
        EntryKind::Fifo => 'p',
    }
}

fn target(kind: &EntryKind) -> Option<String> {
    match kind {
        EntryKind::Symlink(target) => Some(String::from_utf8_lossy(target).into_owned()),
        EntryKind::Hardlink(path) => Some(path.to_string()),
        _ => None,
    }
}

fn entry_line(entry: &Entry) -> String {
    let owner = |name: &[u8], id: u32| {
        if name.is_empty() {
            id.to_string()
        } else {
            String::from_utf8_lossy(name).into_owned()
        }
    };
    format!(
        "{} {:04o} {}:{} {:>9} {}{}",
        kind_letter(&entry.kind),
        entry.mode,
        owner(&entry.user, entry.uid),
        owner(&entry.group, entry.gid),
        entry.size,
        entry.path,
        target(&entry.kind)
            .map(|target| format!(" -> {target}"))
            .unwrap_or_default(),
    )
}

fn package_json(package: &InspectedPackage) -> Value {
    let info = &package.info;
    json!({
        "kind": "package",
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "url": info.url,
        "arch": info.arch,
        "license": info.license,
        "origin": info.origin,
        "maintainer": info.maintainer,
        "commit": info.commit,
        "build_date": info.build_date,
        "installed_size": info.installed_size,
        "identity": package.identity.to_apk(),
        "signed_by": package.signed_by,
        "depends": info.depends,
        "provides": info.provides,
        "replaces": info.replaces,
        "install_if": info.install_if,
        "triggers": info.triggers,
        "scripts": package.scripts.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "entries": package.entries.iter().map(|entry| json!({
            "path": entry.path.to_string(),
            "type": kind_letter(&entry.kind).to_string(),
            "mode": format!("{:04o}", entry.mode),
            "uid": entry.uid,
            "gid": entry.gid,
            "user": String::from_utf8_lossy(&entry.user),
            "group": String::from_utf8_lossy(&entry.group),
            "mtime": entry.mtime,
            "size": entry.size,
            "target": target(&entry.kind),
            "sha1": entry.checksum.map(|digest| digest.to_string()),
        })).collect::<Vec<_>>(),
    })
}

fn show_index(description: &str, signed_by: &[String], index: &Index, long: bool) {
    line(&format!("index {description}"));
    field("signed by", &signers(signed_by));
    field("packages", &index.len().to_string());
    if long {
        for package in index.iter() {
            line(&format!("{} {}", package.name(), package.version()));
        }
    }
}

fn index_json(description: &str, signed_by: &[String], index: &Index) -> Value {
    json!({
        "kind": "index",
        "description": description,
        "signed_by": signed_by,
        "packages": index.iter().map(|package| json!({
            "name": package.name(),
            "version": package.version(),
            "arch": package.architecture(),
            "identity": package.identity().to_apk(),
            "size": package.size(),
            "installed_size": package.installed_size(),
            "depends": package.depends(),
            "provides": package.provides(),
            "install_if": package.install_if(),
        })).collect::<Vec<_>>(),
    })
}

fn show_rootfs(rootfs: &RootfsFile, long: bool) {
    let base = &rootfs.base;
    line(&format!("rootfs {}", rootfs.path.display()));
    field("release", base.release.as_deref().unwrap_or_default());
    field("arch", base.arch.as_deref().unwrap_or_default());
    field("identity", &rootfs.identity.to_string());
    field("size", &size(rootfs.uncompressed_size));
    field("apk", base.apk_version.as_deref().unwrap_or_default());
    let text = |words: &[Vec<u8>]| String::from_utf8_lossy(&words.join(&b' ')).into_owned();
    field("world", &text(&base.world));
    field("entries", &rootfs.tree.len().to_string());
    field("packages", &rootfs.installed.packages.len().to_string());
    for package in &rootfs.installed.packages {
        let stanza = &package.stanza;
        line(&format!(
            "  {} {}",
            String::from_utf8_lossy(&stanza.name),
            String::from_utf8_lossy(&stanza.version)
        ));
    }
    if long {
        output::text(&rootfs.tree.dump());
    }
}

fn rootfs_json(rootfs: &RootfsFile) -> Value {
    let base = &rootfs.base;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    json!({
        "kind": "rootfs",
        "path": rootfs.path.display().to_string(),
        "release": base.release,
        "arch": base.arch,
        "identity": rootfs.identity.to_string(),
        "uncompressed_size": rootfs.uncompressed_size,
        "apk": base.apk_version,
        "world": base.world.iter().map(|entry| text(entry)).collect::<Vec<_>>(),
        "entries": rootfs.tree.len(),
        "packages": rootfs.installed.packages.iter().map(|package| json!({
            "name": text(&package.stanza.name),
            "version": text(&package.stanza.version),
            "identity": package.stanza.identity.to_apk(),
        })).collect::<Vec<_>>(),
    })
}
