//! Several parts side by side: which slices share the CPU, and how each one ends.
//!
//! It knows padding (FIPS 180-4, section 5.1.1) and the order of work, not how a block is hashed.

use super::block::{BLOCK_LEN, Block, INITIAL, State};
use super::cpu::{Cpu, LANES, Taken};
use super::{DIGEST_LEN, Digest};

/// Parts whose first bytes may have been taken in already: as many of each, in whole blocks.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    states: Vec<State>,
    /// How many bytes of each part.
    taken: u64,
}

impl Begun {
    /// So many parts of which nothing was taken in.
    pub(super) fn new(count: usize) -> Begun {
        Begun { states: vec![INITIAL; count], taken: 0 }
    }

    /// Takes in the next blocks of each part, as many of each.
    ///
    /// # Panics
    /// There are more or fewer parts than at first.
    pub(super) fn take_in(&mut self, cpu: Cpu, parts: &[&[u8]]) {
        assert_eq!(self.states.len(), parts.len(), "the same parts go on");
        self.taken += parts.first().map_or(0, |part| part.len() as u64);
        for (states, parts) in self.states.chunks_mut(LANES).zip(parts.chunks(LANES)) {
            let mut lanes: Vec<(&mut State, &[Block])> =
                states.iter_mut().zip(parts.iter().map(|part| part.as_chunks().0)).collect();
            cpu.compress(&mut lanes, |(state, blocks)| (state, blocks));
        }
    }

    /// Fills in the digest of each part, with what is left of it; both slices have the same length.
    pub(super) fn finish(self, cpu: Cpu, ends: &[&[u8]], digests: &mut [Digest]) {
        let taken = self.taken;
        let mut waiting = ends
            .iter()
            .zip(self.states)
            .zip(digests)
            .map(|((end, state), digest)| Lane::new(state, taken, end, digest));
        let mut lanes: Vec<Lane<'_>> = waiting.by_ref().take(LANES).collect();
        // All go as far as the first of them that ends something; where that was a part, one that waits takes its
        // place, or the others go on without it.
        while let Some(count) = lanes.iter().map(Lane::ready).min() {
            cpu.compress(&mut lanes, |lane| lane.take(count));
            let mut at = 0;
            while let Some(lane) = lanes.get_mut(at) {
                if lane.ready() > 0 {
                    at += 1;
                    continue;
                }
                lane.finish();
                match waiting.next() {
                    Some(next) => *lane = next,
                    None => drop(lanes.swap_remove(at)),
                }
            }
        }
    }
}

/// One part on its way through the CPU.
struct Lane<'a> {
    state: State,
    /// The whole blocks of the part that are still to be taken in.
    body: &'a [Block],
    /// The end of the part with its padding: one block, the second, or both.
    tail: [Block; 2],
    /// Which block of the tail is the next to be taken in; the body comes first.
    tail_next: usize,
    digest: &'a mut Digest,
}

impl<'a> Lane<'a> {
    /// A part of which `taken` bytes have led to `state`, and `part` is left.
    fn new(state: State, taken: u64, part: &'a [u8], digest: &'a mut Digest) -> Lane<'a> {
        const BITS_LEN: usize = size_of::<u64>();
        let (body, end) = part.as_chunks::<BLOCK_LEN>();
        let mut tail = [[0; BLOCK_LEN]; 2];
        // The end of the part, a one bit and its byte, the number of bits: where they fit, one block is enough.
        let tail_next = usize::from(end.len() + 1 + BITS_LEN <= BLOCK_LEN);
        tail[tail_next][..end.len()].copy_from_slice(end);
        tail[tail_next][end.len()] = 0x80;
        let bits = (taken + part.len() as u64) * 8;
        tail[1][BLOCK_LEN - BITS_LEN..].copy_from_slice(&bits.to_be_bytes());
        Lane { state, body, tail, tail_next, digest }
    }

    /// How many blocks lie in a row, ready to be taken in; 0 only at the end.
    fn ready(&self) -> usize {
        if self.body.is_empty() { self.tail.len() - self.tail_next } else { self.body.len() }
    }

    /// The next `count` blocks, which are ready, and the state that they go into.
    fn take(&mut self, count: usize) -> Taken<'_> {
        if self.body.is_empty() {
            let first = self.tail_next;
            self.tail_next += count;
            return (&mut self.state, &self.tail[first..self.tail_next]);
        }
        let (taken, rest) = self.body.split_at(count);
        self.body = rest;
        (&mut self.state, taken)
    }

    /// Writes the digest, once nothing is left to be taken in.
    fn finish(&mut self) {
        let mut bytes = [0; DIGEST_LEN];
        for (bytes, word) in bytes.chunks_exact_mut(size_of::<u32>()).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        *self.digest = Digest::from_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that repeat only after far more than a block.
    fn noise(len: usize) -> Vec<u8> {
        let mut generator = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| generator.u8(..)).take(len).collect()
    }

    /// Compares the lanes with the `sha1` crate.
    fn check(parts: &[&[u8]]) {
        let expected: Vec<Digest> = parts.iter().map(|part| Digest::of(part)).collect();
        for cpu in Cpu::every() {
            let mut digests = vec![Digest::from_bytes([0; DIGEST_LEN]); parts.len()];
            Begun::new(parts.len()).finish(cpu, parts, &mut digests);
            let lens = || parts.iter().map(|part| part.len()).collect::<Vec<_>>();
            assert_eq!(digests, expected, "parts with {:?} bytes by {cpu:?}", lens());
        }
    }

    #[test]
    fn every_length_in_every_number_of_lanes() {
        let bytes = noise(400);
        for count in 0..=LANES {
            for len in 0..=300 {
                let parts: Vec<&[u8]> = (0..count).map(|at| &bytes[at * 7..at * 7 + len]).collect();
                check(&parts);
            }
        }
    }

    #[test]
    fn every_pair_of_ends() {
        let bytes = noise(3 * BLOCK_LEN);
        for first in 0..=2 * BLOCK_LEN {
            for second in 0..=2 * BLOCK_LEN {
                check(&[&bytes[..first], &bytes[1..1 + second]]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_parts_at_any_place(
            cuts in proptest::collection::vec((0usize..4_096, 0usize..6_000), 0..=17),
        ) {
            let bytes = noise(4_096 + 6_000);
            let parts: Vec<&[u8]> = cuts.iter().map(|&(start, len)| &bytes[start..start + len]).collect();
            check(&parts);
        }
    }
}
