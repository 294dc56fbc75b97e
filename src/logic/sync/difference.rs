//! A list of chunks as what it has in common with another one, page by page.

use std::collections::HashMap;

use crate::entry::{Chunk, ContentHash};
use crate::limits::CHUNK_PAGE;
use crate::wire::ensemble::Piece;

/// A list of chunks, for somebody who has another one.
#[derive(Debug)]
pub struct Difference {
    list: Vec<Chunk>,
    base: Vec<Chunk>,
    /// Where the chunks of the base are. Of equal ones the first place: runs that go on are found by what follows the last
    /// piece.
    places: HashMap<ContentHash, usize>,
}

impl Difference {
    /// Of `list`, for somebody who has the list `base`.
    #[must_use]
    pub fn new(list: Vec<Chunk>, base: Vec<Chunk>) -> Difference {
        let mut places = HashMap::with_capacity(base.len());
        for (at, chunk) in base.iter().enumerate() {
            places.entry(chunk.hash).or_insert(at);
        }
        Difference { list, base, places }
    }

    /// How many chunks the list has.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.list.len()
    }

    /// A page of the list from this chunk on, as much as a page holds.
    #[must_use]
    pub fn page(&self, from: usize) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for chunk in self.list.get(from..).unwrap_or_default() {
            if let Some(Piece::Old { first, count }) = pieces.last_mut()
                && self.base.get((*first + *count) as usize) == Some(chunk)
            {
                *count += 1;
                continue;
            }
            if pieces.len() == CHUNK_PAGE {
                break;
            }
            let old = self.places.get(&chunk.hash).filter(|&&at| self.base[at] == *chunk);
            pieces.push(match old.and_then(|&at| u32::try_from(at).ok()) {
                Some(first) => Piece::Old { first, count: 1 },
                None => Piece::New(*chunk),
            });
        }
        pieces
    }
}

/// The chunks of a page. None if it names what is not in the base, or has more than `most`.
#[must_use]
pub fn chunks(pieces: &[Piece], base: &[Chunk], most: usize) -> Option<Vec<Chunk>> {
    let mut chunks = Vec::new();
    for piece in pieces {
        match *piece {
            Piece::New(chunk) => chunks.push(chunk),
            Piece::Old { first, count } => {
                let (first, count) = (first as usize, count as usize);
                if count > most.saturating_sub(chunks.len()) {
                    return None;
                }
                chunks.extend(base.get(first..first.checked_add(count)?)?);
            }
        }
    }
    (chunks.len() <= most).then_some(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(number: u8) -> Chunk {
        Chunk { hash: ContentHash::of(&[number]), len: u32::from(number) + 1 }
    }

    fn list(numbers: &[u8]) -> Vec<Chunk> {
        numbers.iter().copied().map(chunk).collect()
    }

    #[test]
    fn one_changed_chunk_is_three_pieces() {
        let (old, new) = (list(&[1, 2, 3, 4, 5]), list(&[1, 2, 9, 4, 5]));
        let pieces = Difference::new(new, old).page(0);
        let expected =
            [Piece::Old { first: 0, count: 2 }, Piece::New(chunk(9)), Piece::Old { first: 3, count: 2 }];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_long_list_comes_in_pages() {
        let new: Vec<Chunk> = (0..u32::try_from(2 * CHUNK_PAGE + 5).unwrap())
            .map(|number| Chunk { hash: ContentHash::of(&number.to_le_bytes()), len: 7 })
            .collect();
        let mut got = Vec::new();
        let difference = Difference::new(new.clone(), Vec::new());
        assert_eq!(difference.total(), new.len());
        while got.len() < new.len() {
            let pieces = difference.page(got.len());
            assert!(pieces.len() <= CHUNK_PAGE);
            got.extend(chunks(&pieces, &[], new.len() - got.len()).unwrap());
        }
        assert_eq!(got, new);
    }

    #[test]
    fn a_page_that_lies_is_none() {
        let base = list(&[1, 2]);
        for (first, count) in [(0, 3), (2, 1), (u32::MAX, u32::MAX)] {
            assert_eq!(chunks(&[Piece::Old { first, count }], &base, 10), None, "{first} {count}");
        }
        assert_eq!(chunks(&[Piece::Old { first: 0, count: 2 }; 3], &base, 5), None, "more than there are");
    }

    proptest! {
        #[test]
        fn what_is_paged_is_put_together(new: Vec<u8>, old: Vec<u8>, from in 0..20_usize) {
            let (new, old) = (list(&new), list(&old));
            let from = from.min(new.len());
            let pieces = Difference::new(new.clone(), old.clone()).page(from);
            prop_assert_eq!(chunks(&pieces, &old, new.len()), Some(new[from..].to_vec()));
        }
    }
}
