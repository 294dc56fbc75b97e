//! What a look at the disk told of something that is in the index.

use serde::{Deserialize, Serialize};

use super::beneath::Stat;

/// What tells whether something was changed since it was last looked at: if two looks agree, most likely nobody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The length of a file in bytes.
    pub size: u64,
    /// When the content was last written, in nanoseconds since 1970.
    pub mtime: i64,
    /// When anything about it was last changed, in nanoseconds since 1970; nobody can set it.
    pub ctime: i64,
    /// Which one of its file system.
    pub inode: u64,
    /// Permissions, as Unix has them, without the kind.
    pub mode: u32,
}

impl From<Stat> for Facts {
    fn from(stat: Stat) -> Facts {
        Facts { size: stat.size, mtime: stat.mtime, ctime: stat.ctime, inode: stat.inode, mode: stat.mode }
    }
}
