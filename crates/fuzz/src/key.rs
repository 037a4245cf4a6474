//! Public keys: a key is the same from PEM and from DER, its fingerprint is that of all its bytes,
//! and it vouches for no signature that nobody made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prebake_apk::digest::Sha256;
use prebake_apk::key::PublicKey;
use prebake_apk::signature::SignatureAlgorithm;

use crate::feed::Feed;
use crate::tame::tame;

/// Reads a key.
pub(crate) fn key(data: &[u8]) {
    let mut feed = Feed::new(data);
    if feed.flag() {
        let der = feed.rest();
        let key = PublicKey::from_der(der);
        let again = PublicKey::from_pem(pem(der).as_bytes());
        match (key, again) {
            (Ok(key), Ok(again)) => {
                assert_eq!(key, again);
                assert_eq!(key.fingerprint(), Sha256::of(der));
                vouches_for_nothing(&key, der);
            }
            (Err(error), again) => {
                tame(&error);
                drop(tame(&again.expect_err("the PEM of what is no key is none")));
            }
            (Ok(_), Err(error)) => panic!("the PEM of a key is none: {error}"),
        }
    } else {
        match PublicKey::from_pem(feed.rest()) {
            Ok(key) => vouches_for_nothing(&key, feed.rest()),
            Err(error) => drop(tame(&error)),
        }
    }
}

fn vouches_for_nothing(key: &PublicKey, bytes: &[u8]) {
    let mut long = bytes.to_vec();
    for algorithm in [
        SignatureAlgorithm::RsaSha1,
        SignatureAlgorithm::RsaSha256,
        SignatureAlgorithm::RsaSha512,
    ] {
        for length in [0, bytes.len(), 256, 512] {
            long.resize(length.max(1), 1);
            assert!(!key.verify(algorithm, bytes, &long[..length]));
        }
    }
}

/// Returns a key file of these bytes, as OpenSSL writes it.
fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = behind;
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}
