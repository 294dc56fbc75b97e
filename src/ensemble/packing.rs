//! Compression of what is sent, where it pays.
//!
//! A first look at a few KiB of a slice says whether it shrinks. Data that did not, most likely is followed by more of
//! its kind: then only one slice of many is looked at.

use zstd::bulk::Compressor;

use crate::limits::KIB;

/// The level that is fastest but for those that hardly compress.
const LEVEL: i32 = 1;
/// Shorter slices gain less than their header.
const LEN_MIN: usize = 256;
/// How much of a longer slice is looked at first.
const LOOK: usize = 8 * KIB;
/// It pays if so many of 16 bytes are left at most.
const WORTH: usize = 14;
/// After slices that did not shrink, at most so many are sent without a look.
const BLIND_MAX: u32 = 15;

/// Compresses what one link sends.
pub(super) struct Packer {
    compressor: Option<Compressor<'static>>,
    buffer: Vec<u8>,
    /// How many slices are not looked at.
    blind: u32,
    /// How many were not, the last time.
    pause: u32,
}

impl Default for Packer {
    fn default() -> Packer {
        // Without memory for it nothing is compressed.
        Packer { compressor: Compressor::new(LEVEL).ok(), buffer: Vec::new(), blind: 0, pause: 0 }
    }
}

impl Packer {
    /// The slice in the Zstandard format, if that is worth it.
    pub(super) fn pack(&mut self, slice: &[u8]) -> Option<&[u8]> {
        if slice.len() < LEN_MIN {
            return None;
        }
        if self.blind > 0 {
            self.blind -= 1;
            return None;
        }
        let shrinks = slice.len() <= LOOK || {
            let from = (slice.len() - LOOK) / 2;
            self.shrink(&slice[from..from + LOOK]).is_some()
        };
        let packed = if shrinks { self.shrink(slice) } else { None };
        match packed {
            Some(len) => {
                self.pause = 0;
                Some(&self.buffer[..len])
            }
            None => {
                self.pause = (2 * self.pause + 1).min(BLIND_MAX);
                self.blind = self.pause;
                None
            }
        }
    }

    fn shrink(&mut self, bytes: &[u8]) -> Option<usize> {
        let most = bytes.len() / 16 * WORTH;
        self.buffer.resize(self.buffer.len().max(most), 0);
        // A destination that is too small is how the library says that it is not worth it.
        self.compressor.as_mut()?.compress_to_buffer(bytes, &mut self.buffer[..most]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(len as u64);
        std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
    }

    #[test]
    fn what_shrinks_is_sent_shorter_and_is_the_same() {
        let text = "a line of a log, and another one\n".repeat(4_000);
        let mut packer = Packer::default();
        for _ in 0..3 {
            let packed = packer.pack(text.as_bytes()).expect("text shrinks");
            assert!(packed.len() < text.len() / 10);
            assert_eq!(zstd::bulk::decompress(packed, text.len()).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn what_does_not_shrink_is_seldom_looked_at_and_text_after_it_is_found() {
        let mut packer = Packer::default();
        let noise = noise(100_000);
        assert!((0..100).all(|_| packer.pack(&noise).is_none()));
        let text = vec![b'a'; 100_000];
        assert!((0..=BLIND_MAX).any(|_| packer.pack(&text).is_some()));
        assert!(packer.pack(&text).is_some());
    }

    #[test]
    fn short_slices_stay_as_they_are() {
        assert!(Packer::default().pack(&[0; LEN_MIN - 1]).is_none());
        assert!(Packer::default().pack(&[0; LEN_MIN]).is_some());
    }
}
