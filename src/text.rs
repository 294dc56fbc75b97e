//! Sizes, times, errors and foreign names, as people read and write them.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;

/// A text that is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a size like 16384, 16K, 16KiB, 1M or 1MiB was expected")]
pub struct NotASize;

/// Reads a size in bytes: `16384`, `16K`, `16KiB`, `1M`, `1MiB`, up to `T`; units are powers of 1024.
///
/// # Errors
/// The text is anything else, or the size does not fit 64 bits.
pub fn parse_size(text: &str) -> Result<u64, NotASize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| NotASize)?;
    let shift = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(NotASize),
    };
    number.checked_mul(1 << shift).ok_or(NotASize)
}

/// A number of bytes in the largest unit that leaves at least one: `142.0 KiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A rate: `12.1 MiB/s`.
#[must_use]
pub fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// A span in its two largest units: `2 h 5 min`, `3 min 20 s`, `12 s`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// An error and what caused it, outermost first: `cannot write part 7 of a.flac: no space left on device`.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _infallible = write!(text, ": {}", decapitalised(&error.to_string()));
        cause = error.source();
    }
    text
}

/// System messages as part of a sentence: first letter small, without `(os error 28)`.
fn decapitalised(message: &str) -> String {
    let message = message.split(" (os error ").next().unwrap_or(message);
    let mut letters = message.chars();
    match letters.next() {
        // An abbreviation such as "DNS" keeps its capitals.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => message.to_owned(),
    }
}

/// A text from elsewhere, safe for a terminal and a log: control, bidirectional and invisible characters
/// are shown as `\u{…}`.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| {
            if is_deceptive(letter) {
                write!(f, "{}", letter.escape_unicode())
            } else {
                write!(f, "{letter}")
            }
        })
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Whether a terminal would not show this character as itself: controls (C0, C1, DEL), line and paragraph
/// separators, bidirectional marks, zero-width and other invisible characters.
#[must_use]
pub fn is_deceptive(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What texts have in common that differ only in case, or in how letters are written: `Straße` and `STRASSE`, `é` as one
/// character or as two, letters of full and half width. To compare, and never to be shown.
#[must_use]
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let small = text.nfkd().flat_map(char::to_lowercase);
    // Some small letters have only their capitals in common: `ß` and `ss`, `ς` and `σ`.
    let plain: String = small.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    plain.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn sizes_people_write() {
        let known = [("16384", 16384), ("16K", 16384), ("16KiB", 16384), ("1M", 1 << 20), ("1MiB", 1 << 20)];
        for (text, size) in known.into_iter().chain([("0", 0), ("2g", 2 << 30), ("3TiB", 3 << 40)]) {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in
            ["", "K", "-1", "1.5M", "1MB", "1 M", "+1", "99999999999999999999", "18014398509481985K", "é"]
        {
            assert_eq!(parse_size(text), Err(NotASize), "{text}");
        }
    }

    #[test]
    fn sizes_people_read() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(142_044), "138.7 KiB");
        assert_eq!(bytes(1 << 30), "1.0 GiB");
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
        assert_eq!(rate(12 << 20), "12.0 MiB/s");
    }

    #[test]
    fn spans_people_read() {
        assert_eq!(span(Duration::from_secs(12)), "12 s");
        assert_eq!(span(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(span(Duration::from_secs(7_500)), "2 h 5 min");
        assert_eq!(span(Duration::from_secs(90_000)), "1 d 1 h");
    }

    #[test]
    fn an_error_is_one_line() {
        #[derive(Debug, Error)]
        #[error("cannot write a.flac")]
        struct CannotWrite(#[source] io::Error);

        let full = CannotWrite(io::Error::from_raw_os_error(28));
        assert_eq!(chain(&full), "cannot write a.flac: no space left on device");
        let unknown = CannotWrite(io::Error::other("DNS is down"));
        assert_eq!(chain(&unknown), "cannot write a.flac: DNS is down");
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for letter in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let once = folded(&format!("x{letter}\u{345}\u{301}"));
            assert_eq!(folded(&once), once, "{letter:?}");
        }
        assert_eq!(folded("ﬁ Ａ ſ K ẞ ß Σς"), "fi a s k ss ss σσ");
    }

    #[test]
    fn hostile_names_cannot_move_the_cursor() {
        assert_eq!(Escaped("plain é 日本").to_string(), "plain é 日本");
        assert_eq!(Escaped("a\u{1b}[2Jb").to_string(), "a\\u{1b}[2Jb");
        assert_eq!(Escaped("gpj\u{202e}exe").to_string(), "gpj\\u{202e}exe");
        assert_eq!(Escaped("\u{9b}\u{200b}\n").to_string(), "\\u{9b}\\u{200b}\\u{a}");
    }
}
