//! Gathers what is here already of a content that is to come: what arrived before a restart, and what other files have.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::context::Context;
use super::keeper::Event;
use crate::entry::{Chunk, ContentHash, TreePath};
use crate::host::folder::facts::Facts;
use crate::host::folder::temp::{Temp, Whole};
use crate::host::folder::{FolderError, Stat};
use crate::host::thread;
use crate::limits::POLL_INTERVAL;

/// What to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Begin a longer content.
    Begin { content: ContentHash, size: u64, chunks: Vec<Chunk>, local: Vec<Local> },
    /// All chunks are there.
    Finish { content: ContentHash, temp: Arc<Temp> },
    /// Copy a short content from one of our files.
    Copy { content: ContentHash, size: u64, path: TreePath },
}

/// Chunks that a file of ours may have as well.
#[derive(Clone, Debug)]
pub(super) struct Local {
    /// Which ones, of the content that is to come.
    pub(super) chunks: Range<usize>,
    /// In which file.
    pub(super) path: TreePath,
    /// What the disk told of that file when it was read, if it surely was.
    pub(super) facts: Option<Facts>,
    /// From where on there.
    pub(super) offset: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Prepared {
    /// So far it is here.
    Begun(Arc<Temp>),
    /// It is whole.
    Whole(Whole),
    /// It is not to be had from the file that was named.
    NotThere,
    /// The disk would not.
    Trouble(FolderError),
}

/// Carries out an order.
pub(super) fn prepare(context: &Context, order: Order) -> Event {
    let (content, prepared) = match order {
        Order::Begin { content, size, chunks, local } => {
            (content, begin(context, content, size, chunks, &local).map(Prepared::Begun))
        }
        Order::Finish { content, temp } => (content, finish(temp).map(Prepared::Whole)),
        Order::Copy { content, size, path } => (content, copy(context, content, size, &path)),
    };
    Event::Prepared(content, prepared.unwrap_or_else(Prepared::Trouble))
}

fn begin(
    context: &Context,
    content: ContentHash,
    size: u64,
    chunks: Vec<Chunk>,
    local: &[Local],
) -> Result<Arc<Temp>, FolderError> {
    let temp = Arc::new(Temp::open(&context.root, content, size, chunks)?);
    temp.resume(&context.stopping)?;
    temp.reserve()?;
    take(context, &temp, local)?;
    Ok(temp)
}

/// Takes chunks from files of ours, on all cores.
fn take(context: &Context, temp: &Arc<Temp>, local: &[Local]) -> Result<(), FolderError> {
    let runs: Vec<Local> = local.iter().flat_map(|local| split(temp, local)).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), FolderError> {
        let mut open: Option<(&TreePath, File)> = None;
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if context.is_stopping() {
                break;
            }
            if open.as_ref().is_none_or(|(path, _)| *path != &run.path) {
                // A file that is gone by now gives nothing; others will.
                open = context.root.beneath().open_file(&run.path).ok().map(|file| (&run.path, file));
            }
            if let Some((_, file)) = &open {
                give(temp, run, file, &context.stopping)?;
                context.flusher.wrote(temp);
            }
        }
        Ok(())
    };
    let helpers = thread::cores().min(runs.len()).saturating_sub(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..helpers)
            .filter_map(|number| thread::scoped(scope, format!("take{number}"), work).ok())
            .collect();
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
    const CHUNKS: usize = 64;
    let Local { chunks, path, facts, offset } = local.clone();
    let first = chunks.start;
    chunks.clone().step_by(CHUNKS).map(move |at| Local {
        chunks: at..(at + CHUNKS).min(chunks.end),
        path: path.clone(),
        facts,
        offset: offset + (temp.offset(at) - temp.offset(first)),
    })
}

/// Those who read it for others are done in a moment.
fn finish(temp: Arc<Temp>) -> Result<Whole, FolderError> {
    let mut temp = temp;
    loop {
        match Arc::try_unwrap(temp) {
            Ok(temp) => return temp.whole(),
            Err(shared) => {
                temp = shared;
                thread::pause(std::time::Duration::from_millis(1), POLL_INTERVAL, || false);
            }
        }
    }
}

fn copy(
    context: &Context,
    content: ContentHash,
    size: u64,
    path: &TreePath,
) -> Result<Prepared, FolderError> {
    use std::io::Read as _;
    let Ok(file) = context.root.beneath().open_file(path) else { return Ok(Prepared::NotThere) };
    let mut bytes = Vec::new();
    if file.take(size + 1).read_to_end(&mut bytes).is_err() || ContentHash::of(&bytes) != content {
        return Ok(Prepared::NotThere);
    }
    Whole::of_bytes(&context.root, content, &bytes).map(Prepared::Whole)
}
