//! Several parts side by side: which slices share the CPU, and how each one ends.
//!
//! It knows padding (FIPS 180-4, section 5.1.1) and the order of work, not how a block is hashed.

use super::sha_ni::{BLOCK_LEN, Block, INITIAL, ShaNi, State};
use super::{DIGEST_LEN, Digest, LANES};

/// Fills in the digest of each part; both slices have the same length.
pub(super) fn fill(cpu: ShaNi, parts: &[&[u8]], digests: &mut [Digest]) {
    fill_on(cpu, Begun::default(), parts, digests);
}

/// Parts whose first bytes were taken in already, as many of each, in whole blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun {
    /// The state of each part; none stands for a part of which nothing was taken in.
    states: Vec<State>,
    /// How many bytes of each.
    taken: u64,
}

impl Begun {
    /// Takes in the next blocks of each part.
    ///
    /// # Panics
    /// There are other parts than before, or they do not all have as many blocks.
    pub(super) fn take_in(&mut self, cpu: ShaNi, parts: &[&[u8]]) {
        if self.taken == 0 {
            self.states = vec![INITIAL; parts.len()];
        }
        assert_eq!(self.states.len(), parts.len(), "the same parts go on");
        let len = parts.first().map_or(0, |part| part.len());
        assert!(len.is_multiple_of(BLOCK_LEN), "blocks are whole");
        self.taken += len as u64;
        for (states, parts) in self.states.chunks_mut(LANES).zip(parts.chunks(LANES)) {
            let mut lanes: Vec<(&mut State, &[Block])> =
                states.iter_mut().zip(parts.iter().map(|part| part.as_chunks().0)).collect();
            compress(cpu, &mut lanes);
        }
    }

    /// The digests of all parts, with what is left of each.
    pub(super) fn finish(self, cpu: ShaNi, ends: &[&[u8]], digests: &mut [Digest]) {
        fill_on(cpu, self, ends, digests);
    }
}

fn fill_on(cpu: ShaNi, begun: Begun, parts: &[&[u8]], digests: &mut [Digest]) {
    let states = begun.states.into_iter().chain(std::iter::repeat(INITIAL));
    let mut waiting = parts
        .iter()
        .zip(states)
        .zip(digests)
        .map(|((part, state), digest)| Lane::new(state, begun.taken, part, digest));
    let mut lanes: Vec<Lane<'_>> = waiting.by_ref().take(LANES).collect();
    // All go as far as the first of them that ends something; where that was a part, one that waits takes its
    // place, or the others go on without it.
    while let Some(count) = lanes.iter().map(Lane::ready).min() {
        advance(cpu, &mut lanes, count);
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

/// Takes in the next `count` blocks of every lane.
fn advance(cpu: ShaNi, lanes: &mut [Lane<'_>], count: usize) {
    let mut taken: Vec<(&mut State, &[Block])> = lanes.iter_mut().map(|lane| lane.take(count)).collect();
    compress(cpu, &mut taken);
}

/// Takes some blocks into each state, as many into each.
fn compress(cpu: ShaNi, lanes: &mut [(&mut State, &[Block])]) {
    const { assert!(LANES == 4, "there is a case for every number of lanes") };
    match lanes {
        [] => {}
        [a] => cpu.compress([on(a)]),
        [a, b] => cpu.compress([on(a), on(b)]),
        [a, b, c] => cpu.compress([on(a), on(b), on(c)]),
        [a, b, c, d, ..] => cpu.compress([on(a), on(b), on(c), on(d)]),
    }
}

fn on<'l>(lane: &'l mut (&mut State, &[Block])) -> (&'l mut State, &'l [Block]) {
    (lane.0, lane.1)
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
    fn take(&mut self, count: usize) -> (&mut State, &[Block]) {
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
        let Some(cpu) = ShaNi::detect() else { return eprintln!("skipped: needs the SHA extensions") };
        let mut digests = vec![Digest::from_bytes([0; DIGEST_LEN]); parts.len()];
        fill(cpu, parts, &mut digests);
        for (at, (part, digest)) in parts.iter().zip(digests).enumerate() {
            let lens = || parts.iter().map(|part| part.len()).collect::<Vec<_>>();
            assert_eq!(digest, Digest::of(part), "part {at} of parts with {:?} bytes", lens());
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
