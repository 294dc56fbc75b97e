//! Rows of the index as bytes, and back.
//!
//! Whatever is read may be damaged: it is checked, down to a check sum over the whole row.

use rusqlite::types::Value;
use thiserror::Error;

use crate::entry::path::BadPath;
use crate::entry::{Attributes, Chunk, Content, ContentHash, Device, Dot, Entry, Known, TreePath};
use crate::host::folder::facts::Facts;
use crate::limits::{AUTHORS_MAX, LINK_TEXT_LEN_MAX};

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRow {
    /// The path is none.
    #[error("its path is not one: {0}")]
    Path(BadPath),
    /// The path is not text.
    #[error("its path is not text")]
    PathText,
    /// The check sum does not fit.
    #[error("its check sum is wrong")]
    Sum,
    /// The bytes mean nothing.
    #[error("its bytes mean nothing")]
    Bytes,
}

/// The kinds of contents, as the index counts them.
pub(super) const GONE: u8 = 0;
/// See [`GONE`].
pub(super) const FOLDER: u8 = 1;
/// See [`GONE`].
pub(super) const FILE: u8 = 2;
/// See [`GONE`].
pub(super) const LINK: u8 = 3;

const KIND_BITS: u8 = 0b0011;
const EXECUTABLE: u8 = 0b0100;
const REPLACED: u8 = 0b1000;

/// How many bytes of a BLAKE3 hash end a row.
const SUM_LEN: usize = 4;
/// How many bytes a chunk takes in a list.
const CHUNK_LEN: usize = 36;

/// The path as a key: in the order of its bytes, keys are in the order of paths.
pub(super) fn key(path: &TreePath) -> Vec<u8> {
    path.as_str().bytes().map(|byte| if byte == b'/' { 0 } else { byte }).collect()
}

/// The path of a key.
pub(super) fn path(key: &[u8]) -> Result<TreePath, BadRow> {
    let text = key.iter().map(|&byte| if byte == 0 { b'/' } else { byte }).collect();
    let text = String::from_utf8(text).map_err(|_| BadRow::PathText)?;
    TreePath::parse(&text).map_err(BadRow::Path)
}

/// The dot as a key: in the order of its bytes, keys are in the order of dots.
pub(super) fn dot_key(dot: Dot) -> [u8; 16] {
    (u128::from(dot.counter) << 64 | u128::from(dot.device.bits())).to_be_bytes()
}

fn dot(key: &[u8]) -> Result<Dot, BadRow> {
    let (counter, device) = key.split_first_chunk().ok_or(BadRow::Bytes)?;
    let device = device.try_into().map_err(|_| BadRow::Bytes)?;
    Ok(Dot { counter: u64::from_be_bytes(*counter), device: Device::from_bits(u64::from_be_bytes(device)) })
}

/// A number that stands for the hash where it is looked up; the hash itself is compared afterwards.
pub(super) fn short(hash: ContentHash) -> i64 {
    let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    i64::from_le_bytes(*first)
}

/// The same of what may be no file's.
pub(super) fn short_of(content: &Content) -> Option<i64> {
    match content {
        Content::File { hash, .. } => Some(short(*hash)),
        _ => None,
    }
}

/// The kind of a content.
pub(super) const fn kind(content: &Content) -> u8 {
    match content {
        Content::Gone => GONE,
        Content::Folder => FOLDER,
        Content::File { .. } => FILE,
        Content::Link(_) => LINK,
    }
}

/// The length of a file, as SQLite takes numbers.
pub(super) fn size(content: &Content) -> Value {
    match content {
        Content::File { size, .. } => Value::Integer(i64::try_from(*size).unwrap_or(i64::MAX)),
        _ => Value::Null,
    }
}

/// An entry but for its dot, with what the disk told.
pub(super) fn encode(key: &[u8], entry: &Entry, facts: Option<&Facts>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    let executable = if entry.attributes.executable { EXECUTABLE } else { 0 };
    let replaced = if entry.replaced.is_some() { REPLACED } else { 0 };
    bytes.push(kind(&entry.content) | executable | replaced);
    put_signed(&mut bytes, entry.attributes.mtime);
    if let Some(replaced) = &entry.replaced {
        bytes.extend(replaced.as_bytes());
    }
    put(&mut bytes, entry.known.pairs().len() as u64);
    for &(device, counter) in entry.known.pairs() {
        bytes.extend(device.bits().to_le_bytes());
        put(&mut bytes, counter);
    }
    match &entry.content {
        Content::Gone | Content::Folder => {}
        Content::File { size, hash } => {
            put(&mut bytes, *size);
            bytes.extend(hash.as_bytes());
        }
        Content::Link(text) => {
            put(&mut bytes, text.len() as u64);
            bytes.extend(text.as_bytes());
        }
    }
    if let Some(facts) = facts {
        put(&mut bytes, facts.size);
        put_signed(&mut bytes, facts.mtime);
        put_signed(&mut bytes, facts.ctime);
        put(&mut bytes, facts.inode);
        put(&mut bytes, facts.mode.into());
    }
    let sum = sum(&[key, &dot_key(entry.dot), &bytes]);
    bytes.extend(sum);
    bytes
}

/// What [`encode`] wrote.
pub(super) fn decode(key: &[u8], dot_key: &[u8], bytes: &[u8]) -> Result<(Entry, Option<Facts>), BadRow> {
    let (bytes, found) = bytes.split_last_chunk::<SUM_LEN>().ok_or(BadRow::Bytes)?;
    if sum(&[key, dot_key, bytes]) != *found {
        return Err(BadRow::Sum);
    }
    let dot = dot(dot_key)?;
    decode_checked(dot, bytes).ok_or(BadRow::Bytes)
}

fn decode_checked(dot: Dot, bytes: &[u8]) -> Option<(Entry, Option<Facts>)> {
    let mut left = Left(bytes);
    let flags = left.byte()?;
    let mtime = left.signed()?;
    let replaced = if flags & REPLACED == 0 { None } else { Some(left.hash()?) };
    let authors = usize::try_from(left.number()?).ok().filter(|&authors| authors <= AUTHORS_MAX)?;
    let pairs = (0..authors)
        .map(|_| Some((Device::from_bits(u64::from_le_bytes(left.array()?)), left.number()?)))
        .collect::<Option<Vec<_>>>()?;
    let content = match flags & KIND_BITS {
        GONE => Content::Gone,
        FOLDER => Content::Folder,
        FILE => Content::File { size: left.number()?, hash: left.hash()? },
        _ => {
            let len = usize::try_from(left.number()?).ok().filter(|&len| len <= LINK_TEXT_LEN_MAX)?;
            Content::Link(std::str::from_utf8(left.slice(len)?).ok()?.to_owned())
        }
    };
    let attributes = Attributes { mtime, executable: flags & EXECUTABLE != 0 };
    let entry = Entry { content, attributes, replaced, dot, known: Known::from_pairs(pairs)? };
    if left.0.is_empty() {
        return Some((entry, None));
    }
    let facts = Facts {
        size: left.number()?,
        mtime: left.signed()?,
        ctime: left.signed()?,
        inode: left.number()?,
        mode: u32::try_from(left.number()?).ok()?,
    };
    left.0.is_empty().then_some((entry, Some(facts)))
}

/// A list of chunks of a content.
pub(super) fn encode_chunks(content: ContentHash, chunks: &[Chunk]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(chunks.len() * CHUNK_LEN + SUM_LEN);
    for chunk in chunks {
        bytes.extend(chunk.hash.as_bytes());
        bytes.extend(chunk.len.to_le_bytes());
    }
    let sum = sum(&[content.as_bytes(), &bytes]);
    bytes.extend(sum);
    bytes
}

/// What [`encode_chunks`] wrote.
pub(super) fn decode_chunks(content: ContentHash, bytes: &[u8]) -> Result<Vec<Chunk>, BadRow> {
    let (bytes, found) = bytes.split_last_chunk::<SUM_LEN>().ok_or(BadRow::Bytes)?;
    if sum(&[content.as_bytes(), bytes]) != *found {
        return Err(BadRow::Sum);
    }
    let (chunks, rest) = bytes.as_chunks::<CHUNK_LEN>();
    if !rest.is_empty() {
        return Err(BadRow::Bytes);
    }
    let chunk = |bytes: &[u8; CHUNK_LEN]| {
        let mut left = Left(bytes);
        Some(Chunk { hash: left.hash()?, len: u32::from_le_bytes(left.array()?) })
    };
    chunks.iter().map(chunk).collect::<Option<_>>().ok_or(BadRow::Bytes)
}

fn sum(of: &[&[u8]]) -> [u8; SUM_LEN] {
    let mut hasher = blake3::Hasher::new();
    for bytes in of {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer")
}

/// Writes seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Numbers near 0 are short, on both sides.
fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    put(bytes, (number << 1 ^ number >> 63).cast_unsigned());
}

/// What is left to be read.
struct Left<'a>(&'a [u8]);

impl<'a> Left<'a> {
    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(slice)
    }

    fn array<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        self.slice(LEN)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn hash(&mut self) -> Option<ContentHash> {
        self.array().map(ContentHash::from_bytes)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_hash() -> impl Strategy<Value = ContentHash> {
        any::<[u8; 32]>().prop_map(ContentHash::from_bytes)
    }

    fn any_content() -> impl Strategy<Value = Content> {
        prop_oneof![
            Just(Content::Gone),
            Just(Content::Folder),
            (any::<u64>(), any_hash()).prop_map(|(size, hash)| Content::File { size, hash }),
            ".{0,40}".prop_map(Content::Link),
        ]
    }

    prop_compose! {
        fn any_entry()(
            content in any_content(), mtime in any::<i64>(), executable in any::<bool>(),
            replaced in prop::option::of(any_hash()), device in any::<u64>(), counter in any::<u64>(),
            known in prop::collection::btree_map(any::<u64>(), any::<u64>(), 0..5)
        ) -> Entry {
            let pairs = known.into_iter().map(|(device, counter)| (Device::from_bits(device), counter));
            Entry {
                content,
                attributes: Attributes { mtime, executable },
                replaced,
                dot: Dot { device: Device::from_bits(device), counter },
                known: Known::from_pairs(pairs.collect()).unwrap(),
            }
        }
    }

    prop_compose! {
        fn any_facts()(size: u64, mtime: i64, ctime: i64, inode: u64, mode: u32) -> Facts {
            Facts { size, mtime, ctime, inode, mode }
        }
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was(entry in any_entry(), facts in prop::option::of(any_facts())) {
            let bytes = encode(b"a", &entry, facts.as_ref());
            prop_assert_eq!(decode(b"a", &dot_key(entry.dot), &bytes), Ok((entry, facts)));
        }

        #[test]
        fn a_damaged_row_is_noticed(entry in any_entry(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut bytes = encode(b"a", &entry, None);
            let key = dot_key(entry.dot);
            prop_assert_eq!(decode(b"b", &key, &bytes), Err(BadRow::Sum));
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(decode(b"a", &key, &bytes), Err(BadRow::Sum));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120), flags in 0..16_u8) {
            let dot = Dot { device: Device::from_bits(1), counter: 1 };
            let mut sane = vec![flags, 0];
            sane.extend(&bytes);
            // Past the check sum, as if whoever damaged it had mended that.
            for bytes in [bytes, sane] {
                drop(decode_checked(dot, &bytes));
                drop(path(&bytes));
                drop(decode_chunks(ContentHash::of(b""), &bytes));
            }
        }

        #[test]
        fn keys_are_in_the_order_of_what_they_are_of(
            paths in prop::collection::vec("[ab.\\-!]{1,3}(/[ab.\\-!]{1,3}){0,3}", 2), dots in any::<[(u8, u8); 2]>()
        ) {
            let paths: Vec<TreePath> = paths.iter().filter_map(|text| TreePath::parse(text).ok()).collect();
            if let [a, b] = &paths[..] {
                prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(b));
                prop_assert_eq!(path(&key(a)), Ok(a.clone()));
            }
            let [a, b] = dots.map(|(device, counter)| Dot {
                device: Device::from_bits(u64::from(device) << 56), counter: u64::from(counter) << 56,
            });
            prop_assert_eq!(dot_key(a).cmp(&dot_key(b)), a.cmp(&b));
        }

        #[test]
        fn a_list_of_chunks_comes_back_as_it_was(lens in prop::collection::vec(any::<u32>(), 0..9)) {
            let chunks: Vec<Chunk> =
                lens.iter().map(|&len| Chunk { hash: ContentHash::of(&len.to_le_bytes()), len }).collect();
            let content = ContentHash::of(b"x");
            let mut bytes = encode_chunks(content, &chunks);
            prop_assert_eq!(decode_chunks(content, &bytes), Ok(chunks));
            bytes[0] ^= 1;
            prop_assert_eq!(decode_chunks(content, &bytes), Err(BadRow::Sum));
        }
    }
}
