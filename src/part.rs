//! Parts of a composition: the only arithmetic about sizes and offsets.
//!
//! A number off the wire becomes a [`PartIndex`] or a [`Run`] only through the [`Layout`] that it must fit,
//! so whoever holds one need not check it again.
//! Inside and on the wire parts count from 0; people are shown numbers that count from 1.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use crate::limits::{PART_LEN_MAX, PARTS_DEFAULT_MAX, PARTS_MAX};

/// The position of a part that is known to exist in its composition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartIndex(u32);

impl PartIndex {
    /// The position, counted from 0.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The position as an index into a slice with one item a part.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PartIndex {
    /// The number that people see, counted from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 + 1)
    }
}

/// Consecutive parts that are known to exist; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    first: u32,
    /// Invariant: at least 1, and `first + count` is at most the layout's number of parts.
    count: u32,
}

impl Run {
    /// The run of one part.
    #[must_use]
    pub const fn one(part: PartIndex) -> Run {
        Run { first: part.0, count: 1 }
    }

    /// The first part.
    #[must_use]
    pub const fn first(self) -> PartIndex {
        PartIndex(self.first)
    }

    /// The last part.
    #[must_use]
    pub const fn last(self) -> PartIndex {
        PartIndex(self.first + self.count - 1)
    }

    /// The number of parts, at least 1.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Every part of the run, in order.
    pub fn parts(self) -> impl DoubleEndedIterator<Item = PartIndex> + ExactSizeIterator {
        (self.first..self.first + self.count).map(PartIndex)
    }

    /// Whether the part belongs to the run.
    #[must_use]
    pub const fn contains(self, part: PartIndex) -> bool {
        part.0 >= self.first && part.0 - self.first < self.count
    }

    /// The parts that both runs have, if any.
    #[must_use]
    pub fn intersect(self, other: Run) -> Option<Run> {
        let first = self.first.max(other.first);
        let end = (self.first + self.count).min(other.first + other.count);
        (first < end).then(|| Run { first, count: end - first })
    }

    /// What is left of the run before `other` begins and after it ends.
    #[must_use]
    pub fn minus(self, other: Run) -> [Option<Run>; 2] {
        let end = self.first + self.count;
        let before_end = end.min(other.first);
        let after_first = self.first.max(other.first + other.count);
        [
            (self.first < before_end).then(|| Run { first: self.first, count: before_end - self.first }),
            (after_first < end).then(|| Run { first: after_first, count: end - after_first }),
        ]
    }

    /// The run extended by `part` if `part` is the next one after it.
    #[must_use]
    pub fn extended_by(self, part: PartIndex) -> Option<Run> {
        (part.0 == self.first + self.count).then_some(Run { first: self.first, count: self.count + 1 })
    }

    /// Joins neighbours among `parts`, in their order, to at most `most` runs; also says how many parts they took.
    #[must_use]
    pub fn gather(parts: impl IntoIterator<Item = PartIndex>, most: usize) -> (Vec<Run>, usize) {
        let mut runs: Vec<Run> = Vec::new();
        let mut taken = 0;
        for part in parts {
            match runs.last().and_then(|last| last.extended_by(part)) {
                Some(longer) => {
                    runs.pop();
                    runs.push(longer);
                }
                None if runs.len() == most => break,
                None => runs.push(Run::one(part)),
            }
            taken += 1;
        }
        (runs, taken)
    }

    /// The run cut where neighbouring parts differ; `marks` has one for each part.
    pub fn cut_by(self, marks: &[bool]) -> impl Iterator<Item = (Run, bool)> {
        let mut rest = Some(self);
        marks.chunk_by(|one, next| one == next).map_while(move |alike| {
            let (run, after) = rest?.split_at(u32::try_from(alike.len()).unwrap_or(u32::MAX));
            rest = after;
            Some((run, alike[0]))
        })
    }

    /// The first `count` parts of the run and the rest, if any is left.
    #[must_use]
    pub fn split_at(self, count: u32) -> (Run, Option<Run>) {
        let head = count.clamp(1, self.count);
        let rest = (head < self.count).then(|| Run { first: self.first + head, count: self.count - head });
        (Run { first: self.first, count: head }, rest)
    }
}

impl fmt::Display for Run {
    /// Numbers that people see, counted from 1: `7` or `7-9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 1 {
            write!(f, "{}", self.first + 1)
        } else {
            write!(f, "{}-{}", self.first + 1, self.first + self.count)
        }
    }
}

/// Why no composition can have this size and part size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The part size is 0 or above [`PART_LEN_MAX`].
    #[error("a part size from 1 to {PART_LEN_MAX} bytes was expected")]
    PartLen,
    /// There would be more than [`PARTS_MAX`] parts.
    #[error("this makes {parts} parts, and {PARTS_MAX} are the most; larger parts are needed")]
    TooManyParts {
        /// The number of parts that it would take.
        parts: u64,
    },
}

/// How a composition is cut into parts: all have the same length, only the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u64,
    /// Invariant: from 1 to [`PART_LEN_MAX`].
    part_len: u32,
    /// Invariant: `ceil(size / part_len)`, at most [`PARTS_MAX`].
    parts: u32,
}

impl Layout {
    /// The layout of `size` bytes in parts of `part_len` bytes.
    ///
    /// # Errors
    /// The part size is out of bounds, or there would be too many parts.
    pub fn new(size: u64, part_len: u64) -> Result<Layout, LayoutError> {
        let part_len = u32::try_from(part_len)
            .ok()
            .filter(|len| (1..=PART_LEN_MAX).contains(len))
            .ok_or(LayoutError::PartLen)?;
        let parts = size.div_ceil(u64::from(part_len));
        match u32::try_from(parts) {
            Ok(count) if count <= PARTS_MAX => Ok(Layout { size, part_len, parts: count }),
            _ => Err(LayoutError::TooManyParts { parts }),
        }
    }

    /// The part size for a composition of `size` bytes when nobody asked for another:
    /// the smallest power of two from 16 KiB to 16 MiB that gives at most [`PARTS_DEFAULT_MAX`] parts.
    #[must_use]
    pub fn default_part_len(size: u64) -> u32 {
        let mut part_len = 16 * 1024;
        while part_len < PART_LEN_MAX && size.div_ceil(u64::from(part_len)) > u64::from(PARTS_DEFAULT_MAX) {
            part_len *= 2;
        }
        part_len
    }

    /// The size of the composition in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The length in bytes of every part but perhaps the last.
    #[must_use]
    pub const fn part_len(&self) -> u32 {
        self.part_len
    }

    /// The number of parts.
    #[must_use]
    pub const fn parts(&self) -> u32 {
        self.parts
    }

    /// The part at this position (from 0), if there is one.
    #[must_use]
    pub fn part(&self, index: u32) -> Option<PartIndex> {
        (index < self.parts).then_some(PartIndex(index))
    }

    /// The run of `count` parts from `first` (from 0), if all of them exist and there is at least one.
    #[must_use]
    pub fn run(&self, first: u32, count: u32) -> Option<Run> {
        let end = first.checked_add(count)?;
        (count > 0 && end <= self.parts).then_some(Run { first, count })
    }

    /// Every part as one run; none if the composition is empty.
    #[must_use]
    pub fn whole(&self) -> Option<Run> {
        self.run(0, self.parts)
    }

    /// Every part, in order.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = PartIndex> + ExactSizeIterator + use<> {
        (0..self.parts).map(PartIndex)
    }

    /// Where the part begins, in bytes.
    #[must_use]
    pub fn offset(&self, part: PartIndex) -> u64 {
        u64::from(part.0) * u64::from(self.part_len)
    }

    /// The length of the part in bytes.
    #[must_use]
    pub fn len_of(&self, part: PartIndex) -> u32 {
        let left = self.size.saturating_sub(self.offset(part));
        u32::try_from(left).map_or(self.part_len, |left| left.min(self.part_len))
    }

    /// Where the bytes of a run lie in the composition.
    #[must_use]
    pub fn range(&self, run: Run) -> Range<u64> {
        let start = self.offset(run.first());
        start..(start + u64::from(run.count) * u64::from(self.part_len)).min(self.size)
    }

    /// The number of bytes in a run.
    #[must_use]
    pub fn bytes_of(&self, run: Run) -> u64 {
        let range = self.range(run);
        range.end - range.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_part_may_be_shorter() {
        let layout = Layout::new(142_044, 16_384).unwrap();
        assert_eq!(layout.parts(), 9);
        let last = layout.part(8).unwrap();
        assert_eq!(layout.len_of(last), 142_044 - 8 * 16_384);
        assert_eq!(layout.part(9), None);
        assert_eq!(last.to_string(), "9");
    }

    #[test]
    fn an_empty_composition_has_no_parts() {
        let layout = Layout::new(0, 16_384).unwrap();
        assert_eq!(layout.parts(), 0);
        assert_eq!(layout.whole(), None);
        assert_eq!(layout.part(0), None);
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(Layout::new(1, 0), Err(LayoutError::PartLen));
        assert_eq!(Layout::new(1, u64::from(PART_LEN_MAX) + 1), Err(LayoutError::PartLen));
        assert!(Layout::new(u64::from(PARTS_MAX), 1).is_ok());
        assert!(matches!(
            Layout::new(u64::from(PARTS_MAX) + 1, 1),
            Err(LayoutError::TooManyParts { parts }) if parts == u64::from(PARTS_MAX) + 1
        ));
        assert!(Layout::new(u64::MAX, u64::from(PART_LEN_MAX)).is_err());
    }

    #[test]
    fn the_default_part_size_grows_with_the_file() {
        assert_eq!(Layout::default_part_len(0), 16 << 10);
        assert_eq!(Layout::default_part_len(142_044), 16 << 10);
        assert_eq!(Layout::default_part_len(32 << 20), 16 << 10);
        assert_eq!(Layout::default_part_len((32 << 20) + 1), 32 << 10);
        assert_eq!(Layout::default_part_len(1 << 30), 512 << 10);
        assert_eq!(Layout::default_part_len(1 << 45), 16 << 20);
    }

    #[test]
    fn runs_off_the_end_do_not_exist() {
        let layout = Layout::new(100, 10).unwrap();
        assert!(layout.run(0, 10).is_some());
        assert_eq!(layout.run(0, 11), None);
        assert_eq!(layout.run(9, 2), None);
        assert_eq!(layout.run(3, 0), None);
        assert_eq!(layout.run(u32::MAX, 1), None);
        assert_eq!(layout.run(1, u32::MAX), None);
    }

    #[test]
    fn a_run_minus_another_keeps_both_ends() {
        let layout = Layout::new(100, 10).unwrap();
        let run = layout.run(2, 6).unwrap();
        assert_eq!(run.minus(layout.run(4, 2).unwrap()), [layout.run(2, 2), layout.run(6, 2)]);
        assert_eq!(run.minus(layout.run(0, 10).unwrap()), [None, None]);
        assert_eq!(run.minus(layout.run(8, 2).unwrap()), [Some(run), None]);
        assert_eq!(run.minus(layout.run(0, 2).unwrap()), [None, Some(run)]);
    }

    #[test]
    fn a_run_is_cut_where_marks_change() {
        let layout = Layout::new(10, 1).unwrap();
        let run = layout.run(3, 4).unwrap();
        let cut: Vec<(Run, bool)> = run.cut_by(&[true, true, false, true]).collect();
        let expected = [(3, 2, true), (5, 1, false), (6, 1, true)];
        assert_eq!(cut, expected.map(|(first, count, mark)| (layout.run(first, count).unwrap(), mark)));
        assert_eq!(run.cut_by(&[false; 4]).collect::<Vec<_>>(), [(run, false)]);
    }

    proptest! {
        #[test]
        fn parts_tile_the_composition(size in 0u64..5_000_000, part_len in 1u64..100_000) {
            prop_assume!(size.div_ceil(part_len) <= 5_000);
            let layout = Layout::new(size, part_len).unwrap();
            let mut offset = 0;
            for part in layout.all() {
                prop_assert_eq!(layout.offset(part), offset);
                prop_assert!(layout.len_of(part) > 0);
                offset += u64::from(layout.len_of(part));
            }
            prop_assert_eq!(offset, size);
            if let Some(whole) = layout.whole() {
                prop_assert_eq!(layout.bytes_of(whole), size);
            }
        }

        #[test]
        fn minus_and_intersect_partition_a_run(a in 0u32..50, b in 1u32..50, c in 0u32..50, d in 1u32..50) {
            let layout = Layout::new(100, 1).unwrap();
            let (Some(left), Some(right)) = (layout.run(a, b), layout.run(c, d)) else { return Ok(()) };
            let [before, after] = left.minus(right);
            for part in layout.all() {
                let pieces = [before, left.intersect(right), after];
                let holders = pieces.iter().flatten().filter(|run| run.contains(part)).count();
                prop_assert_eq!(holders, usize::from(left.contains(part)));
            }
        }
    }
}
