//! A set of parts, as bits.
//!
//! Above the bits lies a summary with one bit for each word that is not zero, so a search in a sparse set of
//! a million parts skips what is empty instead of reading it.

use crate::part::{Layout, PartIndex, Run};

const WORD_BITS: usize = 64;
/// Words that are compared at once.
const BLOCK_WORDS: usize = 16;
/// The parts that one word of the summary stands for.
pub const STRETCH_PARTS: u32 = 64 * 64;

/// Which parts of one composition somebody has, wants, or may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSet {
    layout: Layout,
    words: Vec<u64>,
    /// Invariant: bit `w` is set exactly when `words[w]` is not 0.
    summary: Vec<u64>,
    /// Invariant: the number of bits set in `words`.
    count: u32,
}

impl PartSet {
    /// A set with no part.
    #[must_use]
    pub fn empty(layout: Layout) -> PartSet {
        let words = (layout.parts() as usize).div_ceil(WORD_BITS);
        PartSet { layout, words: vec![0; words], summary: vec![0; words.div_ceil(WORD_BITS)], count: 0 }
    }

    /// A set with every part.
    #[must_use]
    pub fn full(layout: Layout) -> PartSet {
        let mut set = PartSet::empty(layout);
        set.words.fill(!0);
        let spare_bits = set.words.len() * WORD_BITS - layout.parts() as usize;
        if let Some(last) = set.words.last_mut() {
            *last >>= spare_bits;
        }
        set.recount();
        set
    }

    /// The set that these bytes describe: bit `i % 8` of byte `i / 8`, lowest first, is part `i`.
    /// None if the length is not that of this layout or a bit beyond the last part is set.
    #[must_use]
    pub fn from_bytes(layout: Layout, bytes: &[u8]) -> Option<PartSet> {
        let parts = layout.parts() as usize;
        if bytes.len() != parts.div_ceil(8) {
            return None;
        }
        let spare_bits = bytes.len() * 8 - parts;
        if spare_bits > 0 && bytes.last().is_some_and(|last| last >> (8 - spare_bits) != 0) {
            return None;
        }
        let mut set = PartSet::empty(layout);
        for (word, chunk) in set.words.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_le_bytes(padded);
        }
        set.recount();
        Some(set)
    }

    /// The bytes that [`PartSet::from_bytes`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate((self.layout.parts() as usize).div_ceil(8));
        bytes
    }

    /// The layout whose parts these are.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The number of parts in the set.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether no part is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether every part is in the set.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == self.layout.parts()
    }

    /// Whether the part is in the set.
    #[must_use]
    pub fn contains(&self, part: PartIndex) -> bool {
        self.words[part.at() / WORD_BITS] & bit(part.at()) != 0
    }

    /// Whether some part of the run is in the set.
    #[must_use]
    pub fn has_some_of(&self, run: Run) -> bool {
        let (first, last) = (run.first().at(), run.last().at());
        (first / WORD_BITS..=last / WORD_BITS).any(|at| {
            let from = if at == first / WORD_BITS { !(bit(first) - 1) } else { !0 };
            let to = if at == last / WORD_BITS { !0 >> (WORD_BITS - 1 - last % WORD_BITS) } else { !0 };
            self.words[at] & from & to != 0
        })
    }

    /// Adds the part; says whether it was new.
    pub fn insert(&mut self, part: PartIndex) -> bool {
        let at = part.at() / WORD_BITS;
        let new = self.words[at] & bit(part.at()) == 0;
        if new {
            self.words[at] |= bit(part.at());
            self.summary[at / WORD_BITS] |= bit(at);
            self.count += 1;
        }
        new
    }

    /// Takes the part out; says whether it was there.
    pub fn remove(&mut self, part: PartIndex) -> bool {
        let at = part.at() / WORD_BITS;
        let was_there = self.words[at] & bit(part.at()) != 0;
        if was_there {
            self.words[at] &= !bit(part.at());
            if self.words[at] == 0 {
                self.summary[at / WORD_BITS] &= !bit(at);
            }
            self.count -= 1;
        }
        was_there
    }

    /// Every part in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = PartIndex> + '_ {
        self.words.iter().enumerate().flat_map(move |(at, &word)| {
            bits_of(word).filter_map(move |offset| self.part(at * WORD_BITS + offset))
        })
    }

    /// The set as its longest runs, in order.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        Run::gather(self.iter(), usize::MAX).0
    }

    /// Whether some part of `other` is missing here.
    #[must_use]
    pub fn lacks_some_of(&self, other: &PartSet) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| theirs & !mine != 0)
    }

    /// The first part from `start` on, and round the end, that is in both sets.
    #[must_use]
    pub fn common_from(&self, other: &PartSet, start: PartIndex) -> Option<PartIndex> {
        self.common_near(other, start, u32::MAX)
    }

    /// The same, but gives up after `stretches` stretches of [`STRETCH_PARTS`] parts of which both sets have some:
    /// two sets of a million parts may each be half full and have nothing in common.
    #[must_use]
    pub fn common_near(&self, other: &PartSet, start: PartIndex, stretches: u32) -> Option<PartIndex> {
        let start_word = start.at() / WORD_BITS;
        let head = self.words[start_word] & other.words[start_word] & !(bit(start.at()) - 1);
        if head != 0 {
            return self.part(start_word * WORD_BITS + lowest(head));
        }
        let mut left = stretches;
        self.common_in(other, start_word + 1, self.words.len(), &mut left)
            .or_else(|| self.common_in(other, 0, start_word + 1, &mut left))
    }

    /// The first common part in the words `from..to`.
    fn common_in(&self, other: &PartSet, from: usize, to: usize, left: &mut u32) -> Option<PartIndex> {
        let mut at = from;
        while at < to && *left > 0 {
            let stretch = at / WORD_BITS;
            let end = to.min((stretch + 1) * WORD_BITS);
            if self.summary[stretch] & other.summary[stretch] & !(bit(at) - 1) != 0 {
                *left -= 1;
                let (mine, theirs) = (&self.words[at..end], &other.words[at..end]);
                if let Some((offset, common)) = first_common(mine, theirs) {
                    return self.part((at + offset) * WORD_BITS + lowest(common));
                }
            }
            at = end;
        }
        None
    }

    fn part(&self, at: usize) -> Option<PartIndex> {
        u32::try_from(at).ok().and_then(|index| self.layout.part(index))
    }

    fn recount(&mut self) {
        self.count = self.words.iter().map(|word| word.count_ones()).sum();
        for (group, summary) in self.summary.iter_mut().enumerate() {
            let words = self.words.iter().skip(group * WORD_BITS).take(WORD_BITS);
            *summary = words.enumerate().fold(0, |bits, (at, &word)| bits | (u64::from(word != 0) << at));
        }
    }
}

const fn bit(at: usize) -> u64 {
    1 << (at % WORD_BITS)
}

const fn lowest(word: u64) -> usize {
    word.trailing_zeros() as usize
}

/// Where two equally long slices first have bits in common, and which they are.
fn first_common(mine: &[u64], theirs: &[u64]) -> Option<(usize, u64)> {
    let mut at = 0;
    // As a whole a block takes a third of the time that its words take one by one.
    for (mine, theirs) in mine.chunks(BLOCK_WORDS).zip(theirs.chunks(BLOCK_WORDS)) {
        if mine.iter().zip(theirs).fold(0, |all, (mine, theirs)| all | (mine & theirs)) != 0 {
            let both = mine.iter().zip(theirs).map(|(mine, theirs)| mine & theirs);
            return both.enumerate().find(|&(_, both)| both != 0).map(|(offset, both)| (at + offset, both));
        }
        at += BLOCK_WORDS;
    }
    None
}

/// The positions of the bits that are set, lowest first.
fn bits_of(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (word != 0).then(|| lowest(word))?;
        word &= word - 1;
        Some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set_of(layout: Layout, parts: &BTreeSet<u32>) -> PartSet {
        let mut set = PartSet::empty(layout);
        for &index in parts {
            set.insert(layout.part(index).unwrap());
        }
        set
    }

    #[test]
    fn runs_join_neighbours() {
        let layout = Layout::new(200, 1).unwrap();
        let set = set_of(layout, &BTreeSet::from([0, 1, 2, 64, 127, 128, 199]));
        let runs: Vec<String> = set.runs().iter().map(ToString::to_string).collect();
        assert_eq!(runs, ["1-3", "65", "128-129", "200"]);
    }

    #[test]
    fn stray_bits_and_wrong_lengths_are_refused() {
        let layout = Layout::new(9, 1).unwrap();
        assert!(PartSet::from_bytes(layout, &[0xff, 0x01]).is_some_and(|set| set.is_full()));
        assert_eq!(PartSet::from_bytes(layout, &[0xff, 0x03]), None);
        assert_eq!(PartSet::from_bytes(layout, &[0xff]), None);
        assert_eq!(PartSet::from_bytes(layout, &[0xff, 0x01, 0x00]), None);
    }

    proptest! {
        #[test]
        fn a_full_set_has_every_part(parts in 0u32..10_000) {
            let layout = Layout::new(u64::from(parts), 1).unwrap();
            let all = layout.all().map(PartIndex::get).collect();
            prop_assert_eq!(PartSet::full(layout), set_of(layout, &all));
        }

        /// The set against a plain ordered set, over three summary groups.
        #[test]
        fn behaves_like_a_set(
            parts in 1u32..10_000,
            changes in proptest::collection::vec((any::<u32>(), any::<bool>()), 0..200),
            others in proptest::collection::btree_set(any::<u32>(), 0..100),
            start in any::<u32>(),
            stretches in 0u8..6,
            count in 1u32..300,
        ) {
            let layout = Layout::new(u64::from(parts), 1).unwrap();
            let (mut set, mut model) = (PartSet::empty(layout), BTreeSet::new());
            for (index, insert) in changes {
                let part = layout.part(index % parts).unwrap();
                if insert {
                    prop_assert_eq!(set.insert(part), model.insert(part.get()));
                } else {
                    prop_assert_eq!(set.remove(part), model.remove(&part.get()));
                }
            }
            prop_assert_eq!(set.count() as usize, model.len());
            prop_assert!(set.iter().map(PartIndex::get).eq(model.iter().copied()));
            let from_runs: Vec<u32> = set.runs().iter().flat_map(|run| run.parts()).map(PartIndex::get).collect();
            prop_assert!(from_runs.into_iter().eq(model.iter().copied()));
            let again = PartSet::from_bytes(layout, &set.to_bytes());
            prop_assert_eq!(again.as_ref(), Some(&set));

            let run = layout.run(start % parts, count.min(parts - start % parts)).unwrap();
            let has_some = run.parts().any(|part| model.contains(&part.get()));
            prop_assert_eq!(set.has_some_of(run), has_some);

            let others: BTreeSet<u32> = others.into_iter().map(|index| index % parts).collect();
            let other = set_of(layout, &others);
            let start = layout.part(start % parts).unwrap();
            let common: BTreeSet<u32> = model.intersection(&others).copied().collect();
            let expected = common.range(start.get()..).next().or_else(|| common.first()).copied();
            prop_assert_eq!(set.common_from(&other, start).map(PartIndex::get), expected);
            let near = set.common_near(&other, start, u32::from(stretches)).map(PartIndex::get);
            prop_assert!(near.is_none() || near == expected);
            // Three stretches, and the one of the start once more.
            prop_assert!(stretches < 4 || near == expected);
            prop_assert_eq!(set.lacks_some_of(&other), !others.is_subset(&model));
        }
    }
}
