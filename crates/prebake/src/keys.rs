//! Which keys are trusted: Alpine's, and the ones a recipe names.

use std::path::Path;

use prebake_apk::digest::Sha256;
use prebake_apk::key::{Keyring, PublicKey};
use prebake_rootfs::merge::NamedFile;

use crate::error::Error;
use crate::host_file;
use crate::recipe::TrustedKey;

/// The longest public key read, in bytes. Alpine's take 451 or 800.
pub(crate) const MAX_KEY_BYTES: u64 = 16 << 10;

/// Alpine's own keys, by the ending of their file's name and the SHA-256 of their DER form: the
/// 17 that the `alpine-keys` package of release 3.20 brings for all of its architectures.
///
/// A key that a base brings counts only if it is one of these or the recipe names it, so that a
/// base from elsewhere cannot vouch for itself.
const ALPINE_KEYS: [(&str, &str); 17] = [
    (
        "4a6a0840",
        "4e0c26751a474db486b0a8f37e37ff02e12465e8cea8ef08614ac173cb870f28",
    ),
    (
        "5243ef4b",
        "40e738cce781c04cac98adf11a1574efdf84209661f6c93098013a0b4809ca00",
    ),
    (
        "524d27bb",
        "cc0b5f10577afdbb3ec288feae97d5681d508cd7086e45693a938e92322d5c5c",
    ),
    (
        "5261cecb",
        "bb1f0937c138e81a838e0958c4c756547dac85794e38bf1a5536a0808dcf95f2",
    ),
    (
        "58199dcc",
        "635a0325ac8c11ec329698586cd2a8e54c18ba376d5d4bc215a489e1a774fb88",
    ),
    (
        "58cbb476",
        "f3d1a46b632166cee03485c05b63fd8687a7a7d8b1d27528718029c63a955319",
    ),
    (
        "58e4f17d",
        "556c20b04b6b517652477f20108350367c125994f07196d765bd836063ffc236",
    ),
    (
        "5e69ca50",
        "cae5d12519633b68c607cad9411669b3b18c041b123e8f08e49260697ee2c336",
    ),
    (
        "60ac2099",
        "c0bd6da992b7158927aae7c11fc416a2c7d63fd2a47db238a0e8f636ebf2fc9d",
    ),
    (
        "6165ee59",
        "8a70fc55f1a6fb2a392ad5a3e71aff82a637b2b33659c046f6b6a909bb5d1ab7",
    ),
    (
        "61666e3f",
        "06216db06044f26845ff610f2c253863b9e01fbd4c5557871b8bfa2f5ac96e95",
    ),
    (
        "616a9724",
        "4cff6544e8548bd10f959de619ab2184867c8016f03a5c6b8da6f3e88bfb1625",
    ),
    (
        "616abc23",
        "654f5e12a67c95bedf92da80b6257abba7fe1df6698820825d793a33d677e3a1",
    ),
    (
        "616ac3bc",
        "2ace5cf3235c095544c26ec946611836f39324aa264f75862fe0332eb17f0975",
    ),
    (
        "616adfeb",
        "45d409999dd3e16dfce19757fc48f238ae775d17ca319e08e474a471f1ab6521",
    ),
    (
        "616ae350",
        "479f16f4170a9ea0c65e1de854860949b1a549cfa1f43552f7a2e821c9e2f409",
    ),
    (
        "616db30d",
        "32246c9a9673e3f6e7bef6c96031883d23078f41094ea6636d19a697f356420a",
    ),
];

/// Says whether `fingerprint` is one of Alpine's keys.
pub fn is_alpine(fingerprint: &Sha256) -> bool {
    let text = fingerprint.to_string();
    ALPINE_KEYS.iter().any(|(_, known)| *known == text)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    host_file::read(path, MAX_KEY_BYTES).map_err(|source| Error::ReadFile {
        what: "the key",
        path: path.to_owned(),
        source,
    })
}

/// Reads a key file that a recipe names; returns its file name, which signatures call it by, and
/// the key.
pub(crate) fn read_key_file(path: &Path) -> Result<(String, PublicKey), Error> {
    let bytes = read_bytes(path)?;
    let key = PublicKey::from_pem(&bytes).map_err(|source| Error::Key {
        path: path.display().to_string(),
        source,
    })?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok((name, key))
}

/// Returns the key files that a recipe names, by the names that signatures use: what a rootfs that
/// starts from nothing has in `etc/apk/keys`.
pub(crate) fn files(keys: &[TrustedKey]) -> Result<Vec<NamedFile>, Error> {
    let mut files = Vec::new();
    for key in keys {
        if let TrustedKey::File { path, .. } = key {
            // Read as a key first, so that what is none is said to be none.
            let (name, _) = read_key_file(path)?;
            files.push((name.into_bytes(), read_bytes(path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the keys that may sign the index of a repository which names `repository`: those of
/// the base (name and PEM text of each file in its `etc/apk/keys`) that are Alpine's or that the
/// recipe names, and the repository's own.
pub(crate) fn keyring(
    base: &[(Vec<u8>, Vec<u8>)],
    trusted_base: &[TrustedKey],
    repository: &[TrustedKey],
) -> Result<Keyring, Error> {
    let mut named = Vec::new();
    let mut keys = Keyring::new();
    for key in trusted_base {
        named.push(match key {
            TrustedKey::File { path, .. } => read_key_file(path)?.1.fingerprint(),
            TrustedKey::Fingerprint(fingerprint) => *fingerprint,
        });
    }
    for key in repository {
        match key {
            TrustedKey::File { path, .. } => {
                let (name, key) = read_key_file(path)?;
                keys.insert(name, key);
            }
            TrustedKey::Fingerprint(fingerprint) => named.push(*fingerprint),
        }
    }
    for (name, pem) in base {
        // A base may carry a file that is no key; it vouches for nothing then.
        let Ok(key) = PublicKey::from_pem(pem) else {
            continue;
        };
        let fingerprint = key.fingerprint();
        let name = String::from_utf8_lossy(name);
        // A key file that the recipe names goes before one of the same name in the base.
        if (is_alpine(&fingerprint) || named.contains(&fingerprint)) && keys.get(&name).is_none() {
            keys.insert(name.into_owned(), key);
        }
    }
    Ok(keys)
}
