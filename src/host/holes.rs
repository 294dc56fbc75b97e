//! Where a sparse file has holes: stretches that read as zeros and take no room on the disk.
//!
//! A composition that is being fetched is one large hole at first; asking the file system is a thousand times
//! faster than reading zeros.

use std::fs::File;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Answers for one thread whether stretches of a file are holes; it remembers what it learned last, so
/// questions in rising order cost two system calls for each change between hole and data.
///
/// Asking moves the position of the open file, which positional reads and writes do not look at.
pub(super) struct Holes<'a> {
    file: &'a File,
    /// The size of the file. What lies beyond it is missing, not a hole.
    len: u64,
    hole: Range<u64>,
    data: Range<u64>,
}

impl<'a> Holes<'a> {
    pub(super) const fn new(file: &'a File, len: u64) -> Holes<'a> {
        Holes { file, len, hole: 0..0, data: 0..0 }
    }

    /// Whether no byte of this range is on the disk. A file system that does not know says no.
    pub(super) fn contain(&mut self, range: &Range<u64>) -> bool {
        if range.end > self.len {
            return false;
        }
        if !self.hole.contains(&range.start) && !self.data.contains(&range.start) {
            self.look(range.start);
        }
        self.hole.contains(&range.start) && range.end <= self.hole.end
    }

    /// Learns what begins or goes on at this offset.
    fn look(&mut self, offset: u64) {
        match seek(self.file, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => self.hole = offset..data,
            Ok(_) => self.data = offset..seek(self.file, SeekFrom::Hole(offset)).unwrap_or(self.len),
            // No data from here to the end.
            Err(Errno::NXIO) => self.hole = offset..self.len,
            // The file system does not know its holes, or has trouble that reading will tell better.
            Err(_) => self.data = offset..self.len,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::os::unix::fs::FileExt;

    /// Larger than the blocks of any file system in use.
    const BLOCK: u64 = 1 << 20;

    #[test]
    fn holes_are_found_between_data() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * BLOCK).unwrap();
        if seek(&file, SeekFrom::Data(0)) != Err(Errno::NXIO) {
            writeln!(io::stderr(), "skipped: needs a file system that knows its holes").unwrap();
            return;
        }
        file.write_all_at(&vec![1; usize::try_from(BLOCK).unwrap()], BLOCK).unwrap();

        let mut holes = Holes::new(&file, 4 * BLOCK);
        assert!(holes.contain(&(0..BLOCK)));
        assert!(!holes.contain(&(0..BLOCK + 1)), "the end is data");
        assert!(!holes.contain(&(BLOCK..2 * BLOCK)));
        assert!(!holes.contain(&(2 * BLOCK - 1..3 * BLOCK)), "the start is data");
        assert!(holes.contain(&(2 * BLOCK..4 * BLOCK)));
        assert!(!holes.contain(&(3 * BLOCK..4 * BLOCK + 1)), "beyond the end nothing is a hole");
        assert!(holes.contain(&(10..20)), "questions may come in any order");
    }

    #[test]
    fn a_file_without_holes_has_none() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[0; 5_000], 0).unwrap();
        let mut holes = Holes::new(&file, 5_000);
        assert!((0..5_000).step_by(1_000).all(|start| !holes.contain(&(start..start + 1_000))));
    }
}
