//! The key of an ensemble: who has it may read and write, and nobody else even learns which ensemble it is.
//!
//! On paper it is 14 groups of four [`letters`], which can be read aloud: 32 random bytes and 3 that tell a typing
//! error.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::identity::{LinkKey, SwarmId};
use crate::letters::{self, BadLetters};

const LINK_CONTEXT: &str = "orchestra 2026-11 ensemble link key v1";
const ID_CONTEXT: &str = "orchestra 2026-11 ensemble id v1";
const TAG_CONTEXT: &str = "orchestra 2026-11 ensemble tag of a day v1";
const CHECK_CONTEXT: &str = "orchestra 2026-11 ensemble key check v1";

/// The secret's length in bytes.
const SECRET_LEN: usize = 32;
/// How many bytes tell a typing error: one of 16 million errors goes unnoticed.
const CHECK_LEN: usize = 3;
/// The length of both.
const WRITTEN_LEN: usize = SECRET_LEN + CHECK_LEN;
/// How many bytes of a day's tag are told.
const TAG_LEN: usize = 16;

/// The key of an ensemble. `Display` shows it: it belongs on no log.
#[derive(Clone, PartialEq, Eq)]
pub struct EnsembleKey([u8; SECRET_LEN]);

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadKey {
    /// A character that keys do not have, or too few or too many letters.
    #[error(transparent)]
    Letters(#[from] BadLetters),
    /// A letter is wrong, or two changed places.
    #[error("this key has a typing error")]
    Check,
}

impl EnsembleKey {
    /// The length in random bytes.
    pub const LEN: usize = SECRET_LEN;

    /// The key with these bytes, which were drawn at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; EnsembleKey::LEN]) -> EnsembleKey {
        EnsembleKey(bytes)
    }

    /// What its members' links are sealed with.
    #[must_use]
    pub fn link_key(&self) -> LinkKey {
        LinkKey::from_bytes(blake3::derive_key(LINK_CONTEXT, &self.0))
    }

    /// What a conductor knows the ensemble by.
    #[must_use]
    pub fn id(&self) -> SwarmId {
        SwarmId::from_bytes(blake3::derive_key(ID_CONTEXT, &self.0))
    }

    /// What its members know each other by in a local network, on one day (counted from the first of January 1970):
    /// 32 hexadecimal digits. Who sees tags of two days does not learn that they belong together.
    #[must_use]
    pub fn tag(&self, day: u64) -> String {
        let mut hasher = blake3::Hasher::new_derive_key(TAG_CONTEXT);
        hasher.update(&self.0).update(&day.to_le_bytes());
        hasher.finalize().as_bytes()[..TAG_LEN].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn check(&self) -> [u8; CHECK_LEN] {
        let mut check = [0; CHECK_LEN];
        check.copy_from_slice(&blake3::derive_key(CHECK_CONTEXT, &self.0)[..CHECK_LEN]);
        check
    }
}

impl fmt::Display for EnsembleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        letters::write(self.0.into_iter().chain(self.check()), f)
    }
}

impl fmt::Debug for EnsembleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnsembleKey(..)")
    }
}

impl FromStr for EnsembleKey {
    type Err = BadKey;

    /// Reads a key as people write it, see [`letters::read`].
    fn from_str(text: &str) -> Result<EnsembleKey, BadKey> {
        let written: [u8; WRITTEN_LEN] = letters::read(text)?;
        let (secret, check) = written.split_at(SECRET_LEN);
        let key = EnsembleKey(secret.try_into().expect("it was split at its length"));
        if check == key.check() { Ok(key) } else { Err(BadKey::Check) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_read_as_people_write_it() {
        let key = EnsembleKey::from_bytes([0xa7; 32]);
        let text = key.to_string();
        assert_eq!(text.len(), 56 + 13);
        assert_eq!(text.parse(), Ok(key.clone()));
        assert_eq!(text.to_uppercase().replace('-', " ").parse(), Ok(key.clone()));
        let spoken = EnsembleKey::from_bytes([0; 32]).to_string();
        assert_eq!(spoken.replace('0', "o").replace('1', "l").parse(), Ok(EnsembleKey::from_bytes([0; 32])));
        assert_eq!(
            format!("{text}x").parse::<EnsembleKey>(),
            Err(BadKey::Letters(BadLetters::Len { expected: 56, found: 57 }))
        );
        assert_eq!(
            "".parse::<EnsembleKey>(),
            Err(BadKey::Letters(BadLetters::Len { expected: 56, found: 0 }))
        );
        assert_eq!(
            text.replacen(&text[..1], "u", 1).parse::<EnsembleKey>(),
            Err(BadKey::Letters(BadLetters::Letter('u')))
        );
        assert_eq!(format!("{key:?}"), "EnsembleKey(..)");
    }

    #[test]
    fn what_is_derived_tells_nothing_of_the_rest() {
        let key = EnsembleKey::from_bytes([1; 32]);
        assert_ne!(key.link_key().as_bytes(), key.id().as_bytes());
        assert!(key.tag(1) != key.tag(2) && key.tag(1).len() == 32);
        assert_ne!(key.tag(1), EnsembleKey::from_bytes([2; 32]).tag(1));
    }

    proptest! {
        #[test]
        fn a_typing_error_is_noticed(secret: [u8; 32], at in 0..56_usize, other in 0..32_usize) {
            let text: String = EnsembleKey::from_bytes(secret).to_string().replace('-', "");
            prop_assert_eq!(text.parse::<EnsembleKey>(), Ok(EnsembleKey::from_bytes(secret)));
            let mut wrong = text.into_bytes();
            let other = b"0123456789abcdefghjkmnpqrstvwxyz"[other];
            prop_assume!(wrong[at] != other);
            wrong[at] = other;
            prop_assert_eq!(String::from_utf8(wrong).unwrap().parse::<EnsembleKey>(), Err(BadKey::Check));
        }
    }
}
