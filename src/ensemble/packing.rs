//! Compression of what is sent on one link, where it pays.
//!
//! There are two ways. The *thorough* one makes all slices of a link one stream of the Zstandard format, flushed after
//! each: what was sent before helps to say what comes, so that the chunks of a text are a fifth as long as each by itself,
//! or half. The *fast* one, LZ4, takes half the time and a quarter of it on the other side, and leaves more than half as
//! much again. Which is better is up to the link: whether it takes the bytes sooner than we pack them, or much later.
//!
//! A first look at a few KiB of a slice says whether it shrinks. Data that did not, most likely is followed by more of
//! its kind: then only one slice of many is looked at. What does not shrink is sent as it is.

use std::fmt;
use std::time::Duration;

use lz4_flex::block;
use zstd::bulk::Compressor;
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation as _, OutBuffer};

use crate::limits::{KIB, MIB, PACKING_WINDOW_LOG};
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
/// The way is chosen anew after so many bytes: enough for a burst that the socket takes at once not to deceive.
const STRETCH: usize = 4 * MIB;
/// A link is slow if sending takes so many times as long as packing fast: then half the bytes are worth twice the work.
const SLOW: u32 = 4;

/// How a slice is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// As the next one of the link's stream in the Zstandard format.
    Thorough,
    /// By itself, as a block in the LZ4 format.
    Fast,
}

/// Compresses what one link sends.
pub(super) struct Packer {
    effort: Effort,
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

/// What was to be unpacked is not the next slice of the stream, or no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotPacked;

/// Which way is better for a link, by how long it takes.
#[derive(Debug)]
struct Effort {
    method: Method,
    bytes: usize,
    packing: Duration,
    sending: Duration,
}

impl Default for Effort {
    fn default() -> Effort {
        Effort { method: Method::Thorough, bytes: 0, packing: Duration::ZERO, sending: Duration::ZERO }
    }
}

impl Effort {
    /// So many bytes, as they were before, took so long.
    fn took(&mut self, bytes: usize, packing: Duration, sending: Duration) {
        self.bytes += bytes;
        self.packing += packing;
        self.sending += sending;
        if self.bytes < STRETCH {
            return;
        }
        // The two bounds lie apart, so that a link between them stays what it is.
        let method = match self.method {
            Method::Fast if self.sending > self.packing * SLOW => Method::Thorough,
            Method::Thorough if self.sending < self.packing => Method::Fast,
            method => method,
        };
        *self = Effort { method, ..Effort::default() };
    }
}

impl Default for Packer {
    fn default() -> Packer {
        Packer {
            effort: Effort::default(),
            stream: None,
            look: Compressor::new(LEVEL).ok(),
            buffer: Vec::new(),
            blind: 0,
            pause: 0,
        }
    }
}

impl Packer {
    /// The slice as it is to be sent and unpacked, if that is worth it; what is yielded must be sent.
    pub(super) fn pack(&mut self, slice: &[u8]) -> Option<(Method, &[u8])> {
        if slice.len() < LEN_MIN {
            return None;
        }
        if self.blind > 0 {
            self.blind -= 1;
            return None;
        }
        let method = self.effort.method;
        if !self.shrinks(method, slice) {
            self.pause = (2 * self.pause + 1).min(BLIND_MAX);
            self.blind = self.pause;
            return None;
        }
        self.pause = 0;
        // The one asks for more room than it ever takes, and the other must not take more than it may.
        let most = packed_max(slice.len());
        let room = block::get_maximum_output_size(slice.len()).max(most);
        self.buffer.resize(self.buffer.len().max(room), 0);
        let len = match method {
            Method::Fast => block::compress_into(slice, &mut self.buffer).ok().filter(|&len| len <= most),
            Method::Thorough => {
                if self.stream.is_none() {
                    self.stream = encoder();
                }
                let len =
                    self.stream.as_mut().and_then(|stream| append(stream, slice, &mut self.buffer[..most]));
                if len.is_none() {
                    // Nobody knows what of it went into the stream: nothing more is compressed on this link.
                    self.blind = u32::MAX;
                }
                len
            }
        };
        len.map(|len| (method, &self.buffer[..len]))
    }

    /// So long it took to pack the last slice, which has so many bytes, and to send it.
    pub(super) fn took(&mut self, bytes: usize, packing: Duration, sending: Duration) {
        self.effort.took(bytes, packing, sending);
    }

    fn shrinks(&mut self, method: Method, slice: &[u8]) -> bool {
        let len = slice.len().min(LOOK);
        let from = (slice.len() - len) / 2;
        let (bytes, most) = (&slice[from..from + len], len / 16 * WORTH);
        match method {
            Method::Thorough => {
                self.buffer.resize(self.buffer.len().max(most), 0);
                // A destination that is too small is how the library says that it is not worth it.
                let buffer = &mut self.buffer[..most];
                self.look.as_mut().is_some_and(|look| look.compress_to_buffer(bytes, buffer).is_ok())
            }
            Method::Fast => {
                let room = block::get_maximum_output_size(len);
                self.buffer.resize(self.buffer.len().max(room), 0);
                block::compress_into(bytes, &mut self.buffer[..room]).is_ok_and(|len| len <= most)
            }
        }
    }
}

fn encoder() -> Option<Encoder<'static>> {
    let mut encoder = Encoder::new(LEVEL).ok()?;
    encoder.set_parameter(CParameter::WindowLog(PACKING_WINDOW_LOG)).ok()?;
    Some(encoder)
}

/// Appends a slice to the stream; how many bytes of the buffer it became.
fn append(stream: &mut Encoder<'static>, slice: &[u8], buffer: &mut [u8]) -> Option<usize> {
    let mut input = InBuffer::around(slice);
    let mut output = OutBuffer::around(buffer);
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
    /// Unpacks a slice into exactly its place; `place` has one byte more, which shows what is longer.
    pub(super) fn unpack(
        &mut self,
        method: Method,
        packed: &[u8],
        place: &mut [u8],
    ) -> Result<(), NotPacked> {
        let len = place.len() - 1;
        let unpacked = match method {
            Method::Fast => block::decompress_into(packed, place).map_err(|_| NotPacked)?,
            Method::Thorough => {
                if self.0.is_none() {
                    self.0 = decoder();
                }
                next(self.0.as_mut().ok_or(NotPacked)?, packed, place)?
            }
        };
        if unpacked == len { Ok(()) } else { Err(NotPacked) }
    }
}

/// Unpacks the next slice of the stream; how many bytes it has.
fn next(stream: &mut Decoder<'static>, packed: &[u8], place: &mut [u8]) -> Result<usize, NotPacked> {
    let mut input = InBuffer::around(packed);
    let mut output = OutBuffer::around(place);
    while input.pos() < packed.len() {
        let before = (input.pos(), output.pos());
        stream.run(&mut input, &mut output).map_err(|_| NotPacked)?;
        if before == (input.pos(), output.pos()) {
            return Err(NotPacked);
        }
    }
    Ok(output.pos())
}

fn decoder() -> Option<Decoder<'static>> {
    let mut decoder = Decoder::new().ok()?;
    // More memory than this nobody makes us take.
    decoder.set_parameter(DParameter::WindowLogMax(PACKING_WINDOW_LOG)).ok()?;
    Some(decoder)
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer")
            .field("effort", &self.effort)
            .field("blind", &self.blind)
            .finish_non_exhaustive()
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

    fn unpacked(
        unpacker: &mut Unpacker,
        (method, packed): (Method, &[u8]),
        len: usize,
    ) -> Result<Vec<u8>, NotPacked> {
        let mut place = vec![0; len + 1];
        unpacker.unpack(method, packed, &mut place)?;
        place.truncate(len);
        Ok(place)
    }

    /// One that packs in this way.
    fn packer(method: Method) -> Packer {
        Packer { effort: Effort { method, ..Effort::default() }, ..Packer::default() }
    }

    fn text(seed: usize) -> Vec<u8> {
        let lines = (0..4_000).map(|at| format!("{} took {} ms\n", at * seed % 97, at % 13));
        lines.collect::<String>().into_bytes()
    }

    #[test]
    fn what_was_sent_before_makes_the_next_slice_shorter() {
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        let mut lens = Vec::new();
        for seed in [5, 7, 5] {
            let text = text(seed);
            let (method, packed) = packer.pack(&text).expect("text shrinks");
            lens.push(packed.len());
            assert_eq!(unpacked(&mut unpacker, (method, packed), text.len()).unwrap(), text);
        }
        assert!(lens[2] * 4 < lens[0], "{lens:?}");
    }

    #[test]
    fn a_link_may_change_its_way_and_back() {
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        let text = text(5);
        for way in [Method::Thorough, Method::Fast, Method::Thorough, Method::Fast] {
            packer.effort.method = way;
            let (method, packed) = packer.pack(&text).expect("text shrinks");
            assert_eq!(method, way);
            assert!(packed.len() * 2 < text.len());
            assert_eq!(unpacked(&mut unpacker, (method, packed), text.len()).unwrap(), text);
        }
    }

    #[test]
    fn a_slow_link_is_worth_more_work_than_a_fast_one() {
        let ms = Duration::from_millis;
        let mut effort = Effort::default();
        let mut after = |packing, sending| {
            (0..4).for_each(|_| effort.took(MIB, ms(packing), ms(sending)));
            effort.method
        };
        assert_eq!(after(10, 20), Method::Thorough);
        assert_eq!(after(10, 9), Method::Fast);
        assert_eq!(after(10, 39), Method::Fast, "between the bounds it stays");
        assert_eq!(after(10, 41), Method::Thorough);
        assert_eq!(after(10, 11), Method::Thorough, "between the bounds it stays");
        effort.took(4 * MIB - 1, ms(10), ms(0));
        assert_eq!(effort.method, Method::Thorough, "too few bytes to know");
    }

    #[test]
    fn what_does_not_shrink_is_seldom_looked_at_and_text_after_it_is_found() {
        for method in [Method::Thorough, Method::Fast] {
            let mut packer = packer(method);
            let noise = noise(100_000);
            assert!((0..100).all(|_| packer.pack(&noise).is_none()));
            let text = vec![b'a'; 100_000];
            assert!((0..=BLIND_MAX).any(|_| packer.pack(&text).is_some()));
            assert!(packer.pack(&text).is_some());
        }
    }

    #[test]
    fn a_slice_that_only_looks_as_if_it_shrinks_is_sent_all_the_same() {
        for method in [Method::Thorough, Method::Fast] {
            let mut slice = noise(200_000);
            slice[95_000..105_000].fill(0);
            let mut packer = packer(method);
            let packed = packer.pack(&slice).expect("its middle shrinks");
            assert!(packed.1.len() <= packed_max(slice.len()));
            assert_eq!(unpacked(&mut Unpacker::default(), packed, slice.len()).unwrap(), slice);
        }
    }

    #[test]
    fn what_is_not_the_next_slice_is_none() {
        for method in [Method::Thorough, Method::Fast] {
            let text = vec![b'a'; 50_000];
            let mut packer = packer(method);
            let (_, packed) = packer.pack(&text).unwrap();
            let noise = noise(500);
            for (wrong, len) in
                [(packed, 49_999), (packed, 50_001), (&packed[..9], 50_000), (noise.as_slice(), 9_000)]
            {
                assert_eq!(unpacked(&mut Unpacker::default(), (method, wrong), len), Err(NotPacked));
            }
        }
    }

    #[test]
    fn short_slices_stay_as_they_are() {
        assert!(Packer::default().pack(&[0; LEN_MIN - 1]).is_none());
        assert!(Packer::default().pack(&[0; LEN_MIN]).is_some());
    }
}
