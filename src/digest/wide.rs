//! SHA-1 block by block in vectors: eight lanes at a time, a word of each in one vector.
//!
//! It takes as long for one lane as for eight, so it is for many parts at a time; the SHA extensions are faster for few.
//! To be read with FIPS 180-4, section 6.1, at hand; its words and functions have the same names here.
//! This room knows neither padding nor digests.
//!
//! # Why this is sound
//!
//! `unsafe` stands for two reasons:
//! - [`Wide::compress`] runs code for a CPU with certain features; a [`Wide`] exists only where they were detected.
//! - `load` and `load_bytes` read 32 bytes through a pointer, and `store` writes them; the pointers are made from
//!   references to exactly 32 bytes, and the instructions ask for no alignment.
//!
//! Everything else works on vectors and arrays by value or reference, which the compiler checks.

#![allow(unsafe_code)]

use super::block::{Block, State};

/// How many lanes there are.
pub(super) const WIDE: usize = 8;

/// The right to run [`Wide::compress`].
///
/// Invariant: made only by [`Wide::with`], where the CPU has every feature that the variant's code enables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide(Vectors);

/// What the vectors of this CPU can do. The same source is compiled for both; AVX-512 rotates, and mixes three words, with
/// one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vectors {
    /// AVX-512 F and VL (Intel, Skylake-SP 2017; AMD, Zen 4 2022).
    Avx512,
    /// AVX2 (Intel, Haswell 2013; AMD, Excavator 2015).
    Avx2,
}

impl Wide {
    /// The right to use the best vectors that this CPU has. The answer is cached.
    pub(super) fn detect() -> Option<Wide> {
        Wide::with(Vectors::Avx512).or_else(|| Wide::with(Vectors::Avx2))
    }

    /// The right to use these vectors, if this CPU has them.
    pub(super) fn with(vectors: Vectors) -> Option<Wide> {
        let avx2 = is_x86_feature_detected!("avx2");
        let present = match vectors {
            Vectors::Avx512 => {
                avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
            }
            Vectors::Avx2 => avx2,
        };
        present.then_some(Wide(vectors))
    }

    /// What it uses.
    pub(super) const fn vectors(self) -> Vectors {
        self.0
    }

    /// Takes the blocks of each lane into its state, all lanes at the same pace.
    ///
    /// # Panics
    /// The lanes have different numbers of blocks.
    pub(super) fn compress(self, lanes: [(&mut State, &[Block]); WIDE]) {
        // SAFETY: the features that either function enables were detected when `self` was made.
        unsafe {
            match self.0 {
                Vectors::Avx512 => avx512::compress(lanes),
                Vectors::Avx2 => avx2::compress(lanes),
            }
        }
    }
}

/// The rounds with these numbers, on the hash words `h` with the schedule `w`.
macro_rules! rounds {
    ($h:ident $w:ident: $($number:literal)*) => { $( $h = round::<$number>($h, $w); )* };
}

/// The code for a CPU with these features, which has these functions of words; only what all of it is compiled for can be
/// inlined into one loop.
macro_rules! compiled_for {
    ($name:ident, $features:literal, $($function:item)*) => {
        mod $name {
            use std::arch::x86_64::{
                __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_permute2x128_si256, _mm256_set1_epi32,
                _mm256_set_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_storeu_si256,
                _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
                _mm256_xor_si256,
            };

            use super::WIDE;
            use crate::digest::block::{BLOCK_LEN, Block, State};

            /// One word of each lane.
            type Words = __m256i;
            /// How many bytes of a block one vector holds.
            const HALF: usize = BLOCK_LEN / 2;

            #[target_feature(enable = $features)]
            pub(super) fn compress(lanes: [(&mut State, &[Block]); WIDE]) {
                let count = lanes[0].1.len();
                assert!(lanes.iter().all(|(_, blocks)| blocks.len() == count), "lanes go at the same pace");
                let mut hash: [Words; 5] =
                    std::array::from_fn(|word| load(&std::array::from_fn(|lane| lanes[lane].0[word])));
                // Of one length that the compiler knows, so it checks no bounds in the loop.
                let blocks: [&[Block]; WIDE] = std::array::from_fn(|lane| &lanes[lane].1[..count]);
                for index in 0..count {
                    let mut schedule = words_of(&std::array::from_fn(|lane| &blocks[lane][index]));
                    let after = eighty_rounds(hash, &mut schedule);
                    for (hash, after) in hash.iter_mut().zip(after) {
                        *hash = _mm256_add_epi32(*hash, after);
                    }
                }
                let hash = hash.map(|words| store(words));
                for (lane, (state, _)) in lanes.into_iter().enumerate() {
                    *state = std::array::from_fn(|word| hash[word][lane]);
                }
            }

            /// The words W\[0\] to W\[15\]: what stands in a row in each block, transposed.
            #[target_feature(enable = $features)]
            #[inline]
            fn words_of(blocks: &[&Block; WIDE]) -> [Words; 16] {
                let mut words = [_mm256_setzero_si256(); 16];
                // Big-endian words: the last of each four bytes comes first.
                let swapped = _mm256_set_epi64x(
                    0x0c0d_0e0f_0809_0a0b,
                    0x0405_0607_0001_0203,
                    0x0c0d_0e0f_0809_0a0b,
                    0x0405_0607_0001_0203,
                );
                for (half, words) in words.as_chunks_mut::<WIDE>().0.iter_mut().enumerate() {
                    let rows: [Words; WIDE] = std::array::from_fn(|lane| {
                        let (halves, _) = blocks[lane].as_chunks::<HALF>();
                        _mm256_shuffle_epi8(load_bytes(&halves[half]), swapped)
                    });
                    *words = transposed(rows);
                }
                words
            }

            /// Rows become columns: in pairs, then in fours, then across the halves of the vectors.
            #[target_feature(enable = $features)]
            #[inline]
            fn transposed(rows: [Words; WIDE]) -> [Words; WIDE] {
                let [a, b, c, d, e, f, g, h] = rows;
                let four = |a, b, c, d| {
                    let (low, high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
                    let (next_low, next_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
                    [
                        _mm256_unpacklo_epi64(low, next_low),
                        _mm256_unpackhi_epi64(low, next_low),
                        _mm256_unpacklo_epi64(high, next_high),
                        _mm256_unpackhi_epi64(high, next_high),
                    ]
                };
                let (upper, lower) = (four(a, b, c, d), four(e, f, g, h));
                std::array::from_fn(|at| {
                    let (upper, lower) = (upper[at % 4], lower[at % 4]);
                    if at < 4 {
                        _mm256_permute2x128_si256::<0x20>(upper, lower)
                    } else {
                        _mm256_permute2x128_si256::<0x31>(upper, lower)
                    }
                })
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn eighty_rounds(hash: [Words; 5], w: &mut [Words; 16]) -> [Words; 5] {
                let mut h = hash;
                // Each round names its number, so that the compiler keeps all words in registers.
                rounds!(h w: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
                rounds!(h w: 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
                rounds!(h w: 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
                rounds!(h w: 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
                h
            }

            /// FIPS 180-4, section 6.1.2, step 3, with the functions and constants of 4.1.1 and 4.2.1.
            #[target_feature(enable = $features)]
            #[inline]
            fn round<const T: usize>([a, b, c, d, e]: [Words; 5], w: &mut [Words; 16]) -> [Words; 5] {
                let (f, k) = match T / 20 {
                    0 => (choice(b, c, d), 0x5a82_7999_u32),
                    1 => (parity(b, c, d), 0x6ed9_eba1),
                    2 => (majority(b, c, d), 0x8f1b_bcdc),
                    _ => (parity(b, c, d), 0xca62_c1d6),
                };
                // The last sum waits for the round before; the others do not.
                let ahead =
                    _mm256_add_epi32(e, _mm256_add_epi32(word::<T>(w), _mm256_set1_epi32(k.cast_signed())));
                let next = _mm256_add_epi32(_mm256_add_epi32(ahead, f), rotated::<5, 27>(a));
                [next, a, rotated::<30, 2>(b), c, d]
            }

            /// W\[T\], which takes the place of W\[T-16\] (section 6.1.3).
            #[target_feature(enable = $features)]
            #[inline]
            fn word<const T: usize>(w: &mut [Words; 16]) -> Words {
                if T >= 16 {
                    let three = parity(w[(T - 3) % 16], w[(T - 8) % 16], w[(T - 14) % 16]);
                    w[T % 16] = rotated::<1, 31>(_mm256_xor_si256(three, w[T % 16]));
                }
                w[T % 16]
            }

            $($function)*

            #[target_feature(enable = $features)]
            #[inline]
            fn load(words: &[u32; WIDE]) -> Words {
                // SAFETY: the pointer is good for reading 32 bytes, and `loadu` asks for no alignment.
                unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn load_bytes(bytes: &[u8; HALF]) -> Words {
                // SAFETY: the pointer is good for reading 32 bytes, and `loadu` asks for no alignment.
                unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn store(words: Words) -> [u32; WIDE] {
                let mut stored = [0; WIDE];
                // SAFETY: the pointer is good for writing 32 bytes, and `storeu` asks for no alignment.
                unsafe { _mm256_storeu_si256(stored.as_mut_ptr().cast(), words) };
                stored
            }
        }
    };
}

compiled_for! {
    avx512, "avx2,avx512f,avx512vl",

    // The numbers are what comes of 111, 110, ... 000. Written with the others' instructions the compiler would mix words
    // in another order, and run out of registers.
    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn choice(x: Words, y: Words, z: Words) -> Words {
        std::arch::x86_64::_mm256_ternarylogic_epi32::<0b1100_1010>(x, y, z)
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn parity(x: Words, y: Words, z: Words) -> Words {
        std::arch::x86_64::_mm256_ternarylogic_epi32::<0b1001_0110>(x, y, z)
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn majority(x: Words, y: Words, z: Words) -> Words {
        std::arch::x86_64::_mm256_ternarylogic_epi32::<0b1110_1000>(x, y, z)
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn rotated<const LEFT: i32, const RIGHT: i32>(words: Words) -> Words {
        std::arch::x86_64::_mm256_rol_epi32::<LEFT>(words)
    }
}

compiled_for! {
    avx2, "avx2",

    #[target_feature(enable = "avx2")]
    #[inline]
    fn choice(x: Words, y: Words, z: Words) -> Words {
        use std::arch::x86_64::_mm256_and_si256;
        _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn parity(x: Words, y: Words, z: Words) -> Words {
        _mm256_xor_si256(_mm256_xor_si256(x, y), z)
    }

    /// The first, unless both others say otherwise.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn majority(x: Words, y: Words, z: Words) -> Words {
        use std::arch::x86_64::_mm256_and_si256;
        _mm256_xor_si256(x, _mm256_and_si256(_mm256_xor_si256(x, y), _mm256_xor_si256(x, z)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn rotated<const LEFT: i32, const RIGHT: i32>(words: Words) -> Words {
        use std::arch::x86_64::{_mm256_or_si256, _mm256_slli_epi32, _mm256_srli_epi32};
        const { assert!(LEFT + RIGHT == 32, "nothing is lost") };
        _mm256_or_si256(_mm256_slli_epi32::<LEFT>(words), _mm256_srli_epi32::<RIGHT>(words))
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{BLOCK_LEN, INITIAL};
    use super::*;

    /// FIPS 180-4, example "abc", and the `sha1` crate for lanes that differ in every block.
    #[test]
    fn every_lane_goes_its_own_way() {
        for vectors in [Vectors::Avx512, Vectors::Avx2] {
            let Some(wide) = Wide::with(vectors) else {
                eprintln!("skipped: needs {vectors:?}");
                continue;
            };
            let mut abc = [0; BLOCK_LEN];
            abc[..4].copy_from_slice(b"abc\x80");
            abc[63] = 24;
            let mut states = [INITIAL; WIDE];
            wide.compress(states.each_mut().map(|state| (state, std::slice::from_ref(&abc))));
            assert_eq!(states, [[0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d]; WIDE]);

            let blocks: [[Block; 3]; WIDE] = std::array::from_fn(|lane| {
                std::array::from_fn(|index| {
                    std::array::from_fn(|at| (lane * 91 + index * 37 + at * 7).to_le_bytes()[0])
                })
            });
            states[3] = [0; 5];
            states[5] = [u32::MAX; 5];
            let mut expected = states;
            for (state, blocks) in expected.iter_mut().zip(&blocks) {
                sha1::block_api::compress(state, blocks);
            }
            let mut blocks = blocks.iter();
            let lanes = states.each_mut();
            wide.compress(lanes.map(|state| (state, blocks.next().unwrap().as_slice())));
            assert_eq!(states, expected);
            wide.compress(states.each_mut().map(|state| (state, [].as_slice())));
            assert_eq!(states, expected, "no blocks change nothing");
        }
    }
}
