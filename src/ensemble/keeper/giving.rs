//! What others get from here: slices, lists of chunks, and word of what came.

use std::sync::Arc;

use super::fetching::{Long, State};
use super::{Keeper, KeeperError};
use crate::ensemble::link::{Gift, GiftFrom};
use crate::entry::{Content, ContentHash};
use crate::limits::{HAVE_RUNS_MAX, HAVING_CHUNKS, SLICES_OWED_MAX, WHOLE_LEN_MAX};
use crate::logic::sync::difference::Difference;
use crate::wire::ensemble::{ChunkPage, Describe, Having, Message, Slice};

/// A list of which a page was told, for the next page.
pub(super) struct Told {
    content: ContentHash,
    base: Option<ContentHash>,
    difference: Difference,
}

impl Keeper {
    /// Somebody asks for slices: says where they are.
    pub(super) fn gifts(&mut self, slices: Vec<Slice>) -> Result<Vec<Gift>, KeeperError> {
        let mut last: Option<(ContentHash, GiftFrom)> = None;
        let mut gifts = Vec::with_capacity(slices.len().min(SLICES_OWED_MAX));
        for slice in slices {
            let from = match &last {
                Some((content, from)) if *content == slice.content => from.clone(),
                _ => {
                    let own = self.index.own_with(slice.content)?.into_iter().find_map(|own| {
                        match own.entry.content {
                            Content::File { .. } => Some((own.path, own.facts?)),
                            _ => None,
                        }
                    });
                    match own {
                        Some(file) => GiftFrom::File(Arc::new(file)),
                        None => self.arriving(slice),
                    }
                }
            };
            // Of what is on its way each chunk is in another place.
            last = matches!(from, GiftFrom::File(_)).then(|| (slice.content, from.clone()));
            gifts.push(Gift { slice, from });
        }
        Ok(gifts)
    }

    fn arriving(&self, slice: Slice) -> GiftFrom {
        let Some(Long { state: State::Fetching { temp, .. }, .. }) = self.arrivals.long.get(&slice.content)
        else {
            return GiftFrom::Nowhere;
        };
        let (mut from, mut to) = (0, temp.chunks().len());
        while from < to {
            let middle = from + (to - from) / 2;
            if temp.offset(middle) < slice.offset { from = middle + 1 } else { to = middle }
        }
        let is_chunk = temp.chunks().get(from).is_some_and(|chunk| chunk.len == slice.len)
            && temp.offset(from) == slice.offset;
        if is_chunk { GiftFrom::Arriving(Arc::downgrade(temp), from) } else { GiftFrom::Nowhere }
    }

    /// The page of a list that somebody asks for; one without chunks if we do not have it.
    pub(super) fn describe(&mut self, describe: Describe) -> Result<Message, KeeperError> {
        let Describe { content, base, from } = describe;
        let told = self.told.take_if(|told| (told.content, told.base) == (content, base));
        let told = match told {
            Some(told) => told,
            None => {
                let Some(list) = self.list_of(content)? else {
                    self.list_again(content)?;
                    return Ok(Message::Chunks(ChunkPage { content, total: 0, from, pieces: Vec::new() }));
                };
                let of_base = match base {
                    Some(base) => self.list_of(base)?.unwrap_or_default(),
                    None => Vec::new(),
                };
                Told { content, base, difference: Difference::new(list, of_base) }
            }
        };
        let pieces = told.difference.page(from as usize);
        let total = u32::try_from(told.difference.total()).unwrap_or(u32::MAX);
        self.told = Some(told);
        Ok(Message::Chunks(ChunkPage { content, total, from, pieces }))
    }

    /// A file whose list is not known is read again for it.
    fn list_again(&mut self, content: ContentHash) -> Result<(), KeeperError> {
        for own in self.index.own_with(content)?.into_iter().take(1) {
            if let Content::File { size, .. } = own.entry.content
                && size > WHOLE_LEN_MAX
            {
                self.read_later(own.path, size);
            }
        }
        Ok(())
    }

    /// Tells those who do not have all of what comes here what came.
    pub(super) fn tell_having(&mut self) {
        for (&content, long) in &mut self.arrivals.long {
            let State::Fetching { news, .. } = &mut long.state else { continue };
            if news.is_empty() {
                continue;
            }
            let mut fresh = std::mem::take(news);
            fresh.sort_unstable();
            fresh.dedup();
            let runs = runs_of(&fresh);
            for id in self.links.up() {
                if self.links.device(id).is_some_and(|device| long.holders.contains(&device)) {
                    continue;
                }
                for runs in runs.chunks(HAVE_RUNS_MAX) {
                    self.links.say(id, Message::Having(Having { content, runs: runs.to_vec() }));
                }
            }
        }
    }

    /// Whether enough came to be told of before the next tick.
    pub(super) fn has_much_to_tell(&self) -> bool {
        self.arrivals.long.values().any(|long| match &long.state {
            State::Fetching { news, .. } => news.len() >= HAVING_CHUNKS,
            _ => false,
        })
    }
}

/// Consecutive numbers as runs.
fn runs_of(numbers: &[usize]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers.iter().filter_map(|&number| u32::try_from(number).ok()) {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == number => *count += 1,
            _ => runs.push((number, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_chunks_are_one_run() {
        assert_eq!(runs_of(&[]), []);
        assert_eq!(runs_of(&[0, 1, 2, 7, 9, 10]), [(0, 3), (7, 1), (9, 2)]);
    }
}
