//! The classic protocol: lines of text, as the first orchestra programs speak them.
//!
//! Nothing of it is sealed, and nobody proves who they are; PROTOCOL.md, "The classic protocol", is normative.
//! A line ends in `\r\n`; a lone `\r` or `\n` is part of the line. No line is kept that is longer than its place in a
//! message allows, so a reader never holds more than the longest of them.

pub mod desk;
pub mod line;
pub mod mask;
pub mod member;

use thiserror::Error;

use crate::digest::Digest;
use crate::limits::NAME_LEN_MAX;
use crate::name::Name;

/// The end of a line.
const CRLF: &[u8] = b"\r\n";
/// The hex digits of a checksum.
const SHA1_DIGITS: usize = 40;

/// Bytes that are not what the classic protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// A message begins with another word.
    #[error("a word of the classic protocol was expected")]
    Word,
    /// A line is longer than one in its place may be.
    #[error("a line of at most {max} bytes was expected")]
    TooLong {
        /// The most bytes that it may have, without its end.
        max: usize,
    },
    /// A line is not UTF-8.
    #[error("a line is not UTF-8")]
    Utf8,
    /// The checksum of a composition is not one.
    #[error("a checksum of 40 hex digits was expected")]
    Checksum,
    /// A number is not one, or too large.
    #[error("a number was expected")]
    Number,
    /// A set of parts that does not fit the composition.
    #[error("a set of parts that does not fit the composition")]
    Mask,
    /// An address is not one.
    #[error("an address and a port were expected")]
    Address,
    /// An answer tells of more addresses than one may.
    #[error("an answer with so many addresses does not exist")]
    TooMany,
    /// So many lines of an answer are no addresses that it is none.
    #[error("an answer with so many lines that are no addresses does not exist")]
    Unreadable,
    /// An answer is about another composition than the question.
    #[error("an answer about another composition than the one that was asked for")]
    Subject,
}

/// What a message is about: the name and the checksum of a composition, spelled as they came.
///
/// An answer repeats the spelling of the question, because the original programs compare texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// At most [`NAME_LEN_MAX`] bytes without `\r\n` in them; anything else may be in it.
    name: String,
    /// Invariant: 40 hex digits, in either case.
    sha1: String,
}

impl Subject {
    /// The composition with this name and digest.
    #[must_use]
    pub fn new(name: &Name, digest: Digest) -> Subject {
        Subject { name: name.as_str().to_owned(), sha1: digest.to_string() }
    }

    /// The same, if its manifest spells the name so, which may be a path: the original programs say just that. Where it
    /// cannot be a line, the name stands for it.
    #[must_use]
    pub fn spelled(spelling: &str, name: &Name, digest: Digest) -> Subject {
        let is_line = spelling.len() <= NAME_LEN_MAX && !spelling.contains(['\r', '\n']);
        let name = if is_line { spelling } else { name.as_str() };
        Subject { name: name.to_owned(), sha1: digest.to_string() }
    }

    /// The name as it came: not for terminals, logs or files.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The checksum in lower case.
    #[must_use]
    pub fn digits(&self) -> String {
        self.sha1.to_ascii_lowercase()
    }

    /// Whether this is the composition with this name and digest. Of a path in the name its last component counts, as
    /// it does in manifests: the original programs name the composition as their manifest does.
    #[must_use]
    pub fn is_of(&self, name: &Name, digest: Digest) -> bool {
        self.sha1.parse() == Ok(digest) && Name::parse(&self.name).as_ref() == Ok(name)
    }

    /// Appends the word and this as the first three lines of a message.
    fn append_to(&self, word: Word, out: &mut Vec<u8>) {
        for line in [word.bytes(), self.name.as_bytes(), self.sha1.as_bytes()] {
            out.extend_from_slice(line);
            out.extend_from_slice(CRLF);
        }
    }
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Down,
    Send,
    Part,
    Strt,
    None,
    Upld,
    Comp,
}

impl Word {
    const ALL: [Word; 7] =
        [Word::Down, Word::Send, Word::Part, Word::Strt, Word::None, Word::Upld, Word::Comp];
    const LEN: usize = 4;

    const fn bytes(self) -> &'static [u8] {
        match self {
            Word::Down => b"DOWN",
            Word::Send => b"SEND",
            Word::Part => b"PART",
            Word::Strt => b"STRT",
            Word::None => b"NONE",
            Word::Upld => b"UPLD",
            Word::Comp => b"COMP",
        }
    }
}

/// The first three lines of a message, put together from slices that end anywhere.
#[derive(Debug, Default)]
struct Head {
    lines: line::Lines,
    word: Option<Word>,
    name: Option<String>,
}

impl Head {
    /// The word and what the message is about, once they are whole. `may` says which words there are.
    fn next(
        &mut self,
        input: &mut &[u8],
        may: fn(Word) -> bool,
    ) -> Result<Option<(Word, Subject)>, LineError> {
        let word = match self.word {
            Some(word) => word,
            None => {
                // A longer line is no word either.
                let line = self.lines.next(input, Word::LEN).map_err(|_| LineError::Word)?;
                let Some(line) = line else { return Ok(None) };
                let known = Word::ALL.into_iter().find(|&word| may(word) && word.bytes() == line);
                *self.word.insert(known.ok_or(LineError::Word)?)
            }
        };
        if self.name.is_none() {
            let Some(line) = self.lines.next(input, NAME_LEN_MAX)? else { return Ok(None) };
            self.name = Some(String::from_utf8(line).map_err(|_| LineError::Utf8)?);
        }
        let Some(line) = self.lines.next(input, SHA1_DIGITS)? else { return Ok(None) };
        let sha1 = String::from_utf8(line).map_err(|_| LineError::Utf8)?;
        if sha1.parse::<Digest>().is_err() {
            return Err(LineError::Checksum);
        }
        self.word = None;
        let name = self.name.take().expect("it was read before the checksum");
        Ok(Some((word, Subject { name, sha1 })))
    }

    /// Whether a message has begun and its first three lines are not whole.
    const fn is_midway(&self) -> bool {
        self.word.is_some() || !self.lines.is_empty()
    }
}

/// A number as people write it: digits, and nothing else.
fn number(line: &[u8]) -> Result<u64, LineError> {
    let digits = line.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(line).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok()).ok_or(LineError::Number)
}

/// Appends a line.
fn append_line(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(CRLF);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_component_of_a_name_counts() {
        let digest = Digest::of(b"abc");
        let name = Name::parse("a.zip").unwrap();
        let spelled = |name: &str| Subject { name: name.to_owned(), sha1: digest.to_string().to_uppercase() };
        for text in ["a.zip", "files/a.zip", ".\\a.zip", "C:\\files\\a.zip"] {
            assert!(spelled(text).is_of(&name, digest), "{text}");
        }
        for text in ["", "b.zip", "a.zip/", "a.zip\r", "a.zip\n", "a.zip/.."] {
            assert!(!spelled(text).is_of(&name, digest), "{text:?}");
        }
        assert!(!spelled("a.zip").is_of(&name, Digest::of(b"abd")));
    }

    #[test]
    fn a_path_is_said_as_it_stands_if_it_can_be_a_line() {
        let digest = Digest::of(b"abc");
        let name = Name::parse("a.zip").unwrap();
        let said = |spelling: &str| Subject::spelled(spelling, &name, digest);
        let longest = format!("{}/a.zip", "d".repeat(NAME_LEN_MAX - "/a.zip".len()));
        for text in ["a.zip", "/home/x/a.zip", ".\\a.zip", &longest] {
            assert_eq!(said(text).name(), text);
            assert!(said(text).is_of(&name, digest), "{text}");
        }
        for text in [format!("d{longest}"), "a\rb/a.zip".to_owned()] {
            assert_eq!(said(&text), Subject::new(&name, digest), "{text}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number(b"0017"), Ok(17));
        for line in ["", "+1", "-1", " 1", "1 ", "1_0", "\u{661}", "18446744073709551616"] {
            assert_eq!(number(line.as_bytes()), Err(LineError::Number), "{line}");
        }
    }
}
