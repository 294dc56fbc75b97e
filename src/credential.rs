//! What proves who asks a conductor, and which conductor answers.
//!
//! A session begins with a random token, which only its owner keeps. Everything else about it is derived: the id by which
//! the conductor keeps it, and the key with which its owner proves announces, so that the token itself travels
//! only where everything is sealed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::letters::{self, BadLetters};

const SESSION_CONTEXT: &str = "orchestra 2026-11 session id v1";
const SESSION_KEY_CONTEXT: &str = "orchestra 2026-11 session key v1";
const PROOF_CONTEXT: &[u8] = b"orchestra 2026-11 proof v1";
const FINGERPRINT_CONTEXT: &str = "orchestra 2026-11 conductor fingerprint v1";

/// The length of a conductor's public key, which is one of Curve25519.
pub const CONDUCTOR_KEY_LEN: usize = 32;

/// A text that nobody else may know, such as a password as it was typed: it is never shown, and overwritten when it is
/// dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

/// The secret of a session: who has it acts for the account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionToken([u8; SessionToken::LEN]);

/// What a conductor knows a session by. It reveals neither token nor key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId([u8; SessionId::LEN]);

/// The key of a session's proofs. Who has it may announce for the account, and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey([u8; SessionKey::LEN]);

/// What a conductor draws for one connection, so that proofs are worth nothing on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge([u8; Challenge::LEN]);

/// Shows that something was said by who has the session's key, on one connection, at one place in its order.
///
/// Whether it is right is for [`SessionKey::verify`], never for a comparison that ends at the first wrong byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof([u8; Proof::LEN]);

/// What people compare to know a conductor's key again: 160 bits of its hash, in 8 groups of four letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Fingerprint::LEN]);

/// What is needed to prove what the owner of a session says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The session.
    pub session: SessionId,
    /// Its key.
    pub key: SessionKey,
}

impl Secret {
    /// The text, for what it is needed for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    /// A secret is never written anywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl SessionToken {
    /// The length in random bytes.
    pub const LEN: usize = 32;

    /// The token with these bytes, which were drawn at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SessionToken::LEN]) -> SessionToken {
        SessionToken(bytes)
    }

    /// The bytes, for a file that only its owner can read.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SessionToken::LEN] {
        &self.0
    }

    /// What the conductor knows the session by.
    #[must_use]
    pub fn id(&self) -> SessionId {
        SessionId(blake3::derive_key(SESSION_CONTEXT, &self.0))
    }

    /// What proves what the owner says at a desk.
    #[must_use]
    pub fn speaker(&self) -> Speaker {
        Speaker { session: self.id(), key: self.key() }
    }

    /// The key of the session's proofs.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        SessionKey(blake3::derive_key(SESSION_KEY_CONTEXT, &self.0))
    }
}

impl SessionId {
    /// The length in bytes.
    pub const LEN: usize = 32;

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SessionId::LEN]) -> SessionId {
        SessionId(bytes)
    }

    /// The bytes, as they travel and are kept.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SessionId::LEN] {
        &self.0
    }
}

impl SessionKey {
    /// The length in bytes.
    pub const LEN: usize = 32;

    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SessionKey::LEN]) -> SessionKey {
        SessionKey(bytes)
    }

    /// The bytes, as the conductor keeps them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SessionKey::LEN] {
        &self.0
    }

    /// Proves that `said` is what the owner of the session says, as the proven request number `count` (from 0) on the
    /// connection with this challenge.
    ///
    /// BLAKE3, keyed, over: a context, the challenge, the count (u32, little endian), what is said.
    #[must_use]
    pub fn prove(&self, challenge: Challenge, count: u32, said: &[u8]) -> Proof {
        Proof(*self.mac(challenge, count, said).as_bytes())
    }

    /// Whether this is the proof of that; takes the same time whichever byte is wrong.
    #[must_use]
    pub fn verify(&self, proof: &Proof, challenge: Challenge, count: u32, said: &[u8]) -> bool {
        // Comparing hashes of this type takes the same time for all.
        self.mac(challenge, count, said) == blake3::Hash::from_bytes(proof.0)
    }

    fn mac(&self, challenge: Challenge, count: u32, said: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(PROOF_CONTEXT).update(&challenge.0).update(&count.to_le_bytes()).update(said);
        hasher.finalize()
    }
}

impl Challenge {
    /// The length in random bytes.
    pub const LEN: usize = 16;

    /// The challenge with these bytes, which were drawn at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Challenge::LEN]) -> Challenge {
        Challenge(bytes)
    }
}

impl Proof {
    /// The length in bytes.
    pub const LEN: usize = 32;
}

impl Fingerprint {
    /// The length in bytes: a multiple of five, so that its letters are full.
    pub const LEN: usize = 20;

    /// The fingerprint of a conductor with this public key.
    #[must_use]
    pub fn of(key: &[u8; CONDUCTOR_KEY_LEN]) -> Fingerprint {
        let mut bytes = [0; Fingerprint::LEN];
        bytes.copy_from_slice(&blake3::derive_key(FINGERPRINT_CONTEXT, key)[..Fingerprint::LEN]);
        Fingerprint(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        letters::write(self.0, f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        letters::write(self.0, f)
    }
}

impl FromStr for Fingerprint {
    type Err = BadLetters;

    /// Reads a fingerprint as people write it, see [`letters::read`].
    fn from_str(text: &str) -> Result<Fingerprint, BadLetters> {
        letters::read(text).map(Fingerprint)
    }
}

impl fmt::Debug for SessionToken {
    /// A secret is never written anywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

impl fmt::Debug for SessionKey {
    /// A secret is never written anywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

impl fmt::Debug for SessionId {
    /// The first eight digits tell sessions apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_one_thing_said_once() {
        let (key, other) = (SessionToken::from_bytes([1; 32]).key(), SessionToken::from_bytes([2; 32]).key());
        let (here, there) = (Challenge::from_bytes([3; 16]), Challenge::from_bytes([4; 16]));
        let proof = key.prove(here, 5, b"said");
        assert!(key.verify(&proof, here, 5, b"said"));
        assert!(!other.verify(&proof, here, 5, b"said"));
        assert!(!key.verify(&proof, there, 5, b"said"), "a replay on another connection");
        assert!(!key.verify(&proof, here, 6, b"said"), "a replay on the same one");
        assert!(!key.verify(&proof, here, 5, b"sait"));
    }

    #[test]
    fn secrets_never_show_in_debug_output() {
        let token = SessionToken::from_bytes([0xab; 32]);
        assert_eq!(format!("{token:?} {:?}", token.key()), "SessionToken(..) SessionKey(..)");
        assert!(token.id().as_bytes() != token.key().as_bytes() && token.id().as_bytes() != token.as_bytes());
    }

    #[test]
    fn a_fingerprint_is_read_as_people_write_it() {
        let fingerprint = Fingerprint::of(&[7; 32]);
        let text = fingerprint.to_string();
        assert_eq!(text.len(), 32 + 7);
        assert_eq!(text.to_uppercase().replace('-', "").parse(), Ok(fingerprint));
        assert_ne!(fingerprint, Fingerprint::of(&[8; 32]));
    }
}
