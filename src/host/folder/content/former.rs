//! What a file was cut into when it was read last: most of a long file that changed is as it was.

use super::chunk_average;
use super::cutter::Cutter;
use crate::entry::Chunk;

/// The chunks of before, and where they began.
#[derive(Debug)]
pub(super) struct Former {
    chunks: Vec<(u64, Chunk)>,
    size: u64,
}

impl Former {
    pub(super) fn new(chunks: &[Chunk], cutter: &Cutter) -> Former {
        let mut size = 0;
        let mut placed: Vec<(u64, Chunk)> = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            placed.push((size, *chunk));
            size += u64::from(chunk.len);
        }
        // Where a file ends has a say in the last ones, and all are others if it was cut with another average.
        let is_alike = chunk_average(size) == cutter.average;
        placed.retain(|(at, _)| is_alike && size - at > cutter.longest as u64);
        Former { chunks: placed, size }
    }

    /// Chunks that began at this place, if the file has `size` bytes now and what changed is behind it, or before it.
    pub(super) fn at(&self, place: u64, size: u64) -> impl Iterator<Item = Chunk> {
        self.places(place, size).filter_map(|(place, _)| {
            let found = self.chunks.binary_search_by_key(&place, |(at, _)| *at);
            found.ok().map(|index| self.chunks[index].1)
        })
    }

    /// Where the next chunk after this place began, counted likewise.
    pub(super) fn next_begins(&self, place: u64, size: u64) -> impl Iterator<Item = u64> {
        self.places(place, size).filter_map(|(place, shift)| {
            let index = self.chunks.partition_point(|(at, _)| *at < place);
            self.chunks.get(index).and_then(|(at, _)| at.checked_add_signed(shift))
        })
    }

    /// Where this place was, counted from the front and from the end, and how far what was there has moved.
    fn places(&self, place: u64, size: u64) -> impl Iterator<Item = (u64, i64)> {
        let grown = size.wrapping_sub(self.size).cast_signed();
        let moved = place.checked_add_signed(-grown).filter(|_| grown != 0);
        let there = (!self.chunks.is_empty()).then_some((place, 0));
        there.into_iter().chain(moved.map(|place| (place, grown)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::ContentHash;
    use crate::limits::{CHUNK_AVERAGE_MIN, CHUNK_CLASS_LEN};

    fn chunks(len: u32, count: usize) -> Vec<Chunk> {
        (0..count).map(|number| Chunk { hash: ContentHash::of(&number.to_le_bytes()), len }).collect()
    }

    #[test]
    fn places_are_counted_from_both_ends() {
        let cutter = Cutter::new(CHUNK_AVERAGE_MIN);
        let chunks = chunks(60_000, 20);
        let former = Former::new(&chunks, &cutter);
        let at = |place, size| former.at(place, size).collect::<Vec<_>>();
        assert_eq!(at(120_000, 1_200_000), [chunks[2]]);
        assert_eq!(at(120_007, 1_200_007), [chunks[2]]);
        assert_eq!(at(119_990, 1_199_990), [chunks[2]]);
        assert_eq!(at(120_000, 1_260_000), [chunks[2], chunks[1]], "it grew by a whole chunk");
        assert_eq!(at(120_001, 1_200_000), []);
        let next = |place, size| former.next_begins(place, size).collect::<Vec<_>>();
        assert_eq!(next(100_000, 1_200_007), [120_000, 120_007]);
        assert_eq!(next(5, 1_199_000), [60_000, 59_000]);
        let near_the_end = 1_200_000 - cutter.longest as u64;
        assert!(next(near_the_end, 1_200_000).is_empty(), "where a file ends has a say");
    }

    #[test]
    fn what_was_cut_with_another_average_is_not_believed() {
        let cutter = Cutter::new(CHUNK_AVERAGE_MIN);
        let long = chunks(60_000, usize::try_from(CHUNK_CLASS_LEN).unwrap() / 60_000 + 1);
        assert_eq!(Former::new(&long, &cutter).at(0, 1_000_000).count(), 0);
        assert_eq!(Former::new(&long[1..], &cutter).at(0, 1_000_000).count(), 1);
        assert_eq!(Former::new(&[], &cutter).at(0, 1_000_000).count(), 0);
    }
}
