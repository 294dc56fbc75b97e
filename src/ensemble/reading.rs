//! Reads what may have changed: contents of files, texts of links.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::context::Context;
use super::keeper::Event;
use crate::entry::TreePath;
use crate::host::folder::content::{self, ContentError, Contents, Task};
use crate::host::folder::facts::Facts;
use crate::host::folder::{FolderError, Kind, Trouble};
use crate::host::{HostError, clock, thread};
use crate::limits::{POLL_INTERVAL, YOUNG_SPAN};

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    /// A file, read from its begin to its end while nobody wrote to it.
    File(Contents),
    /// A file that somebody writes to.
    Changing,
    /// A folder.
    Folder(Facts),
    /// A symbolic link.
    Link(String, Facts),
    /// Nothing: a look must say what that means.
    Nothing,
    /// Something that is not carried.
    Other(Kind),
    /// A file that is longer than what is carried.
    TooLong(ContentError),
    /// There is no telling.
    Trouble(FolderError),
}

/// Reads these.
pub(super) fn read(context: &Context, tasks: Vec<Task>) -> Event {
    let mut found = BTreeMap::new();
    let mut files = Vec::new();
    let mut youngest = 0;
    for task in tasks {
        let path = &task.path;
        let what = match context.root.stat(path) {
            Ok(None) => Found::Nothing,
            Ok(Some(stat)) => match stat.kind {
                Kind::File => {
                    youngest = youngest.max(stat.ctime);
                    files.push(task);
                    continue;
                }
                Kind::Folder => Found::Folder(stat.into()),
                Kind::Link => match context.root.beneath().read_link(path) {
                    Ok(text) => Found::Link(text, stat.into()),
                    Err(error) => trouble(error),
                },
                other => Found::Other(other),
            },
            Err(error) => trouble(error),
        };
        found.insert(task.path, what);
    }
    wait_for_the_next_tick(context, youngest);
    let contents = Mutex::new(Vec::with_capacity(files.len()));
    let read = content::read_many(context.root.beneath(), &files, &context.stopping, |at, outcome| {
        let what = match outcome {
            Ok(contents) => Found::File(contents),
            Err(ContentError::Changed(_)) => Found::Changing,
            Err(error @ ContentError::TooLong(_)) => Found::TooLong(error),
            Err(ContentError::Disk(error)) => trouble(error),
        };
        contents.lock().expect("no thread panics while it holds this lock").push((at, what));
    });
    let contents = contents.into_inner().expect("no thread panics while it holds this lock");
    let mut paths: Vec<Option<TreePath>> = files.into_iter().map(|task| Some(task.path)).collect();
    found.extend(contents.into_iter().filter_map(|(at, what)| Some((paths[at].take()?, what))));
    Event::Read { found, unread: paths.into_iter().flatten().collect(), outcome: read }
}

/// What came of a read as a whole.
pub(super) type Outcome = Result<(), HostError>;

fn trouble(error: FolderError) -> Found {
    match error.trouble {
        Trouble::Missing | Trouble::Way => Found::Nothing,
        Trouble::Changed | Trouble::Is(_) => Found::Changing,
        _ => Found::Trouble(error),
    }
}

/// A file that was changed within one tick of the file system's clock can be changed again without a sign of it.
fn wait_for_the_next_tick(context: &Context, changed: i64) {
    let changed = Duration::from_nanos(u64::try_from(changed).unwrap_or(0));
    // A time to come was set by hand, or the clock was put back; neither is waited for.
    if let Some(age) = clock::wall().checked_sub(changed)
        && let Some(left) = YOUNG_SPAN.checked_sub(age)
    {
        thread::pause(left, POLL_INTERVAL, || context.is_stopping());
    }
}
