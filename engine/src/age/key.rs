//! Keys as `age-keygen` writes them: Bech32, `AGE-SECRET-KEY-1…` and `age1…`.

use std::fmt;

use aws_lc_rs::{
    agreement::{PrivateKey, X25519},
    digest::{SHA256, digest},
};
use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};

use super::crypto::{self, Broken};

/// Text is no key. What it is instead is not said: it may be most of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Not a secret key.
    #[error("no secret key: one begins with AGE-SECRET-KEY-1 and is made by age-keygen")]
    NoIdentity,
    /// Not a public key.
    #[error("no public key: one begins with age1 and has 62 letters")]
    NoRecipient,
    /// The library failed.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// A secret key, which opens. Cannot be printed.
pub struct Identity {
    pub(super) secret: PrivateKey,
    pub(super) recipient: Recipient,
}

impl Identity {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = decode(text, "age-secret-key-").ok_or(KeyError::NoIdentity)?;
        let secret = PrivateKey::from_private_key(&X25519, &bytes).map_err(|_| KeyError::NoIdentity)?;
        let public = secret.compute_public_key().map_err(Broken::from)?;
        let public = public.as_ref().try_into().map_err(|_| Broken)?;
        Ok(Self { secret, recipient: Recipient(public) })
    }

    /// A new one, as the text that it is kept as.
    ///
    /// # Errors
    /// When the library fails.
    pub fn generate() -> Result<String, KeyError> {
        let bytes: [u8; 32] = crypto::random()?;
        Ok(encode("age-secret-key-", &bytes)?.to_uppercase())
    }

    /// The public key that belongs to it.
    pub const fn recipient(&self) -> Recipient {
        self.recipient
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.recipient.id()).finish()
    }
}

/// A public key, for which files are sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recipient(pub(super) [u8; 32]);

impl Recipient {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        decode(text, "age").map(Self).ok_or(KeyError::NoRecipient)
    }

    /// As it is written.
    ///
    /// # Errors
    /// When the library fails.
    pub fn text(&self) -> Result<String, KeyError> {
        Ok(encode("age", &self.0)?)
    }

    /// Names the key: sixteen hexadecimal digits of a hash. It stands in the files, where the key itself would let everybody
    /// who reads them make others that open.
    pub fn id(&self) -> String {
        let hash = digest(&SHA256, &[b"payplane.io/backup-key".as_slice(), &self.0].concat());
        hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The file's key for this one: the share to tell, and the wrapped key.
    pub(super) fn wrap(&self, file_key: &[u8; 16]) -> Result<([u8; 32], Vec<u8>), Broken> {
        let once = PrivateKey::generate(&X25519)?;
        let share: [u8; 32] = once.compute_public_key()?.as_ref().try_into().map_err(|_| Broken)?;
        let key = crypto::wrapping_key(&once, &self.0, &share, &self.0)?;
        let mut wrapped = file_key.to_vec();
        crypto::Cipher::new(&key)?.seal([0; 12], &mut wrapped)?;
        Ok((share, wrapped))
    }
}

fn decode(text: &str, prefix: &str) -> Option<[u8; 32]> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if !checked.hrp().to_string().eq_ignore_ascii_case(prefix) {
        return None;
    }
    checked.byte_iter().collect::<Vec<u8>>().try_into().ok()
}

fn encode(prefix: &str, bytes: &[u8; 32]) -> Result<String, Broken> {
    let prefix = Hrp::parse(prefix).map_err(|_| Broken)?;
    bech32::encode::<Bech32>(prefix, bytes).map_err(|_| Broken)
}
