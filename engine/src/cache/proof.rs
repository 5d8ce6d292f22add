//! What a cache says is believed only with a proof: a keyed hash over where it was found and what it says. So whoever can
//! write to the cache can make engines forget, and nothing else. Pure.

use std::fmt;

use aws_lc_rs::hmac;

const PROOF_BYTES: usize = 32;

/// Makes and checks proofs. Cannot be printed.
pub(super) struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key")
    }
}

impl Key {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The body with its proof before it.
    pub(super) fn seal(&self, place: &str, body: &[u8]) -> Vec<u8> {
        let proof = hmac::sign(&self.0, &said(place, body));
        [proof.as_ref(), body].concat()
    }

    /// The body, if it was sealed with this key for this place.
    pub(super) fn open<'a>(&self, place: &str, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (proof, body) = sealed.split_at_checked(PROOF_BYTES)?;
        hmac::verify(&self.0, &said(place, body), proof).ok()?;
        Some(body)
    }
}

/// With the length of the place, so that no byte can move from one to the other.
fn said(place: &str, body: &[u8]) -> Vec<u8> {
    [&(place.len() as u64).to_be_bytes(), place.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_at_its_place_with_its_key_and_unchanged_only(
            place in "[a-z:]{0,20}", body in proptest::collection::vec(any::<u8>(), 0..64),
            at in any::<prop::sample::Index>(), bit in 0_u8..8,
        ) {
            let key = Key::new(b"one");
            let sealed = key.seal(&place, &body);
            prop_assert_eq!(key.open(&place, &sealed), Some(&*body));
            prop_assert_eq!(key.open(&format!("{place}x"), &sealed), None, "another place");
            prop_assert_eq!(Key::new(b"two").open(&place, &sealed), None, "another key");
            let mut spoiled = sealed.clone();
            spoiled[at.index(sealed.len())] ^= 1 << bit;
            prop_assert_eq!(key.open(&place, &spoiled), None, "one bit");
            prop_assert_eq!(key.open(&place, &sealed[..at.index(sealed.len())]), None, "cut off");
        }
    }

    #[test]
    fn a_byte_that_moves_from_the_place_to_the_body_is_noticed() {
        let key = Key::new(b"one");
        let sealed = key.seal("ab", b"c");
        let moved = [&sealed[..PROOF_BYTES], b"bc"].concat();
        assert_eq!(key.open("a", &moved), None);
    }
}
