//! Where a file is cut: FastCDC with one average, and the question whether a cut of before is still one.

use std::borrow::Cow;

use fastcdc::v2020::{self, Normalization};

use crate::limits::{CHUNK_LEAST_SHARE, CHUNK_SPREAD};

/// So many bytes decide whether there is a cut: their hash has forgotten those before.
pub(super) const WINDOW: usize = 64;

/// Where to cut, for one average.
#[derive(Debug)]
pub(super) struct Cutter {
    pub(super) shortest: usize,
    pub(super) average: usize,
    pub(super) longest: usize,
    /// For chunks that are shorter than the average, and for the others.
    masks: (u64, u64),
    gear: Cow<'static, [u64]>,
}

impl Cutter {
    pub(super) fn new(average: usize) -> Cutter {
        // The second level of the paper, which it finds best: most chunks are about as long as the average, and few
        // are cut because they are too long, which is where cuts do not follow the content.
        let masks = v2020::select_masks(average, Normalization::Level2);
        let (gear, _) = v2020::get_gear_with_seed(0);
        let (shortest, longest) = (average / CHUNK_LEAST_SHARE, average * CHUNK_SPREAD);
        Cutter { shortest, average, longest, masks, gear }
    }

    /// The length of the first chunk of these bytes, which are as many as the longest one has, or all that are left.
    pub(super) fn first(&self, bytes: &[u8]) -> usize {
        let (strict, loose) = self.masks;
        let (shortest, average, longest) = (self.shortest, self.average, self.longest);
        let (_, len) = v2020::cut(bytes, shortest, average, longest, strict, loose, strict << 1, loose << 1);
        len
    }

    /// Whether the first chunk of these bytes, of which there are more than the longest one has, ends after `len` of
    /// them, if a chunk with the same `len` bytes ended there in another such place. Nothing else has to be looked at but
    /// the byte after them: it decides as well.
    pub(super) fn ends_as_before(&self, bytes: &[u8], len: usize) -> bool {
        let (strict, loose) = self.masks;
        if bytes.len() <= self.longest || !(self.shortest..=self.longest).contains(&len) {
            return false;
        }
        // Bytes before the shortest length are not looked at.
        let from = self.shortest.max((len + 1).saturating_sub(WINDOW));
        let mask = if len < self.average { strict } else { loose };
        len == self.longest || self.hash(&bytes[from..=len]) & mask == 0
    }

    /// Whether a chunk may end before the last of these bytes, as far as they tell.
    pub(super) fn may_end(&self, window: &[u8; WINDOW]) -> bool {
        let (strict, loose) = self.masks;
        let hash = self.hash(window);
        hash & strict == 0 || hash & loose == 0
    }

    /// The gear hash.
    fn hash(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |hash: u64, byte| (hash << 1).wrapping_add(self.gear[usize::from(*byte)]))
    }
}
