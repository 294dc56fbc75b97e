//! Bytes as people read them to each other: Crockford's base 32 (no `i`, `l`, `o`, `u`) in groups of four letters.
//!
//! It does not know what the bytes mean.

use std::fmt;

use thiserror::Error;

/// How many letters stand together.
const GROUP: usize = 4;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadLetters {
    /// A character that never stands for anything.
    #[error("letters and digits were expected, not {0:?}")]
    Letter(char),
    /// Too few or too many.
    #[error("{expected} letters and digits were expected, not {found}")]
    Len {
        /// How many letters and digits there are to be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// Writes the bytes in letters. All of the last one is used if there are five bytes, or a multiple of that.
///
/// # Errors
/// Of the formatter.
pub fn write(bytes: impl IntoIterator<Item = u8>, f: &mut impl fmt::Write) -> fmt::Result {
    let bits: Vec<u8> =
        bytes.into_iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    for (at, five) in bits.chunks(5).enumerate() {
        if at > 0 && at % GROUP == 0 {
            f.write_char('-')?;
        }
        let value = five.iter().fold(0, |value, bit| value << 1 | bit);
        f.write_char(char::from(ALPHABET[usize::from(value)]))?;
    }
    Ok(())
}

/// Reads `N` bytes, a multiple of five, as people write them: in either case, with or without `-` and spaces;
/// `i` and `l` mean 1, `o` means 0.
///
/// # Errors
/// There are other characters, or more or fewer letters than `N` bytes have.
pub fn read<const N: usize>(text: &str) -> Result<[u8; N], BadLetters> {
    let expected = N * 8 / 5;
    let mut bits = Vec::with_capacity(N * 8);
    let mut found = 0;
    for letter in text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-') {
        let plain = match letter.to_ascii_lowercase() {
            'i' | 'l' => '1',
            'o' => '0',
            plain => plain,
        };
        let value = ALPHABET.iter().position(|&known| char::from(known) == plain);
        let value = value.ok_or(BadLetters::Letter(letter))?;
        found += 1;
        if found <= expected {
            bits.extend((0..5).rev().map(|at| value >> at & 1 == 1));
        }
    }
    if found != expected {
        return Err(BadLetters::Len { expected, found });
    }
    let mut bytes = [0; N];
    for (byte, bits) in bytes.iter_mut().zip(bits.chunks(8)) {
        *byte = bits.iter().fold(0, |value, &bit| value << 1 | u8::from(bit));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(bytes: &[u8]) -> String {
        let mut text = String::new();
        write(bytes.iter().copied(), &mut text).unwrap();
        text
    }

    #[test]
    fn letters_are_read_as_people_write_them() {
        assert_eq!(written(&[0, 0x44, 0x32, 0x14, 0xc7]), "0123-4567");
        assert_eq!(read("O l23 4567"), Ok([0, 0x44, 0x32, 0x14, 0xc7]));
        assert_eq!(read::<5>("0123-456u"), Err(BadLetters::Letter('u')));
        assert_eq!(read::<5>("0123-456"), Err(BadLetters::Len { expected: 8, found: 7 }));
        assert_eq!(read::<5>("0123-4567-8"), Err(BadLetters::Len { expected: 8, found: 9 }));
    }

    proptest! {
        #[test]
        fn bytes_survive(bytes in any::<[u8; 20]>()) {
            prop_assert_eq!(read(&written(&bytes)), Ok(bytes));
        }
    }
}
