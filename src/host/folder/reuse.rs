//! What is here already of a content that is to come: chunks that other files of the folder have as well.

use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::beneath::{Beneath, Stat};
use super::facts::Facts;
use super::temp::Temp;
use super::trouble::FolderError;
use crate::entry::TreePath;
use crate::host::thread;

/// Chunks that one thread takes before it looks which are next.
const CHUNKS_TOGETHER: usize = 64;

/// Chunks that a file of the folder may have as well.
#[derive(Clone, Debug)]
pub struct Local {
    /// Which ones, of the content that is to come.
    pub chunks: Range<usize>,
    /// In which file.
    pub path: TreePath,
    /// What the disk told of that file when it was read and had these chunks; none if that is not sure.
    pub facts: Option<Facts>,
    /// From where on there, in bytes.
    pub offset: u64,
}

/// Takes chunks from files of the folder, on all cores; `wrote` is told now and then that there are more.
/// What a file does not have any more, or what a file that is gone had, is left out.
///
/// # Errors
/// The disk fails.
pub fn take(
    folder: &Beneath,
    temp: &Temp,
    local: &[Local],
    stop: &AtomicBool,
    wrote: impl Fn() + Sync,
) -> Result<(), FolderError> {
    let runs: Vec<Local> = local.iter().flat_map(|local| split(temp, local)).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), FolderError> {
        let mut open: Option<(&TreePath, File)> = None;
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if open.as_ref().is_none_or(|(path, _)| *path != &run.path) {
                open = folder.open_file(&run.path).ok().map(|file| (&run.path, file));
            }
            if let Some((_, file)) = &open {
                give(temp, run, file, stop)?;
                wrote();
            }
        }
        Ok(())
    };
    let helpers = thread::cores().min(runs.len()).saturating_sub(1);
    std::thread::scope(|scope| {
        let helper = |number| thread::scoped(scope, format!("take{number}"), work).ok();
        let threads: Vec<_> = (0..helpers).filter_map(helper).collect();
        let mine = work();
        threads.into_iter().map(thread::join_scoped).fold(mine, Result::and)
    })
}

/// Takes one run: as it is from a file that is as it was when it was read, with a look at every byte from another one.
fn give(temp: &Temp, run: &Local, file: &File, stop: &AtomicBool) -> Result<(), FolderError> {
    let is_as_known =
        || run.facts.is_some_and(|facts| Stat::of(file).is_ok_and(|stat| Facts::from(stat) == facts));
    // Of chunks that arrived before, none is written over.
    let is_new = run.chunks.clone().all(|at| !temp.has(at));
    if is_new && is_as_known() {
        temp.copy(run.chunks.clone(), file, run.offset, is_as_known)
    } else {
        temp.take(run.chunks.clone(), file, run.offset, stop).map(drop)
    }
}

/// Pieces of a run, for several threads.
fn split<'t>(temp: &'t Temp, local: &Local) -> impl Iterator<Item = Local> + use<'t> {
    let Local { chunks, path, facts, offset } = local.clone();
    let first = chunks.start;
    chunks.clone().step_by(CHUNKS_TOGETHER).map(move |at| Local {
        chunks: at..(at + CHUNKS_TOGETHER).min(chunks.end),
        path: path.clone(),
        facts,
        offset: offset + (temp.offset(at) - temp.offset(first)),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::entry::{Chunk, ContentHash};
    use crate::host::folder::Root;
    use crate::host::folder::root::IfNew;

    const LEN: usize = 70_000;

    /// A folder with one file of three different chunks, and that content under way.
    fn begun() -> (tempfile::TempDir, Arc<Root>, Temp, TreePath) {
        let dir = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(dir.path(), IfNew::Make).unwrap());
        let bytes: Vec<u8> = (0..3 * LEN).map(|at| u8::try_from(at / LEN + at % 7).unwrap()).collect();
        fs::write(dir.path().join("old"), &bytes).unwrap();
        let chunk = |bytes: &[u8]| Chunk { hash: ContentHash::of(bytes), len: u32::try_from(LEN).unwrap() };
        let list: Vec<Chunk> = bytes.chunks(LEN).map(chunk).collect();
        let temp = Temp::open(&root, ContentHash::of_chunks(&list), 3 * LEN as u64, list).unwrap();
        (dir, root, temp, TreePath::parse("old").unwrap())
    }

    fn take_all(root: &Root, temp: &Temp, path: &TreePath, facts: Option<Facts>) {
        let local = Local { chunks: 0..3, path: path.clone(), facts, offset: 0 };
        take(root.beneath(), temp, &[local], &AtomicBool::new(false), || {}).unwrap();
    }

    #[test]
    fn what_a_file_has_that_is_as_it_was_is_copied() {
        let (_dir, root, temp, path) = begun();
        let facts: Facts = root.stat(&path).unwrap().unwrap().into();
        take_all(&root, &temp, &path, Some(facts));
        assert_eq!(temp.missing(), 0);
    }

    #[test]
    fn of_a_file_that_changed_each_chunk_is_compared() {
        let (dir, root, temp, path) = begun();
        let facts: Facts = root.stat(&path).unwrap().unwrap().into();
        let mut bytes = fs::read(dir.path().join("old")).unwrap();
        bytes[LEN + 1] ^= 1;
        fs::write(dir.path().join("old"), &bytes).unwrap();
        take_all(&root, &temp, &path, Some(facts));
        assert!(temp.has(0) && !temp.has(1) && temp.has(2));
        let (dir, root, temp, path) = begun();
        fs::write(dir.path().join("old"), &bytes[..LEN + 5]).unwrap();
        take_all(&root, &temp, &path, Some(facts));
        assert!(temp.has(0) && temp.missing() == 2, "a shorter one");
        take_all(&root, &temp, &TreePath::parse("none").unwrap(), None);
        assert_eq!(temp.missing(), 2, "none at all");
    }
}
