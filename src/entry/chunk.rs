//! A piece of a file's content, cut where the content says.

use serde::{Deserialize, Serialize};

use super::ContentHash;

/// One of the consecutive pieces that a content is cut into. The same bytes are the same chunk, in whatever file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The hash of its bytes.
    pub hash: ContentHash,
    /// How many they are.
    pub len: u32,
}
