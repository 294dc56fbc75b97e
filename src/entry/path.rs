//! A path beneath an ensemble's folder.
//!
//! Paths come from other machines, so one may try to leave the folder, to reach what is ours in it, or to deceive
//! the eye. A [`TreePath`] is only words, and safe ones; that no symbolic link leads it astray on the disk is the
//! business of whoever opens it.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ContentHash;
use crate::limits::{NAME_LEN_MAX, TREE_PATH_LEN_MAX};
use crate::text::Escaped;

/// The folder inside an ensemble's folder that holds what is ours: index, archive, what is on its way.
pub const OWN_FOLDER: &str = ".orchestra";

/// What stands before the digits in the name of a conflict copy.
pub(crate) const CONFLICT_MARK: &str = ".conflict-";
/// How many digits of a content's hash may stand in the name of a conflict copy.
pub const CONFLICT_DIGITS: [usize; 3] = [8, 16, 64];

/// A path beneath the folder: names, joined by `/`.
///
/// No name is empty, `.`, `..` or longer than [`NAME_LEN_MAX`] bytes, or has a NUL; the first one is not
/// [`OWN_FOLDER`] in any spelling; all of it takes at most [`TREE_PATH_LEN_MAX`] bytes.
/// Everything else that file systems allow is allowed: `Display` and `Debug` show it escaped.
/// In the order of paths a folder comes before what is in it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(Box<str>);

/// Why a text is not a path beneath the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPath {
    /// A name is empty: the path is empty, or begins or ends with `/`, or has two of them.
    #[error("a name in it is empty")]
    EmptyName,
    /// A name is `.` or `..`.
    #[error("a name in it means a folder: `.` or `..`")]
    Dots,
    /// It has a NUL.
    #[error("it has a NUL character")]
    Nul,
    /// A name is longer than file systems allow.
    #[error("a name in it is longer than {NAME_LEN_MAX} bytes")]
    NameTooLong,
    /// It is longer than systems allow.
    #[error("it is longer than {TREE_PATH_LEN_MAX} bytes")]
    TooLong,
    /// It leads to what is ours.
    #[error("`{OWN_FOLDER}` is not part of the ensemble")]
    Own,
}

impl TreePath {
    /// Reads a path.
    ///
    /// # Errors
    /// It breaks one of the rules above.
    pub fn parse(text: &str) -> Result<TreePath, BadPath> {
        if text.len() > TREE_PATH_LEN_MAX {
            return Err(BadPath::TooLong);
        }
        if text.contains('\0') {
            return Err(BadPath::Nul);
        }
        for name in text.split('/') {
            match name {
                "" => return Err(BadPath::EmptyName),
                "." | ".." => return Err(BadPath::Dots),
                _ if name.len() > NAME_LEN_MAX => return Err(BadPath::NameTooLong),
                _ => {}
            }
        }
        match text.split('/').next() {
            Some(first) if is_own(first) => Err(BadPath::Own),
            _ => Ok(TreePath(text.into())),
        }
    }

    /// The path as it is on disk; not for terminals and logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its names, from the folder down.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder that it is in; none if that is the ensemble's.
    #[must_use]
    pub fn parent(&self) -> Option<TreePath> {
        self.0.rsplit_once('/').map(|(parent, _)| TreePath(parent.into()))
    }

    /// How many names it has.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.names().count()
    }

    /// The path of something in this folder.
    ///
    /// # Errors
    /// The name is none, or the path would be too long.
    pub fn join(&self, name: &str) -> Result<TreePath, BadPath> {
        TreePath::parse(&format!("{}/{name}", self.0))
    }

    /// Whether it is in this folder, however deep.
    #[must_use]
    pub fn is_beneath(&self, folder: &TreePath) -> bool {
        self.0.strip_prefix(&*folder.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Where the loser of a conflict is kept: `NAME.conflict-HASH8.EXT` in the same folder, with so many digits of
    /// the hash of its content, so that machines that decide alone choose the same name.
    /// The name of what is a conflict copy already gets new digits, not more of them.
    ///
    /// # Errors
    /// The path would be too long. A long name gives way to the digits.
    pub fn conflict(&self, hash: ContentHash, digits: usize) -> Result<TreePath, BadPath> {
        let name = without_conflict(self.name());
        let (stem, extension) = match name.rfind('.') {
            Some(at) if at > 0 => name.split_at(at),
            _ => (name.as_str(), ""),
        };
        let hash = hash.to_string();
        let mark = format!("{CONFLICT_MARK}{}", &hash[..digits.min(hash.len())]);
        let extension = &extension[..floor(extension, NAME_LEN_MAX - mark.len())];
        let stem = &stem[..floor(stem, NAME_LEN_MAX - mark.len() - extension.len())];
        let name = format!("{stem}{mark}{extension}");
        match self.parent() {
            Some(parent) => parent.join(&name),
            None => TreePath::parse(&name),
        }
    }

    /// Whether its name is one that a conflict copy gets.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        without_conflict(self.name()) != self.name()
    }
}

impl TryFrom<String> for TreePath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<TreePath, BadPath> {
        TreePath::parse(&text)
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> String {
        path.0.into()
    }
}

/// Name by name: as there is no NUL in a name, it is the order of bytes, with `/` before all of them.
impl Ord for TreePath {
    fn cmp(&self, other: &TreePath) -> std::cmp::Ordering {
        let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
        let (ours, theirs) = (self.0.as_bytes(), other.0.as_bytes());
        match ours.iter().zip(theirs).find(|(a, b)| a != b) {
            Some((&a, &b)) => rank(a).cmp(&rank(b)),
            None => ours.len().cmp(&theirs.len()),
        }
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &TreePath) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(&self.0), f)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Escaped(&self.0), f)
    }
}

/// Whether some file system would take this name for ours: without regard to case, and to the characters that
/// HFS+ leaves out when it compares (CVE-2014-9390).
fn is_own(name: &str) -> bool {
    let ignorable = |letter: &char| !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let seen: String = name.chars().filter(ignorable).collect();
    seen.trim_end_matches(['.', ' ']).eq_ignore_ascii_case(OWN_FOLDER)
}

/// The name that a conflict copy had before.
fn without_conflict(name: &str) -> String {
    let Some(at) = name.rfind(CONFLICT_MARK).filter(|&at| at > 0) else { return name.to_owned() };
    let rest = &name[at + CONFLICT_MARK.len()..];
    let digits = rest.find('.').unwrap_or(rest.len());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if CONFLICT_DIGITS.contains(&digits) && rest[..digits].bytes().all(hex) {
        format!("{}{}", &name[..at], &rest[digits..])
    } else {
        name.to_owned()
    }
}

/// The most bytes of the text, up to `len`, that end with a whole character.
fn floor(text: &str, len: usize) -> usize {
    (0..=len.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    #[test]
    fn a_path_stays_beneath_the_folder() {
        for (text, error) in [
            ("", BadPath::EmptyName),
            ("/etc/passwd", BadPath::EmptyName),
            ("a//b", BadPath::EmptyName),
            ("a/", BadPath::EmptyName),
            (".", BadPath::Dots),
            ("a/../../b", BadPath::Dots),
            ("a/..", BadPath::Dots),
            ("a\0b", BadPath::Nul),
            (".orchestra", BadPath::Own),
            (".orchestra/archive/x", BadPath::Own),
            (".Orchestra/x", BadPath::Own),
            (".orch\u{200c}estra/x", BadPath::Own),
            (".orchestra. /x", BadPath::Own),
        ] {
            assert_eq!(TreePath::parse(text), Err(error), "{text:?}");
        }
        let long = "é".repeat(128);
        assert_eq!(TreePath::parse(&long), Err(BadPath::NameTooLong));
        assert_eq!(TreePath::parse(&"a/".repeat(3_000)), Err(BadPath::TooLong));
    }

    #[test]
    fn what_file_systems_allow_is_allowed() {
        for text in [
            "a",
            "~",
            "a b",
            r"C:\x",
            "NUL.tar.gz",
            "x...",
            "naïve 日本",
            "\u{202e}gpj",
            "x\ny",
            ".orchestraignore",
            "a/.orchestra",
        ] {
            assert_eq!(path(text).as_str(), text);
        }
        assert_eq!(path("x\u{1b}[2Jy").to_string(), "x\\u{1b}[2Jy");
    }

    #[test]
    fn a_folder_comes_before_what_is_in_it() {
        let mut paths = ["a.txt", "a/b", "a", "a-b", "a/b/c"].map(path);
        paths.sort();
        let texts: Vec<&str> = paths.iter().map(TreePath::as_str).collect();
        assert_eq!(texts, ["a", "a/b", "a/b/c", "a-b", "a.txt"]);
        assert!(path("a/b/c").is_beneath(&path("a")) && !path("a-b").is_beneath(&path("a")));
        assert_eq!(path("a/b/c").parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), None);
    }

    #[test]
    fn a_conflict_copy_is_named_after_its_content() {
        let hash = ContentHash::from_bytes([0xab; 32]);
        for (text, copy) in [
            ("a.txt", "a.conflict-abababab.txt"),
            ("d/a", "d/a.conflict-abababab"),
            (".hidden", ".hidden.conflict-abababab"),
            ("a.tar.gz", "a.tar.conflict-abababab.gz"),
            ("a.conflict-01234567.txt", "a.conflict-abababab.txt"),
            ("a.conflict-no.txt", "a.conflict-no.conflict-abababab.txt"),
        ] {
            let copied = path(text).conflict(hash, 8).unwrap();
            assert_eq!(copied, path(copy), "{text}");
            assert!(copied.is_conflict());
            assert_eq!(copied.conflict(hash, 8).unwrap(), copied, "of a copy");
        }
        assert!(!path("a.txt").is_conflict());
    }

    proptest! {
        #[test]
        fn paths_are_in_the_order_of_their_names(a in "[a/\u{1}-é]{1,8}", b in "[a/\u{1}-é]{1,8}") {
            prop_assume!(TreePath::parse(&a).is_ok() && TreePath::parse(&b).is_ok());
            let (a, b) = (path(&a), path(&b));
            prop_assert_eq!(a.cmp(&b), a.names().cmp(b.names()));
        }

        #[test]
        fn the_name_of_a_conflict_copy_fits(name in "[a-zé日.]{1,120}", digits in prop::sample::select(&CONFLICT_DIGITS[..])) {
            prop_assume!(TreePath::parse(&name).is_ok());
            let copy = path(&name).conflict(ContentHash::from_bytes([7; 32]), digits).unwrap();
            prop_assert!(copy.is_conflict());
            prop_assert!(copy.name().len() <= NAME_LEN_MAX);
        }
    }
}
