//! A file of which slices are read for others, as long as it is what it was when its content was named.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::beneath::{Beneath, Stat};
use super::facts::Facts;
use crate::entry::TreePath;

/// An open file, and what the disk told of it when it was read.
#[derive(Debug)]
pub struct Lent {
    file: File,
    facts: Facts,
}

impl Lent {
    /// Opens a file; none if it is not there, or not a file.
    #[must_use]
    pub fn open(folder: &Beneath, path: &TreePath, facts: Facts) -> Option<Lent> {
        folder.open_file(path).ok().map(|file| Lent { file, facts })
    }

    /// Reads at an offset; false, and nothing that means anything, if the file is not as it was, before or after.
    #[must_use]
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.is_as_it_was() && self.file.read_exact_at(buffer, offset).is_ok() && self.is_as_it_was()
    }

    fn is_as_it_was(&self) -> bool {
        Stat::of(&self.file).is_ok_and(|stat| Facts::from(stat) == self.facts)
    }
}
