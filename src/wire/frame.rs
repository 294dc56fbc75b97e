//! Frames: a `u32` length (little endian), then that many bytes of body.
//!
//! The first byte of a body is the kind of message, so the length is checked against what its kind may have
//! before a byte of the body is kept.

use zeroize::Zeroize as _;

use super::WireError;

/// The bytes before a body.
pub const HEADER_LEN: usize = 4;

/// Appends one frame whose body `write_body` writes.
pub fn append(out: &mut Vec<u8>, write_body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    write_body(out);
    let body_len = u32::try_from(out.len() - start - HEADER_LEN).expect("bodies are far below 4 GiB");
    out[start..start + HEADER_LEN].copy_from_slice(&body_len.to_le_bytes());
}

/// Puts frames together from slices that end anywhere.
#[derive(Debug)]
pub struct Assembler {
    /// The longest body of each kind; none for kinds that do not exist.
    body_max: fn(kind: u8) -> Option<usize>,
    /// Header and body of the frame in the making, as far as they came.
    partial: Vec<u8>,
}

impl Assembler {
    /// An assembler for a protocol in which a body of some kind may have `body_max(kind)` bytes.
    #[must_use]
    pub const fn new(body_max: fn(u8) -> Option<usize>) -> Assembler {
        Assembler { body_max, partial: Vec::new() }
    }

    /// Takes what it needs from the front of `input` and returns the kind and body of the next frame, or
    /// none if `input` is used up first.
    ///
    /// # Errors
    /// The frame is of no known kind or has a length that its kind cannot have. The stream cannot be read
    /// any further.
    pub fn next<'a>(&'a mut self, input: &mut &[u8]) -> Result<Option<(u8, Body<'a>)>, WireError> {
        // The header and the kind come first: the only bytes that are kept without a checked length.
        if !self.fill(input, HEADER_LEN + 1) {
            return Ok(None);
        }
        let len = u32::from_le_bytes([self.partial[0], self.partial[1], self.partial[2], self.partial[3]]);
        let kind = self.partial[HEADER_LEN];
        let max = (self.body_max)(kind).ok_or(WireError::Kind(kind))?;
        let body_len = usize::try_from(len)
            .ok()
            .filter(|len| (1..=max).contains(len))
            .ok_or(WireError::FrameLen { kind, len })?;
        if !self.fill(input, HEADER_LEN + body_len) {
            return Ok(None);
        }
        Ok(Some((kind, Body(&mut self.partial))))
    }

    /// Whether `partial` holds `len` bytes after taking what was lacking from `input`.
    fn fill(&mut self, input: &mut &[u8], len: usize) -> bool {
        let lacking = len.saturating_sub(self.partial.len()).min(input.len());
        let (taken, rest) = input.split_at(lacking);
        self.partial.extend_from_slice(taken);
        *input = rest;
        self.partial.len() >= len
    }
}

/// A whole body; dropping it makes room for the next frame.
#[derive(Debug)]
pub struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    /// The bytes, the kind first.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0[HEADER_LEN..]
    }

    /// Overwrites the bytes.
    pub fn wipe(self) {
        self.0.zeroize();
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Kind k may have 10 × k bytes; kind 0 does not exist.
    fn body_max(kind: u8) -> Option<usize> {
        (kind > 0).then_some(usize::from(kind) * 10)
    }

    fn all(assembler: &mut Assembler, mut input: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
        let mut bodies = Vec::new();
        while let Some((kind, body)) = assembler.next(&mut input)? {
            assert_eq!(body.bytes()[0], kind);
            bodies.push(body.bytes().to_vec());
        }
        assert!(input.is_empty());
        Ok(bodies)
    }

    #[test]
    fn a_giant_length_is_refused_before_its_body() {
        let mut assembler = Assembler::new(body_max);
        let mut input: &[u8] = &[0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(assembler.next(&mut input).unwrap_err(), WireError::FrameLen { kind: 1, len: u32::MAX });
        assert!(assembler.partial.capacity() < 64);
    }

    #[test]
    fn empty_and_unknown_frames_are_refused() {
        let mut input: &[u8] = &[0, 0, 0, 0, 1];
        assert!(Assembler::new(body_max).next(&mut input).is_err());
        let mut input: &[u8] = &[1, 0, 0, 0, 0];
        assert_eq!(Assembler::new(body_max).next(&mut input).unwrap_err(), WireError::Kind(0));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            bodies in proptest::collection::vec((1u8..20, proptest::collection::vec(any::<u8>(), 0..9)), 0..20),
            cuts in proptest::collection::vec(0usize..40, 0..40),
        ) {
            let mut stream = Vec::new();
            for (kind, rest) in &bodies {
                append(&mut stream, |out| { out.push(*kind); out.extend_from_slice(rest); });
            }
            let mut assembler = Assembler::new(body_max);
            let (mut rest, mut seen) = (stream.as_slice(), Vec::new());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                seen.extend(all(&mut assembler, head).unwrap());
                rest = tail;
            }
            seen.extend(all(&mut assembler, rest).unwrap());
            let expected: Vec<Vec<u8>> =
                bodies.iter().map(|(kind, rest)| [&[*kind], rest.as_slice()].concat()).collect();
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn any_bytes_end_in_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut assembler = Assembler::new(body_max);
            let mut input = bytes.as_slice();
            while let Ok(Some(_)) = assembler.next(&mut input) {}
            prop_assert!(assembler.partial.len() <= HEADER_LEN + 2_550);
        }
    }
}
