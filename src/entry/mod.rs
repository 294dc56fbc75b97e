//! What is known of one path of an ensemble's folder: what is there, who put it there, and what they knew.
//!
//! - [`chunk`]: the pieces of a content, and the name that they give it;
//! - [`path`]: where, beneath the folder;
//! - [`version`]: who wrote when, and knowing of what.
//!
//! An [`Entry`] says nothing about disks: it is the same words on every machine.

pub mod chunk;
pub mod path;
pub mod version;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::chunk::Chunk;
pub use self::path::{BadPath, TreePath};
pub use self::version::{Author, Device, Dot, Known};

/// The name of a content, by BLAKE3: of a file of up to [`WHOLE_LEN_MAX`](crate::limits::WHOLE_LEN_MAX) bytes the hash of
/// its bytes, of a longer one [`ContentHash::of_chunks`]. What is not a file has a hash of its own kind, so that no two
/// kinds share one. A chunk has the hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash([u8; 32]);

const FOLDER_CONTEXT: &str = "orchestra 2026-11 folder v1";
const LINK_CONTEXT: &str = "orchestra 2026-11 symbolic link v1";

impl ContentHash {
    /// The hash of these bytes: of a chunk, or of a file that is no longer than one.
    #[must_use]
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(*blake3::hash(bytes).as_bytes())
    }

    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> ContentHash {
        ContentHash(bytes)
    }

    /// The bytes, as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Nothing any more: it was deleted.
    Gone,
    /// A folder. What is in it has entries of its own.
    Folder,
    /// A file.
    File {
        /// Its length in bytes.
        size: u64,
        /// Its name.
        hash: ContentHash,
    },
    /// A symbolic link: its text, which is carried and never followed.
    Link(String),
}

impl Content {
    /// Whether something is there.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !matches!(self, Content::Gone)
    }

    /// One hash for whatever is there; none for nothing.
    #[must_use]
    pub fn hash(&self) -> Option<ContentHash> {
        match self {
            Content::Gone => None,
            Content::Folder => Some(ContentHash(blake3::derive_key(FOLDER_CONTEXT, &[]))),
            Content::File { hash, .. } => Some(*hash),
            Content::Link(text) => Some(ContentHash(blake3::derive_key(LINK_CONTEXT, text.as_bytes()))),
        }
    }
}

/// What is remembered beside the content, and travels with it; two versions that differ only in this are no conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// When a file was last written, in nanoseconds since 1970; 0 for what is not a file.
    pub mtime: i64,
    /// Whether its owner may execute a file.
    pub executable: bool,
}

/// One version of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is there.
    pub content: Content,
    /// What is remembered beside it.
    pub attributes: Attributes,
    /// What was there before it, if anything was.
    pub replaced: Option<ContentHash>,
    /// Who wrote this version, and when: it has no other name.
    pub dot: Dot,
    /// The versions that its author knew, and this one.
    pub known: Known,
}

impl Entry {
    /// The same version, knowing also of these.
    #[must_use]
    pub fn knowing(mut self, known: &Known) -> Entry {
        self.known.merge(known);
        self
    }

    /// Whether the author of `other` knew this version.
    #[must_use]
    pub fn is_known_to(&self, other: &Entry) -> bool {
        other.known.has(self.dot)
    }
}
