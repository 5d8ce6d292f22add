//! Files in the format age v1 (C2SP), sealed for public keys and opened with secret ones.
//!
//! The format is a public standard, so whoever has the key opens a copy without this program: `age --decrypt`. A header has the
//! file's key, wrapped for each recipient (X25519), and is authenticated as a whole; what follows are chunks of 64 KiB, each
//! authenticated with its place and with whether it is the last one (ChaCha20-Poly1305). So a changed byte, a lost end, a
//! chunk in another place and anything added are errors, and no byte is given out before it was authenticated. Memory is one
//! chunk, however large the file is.
//!
//! Each header also has a label that other programs skip: the name that the file was sealed under, and which keys open it.
//! The name keeps a file from being taken for another one; the keys tell what to look for when none fits.
//!
//! All cryptography is aws-lc's. What is here is the format, held to its published test vectors (`engine/tests/sealed`).

mod crypto;
mod header;
mod key;
mod open;
mod seal;

pub use crypto::Broken;
pub use header::Label;
pub use key::{Identity, KeyError, Recipient};
pub use open::{OpenError, Opener};
pub use seal::Sealer;

/// What is encrypted at a time.
pub const CHUNK: usize = 64 * 1024;
/// How much longer an encrypted chunk is.
const TAG: usize = 16;
/// The random value that a file's contents are encrypted with, beside its key.
const NONCE: usize = 16;
/// The most that a header may have. Ours have some 200 bytes for each key.
const HEADER_MAX: usize = 16 * 1024;
