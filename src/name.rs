//! The name of a composition, safe to use as a file name.
//!
//! A manifest is written by somebody else, so its name may try to leave the directory it is meant for, to
//! address a device, or to deceive the eye.
//! Whoever holds a [`Name`] may join it to a directory; shown to people, it is escaped.
//! This does not know which files exist.

use std::fmt;

use thiserror::Error;

use crate::digest::Digest;
use crate::limits::NAME_LEN_MAX;
use crate::text::Escaped;

/// What is put after the name while the composition is being fetched.
const PART_SUFFIX: &str = ".part";
/// How many hex digits of its digest tell long names apart that begin alike.
const TELLING_DIGITS: usize = 16;

/// The name of a composition: one file name, at most [`NAME_LEN_MAX`] bytes, without control characters.
///
/// Bidirectional and invisible characters are allowed, for they are part of honest names; `Display` and
/// `Debug` show them escaped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(
    /// Invariant: not empty, not `.` or `..`, no `/`, `\` or control character, at most [`NAME_LEN_MAX`]
    /// bytes; on Windows also what [`windows_form`] promises.
    String,
);

/// Why a text cannot be the name of a composition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing is left of it as a file name.
    #[error("a file name was expected, not an empty one")]
    Empty,
    /// It is `.` or `..`.
    #[error("a file name was expected, not one that means a directory")]
    Directory,
    /// It has a NUL, a line break or another control character.
    #[error("a file name without control characters was expected")]
    Control,
    /// It is longer than file systems allow.
    #[error("a file name of at most {NAME_LEN_MAX} bytes was expected, this one has {len}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It has a character that cannot be in a file name on Windows.
    #[error("a file name without {0} was expected, Windows does not allow it")]
    WindowsCharacter(char),
    /// It would address a device on Windows.
    #[error("a file name was expected, on Windows this is the name of a device")]
    WindowsDevice,
}

impl Name {
    /// Reads a name; of a path, whether written with `/` or `\`, the last component counts.
    ///
    /// # Errors
    /// That component is not usable as a file name.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        let component = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = if cfg!(windows) { windows_form(component)? } else { component };
        check(name)?;
        Ok(Name(name.to_owned()))
    }

    /// Whether this text, as it is, is the name of a composition on some system: what a catalogue may list. Only [`Name::parse`]
    /// says whether it is one here.
    #[must_use]
    pub fn may_be(text: &str) -> bool {
        !text.contains(['/', '\\']) && check(text).is_ok()
    }

    /// The name as it is on disk; not for terminals and logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file while it is being fetched: `NAME.part`.
    ///
    /// Where that would be longer than [`NAME_LEN_MAX`] bytes, the end of the name gives way to a digest of
    /// it, so the result is always usable and two long names never share it.
    #[must_use]
    pub fn part_name(&self) -> String {
        if self.0.len() + PART_SUFFIX.len() <= NAME_LEN_MAX {
            return format!("{}{PART_SUFFIX}", self.0);
        }
        let digest = Digest::of(self.0.as_bytes()).to_string();
        let telling = &digest[..TELLING_DIGITS];
        let mut room = NAME_LEN_MAX - PART_SUFFIX.len() - "~".len() - TELLING_DIGITS;
        while !self.0.is_char_boundary(room) {
            room -= 1;
        }
        format!("{}~{telling}{PART_SUFFIX}", &self.0[..room])
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(&self.0), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Escaped(&self.0), f)
    }
}

/// What no system allows in a file name.
fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameError::Directory);
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    if name.len() > NAME_LEN_MAX {
        return Err(NameError::TooLong { len: name.len() });
    }
    Ok(())
}

/// What Windows would make of a file name: dots and spaces at the end do not count.
/// Refused is what would address a device, a drive (`C:x`) or a stream inside another file (`x:y`).
fn windows_form(name: &str) -> Result<&str, NameError> {
    let name = name.trim_end_matches(['.', ' ']);
    if let Some(letter) = name.chars().find(|letter| r#"<>:"|?*"#.contains(*letter)) {
        return Err(NameError::WindowsCharacter(letter));
    }
    // `nul.tar.gz` and `NUL .txt` are the device as well.
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    let numbered = |prefix| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| matches!(rest, "¹" | "²" | "³") || matches!(rest.as_bytes(), [b'1'..=b'9']))
    };
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT");
    if device { Err(NameError::WindowsDevice) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_component_is_the_name() {
        for (text, name) in [
            ("maxresdefault.jpg", "maxresdefault.jpg"),
            (r".\ExamML_example.pdf", "ExamML_example.pdf"),
            ("files/a.zip", "a.zip"),
            ("/etc/passwd", "passwd"),
            (r"..\..\x", "x"),
            ("../a/../b", "b"),
            (" spaced ", " spaced "),
            (".hidden", ".hidden"),
            ("...", "..."),
            ("naïve 日本.txt", "naïve 日本.txt"),
        ] {
            assert_eq!(Name::parse(text).unwrap().as_str(), name, "{text}");
        }
    }

    #[test]
    fn unsafe_names_are_refused() {
        for (text, error) in [
            ("", NameError::Empty),
            ("dir/", NameError::Empty),
            (r"dir\", NameError::Empty),
            (".", NameError::Directory),
            ("..", NameError::Directory),
            ("a/..", NameError::Directory),
            ("a\0b", NameError::Control),
            ("a\rb", NameError::Control),
            ("a\u{1b}[2J", NameError::Control),
            ("a\u{9b}b", NameError::Control),
            ("a\u{7f}", NameError::Control),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_listed_is_no_path() {
        for text in ["a.zip", "a:b", "aux", "a. ", "...", "gpj\u{202e}exe", &"x".repeat(255)] {
            assert!(Name::may_be(text), "{text}");
        }
        for text in ["", ".", "..", "../x", "/x", "a/", r"..\x", "a\0", "a\u{1b}[2J", &"x".repeat(256)] {
            assert!(!Name::may_be(text), "{text:?}");
        }
    }

    #[test]
    fn the_length_counts_without_the_path() {
        let longest = "é".repeat(127) + "x";
        assert_eq!(longest.len(), NAME_LEN_MAX);
        assert_eq!(Name::parse(&format!("{}/{longest}", "d".repeat(1_000))).unwrap().as_str(), longest);
        assert_eq!(Name::parse(&format!("{longest}y")), Err(NameError::TooLong { len: 256 }));
    }

    #[test]
    fn deceptive_names_are_kept_but_shown_escaped() {
        let name = Name::parse("gpj\u{202e}exe.\u{200b}").unwrap();
        assert_eq!(name.as_str(), "gpj\u{202e}exe.\u{200b}");
        assert_eq!(name.to_string(), "gpj\\u{202e}exe.\\u{200b}");
        assert_eq!(format!("{name:?}"), "\"gpj\\u{202e}exe.\\u{200b}\"");
    }

    #[test]
    fn windows_keeps_its_devices_drives_and_streams() {
        assert_eq!(windows_form("a.txt"), Ok("a.txt"));
        assert_eq!(windows_form("a.txt. . "), Ok("a.txt"));
        assert_eq!(windows_form(".."), Ok(""));
        assert_eq!(windows_form("console.txt"), Ok("console.txt"));
        assert_eq!(windows_form("com10"), Ok("com10"));
        for device in ["con", "NUL.tar.gz", "Aux ", "prn .txt", "com1", "LPT9.log", "COM²", "conin$"] {
            assert_eq!(windows_form(device), Err(NameError::WindowsDevice), "{device}");
        }
        assert_eq!(windows_form("C:x"), Err(NameError::WindowsCharacter(':')));
        assert_eq!(windows_form("what?"), Err(NameError::WindowsCharacter('?')));
    }

    #[test]
    fn the_part_name_is_usable_and_tells_names_apart() {
        assert_eq!(Name::parse("a.zip").unwrap().part_name(), "a.zip.part");
        let fits = Name::parse(&"x".repeat(250)).unwrap();
        assert_eq!(fits.part_name(), format!("{}.part", fits.as_str()));
        let [left, right] = ["l", "r"].map(|end| Name::parse(&("é".repeat(126) + end)).unwrap().part_name());
        assert_ne!(left, right);
        assert!(left.ends_with(".part") && left.len() <= NAME_LEN_MAX);
    }

    proptest! {
        #[test]
        fn every_name_is_one_harmless_component(text in any::<String>()) {
            let Ok(name) = Name::parse(&text) else { return Ok(()) };
            let path = std::path::Path::new(name.as_str());
            prop_assert_eq!(path.components().count(), 1);
            prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(name.as_str()));
            prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
            prop_assert!(Name::parse(&name.part_name()).is_ok());
        }
    }
}
