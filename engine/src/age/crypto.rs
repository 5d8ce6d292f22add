//! The primitives that the format is made of, all from aws-lc.

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
    hmac, rand,
};

/// The library could not do what it always can. No reason is given, on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the cryptographic library failed")]
pub struct Broken;

impl From<Unspecified> for Broken {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Broken> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)?;
    Ok(bytes)
}

/// HKDF with SHA-256.
pub fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<[u8; 32], Broken> {
    let mut key = [0; 32];
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    extracted.expand(&[info], HKDF_SHA256)?.fill(&mut key)?;
    Ok(key)
}

/// The key that a file's key is wrapped with, for whoever has the secret of one side and the public key of the other.
pub fn wrapping_key(
    secret: &PrivateKey,
    theirs: &[u8; 32],
    share: &[u8; 32],
    recipient: &[u8; 32],
) -> Result<[u8; 32], Broken> {
    let salt = [share.as_slice(), recipient.as_slice()].concat();
    // A point of low order, which makes the secret known to everybody, is an error of the library's.
    agree(secret, UnparsedPublicKey::new(&X25519, theirs.as_slice()), Broken, |shared| {
        derive(&salt, shared, b"age-encryption.org/v1/X25519")
    })
}

/// What proves a header to whoever has the file's key.
pub fn header_mac(file_key: &[u8]) -> Result<hmac::Key, Broken> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &derive(&[], file_key, b"header")?))
}

/// Encrypts and authenticates with one key.
pub struct Cipher(LessSafeKey);

impl Cipher {
    /// With this key.
    pub fn new(key: &[u8; 32]) -> Result<Self, Broken> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key)?)))
    }

    /// Of a file's contents.
    pub fn of_contents(file_key: &[u8], nonce: &[u8]) -> Result<Self, Broken> {
        Self::new(&derive(nonce, file_key, b"payload")?)
    }

    /// Encrypts in place and appends the tag.
    pub fn seal(&self, nonce: [u8; 12], bytes: &mut Vec<u8>) -> Result<(), Broken> {
        Ok(self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), bytes)?)
    }

    /// Checks the tag and decrypts in place.
    pub fn open<'a>(&self, nonce: [u8; 12], bytes: &'a mut [u8]) -> Result<&'a [u8], Broken> {
        Ok(self.0.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), bytes)?)
    }
}

/// The place of a chunk, and whether it is the last one.
pub fn place(number: u64, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce
}
