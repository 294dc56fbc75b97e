//! Hints that something in the folder was changed. What was, a look decides.
//!
//! Each folder is watched by itself, and only when whoever walks asks for it: so what is ours and what is left out by the
//! rules is never watched. Hints may be late, may be wrong, and do not come at all from file systems that do not tell
//! (those on other computers), so a look at everything is due now and then all the same.
//! Opening and reading is no change; our own changes are hinted at like those of others.

mod gather;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use notify::event::{AccessKind, AccessMode, CreateKind, MetadataKind, ModifyKind};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;

use self::gather::{Change, Gather};
use crate::entry::TreePath;
use crate::host::HostError;
use crate::host::clock;
use crate::host::error::FileAction;
use crate::host::thread::{self, Thread};
use crate::limits::WATCH_QUEUE;
use crate::text::Escaped;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// At these paths and what is beneath them, in the order of paths. None is beneath another, and there are at most
    /// [`HINT_PATHS_MAX`](crate::limits::HINT_PATHS_MAX).
    Look(Vec<TreePath>),
    /// At everything: changes were lost, or the folder itself was moved, replaced or deleted.
    Everything,
}

/// Whether changes in a folder are told from now on.
#[derive(Debug)]
pub enum Cover {
    /// They are.
    Watched,
    /// The system watches no more folders for this user; on Linux `fs.inotify.max_user_watches` says how many it would.
    Full,
    /// There is no such folder any more.
    Gone,
    /// The system refuses to watch it.
    Refused(notify::Error),
}

/// Why nothing can be watched.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The system has no watch for us; on Linux `fs.inotify.max_user_instances` says how many a user may have.
    #[error(
        "cannot watch {path} for changes; end other programs that watch folders, or raise fs.inotify.max_user_instances",
        path = Escaped(&path.to_string_lossy())
    )]
    Refused {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: notify::Error,
    },
    /// The folder is not there, or there is no room for threads.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The thread that the watch needs could not start.
    #[error("cannot start a thread to watch folders; end some programs")]
    NoThread,
}

/// A watch on some folders. Dropping it ends its threads.
#[derive(Debug)]
pub struct Watch {
    /// Absolute, without links.
    root: PathBuf,
    covered: Covered,
    /// None only while it is dropped.
    watcher: Option<Mutex<RecommendedWatcher>>,
    thread: Option<Thread>,
}

/// Which folders are watched; none is the topmost. A folder that is moved away or deleted is not any more.
///
/// Nobody waits for the watching thread while holding this lock, for that thread takes it as well.
#[derive(Clone, Debug, Default)]
struct Covered(Arc<Mutex<BTreeSet<Option<TreePath>>>>);

/// What the system's thread knows of the one that gathers.
struct Teller {
    root: PathBuf,
    covered: Covered,
    queue: Sender<Heard>,
    /// Whether the queue was full.
    lost: Arc<AtomicBool>,
}

/// What goes to the thread that gathers.
enum Heard {
    Change(Change),
    /// A file, or something else that is no folder, was made.
    Made(TreePath),
}

impl Watch {
    /// Begins to watch, but no folder yet. `told` is called in a thread of its own; while it waits, changes pile up and
    /// in the end become [`Hint::Everything`]. It must not wait for whoever drops the watch, or calls [`Watch::cover`].
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn start(root: &Path, told: impl Fn(Hint) + Send + 'static) -> Result<Watch, WatchError> {
        let root = fs::canonicalize(root).map_err(HostError::file(FileAction::Inspect, root))?;
        let covered = Covered::default();
        let (queue, heard) = bounded(WATCH_QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let teller = Teller { root: root.clone(), covered: covered.clone(), queue, lost: Arc::clone(&lost) };
        let watcher = RecommendedWatcher::new(move |event| teller.tell(event), Config::default())
            .map_err(|source| WatchError::Refused { path: root.clone(), source })?;
        // The library does not say that its thread could not start.
        if heard.try_recv().is_err_and(|error| error == TryRecvError::Disconnected) {
            return Err(WatchError::NoThread);
        }
        let thread = {
            let root = root.clone();
            thread::spawn("watch", move || gather(&root, &heard, &lost, told))?
        };
        Ok(Watch { root, covered, watcher: Some(Mutex::new(watcher)), thread: Some(thread) })
    }

    /// Sees to it that changes in this folder, not in those beneath it, are told from now on; none is the topmost.
    /// That costs little if they are already.
    pub fn cover(&self, path: Option<&TreePath>) -> Cover {
        let mut watcher = self.watcher();
        // Noted before it is so: if it is moved away at this moment, that it is not covered any more comes after.
        if !self.covered.lock().insert(path.cloned()) {
            return Cover::Watched;
        }
        let Err(error) = watcher.watch(&self.on_disk(path), RecursiveMode::NonRecursive) else {
            return Cover::Watched;
        };
        self.covered.lock().remove(&path.cloned());
        match error.kind {
            ErrorKind::MaxFilesWatch => Cover::Full,
            ErrorKind::PathNotFound => Cover::Gone,
            ErrorKind::Io(ref io) if is_gone(io) => Cover::Gone,
            _ => Cover::Refused(error),
        }
    }

    /// Watches this folder and those beneath it no more, for they are gone or left out now.
    pub fn forget(&self, path: &TreePath) {
        let mut watcher = self.watcher();
        for gone in self.covered.remove(Some(path)) {
            // The library may know already that the folder is gone.
            let _unknown = watcher.unwatch(&self.on_disk(gone.as_ref()));
        }
    }

    fn watcher(&self) -> MutexGuard<'_, RecommendedWatcher> {
        let watcher = self.watcher.as_ref().expect("it is there until it is dropped");
        watcher.lock().expect("nobody panics while holding this lock")
    }

    fn on_disk(&self, path: Option<&TreePath>) -> PathBuf {
        path.map_or_else(|| self.root.clone(), |path| self.root.join(path.as_str()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Its thread ends, and with it the queue, and so the thread that gathers.
        self.watcher = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told on standard error when it happened.
            let _panicked = thread.join();
        }
    }
}

impl Covered {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Option<TreePath>>> {
        self.0.lock().expect("nobody panics while holding this lock")
    }

    /// Removes a folder and what is beneath it, and yields what was there.
    fn remove(&self, path: Option<&TreePath>) -> Vec<Option<TreePath>> {
        let mut covered = self.lock();
        let Some(path) = path else { return std::mem::take(&mut *covered).into_iter().collect() };
        let is_inside = |other: &Option<TreePath>| {
            other.as_ref().is_some_and(|other| other == path || other.is_beneath(path))
        };
        let inside: Vec<_> =
            covered.range(Some(path.clone())..).take_while(|other| is_inside(other)).cloned().collect();
        for path in &inside {
            covered.remove(path);
        }
        inside
    }
}

impl Teller {
    /// Takes what the system told. It must not wait: whoever covers a folder waits for this thread.
    fn tell(&self, event: notify::Result<Event>) {
        let Ok(event) = event else { return self.send(Heard::Change(Change::Anything)) };
        if event.need_rescan() {
            self.send(Heard::Change(Change::Anything));
        }
        for path in &event.paths {
            let is_gone = match event.kind {
                EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => true,
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Create(_)
                | EventKind::Modify(_)
                | EventKind::Any => false,
                EventKind::Access(_) | EventKind::Other => continue,
            };
            let path = match self.tree_path(path) {
                Place::Tree(path) => path,
                Place::Topmost if is_gone => {
                    self.covered.remove(None);
                    self.send(Heard::Change(Change::Anything));
                    continue;
                }
                Place::Topmost | Place::Elsewhere => continue,
            };
            if is_gone {
                self.covered.remove(Some(&path));
            }
            self.send(match event.kind {
                EventKind::Create(CreateKind::Folder) => Heard::Change(Change::Done(path)),
                EventKind::Create(_) => Heard::Made(path),
                EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)) => {
                    Heard::Change(Change::Attributes(path))
                }
                EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                    Heard::Change(Change::Writing(path))
                }
                _ => Heard::Change(Change::Done(path)),
            });
        }
    }

    fn send(&self, heard: Heard) {
        if self.queue.try_send(heard).is_err() {
            self.lost.store(true, Ordering::Release);
            // If the queue is still full, the other side sees the flag when it has taken what is there; if not, it must
            // be woken.
            let _full = self.queue.try_send(Heard::Change(Change::Anything));
        }
    }

    fn tree_path(&self, path: &Path) -> Place {
        let Ok(path) = path.strip_prefix(&self.root) else { return Place::Elsewhere };
        if path.as_os_str().is_empty() {
            return Place::Topmost;
        }
        // Ours, or a name that no look carries either.
        path.to_str().and_then(|text| TreePath::parse(text).ok()).map_or(Place::Elsewhere, Place::Tree)
    }
}

/// What the system's path is to us.
enum Place {
    Topmost,
    Tree(TreePath),
    Elsewhere,
}

/// Gathers what is heard until nothing more can come.
fn gather(root: &Path, heard: &Receiver<Heard>, lost: &AtomicBool, told: impl Fn(Hint)) {
    let mut gather = Gather::default();
    loop {
        let first = match gather.deadline() {
            Some(due) => heard.recv_timeout(due.since(clock::now())),
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let first = match first {
            Ok(heard) => Some(heard),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now = clock::now();
        for heard in first.into_iter().chain(heard.try_iter().take(WATCH_QUEUE)) {
            gather.step(now, change(root, heard));
        }
        if lost.swap(false, Ordering::AcqRel) {
            gather.step(now, Change::Anything);
        }
        while let Some(hint) = gather.tell(clock::now()) {
            told(hint);
        }
    }
}

/// What was made is whole at once, unless it is a file that is about to be written.
fn change(root: &Path, heard: Heard) -> Change {
    match heard {
        Heard::Change(change) => change,
        Heard::Made(path) => match fs::symlink_metadata(root.join(path.as_str())) {
            // Another name of a file is not closed after it is made.
            Ok(metadata) if metadata.is_file() && metadata.nlink() == 1 => Change::Writing(path),
            Ok(_) | Err(_) => Change::Done(path),
        },
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
