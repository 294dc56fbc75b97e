//! SHA-1 block by block with the SHA extensions of x86 (Intel, Goldmont 2016; AMD, Zen 2017), several lanes at
//! a time.
//!
//! Four rounds of a stream wait for the four before, so one stream leaves the CPU idle part of the time; a few
//! lanes side by side fill the gaps.
//! To be read with FIPS 180-4, section 6.1, and Intel's paper on the SHA extensions (2013) at hand.
//! This room knows neither padding nor digests.
//!
//! # Why this is sound
//!
//! `unsafe` stands in three places:
//! - [`ShaNi::compress`] runs code for a CPU with certain features; a [`ShaNi`] exists only where they were
//!   detected.
//! - `is_from_amd` asks the CPU who made it, which every x86_64 CPU answers.
//! - `load` reads 16 bytes through a pointer; the pointer is made from a reference to exactly 16 bytes, and the
//!   instruction asks for no alignment.
//!
//! Everything else works on vectors and arrays by value or reference, which the compiler checks.

#![allow(unsafe_code)]

use std::arch::x86_64::{
    __cpuid, __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_or_si128,
    _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128, _mm_sha1msg1_epu32, _mm_sha1msg2_epu32,
    _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8, _mm_slli_epi32, _mm_srli_epi32,
    _mm_xor_si128,
};
use std::sync::LazyLock;

use super::block::{Block, State};

/// How many lanes side by side are worth it: GB/s of one core with 1 to 6 lanes (`cargo bench --bench hashing`, and a
/// prototype for 5 and 6) on Genoa 1.9, 3.5, 4.1, 4.6, 5.0, 4.8 (`sha1` crate: 1.9), on Emerald Rapids 1.8, 2.2, 2.3, 2.4,
/// 2.4, 2.3 (`sha1` crate: 1.6).
pub(super) const SHA_NI: usize = 4;

/// SHA-1 takes 80 rounds for a block; the instructions do four at a time, a group.
const GROUPS: usize = 20;

/// The right to run [`ShaNi::compress`].
///
/// Invariant: made only by [`ShaNi::detect`], where the CPU has every feature that `compress` enables.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShaNi {
    /// Whether `sha1msg2` is worth its time here; see [`next_words`].
    has_fast_msg2: bool,
}

impl ShaNi {
    /// The right to use the SHA extensions, if this CPU has them. The answer is cached.
    pub(super) fn detect() -> Option<ShaNi> {
        let present = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse2")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        // The instruction that tells leaves a virtual machine each time, and this is asked for each few parts.
        static IS_FROM_AMD: LazyLock<bool> = LazyLock::new(is_from_amd);
        present.then(|| ShaNi { has_fast_msg2: *IS_FROM_AMD })
    }

    /// Whether `sha1msg2` is fast here.
    pub(super) const fn has_fast_msg2(self) -> bool {
        self.has_fast_msg2
    }

    /// Takes the blocks of each lane into its state, all lanes at the same pace.
    ///
    /// # Panics
    /// The lanes have different numbers of blocks.
    pub(super) fn compress<const N: usize>(self, lanes: [(&mut State, &[Block]); N]) {
        // SAFETY: the features that `compress` enables were detected when `self` was made.
        unsafe { if self.has_fast_msg2 { compress::<N, true>(lanes) } else { compress::<N, false>(lanes) } }
    }
}

/// Whether AMD made this CPU, or Hygon after AMD's plans.
fn is_from_amd() -> bool {
    // SAFETY: every x86_64 CPU has the instruction and its first leaf.
    // Newer compilers know that, and call it safe.
    #[allow(unused_unsafe)]
    let leaf = unsafe { __cpuid(0) };
    let vendor = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).concat();
    [b"AuthenticAMD", b"HygonGenuine"].iter().any(|known| vendor == **known)
}

// AVX must stay off: a SHA instruction after one that writes upper halves of registers costs 130 ns instead of
// 1.3 (Emerald Rapids).
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress<const N: usize, const MSG2: bool>(lanes: [(&mut State, &[Block]); N]) {
    let count = lanes.first().map_or(0, |(_, blocks)| blocks.len());
    assert!(lanes.iter().all(|(_, blocks)| blocks.len() == count), "lanes go at the same pace");
    let mut running: [Lane; N] = std::array::from_fn(|at| Lane::new(lanes[at].0));
    for index in 0..count {
        let before = running.each_ref().map(|lane| (lane.abcd, lane.e));
        for (lane, (_, blocks)) in running.iter_mut().zip(&lanes) {
            lane.take_in(&blocks[index]);
        }
        for group in 0..5 {
            four_rounds::<N, 0, MSG2>(&mut running, group);
        }
        for group in 5..10 {
            four_rounds::<N, 1, MSG2>(&mut running, group);
        }
        for group in 10..15 {
            four_rounds::<N, 2, MSG2>(&mut running, group);
        }
        for group in 15..20 {
            four_rounds::<N, 3, MSG2>(&mut running, group);
        }
        for (lane, (abcd, e)) in running.iter_mut().zip(before) {
            lane.add(abcd, e);
        }
    }
    for (lane, (state, _)) in running.iter().zip(lanes) {
        *state = lane.state();
    }
}

/// The rounds 4 × `group` to 4 × `group` + 3 of every lane, with function and constant number `F` (FIPS 180-4,
/// sections 4.1.1 and 4.2.1).
///
/// The lanes take turns here, after each group: often enough that the CPU sees work of several lanes at once.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline]
fn four_rounds<const N: usize, const F: i32, const MSG2: bool>(lanes: &mut [Lane; N], group: usize) {
    for lane in lanes {
        if group >= 4 {
            lane.words[group] = next_words::<MSG2>(&lane.words, group);
        }
        let words = lane.words[group];
        let words_and_e =
            if group == 0 { _mm_add_epi32(lane.e, words) } else { _mm_sha1nexte_epu32(lane.e, words) };
        lane.e = lane.abcd;
        lane.abcd = _mm_sha1rnds4_epu32::<F>(lane.abcd, words_and_e);
    }
}

/// The words of a group from those of earlier groups; `group` is at least 4 (FIPS 180-4, section 6.1.2, step 1):
///
/// ```text
/// W[t] = rotl1(W[t-3] ^ W[t-8] ^ W[t-14] ^ W[t-16])
/// ```
///
/// The last word of a group depends on its first through W\[t-3\]. `sha1msg2` solves that: at once on AMD's
/// CPUs (with it, four lanes make 4.6 GB/s on Genoa instead of 3.1), slowly on Intel's, where it takes longer
/// than the four rounds that its words are for (Emerald Rapids).
/// From t = 32 on there is a way round: the same equation put in for each of the four words, what stands there
/// twice cancelled, gives
///
/// ```text
/// W[t] = rotl2(W[t-6] ^ W[t-16] ^ W[t-28] ^ W[t-32])
/// ```
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline]
fn next_words<const MSG2: bool>(words: &[__m128i; GROUPS], group: usize) -> __m128i {
    if group < 8 || MSG2 {
        let mixed = _mm_sha1msg1_epu32(words[group - 4], words[group - 3]);
        return _mm_sha1msg2_epu32(_mm_xor_si128(mixed, words[group - 2]), words[group - 1]);
    }
    // The last two words of one group and the first two of the next.
    let six_back = _mm_alignr_epi8::<8>(words[group - 2], words[group - 1]);
    let mixed = _mm_xor_si128(
        _mm_xor_si128(words[group - 8], words[group - 7]),
        _mm_xor_si128(words[group - 4], six_back),
    );
    _mm_or_si128(_mm_slli_epi32::<2>(mixed), _mm_srli_epi32::<30>(mixed))
}

/// One stream. In each vector the first of four words stands in the highest place, as the instructions want it.
struct Lane {
    /// The words a, b, c and d before the next group of rounds.
    abcd: __m128i,
    /// What e comes from. Between blocks e itself, in the highest place; within a block `abcd` as it was four
    /// rounds ago: its a, which `sha1nexte` rotates, is the e of now.
    e: __m128i,
    /// The message schedule: group g holds the words W\[4g\] to W\[4g + 3\].
    words: [__m128i; GROUPS],
}

impl Lane {
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn new(state: &State) -> Lane {
        let [a, b, c, d, e] = state.map(u32::cast_signed);
        Lane {
            abcd: _mm_set_epi32(a, b, c, d),
            e: _mm_set_epi32(e, 0, 0, 0),
            words: [_mm_setzero_si128(); GROUPS],
        }
    }

    /// The state between two blocks.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn state(&self) -> State {
        [
            _mm_extract_epi32::<3>(self.abcd),
            _mm_extract_epi32::<2>(self.abcd),
            _mm_extract_epi32::<1>(self.abcd),
            _mm_extract_epi32::<0>(self.abcd),
            _mm_extract_epi32::<3>(self.e),
        ]
        .map(i32::cast_unsigned)
    }

    /// Begins the message schedule with the sixteen words of the block.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn take_in(&mut self, block: &Block) {
        // Moves the last byte to the first place and so on: big-endian words, the first one highest.
        let backwards = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
        let (quarters, _) = block.as_chunks::<16>();
        for (words, quarter) in self.words.iter_mut().zip(quarters) {
            *words = _mm_shuffle_epi8(load(quarter), backwards);
        }
    }

    /// Ends a block: adds the state before it.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn add(&mut self, abcd: __m128i, e: __m128i) {
        self.abcd = _mm_add_epi32(self.abcd, abcd);
        self.e = _mm_sha1nexte_epu32(self.e, e);
    }
}

/// The bytes as a vector, the first one lowest.
#[inline]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the pointer is good for reading 16 bytes, and `loadu` asks for no alignment.
    // SSE2, which it needs, is part of every x86_64 CPU.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[cfg(test)]
mod tests {
    use super::super::block::{BLOCK_LEN, INITIAL};
    use super::*;

    #[test]
    fn every_lane_goes_its_own_way() {
        let Some(detected) = ShaNi::detect() else { return eprintln!("skipped: needs the SHA extensions") };
        for has_fast_msg2 in [detected.has_fast_msg2, !detected.has_fast_msg2] {
            check(ShaNi { has_fast_msg2 });
        }
    }

    /// FIPS 180-4, example "abc", and the `sha1` crate for lanes that differ in every block.
    fn check(cpu: ShaNi) {
        let mut abc = [0; BLOCK_LEN];
        abc[..4].copy_from_slice(b"abc\x80");
        abc[63] = 24;
        let mut state = INITIAL;
        cpu.compress([(&mut state, &[abc])]);
        assert_eq!(state, [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d]);

        let blocks: [[Block; 3]; 3] = std::array::from_fn(|lane| {
            std::array::from_fn(|index| {
                std::array::from_fn(|at| (lane * 91 + index * 37 + at * 7).to_le_bytes()[0])
            })
        });
        let mut expected = [INITIAL, state, [0; 5]];
        let [mut first, mut second, mut third] = expected;
        for (state, blocks) in expected.iter_mut().zip(&blocks) {
            sha1::block_api::compress(state, blocks);
        }
        cpu.compress([(&mut first, &blocks[0]), (&mut second, &blocks[1]), (&mut third, &blocks[2])]);
        assert_eq!([first, second, third], expected);
        cpu.compress([(&mut first, &[]), (&mut second, &[])]);
        assert_eq!([first, second], expected[..2], "no blocks change nothing");
    }
}
