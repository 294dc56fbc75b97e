//! Gathers what is here already of a content that is to come: what arrived before a restart, and what other files have.

use std::sync::Arc;

use super::context::Context;
use super::keeper::Event;
use crate::entry::{Chunk, ContentHash, TreePath};
use crate::host::folder::FolderError;
use crate::host::folder::reuse::{self, Local};
use crate::host::folder::temp::{Temp, Whole};
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
    let wrote = || context.flusher.wrote(&temp);
    reuse::take(context.root.beneath(), &temp, local, &context.stopping, wrote)?;
    Ok(temp)
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
