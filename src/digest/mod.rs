//! SHA-1 digests of parts and compositions.
//!
//! The `sha1` crate does the work, except where several parts are at hand on a CPU of the x86_64 family: there [`of_many`]
//! hashes them side by side, with the SHA extensions or in vectors, which is up to three times as fast as one after the
//! other.
//!
//! - `block`: the words of all below;
//! - `sha_ni`, `wide`: how blocks are taken in, of a few lanes or of many;
//! - `cpu`: which of them it is here;
//! - `lanes`: which parts share the CPU, and how each one ends.

mod block;
mod cpu;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod wide;

use std::fmt;
use std::str::FromStr;

use sha1::Digest as _;
use thiserror::Error;

use self::cpu::Cpu;

/// The length of a digest in bytes.
pub const DIGEST_LEN: usize = 20;

/// How many parts are hashed side by side: who hands at least as many to [`of_many`] at a time gains all
/// there is to gain.
pub const LANES: usize = cpu::LANES;

/// A SHA-1 digest; shown as 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; DIGEST_LEN]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(sha1::Sha1::digest(bytes).into())
    }

    /// The digest with these 20 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; DIGEST_LEN]) -> Digest {
        Digest(bytes)
    }

    /// The 20 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; DIGEST_LEN] {
        &self.0
    }
}

/// A text that is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("40 hex digits were expected")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    /// Reads 40 hex digits, either case.
    fn from_str(text: &str) -> Result<Digest, NotADigest> {
        let hex = text.as_bytes();
        if hex.len() != 2 * DIGEST_LEN {
            return Err(NotADigest);
        }
        let mut bytes = [0; DIGEST_LEN];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Digest(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, NotADigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(NotADigest),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The digest of each part, several at a time where the CPU can.
///
/// Best for parts of the same length: where one ends early, the next one takes its place, but the last ones go
/// on in fewer lanes.
#[must_use]
pub fn of_many(parts: &[&[u8]]) -> Vec<Digest> {
    SideBySide::new(parts.len()).finish(parts)
}

/// The digests of several parts in the making, for parts that are read side by side in slices: so that little
/// memory is touched, and all of it again and again.
#[derive(Debug)]
pub struct SideBySide(lanes::Begun);

impl SideBySide {
    /// How many bytes come in a whole slice, or a multiple of it.
    pub const SLICE_UNIT: usize = 64;

    /// Begins the digests of `count` parts.
    #[must_use]
    pub fn new(count: usize) -> SideBySide {
        SideBySide(lanes::Begun::new(count))
    }

    /// Takes in the next bytes of each part.
    ///
    /// # Panics
    /// The slices have different lengths, or not a multiple of [`SideBySide::SLICE_UNIT`], or there are more or
    /// fewer of them than before.
    pub fn update(&mut self, slices: &[&[u8]]) {
        let len = slices.first().map_or(0, |slice| slice.len());
        assert!(len.is_multiple_of(Self::SLICE_UNIT), "slices are whole");
        assert!(slices.iter().all(|slice| slice.len() == len), "parts go on side by side");
        self.0.take_in(Cpu::here(), slices);
    }

    /// The digests, with what is left of each part: any number of bytes.
    #[must_use]
    pub fn finish(self, ends: &[&[u8]]) -> Vec<Digest> {
        let mut digests = vec![Digest([0; DIGEST_LEN]); ends.len()];
        self.0.finish(Cpu::here(), ends, &mut digests);
        digests
    }
}

/// A digest in the making, for bytes that come in slices.
#[derive(Clone, Debug, Default)]
pub struct Hasher(sha1::Sha1);

impl Hasher {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes since the last call; the hasher starts anew.
    pub fn finish(&mut self) -> Digest {
        Digest(self.0.finalize_reset().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests() {
        // FIPS 180-4, example "abc".
        let abc = "a9993e364706816aba3e25717850c26c9cd0d89d";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(abc.to_uppercase().parse(), Ok(Digest::of(b"abc")));
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
        assert_eq!(hasher.finish(), Digest::of(b""));
    }

    #[test]
    fn many_at_once_are_the_same_as_one_by_one() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let parts: Vec<&[u8]> = bytes.chunks(1_024).collect();
        let expected: Vec<Digest> = parts.iter().map(|part| Digest::of(part)).collect();
        assert_eq!(expected.last(), Some(&Digest::of(&bytes[9 * 1_024..])));
        assert_eq!(of_many(&parts), expected);
        assert_eq!(of_many(&[]), []);
    }

    #[test]
    fn side_by_side_is_the_same_as_one_by_one() {
        let bytes: Vec<u8> = (0..=250).cycle().take(9_000).collect();
        for count in 0..=9 {
            for slices in 0..4 {
                for end_len in [0, 1, 55, 56, 63, 64, 65, 200] {
                    let len = slices * 128 + end_len;
                    let parts: Vec<&[u8]> = (0..count).map(|at| &bytes[at * 900..at * 900 + len]).collect();
                    let expected: Vec<Digest> = parts.iter().map(|part| Digest::of(part)).collect();
                    let mut digests = SideBySide::new(count);
                    for slice in 0..slices {
                        let range = slice * 128..(slice + 1) * 128;
                        digests.update(&parts.iter().map(|part| &part[range.clone()]).collect::<Vec<_>>());
                    }
                    let ends: Vec<&[u8]> = parts.iter().map(|part| &part[slices * 128..]).collect();
                    assert_eq!(digests.finish(&ends), expected, "{count} parts of {len} bytes");
                }
            }
        }
    }

    #[test]
    fn other_texts_are_not_digests() {
        for text in [
            "",
            "a9993e",
            "g9993e364706816aba3e25717850c26c9cd0d89d",
            "é993e364706816aba3e25717850c26c9cd0d89d",
        ] {
            assert_eq!(text.parse::<Digest>(), Err(NotADigest), "{text}");
        }
    }
}
