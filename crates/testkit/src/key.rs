//! Signing keys for tests: the same name is the same key, on every run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::{CryptoRng, Error, RngCore, impls};
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey};
use sha1::Digest as _;

/// An RSA key pair of 2048 bits, as Alpine's builders have them.
///
/// It is worth nothing outside tests: whoever knows its name can make it again.
#[derive(Clone, Debug)]
pub struct SigningKey(Arc<Pair>);

#[derive(Debug)]
struct Pair {
    name: String,
    private: RsaPrivateKey,
}

/// How a signature is made, by the mark in its member's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// PKCS#1 v1.5 over SHA-1, marked `RSA`: what Alpine's packages and indexes carry.
    #[default]
    Rsa,
    /// PKCS#1 v1.5 over SHA-256, marked `RSA256`.
    Rsa256,
    /// PKCS#1 v1.5 over SHA-512, marked `RSA512`.
    Rsa512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rsa, Self::Rsa256, Self::Rsa512];

    /// Returns the mark in a signature member's name.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Rsa256 => "RSA256",
            Self::Rsa512 => "RSA512",
        }
    }

    /// Returns what stands before the digest in what is signed: the DER of a `DigestInfo` up to
    /// the digest itself, from RFC 8017, section 9.2, note 1.
    const fn digest_info(self) -> &'static [u8] {
        match self {
            Self::Rsa => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
            Self::Rsa256 => {
                b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
            }
            Self::Rsa512 => {
                b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
            }
        }
    }
}

impl SigningKey {
    /// The size of the modulus in bits. `ring`, which prebake verifies with, takes no less.
    pub const BITS: usize = 2048;

    /// Returns the key called `name`. It is made once in a process, from the name alone: in a
    /// millisecond for the names `testkit`, `stranger`, `other` and `extra`, in some hundred
    /// for any other, whose primes must be looked for.
    ///
    /// # Panics
    ///
    /// If no key can be made, which is a defect of the `rsa` crate.
    pub fn named(name: &str) -> Self {
        type Slots = BTreeMap<String, Arc<OnceLock<SigningKey>>>;
        static KEYS: Mutex<Slots> = Mutex::new(Slots::new());
        // The map is locked for the look-up only: two threads may make two keys at a time.
        let slot = {
            let mut keys = KEYS
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(keys.entry(name.to_owned()).or_default())
        };
        slot.get_or_init(|| {
            let private = known(name).unwrap_or_else(|| {
                RsaPrivateKey::new(&mut Stream::new(name), Self::BITS)
                    .expect("an RSA key can be made from any stream of bytes")
            });
            Self(Arc::new(Pair {
                name: name.to_owned(),
                private,
            }))
        })
        .clone()
    }

    /// Returns the public key's file name, as below `etc/apk/keys` and in signature members.
    pub fn file_name(&self) -> String {
        format!("{}.rsa.pub", self.0.name)
    }

    /// Returns the public key as a PEM `PUBLIC KEY` (an SPKI), as Alpine ships its own.
    ///
    /// # Panics
    ///
    /// If it cannot be encoded, which is a defect of the `rsa` crate.
    pub fn public_pem(&self) -> String {
        self.0
            .private
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .expect("an RSA public key has a PEM form")
    }

    /// Returns the public key's DER form (an SPKI), whose SHA-256 is the key's fingerprint.
    ///
    /// # Panics
    ///
    /// If it cannot be encoded, which is a defect of the `rsa` crate.
    pub fn public_der(&self) -> Vec<u8> {
        self.0
            .private
            .to_public_key()
            .to_public_key_der()
            .expect("an RSA public key has a DER form")
            .into_vec()
    }

    /// Returns the private key as a PEM `PRIVATE KEY` (PKCS#8), for other people's signers.
    ///
    /// # Panics
    ///
    /// If it cannot be encoded, which is a defect of the `rsa` crate.
    pub fn private_pem(&self) -> String {
        let pem = self.0.private.to_pkcs8_pem(LineEnding::LF);
        pem.expect("an RSA private key has a PEM form").to_string()
    }

    /// Returns the signature of `message`.
    ///
    /// # Panics
    ///
    /// If the key cannot sign, which is a defect of the `rsa` crate.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let digest = match algorithm {
            Algorithm::Rsa => sha1::Sha1::digest(message).to_vec(),
            Algorithm::Rsa256 => sha2::Sha256::digest(message).to_vec(),
            Algorithm::Rsa512 => sha2::Sha512::digest(message).to_vec(),
        };
        let padding = Pkcs1v15Sign {
            hash_len: Some(digest.len()),
            prefix: algorithm.digest_info().into(),
        };
        let signature = self.0.private.sign(padding, &digest);
        signature.expect("a key of 2048 bits signs any digest")
    }

    /// Returns the name of the archive member that holds a signature by this key.
    pub fn member_name(&self, algorithm: Algorithm) -> String {
        format!(".SIGN.{}.{}", algorithm.mark(), self.file_name())
    }
}

/// Where the primes of often used keys are, as half the distance from where the search for them
/// would begin. Looking for them takes a hundred times as long as everything else about a mirror.
const FOUND: [(&str, u32, u32); 4] = [
    ("testkit", 708, 12),
    ("stranger", 157, 751),
    ("other", 668, 38),
    ("extra", 212, 57),
];

/// Returns the key of a name in [`FOUND`]. OpenSSL checks that its primes are primes.
fn known(name: &str) -> Option<RsaPrivateKey> {
    let (_, p, q) = FOUND.iter().find(|(found, _, _)| *found == name)?;
    let mut stream = Stream::new(name);
    let mut prime = |half: u32| {
        let mut bytes = [0; SigningKey::BITS / 16];
        stream.fill_bytes(&mut bytes);
        // Both upper bits, so that the product has all its bits; odd.
        bytes[0] |= 0xc0;
        bytes[SigningKey::BITS / 16 - 1] |= 1;
        BigUint::from_bytes_be(&bytes) + BigUint::from(2 * half)
    };
    let primes = (prime(*p), prime(*q));
    let exponent = BigUint::from(65_537_u32);
    let key = RsaPrivateKey::from_p_q(primes.0, primes.1, exponent);
    Some(key.expect("two primes make a key"))
}

/// The bytes that a key is made of: SHA-256 of the name and a counter, over and over.
struct Stream {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Stream {
    fn new(name: &str) -> Self {
        Self {
            seed: sha2::Sha256::digest(name.as_bytes()).into(),
            counter: 0,
            block: [0; 32],
            used: 32,
        }
    }

    fn next_byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            let mut hash = sha2::Sha256::new();
            hash.update(self.seed);
            hash.update(self.counter.to_le_bytes());
            self.block = hash.finalize().into();
            self.counter += 1;
            self.used = 0;
        }
        let byte = self.block[self.used];
        self.used += 1;
        byte
    }
}

impl RngCore for Stream {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_byte());
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// `rsa` asks for it. The stream is as good as SHA-256 is, but whoever knows the name knows the key.
impl CryptoRng for Stream {}
