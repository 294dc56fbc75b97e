//! Compression of what is sent on one link, where it pays.
//!
//! All slices that are compressed on a link are one stream of the Zstandard format, flushed after each: what was sent
//! before helps to say what comes, so that the chunks of a text are a fifth as long as each by itself, or half.
//!
//! A first look at a few KiB of a slice says whether it shrinks. Data that did not, most likely is followed by more of
//! its kind: then only one slice of many is looked at. What does not shrink stays out of the stream.

use std::fmt;

use zstd::bulk::Compressor;
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation as _, OutBuffer};

use crate::limits::{KIB, PACKING_WINDOW_LOG};
use crate::wire::ensemble::packed_max;

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
    /// None without memory for it, and before it is needed.
    stream: Option<Encoder<'static>>,
    look: Option<Compressor<'static>>,
    buffer: Vec<u8>,
    /// How many slices are not looked at.
    blind: u32,
    /// How many were not, the last time.
    pause: u32,
}

/// Undoes it, on the other side.
#[derive(Default)]
pub(super) struct Unpacker(Option<Decoder<'static>>);

/// What was to be unpacked is not the next slice of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotPacked;

impl Default for Packer {
    fn default() -> Packer {
        Packer { stream: None, look: Compressor::new(LEVEL).ok(), buffer: Vec::new(), blind: 0, pause: 0 }
    }
}

impl Packer {
    /// The slice as the next one of the stream, if that is worth it; what is yielded must be sent.
    pub(super) fn pack(&mut self, slice: &[u8]) -> Option<&[u8]> {
        if slice.len() < LEN_MIN {
            return None;
        }
        if self.blind > 0 {
            self.blind -= 1;
            return None;
        }
        if !self.shrinks(slice) {
            self.pause = (2 * self.pause + 1).min(BLIND_MAX);
            self.blind = self.pause;
            return None;
        }
        self.pause = 0;
        if self.stream.is_none() {
            self.stream = encoder();
        }
        let len = self.stream.as_mut().and_then(|stream| append(stream, slice, &mut self.buffer));
        if len.is_none() {
            // Nobody knows what of it went into the stream: nothing more is compressed on this link.
            self.blind = u32::MAX;
        }
        len.map(|len| &self.buffer[..len])
    }

    fn shrinks(&mut self, slice: &[u8]) -> bool {
        let len = slice.len().min(LOOK);
        let from = (slice.len() - len) / 2;
        let most = len / 16 * WORTH;
        self.buffer.resize(self.buffer.len().max(most), 0);
        // A destination that is too small is how the library says that it is not worth it.
        let look = self.look.as_mut();
        look.is_some_and(|look| {
            look.compress_to_buffer(&slice[from..from + len], &mut self.buffer[..most]).is_ok()
        })
    }
}

fn encoder() -> Option<Encoder<'static>> {
    let mut encoder = Encoder::new(LEVEL).ok()?;
    encoder.set_parameter(CParameter::WindowLog(PACKING_WINDOW_LOG)).ok()?;
    Some(encoder)
}

/// Appends a slice to the stream; how many bytes it became.
fn append(stream: &mut Encoder<'static>, slice: &[u8], buffer: &mut Vec<u8>) -> Option<usize> {
    buffer.resize(buffer.len().max(packed_max(slice.len())), 0);
    let mut input = InBuffer::around(slice);
    let mut output = OutBuffer::around(&mut buffer[..packed_max(slice.len())]);
    while input.pos() < slice.len() {
        let before = (input.pos(), output.pos());
        stream.run(&mut input, &mut output).ok()?;
        if before == (input.pos(), output.pos()) {
            return None;
        }
    }
    (stream.flush(&mut output).ok()? == 0).then(|| output.pos())
}

impl Unpacker {
    /// Unpacks the next slice of the stream into exactly its place; `place` has one byte more, which shows what is longer.
    pub(super) fn unpack(&mut self, packed: &[u8], place: &mut [u8]) -> Result<(), NotPacked> {
        if self.0.is_none() {
            self.0 = decoder();
        }
        let stream = self.0.as_mut().ok_or(NotPacked)?;
        let len = place.len() - 1;
        let mut input = InBuffer::around(packed);
        let mut output = OutBuffer::around(place);
        while input.pos() < packed.len() {
            let before = (input.pos(), output.pos());
            stream.run(&mut input, &mut output).map_err(|_| NotPacked)?;
            if before == (input.pos(), output.pos()) {
                return Err(NotPacked);
            }
        }
        if output.pos() == len { Ok(()) } else { Err(NotPacked) }
    }
}

fn decoder() -> Option<Decoder<'static>> {
    let mut decoder = Decoder::new().ok()?;
    // More memory than this nobody makes us take.
    decoder.set_parameter(DParameter::WindowLogMax(PACKING_WINDOW_LOG)).ok()?;
    Some(decoder)
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").field("blind", &self.blind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        fastrand::Rng::with_seed(len as u64).fill(&mut bytes);
        bytes
    }

    fn unpacked(unpacker: &mut Unpacker, packed: &[u8], len: usize) -> Result<Vec<u8>, NotPacked> {
        let mut place = vec![0; len + 1];
        unpacker.unpack(packed, &mut place)?;
        place.truncate(len);
        Ok(place)
    }

    #[test]
    fn what_was_sent_before_makes_the_next_slice_shorter() {
        let text = |seed: usize| {
            (0..4_000).map(|at| format!("{} took {} ms\n", at * seed % 97, at % 13)).collect::<String>()
        };
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        let mut lens = Vec::new();
        for seed in [5, 7, 5] {
            let text = text(seed);
            let packed = packer.pack(text.as_bytes()).expect("text shrinks").to_vec();
            lens.push(packed.len());
            assert_eq!(unpacked(&mut unpacker, &packed, text.len()).unwrap(), text.as_bytes());
        }
        assert!(lens[2] * 4 < lens[0], "{lens:?}");
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
    fn a_slice_that_only_looks_as_if_it_shrinks_is_sent_all_the_same() {
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        let mut slice = noise(200_000);
        slice[95_000..105_000].fill(0);
        let packed = packer.pack(&slice).expect("its middle shrinks").to_vec();
        assert!(packed.len() <= packed_max(slice.len()));
        assert_eq!(unpacked(&mut unpacker, &packed, slice.len()).unwrap(), slice);
    }

    #[test]
    fn what_is_not_the_next_slice_is_none() {
        let text = vec![b'a'; 50_000];
        let packed = Packer::default().pack(&text).unwrap().to_vec();
        for (wrong, len) in
            [(packed.as_slice(), 49_999), (&packed, 50_001), (&packed[..9], 50_000), (&noise(500), 9_000)]
        {
            assert_eq!(unpacked(&mut Unpacker::default(), wrong, len), Err(NotPacked));
        }
    }

    #[test]
    fn short_slices_stay_as_they_are() {
        assert!(Packer::default().pack(&[0; LEN_MIN - 1]).is_none());
        assert!(Packer::default().pack(&[0; LEN_MIN]).is_some());
    }
}
