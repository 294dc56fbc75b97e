//! The pieces of a file's content, cut where the content says, and the name that they give it.
//!
//! This does not know where cuts are.

use serde::{Deserialize, Serialize};

use super::ContentHash;
use crate::limits::{CHUNK_LEN_MAX, FILE_LEN_MAX, WHOLE_LEN_MAX};

const CHUNKS_CONTEXT: &str = "orchestra 2026-11 chunks v1";

/// One of the consecutive pieces that a content is cut into. The same bytes are the same chunk, in whatever file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The hash of its bytes.
    pub hash: ContentHash,
    /// How many they are.
    pub len: u32,
}

impl ContentHash {
    /// The name of a content of more than [`WHOLE_LEN_MAX`] bytes, by the list of its chunks.
    #[must_use]
    pub fn of_chunks(chunks: &[Chunk]) -> ContentHash {
        let mut hasher = blake3::Hasher::new_derive_key(CHUNKS_CONTEXT);
        for chunk in chunks {
            hasher.update(chunk.hash.as_bytes());
            hasher.update(&chunk.len.to_le_bytes());
        }
        ContentHash::from_bytes(hasher.finalize().into())
    }
}

/// The list of a content of at most [`WHOLE_LEN_MAX`] bytes, which follows from its name: one chunk, or none if it is
/// empty. None at all if it is longer.
#[must_use]
pub fn list_of_short(content: ContentHash, size: u64) -> Option<Vec<Chunk>> {
    if size > WHOLE_LEN_MAX {
        return None;
    }
    let len = u32::try_from(size).expect("it is a few KiB");
    Some(if len == 0 { Vec::new() } else { vec![Chunk { hash: content, len }] })
}

/// Whether bytes that are these chunks, one after the other, are the content of this name and size: so who has
/// compared each chunk need not read the whole.
///
/// That the cuts are where everybody makes them is not looked at: cut elsewhere, the same bytes have another name.
#[must_use]
pub fn makes_content(chunks: &[Chunk], content: ContentHash, size: u64) -> bool {
    if let Some(list) = list_of_short(content, size) {
        return list == chunks && (size > 0 || content == ContentHash::of(&[]));
    }
    let is_possible = |chunk: &Chunk| (1..=CHUNK_LEN_MAX).contains(&(chunk.len as usize));
    size <= FILE_LEN_MAX
        && chunks.iter().all(is_possible)
        && chunks.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>() == size
        && ContentHash::of_chunks(chunks) == content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str, len: usize) -> Chunk {
        Chunk { hash: ContentHash::of(text.as_bytes()), len: u32::try_from(len).unwrap() }
    }

    #[test]
    fn a_list_makes_only_the_content_that_it_names() {
        let size = WHOLE_LEN_MAX + 7;
        let rest = usize::try_from(size).unwrap() - 5;
        let list = [chunk("a", 5), chunk("b", rest)];
        let name = ContentHash::of_chunks(&list);
        assert!(makes_content(&list, name, size));
        assert!(!makes_content(&list, name, size + 1));
        assert!(!makes_content(&list, ContentHash::of(b"ab"), size));
        assert!(!makes_content(&list[..1], name, size));
        let other = [list[1], list[0]];
        assert!(!makes_content(&other, name, size), "the order counts");
        let moved = [chunk("a", 6), chunk("b", rest - 1)];
        assert!(!makes_content(&moved, name, size), "the lengths count");
        assert!(!makes_content(&[], ContentHash::of_chunks(&[]), size));
        for absurd in [
            vec![chunk("a", 0), list[0], list[1]],
            vec![chunk("a", CHUNK_LEN_MAX + 1)],
            vec![chunk("a", u32::MAX as usize), chunk("a", u32::MAX as usize)],
        ] {
            let size = absurd.iter().map(|chunk| u64::from(chunk.len)).sum();
            assert!(!makes_content(&absurd, ContentHash::of_chunks(&absurd), size), "{absurd:?}");
        }
    }

    #[test]
    fn a_short_content_is_its_only_chunk() {
        let short = chunk("abc", 3);
        assert!(makes_content(&[short], short.hash, 3));
        assert!(!makes_content(&[short], ContentHash::of_chunks(&[short]), 3));
        assert!(!makes_content(&[], short.hash, 3));
        assert!(!makes_content(&[chunk("abc", 2)], short.hash, 3));
        assert!(!makes_content(&[chunk("a", 1), chunk("bc", 2)], short.hash, 3));
        assert!(makes_content(&[], ContentHash::of(b""), 0));
        assert!(!makes_content(&[], ContentHash::of(b"x"), 0));
        assert!(!makes_content(&[chunk("", 0)], ContentHash::of(b""), 0));
        let longest = usize::try_from(WHOLE_LEN_MAX).unwrap();
        let list = list_of_short(short.hash, WHOLE_LEN_MAX).unwrap();
        assert_eq!(list, [Chunk { hash: short.hash, len: chunk("", longest).len }]);
        assert_eq!(list_of_short(short.hash, WHOLE_LEN_MAX + 1), None);
    }

    /// Every member must give a content the same name, whatever version of the program it runs.
    #[test]
    fn a_name_stays_what_it_was() {
        let list = [chunk("a", 1), chunk("b", 0x0102_0304)];
        let mut bytes = Vec::new();
        for chunk in &list {
            bytes.extend(chunk.hash.as_bytes());
            bytes.extend(chunk.len.to_le_bytes());
        }
        let name = blake3::derive_key("orchestra 2026-11 chunks v1", &bytes);
        assert_eq!(ContentHash::of_chunks(&list), ContentHash::from_bytes(name));
    }
}
