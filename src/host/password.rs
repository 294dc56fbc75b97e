//! Passwords: read within bounds, hashed slowly, and compared in the same time whether or not there is an account.
//!
//! Argon2id, with the costs of [`limits`](crate::limits), a random salt for each. What is hashed, and the memory that
//! hashing took, is overwritten afterwards; what the compiler or the system copied elsewhere meanwhile is not.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::{HostError, entropy};
use crate::letters;
use crate::limits::{
    PASSWORD_COSTS_MAX, PASSWORD_LANES, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, PASSWORD_MEMORY_KIB,
    PASSWORD_PASSES,
};

/// The length of a salt in bytes.
const SALT_LEN: usize = 16;
/// The length of a password that is drawn, in random bytes: 24 letters.
const DRAWN_LEN: usize = 15;
/// The hash of no password, which costs as much as any.
const OF_NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmUhIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password: [`PASSWORD_LEN_MIN`] to [`PASSWORD_LEN_MAX`] bytes in normal form C.
pub struct Password(Zeroizing<String>);

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPassword {
    /// It is too short.
    #[error("a password has at least {PASSWORD_LEN_MIN} bytes")]
    TooShort,
    /// It is too long.
    #[error("a password has at most {PASSWORD_LEN_MAX} bytes")]
    TooLong,
}

/// What is kept of a password: a PHC string, which may come from a damaged file.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl Password {
    /// Takes a password as it was typed.
    ///
    /// # Errors
    /// It is too short or too long.
    pub fn parse(text: &str) -> Result<Password, BadPassword> {
        // Normal form C makes nothing shorter than a twelfth of it.
        if text.len() > 12 * PASSWORD_LEN_MAX {
            return Err(BadPassword::TooLong);
        }
        // No character becomes more than three times as long, so nothing is left behind where there was no room.
        let mut password = Zeroizing::new(String::with_capacity(3 * text.len()));
        password.extend(text.nfc());
        match password.len() {
            0..PASSWORD_LEN_MIN => Err(BadPassword::TooShort),
            PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX => Ok(Password(password)),
            _ => Err(BadPassword::TooLong),
        }
    }

    /// Draws a password at random, of letters that can be read aloud.
    ///
    /// # Errors
    /// The system yields no random bytes.
    pub fn draw() -> Result<Password, HostError> {
        let bytes: Zeroizing<[u8; DRAWN_LEN]> = Zeroizing::new(entropy::bytes()?);
        let mut text = Zeroizing::new(String::with_capacity(2 * DRAWN_LEN));
        letters::write(bytes.iter().copied(), &mut *text).expect("writing to a string cannot fail");
        Ok(Password(text))
    }

    /// The password, for its owner's eyes and nobody else's.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PasswordHash {
    /// Hashes a password, with a new salt. Takes tens of milliseconds, and [`PASSWORD_MEMORY_KIB`] of memory.
    ///
    /// # Errors
    /// The system yields no random bytes.
    ///
    /// # Panics
    /// There is no memory.
    pub fn of(password: &Password) -> Result<PasswordHash, HostError> {
        let salt: [u8; SALT_LEN] = entropy::bytes()?;
        let hash = argon2().hash_password_with_salt(password.0.as_bytes(), &salt);
        Ok(PasswordHash(hash.expect("the costs and the lengths are allowed").to_string()))
    }

    /// The hash that was kept.
    #[must_use]
    pub const fn from_text(text: String) -> PasswordHash {
        PasswordHash(text)
    }

    /// The text to keep.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the password of that hash; without one it is not, and finding that out takes as long.
    ///
    /// No password has a hash that asks for more than [`PASSWORD_COSTS_MAX`], or is none.
    #[must_use]
    pub fn verify(hash: Option<&PasswordHash>, password: &Password) -> bool {
        let (text, is_somebody) = hash.map_or((OF_NOBODY, false), |hash| (hash.0.as_str(), true));
        let is_right = phc::PasswordHash::new(text).is_ok_and(|hash| {
            is_affordable(&hash) && argon2().verify_password(password.0.as_bytes(), &hash).is_ok()
        });
        is_right && is_somebody
    }
}

/// Whether it takes no more memory and time than we grant.
fn is_affordable(hash: &phc::PasswordHash) -> bool {
    let (memory, passes, lanes) = PASSWORD_COSTS_MAX;
    Params::try_from(hash).is_ok_and(|params| {
        params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes
    })
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(PASSWORD_MEMORY_KIB, PASSWORD_PASSES, PASSWORD_LANES, None);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.expect("the costs are in the allowed range"))
}

impl fmt::Debug for Password {
    /// A secret is never written anywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl fmt::Debug for PasswordHash {
    /// Who has it can try passwords at leisure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    #[test]
    fn only_the_password_itself_opens() {
        let hash = PasswordHash::of(&password("correct horse")).unwrap();
        assert!(PasswordHash::verify(Some(&hash), &password("correct horse")));
        assert!(!PasswordHash::verify(Some(&hash), &password("correct horsf")));
        assert!(!PasswordHash::verify(None, &password("correct horse")));
        let again = PasswordHash::of(&password("correct horse")).unwrap();
        assert_ne!(hash, again, "each has a salt of its own");
        assert!(PasswordHash::verify(
            Some(&PasswordHash::from_text(hash.as_str().to_owned())),
            &password("correct horse")
        ));
    }

    #[test]
    fn nobody_costs_as_much_as_anybody() {
        let costs = |text: &str| Params::try_from(&phc::PasswordHash::new(text).unwrap()).unwrap();
        let hash = PasswordHash::of(&password("correct horse")).unwrap();
        assert_eq!(costs(OF_NOBODY), costs(hash.as_str()));
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_eq!(hash.as_str().len(), OF_NOBODY.len());
    }

    #[test]
    fn one_password_in_two_spellings() {
        let hash = PasswordHash::of(&password("p\u{e4}ssw\u{f6}rd")).unwrap();
        assert!(PasswordHash::verify(Some(&hash), &password("pa\u{308}sswo\u{308}rd")));
    }

    #[test]
    fn the_length_counts_bytes_in_normal_form() {
        for (text, error) in [
            ("", BadPassword::TooShort),
            ("1234567", BadPassword::TooShort),
            ("e\u{301}e\u{301}e\u{301}", BadPassword::TooShort),
            (&"x".repeat(PASSWORD_LEN_MAX + 1), BadPassword::TooLong),
            (&"x".repeat(1 << 20), BadPassword::TooLong),
        ] {
            assert_eq!(Password::parse(text).err(), Some(error));
        }
        assert!(
            Password::parse("12345678").is_ok() && Password::parse(&"x".repeat(PASSWORD_LEN_MAX)).is_ok()
        );
    }

    #[test]
    fn what_is_no_hash_opens_for_nobody() {
        let greedy = "$argon2id$v=19$m=4294967295,t=2,p=1$bm9ib2R5IGlzIGhlcmUhIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let long = "$argon2id$v=19$m=64,t=4294967295,p=1$bm9ib2R5IGlzIGhlcmUhIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for text in ["", "$", "password", "$argon2id$v=19$m=19456,t=2,p=1$$", "$md5$x$y", greedy, long] {
            let hash = PasswordHash::from_text(text.to_owned());
            assert!(!PasswordHash::verify(Some(&hash), &password("correct horse")), "{text}");
        }
    }

    #[test]
    fn a_drawn_password_is_one_and_another_each_time() {
        let (first, second) = (Password::draw().unwrap(), Password::draw().unwrap());
        assert_ne!(first.reveal(), second.reveal());
        assert_eq!(first.reveal().len(), 24 + 5);
        assert!(Password::parse(first.reveal()).is_ok());
        assert_eq!(format!("{first:?}"), "Password(..)");
    }
}
