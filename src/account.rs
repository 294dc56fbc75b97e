//! Who has an account at a conductor: its name, its number, and how links with it went.
//!
//! A name is read by people who know its owner, so it must not look like another one: what cannot be seen is refused,
//! and two names that differ only in case, or in how a letter is written, are one.
//! This does not know passwords, nor where accounts are kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::limits::{ACCOUNT_NAME_LEN_MAX, ACCOUNT_NAME_MAX};
use crate::text::{folded, is_deceptive};

/// The name of an account: one to [`ACCOUNT_NAME_MAX`] visible characters, and spaces between them.
///
/// It can be shown as it is: nothing in it moves a cursor or hides.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(
    /// Invariant: in normal form C, and as the type says.
    Box<str>,
);

/// Why a text is not the name of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadAccountName {
    /// It is empty.
    #[error("a name was expected, not an empty one")]
    Empty,
    /// It is longer than [`ACCOUNT_NAME_MAX`] characters.
    #[error("a name has at most {ACCOUNT_NAME_MAX} characters")]
    TooLong,
    /// It has a character that cannot be seen, or that no two computers show alike.
    #[error("a name has only characters that can be seen, not {}", .0.escape_unicode())]
    Invisible(char),
    /// It begins or ends with a space.
    #[error("a name does not begin or end with a space")]
    Space,
    /// It begins with an accent that stands above nothing.
    #[error("a name does not begin with an accent")]
    Mark,
}

/// The number of an account, which no other one of the same catalogue ever gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

/// How often links with an account went well lately, and how often not, as of a moment: both fade as time goes by, see
/// [`logic::catalogue::counts`](crate::logic::catalogue::counts).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Links over which something was got from it.
    pub downloads: f64,
    /// Links with it that failed.
    pub failures: f64,
    /// When they were this many: the wall clock, since 1970.
    pub at: Duration,
}

impl AccountName {
    /// Reads a name, and puts it into normal form C.
    ///
    /// # Errors
    /// It is empty or too long, or cannot be seen as it is.
    pub fn parse(text: &str) -> Result<AccountName, BadAccountName> {
        // No character is put together from more than twelve bytes, so a longer text is looked at no further.
        if text.len() > 3 * ACCOUNT_NAME_LEN_MAX {
            return Err(BadAccountName::TooLong);
        }
        let name: String = text.nfc().collect();
        if name.chars().nth(ACCOUNT_NAME_MAX).is_some() {
            return Err(BadAccountName::TooLong);
        }
        let first = name.chars().next().ok_or(BadAccountName::Empty)?;
        if name.starts_with(' ') || name.ends_with(' ') {
            return Err(BadAccountName::Space);
        }
        if let Some(letter) = name.chars().find(|&letter| letter != ' ' && !is_visible(letter)) {
            return Err(BadAccountName::Invisible(letter));
        }
        if is_combining_mark(first) {
            return Err(BadAccountName::Mark);
        }
        Ok(AccountName(name.into()))
    }

    /// The name, which may be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names have in common that count as one.
    #[must_use]
    pub fn folded(&self) -> String {
        folded(&self.0)
    }
}

/// Whether a character shows something, and the same everywhere.
fn is_visible(letter: char) -> bool {
    // Spaces that look like another one, or like nothing; what fonts may draw as they like.
    let is_private = matches!(letter, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    !(is_private
        || is_deceptive(letter)
        || letter.is_whitespace()
        || matches!(letter, '\u{2800}' | '\u{fffc}'))
}

impl AccountId {
    /// The account with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> AccountId {
        AccountId(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for AccountName {
    type Err = BadAccountName;

    fn from_str(text: &str) -> Result<AccountName, BadAccountName> {
        AccountName::parse(text)
    }
}

impl TryFrom<String> for AccountName {
    type Error = BadAccountName;

    fn try_from(text: String) -> Result<AccountName, BadAccountName> {
        AccountName::parse(&text)
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> String {
        name.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_people_have() {
        for (text, name) in [
            ("alice", "alice"),
            ("Zoe\u{308}", "Zo\u{eb}"),
            ("Anna Maria", "Anna Maria"),
            ("日本", "日本"),
            ("mail@example.org", "mail@example.org"),
            ("🎻", "🎻"),
        ] {
            assert_eq!(AccountName::parse(text).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_refused() {
        for (text, error) in [
            ("", BadAccountName::Empty),
            (" alice", BadAccountName::Space),
            ("alice ", BadAccountName::Space),
            (" ", BadAccountName::Space),
            ("al\u{200b}ice", BadAccountName::Invisible('\u{200b}')),
            ("al\u{202e}ice", BadAccountName::Invisible('\u{202e}')),
            ("al\u{a0}ice", BadAccountName::Invisible('\u{a0}')),
            ("alice\u{3000}", BadAccountName::Invisible('\u{3000}')),
            ("al\nice", BadAccountName::Invisible('\n')),
            ("a\u{1b}[2J", BadAccountName::Invisible('\u{1b}')),
            ("\u{2800}", BadAccountName::Invisible('\u{2800}')),
            ("\u{e000}", BadAccountName::Invisible('\u{e000}')),
            ("\u{10fffd}", BadAccountName::Invisible('\u{10fffd}')),
            ("\u{301}a", BadAccountName::Mark),
        ] {
            assert_eq!(AccountName::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_length_counts_characters() {
        let longest = "é".repeat(ACCOUNT_NAME_MAX);
        assert_eq!(AccountName::parse(&"e\u{301}".repeat(ACCOUNT_NAME_MAX)).unwrap().as_str(), longest);
        assert_eq!(AccountName::parse(&format!("{longest}x")), Err(BadAccountName::TooLong));
        assert_eq!(AccountName::parse(&"x".repeat(1 << 20)), Err(BadAccountName::TooLong));
    }

    #[test]
    fn one_name_in_many_spellings() {
        let folded = |text| AccountName::parse(text).unwrap().folded();
        for same in ["STRASSE", "Straße", "strasse", "ＳＴＲＡＳＳＥ"] {
            assert_eq!(folded(same), "strasse", "{same}");
        }
        assert_eq!(folded("ΣΊΣΥΦΟΣ"), folded("σίσυφος"));
        assert_ne!(folded("alice"), folded("alíce"));
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_is_written(text in any::<String>()) {
            let Ok(name) = AccountName::parse(&text) else { return Ok(()) };
            prop_assert!(name.as_str().len() <= ACCOUNT_NAME_LEN_MAX);
            prop_assert_eq!(AccountName::parse(name.as_str()), Ok(name.clone()));
            prop_assert_eq!(folded(&name.folded()), name.folded());
        }
    }
}
