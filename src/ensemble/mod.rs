//! A member of an ensemble: keeps one folder the same as that of all other members.
//!
//! ```text
//!  finder ──Address─▶ ┌────────┐ ──Look────▶ scanner ── walks the folder
//!  listener ──Knock─▶ │ keeper │ ──paths───▶ reading ── hashes what may have changed
//!  watch ─────Hint──▶ │ Index  │ ──Order───▶ preparer ─ gathers what is here of a content
//!  hands ───outcome─▶ │        │ ──Task────▶ applier ── changes the folder
//!  link reader ─Fact▶ └────────┘ ──Outgoing (try)──▶ link writer ──▶ other member
//!      │                                                  │
//!      └─ writes what came to .orchestra/tmp              └─ reads slices of files
//! ```
//!
//! | actor | threads | owns | waits on |
//! |---|---|---|---|
//! | `keeper` | 1 | the index, what is planned, the table of links | its inbox, the index's disk |
//! | `link` reader | 1 a link | decoder, a slice | its socket, the disk, the inbox |
//! | `link` writer | 1 a link | output buffer, an open file | its queue, the disk, its socket |
//! | `scanner`, `reading`, `preparer`, `applier` | 1 each, with helpers on other cores | nothing | its one order, the disk, the inbox |
//! | `archivist` | 1 | nothing | its one order, the disk, the inbox |
//! | `memory` | 1 | nothing | its one order, the disk, the inbox |
//! | `flusher` | 1 | nothing | its queue, the disk |
//! | `listener` | 1 | the listening socket | a connection, the inbox |
//! | `control` | 1 | the socket in the folder | a question, the keeper, the disk |
//! | `finder` | 1 for each way to find members | nothing | the network, the inbox |
//!
//! Inside the process everybody may wait for the keeper, and the keeper for nobody but its own index. Bytes of contents
//! stay in the thread that has the socket, from the wire to the disk and back.

mod applier;
mod archivist;
mod context;
mod control;
mod finder;
mod flusher;
mod hands;
mod keeper;
mod link;
mod packing;
mod preparer;
pub mod progress;
mod reading;
mod scanner;
pub mod verify;
pub mod visit;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use thiserror::Error;

use self::archivist::Archivist;
use self::context::Context;
use self::flusher::Flusher;
use self::hands::Hand;
use self::keeper::linking::Links;
use self::keeper::looking::Looking;
use self::keeper::{Event, Hands, Keeper, Purpose};
pub use self::keeper::{KeeperError, Report};
use self::progress::{Progress, Snapshot};
use crate::address::HostPort;
use crate::entry::{Device, TreePath};
use crate::host::error::NetAction;
use crate::host::folder::index::{self, Found, Index, IndexError};
use crate::host::folder::root::{IfNew, RootError};
use crate::host::folder::watch::{Cover, Watch};
use crate::host::folder::{FolderError, Root};
use crate::host::lan::Lan;
use crate::host::tcp::{self, ListenOn};
use crate::host::thread::{self, Thread};
use crate::host::{HostError, clock, computer, dial, entropy};
use crate::identity::MemberId;
use crate::key::{BadKey, EnsembleKey};
use crate::limits::{
    BOOT_FILE_LEN_MAX, DIRECTOR_INBOX, KEY_FILE_LEN_MAX, LABEL_LEN_MAX, LEAVE_GRACE, MEMBER_PORTS, ONCE_STAY,
    POLL_INTERVAL, ROOT_PATIENCE,
};
use crate::logic::addresses::Source;
use crate::stream::Throttle;
use crate::stream::listener::accept;
use crate::text::{Escaped, chain};

/// The file in [`OWN_FOLDER`](crate::entry::path::OWN_FOLDER) that holds the key.
const KEY_FILE: &str = "key";

/// The file beside it that names the run of the system in which a member began last.
const BOOT_FILE: &str = "boot";

/// What a member needs to know to begin.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder.
    pub dir: PathBuf,
    /// The key to join with; none to go on with the folder's, or to begin a new ensemble.
    pub key: Option<EnsembleKey>,
    /// Where to listen; by default the first free port of [`MEMBER_PORTS`], or any.
    pub listen: Option<ListenOn>,
    /// Members to dial.
    pub members: Vec<HostPort>,
    /// A conductor to ask for others.
    pub conductor: Option<HostPort>,
    /// Whether to look for others in the local network.
    pub lan: bool,
    /// Bytes per second to send at most.
    pub up: Option<NonZeroU64>,
    /// Bytes per second to receive at most.
    pub down: Option<NonZeroU64>,
    /// Leave when so many others are there and all is in unison.
    pub once: Option<usize>,
}

/// Why a member cannot begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// The folder.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Something of ours in the folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The system.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What is in the key's file is no key.
    #[error("the file .orchestra/key in {path} holds no key; restore it, or remove it to join with --key-file", path = Escaped(&path.to_string_lossy()))]
    Key {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: BadKey,
    },
    /// The folder belongs to another ensemble.
    #[error(
        "{path} belongs to an ensemble with another key; to leave that one, remove {path}/.orchestra/key",
        path = Escaped(&path.to_string_lossy())
    )]
    OtherKey {
        /// The folder.
        path: PathBuf,
    },
}

/// A running member. Dropping it stops it and waits for its end.
#[derive(Debug)]
pub struct Ensemble {
    context: Arc<Context>,
    key: EnsembleKey,
    address: SocketAddr,
    began: bool,
    news: Receiver<()>,
    ended: Receiver<()>,
    outcome: Receiver<Result<Report, KeeperError>>,
    threads: Vec<Thread>,
    lan: Option<Lan>,
}

impl Ensemble {
    /// Opens the folder and starts all threads.
    ///
    /// # Errors
    /// The folder, its index or its key cannot be used, or the system lacks a port or threads.
    pub fn start(config: Config) -> Result<Ensemble, StartError> {
        let root = Arc::new(open_root(&config.dir)?);
        let (key, began) = key_of(&root, config.key)?;
        let (index, suspects) = open_index(&root)?;
        let listener = match config.listen {
            Some(on) => tcp::listen(on)?,
            None => tcp::listen_on_first(MEMBER_PORTS)?,
        };
        let address = listener.local_addr().map_err(HostError::net(NetAction::Listen, "a free port"))?;
        let (inbox, events) = crossbeam_channel::bounded(DIRECTOR_INBOX);
        let (tell_news, news) = crossbeam_channel::bounded(1);
        let (flusher, due) = Flusher::new();
        let context = Arc::new(Context {
            root,
            key: key.link_key(),
            me: MemberId::from_bytes(entropy::bytes()?),
            port: address.port(),
            label: label(),
            flusher,
            up: Throttle::new(config.up.map(NonZeroU64::get)),
            down: Throttle::new(config.down.map(NonZeroU64::get)),
            progress: Progress::new(),
            inbox,
            stopping: Arc::new(AtomicBool::new(false)),
        });
        let mut threads = Vec::new();
        threads.push(flusher::start(&context, due)?);
        let hands = start_hands(&context, &mut threads)?;
        let seed = entropy::seed()?;
        let stay = if config.lan { ONCE_STAY } else { Duration::ZERO };
        let purpose = Purpose { once: config.once, stays_until: clock::now() + stay };
        let mouths = (events, tell_news);
        let known = (Links::new(seed, finder::remembered(&context)), Looking::new(suspects, seed));
        let keeper = Keeper::new(Arc::clone(&context), mouths, purpose, index, hands, known, seed);
        let (ended, outcome, keeper) = start_keeper(&context, keeper)?;
        threads.push(keeper);
        threads.push(start_listener(&context, listener)?);
        threads.extend(control::start(&context, address)?);
        threads.extend(finder::start(&context, &key, config.members, config.conductor)?);
        let lan = if config.lan { start_lan(&context, &key) } else { None };
        Ok(Ensemble { context, key, address, began, news, ended, outcome, threads, lan })
    }

    /// The key of the ensemble.
    #[must_use]
    pub const fn key(&self) -> &EnsembleKey {
        &self.key
    }

    /// Whether the ensemble began here, just now.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.began
    }

    /// Where the member listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A look at it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.context.progress.snapshot()
    }

    /// Tells when a snapshot is worth a look.
    #[must_use]
    pub const fn news(&self) -> &Receiver<()> {
        &self.news
    }

    /// Is closed when the member has ended.
    #[must_use]
    pub const fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Lets the deletions go that were held back; how many they are.
    #[must_use]
    pub fn approve(&self) -> u64 {
        approve(&self.context)
    }

    /// Asks the member to leave.
    pub fn stop(&self) {
        self.context.stopping.store(true, Ordering::Relaxed);
        self.context.report(Event::Stop);
        dial::wake_listener(self.address);
    }

    /// Waits until the member has ended, and says how; once.
    ///
    /// # Errors
    /// What kept it from going on.
    pub fn outcome(&self) -> Result<Report, KeeperError> {
        self.outcome.recv().unwrap_or(Err(KeeperError::Panicked))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// What kept it from going on.
    pub fn join(mut self) -> Result<Report, KeeperError> {
        let outcome = self.outcome();
        self.end();
        outcome
    }

    fn end(&mut self) {
        self.context.stopping.store(true, Ordering::Relaxed);
        dial::wake_listener(self.address);
        self.lan = None;
        for thread in std::mem::take(&mut self.threads) {
            thread::join_within(thread, 2 * LEAVE_GRACE);
        }
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.stop();
            // The end is what counts; how it came is told by join.
            let _outcome = self.outcome.recv();
            self.end();
        }
    }
}

fn approve(context: &Context) -> u64 {
    let (answer, answered) = crossbeam_channel::bounded(1);
    context.report(Event::Approve(answer));
    answered.recv().unwrap_or(0)
}

/// Opens the folder; whoever just asks how it stands is done with it in a moment.
fn open_root(dir: &Path) -> Result<Root, RootError> {
    let until = clock::now() + ROOT_PATIENCE;
    loop {
        match Root::open(dir, IfNew::Make) {
            Err(RootError::InUse { .. }) if clock::now() < until => {
                thread::pause(POLL_INTERVAL, POLL_INTERVAL, || false);
            }
            opened => return opened,
        }
    }
}

/// The key of the folder: the one that it has, the one to join with, or a new one; and whether it is new.
fn key_of(root: &Root, given: Option<EnsembleKey>) -> Result<(EnsembleKey, bool), StartError> {
    let path = || root.path().to_owned();
    let kept = read_key(root)?;
    match (kept, given) {
        (Some(kept), Some(given)) if kept != given => Err(StartError::OtherKey { path: path() }),
        (Some(kept), _) => Ok((kept, false)),
        (None, given) => {
            let began = given.is_none();
            let key = match given {
                Some(key) => key,
                None => EnsembleKey::from_bytes(entropy::bytes()?),
            };
            root.write_own(KEY_FILE, format!("{key}\n").as_bytes())?;
            Ok((key, began))
        }
    }
}

fn read_key(root: &Root) -> Result<Option<EnsembleKey>, StartError> {
    let Some(bytes) = root.read_own(KEY_FILE, KEY_FILE_LEN_MAX)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.parse() {
        Ok(key) => Ok(Some(key)),
        Err(source) => Err(StartError::Key { path: root.path().to_owned(), source }),
    }
}

/// The key of a folder, whether or not a member works on it.
///
/// # Errors
/// The folder is no ensemble's, or its key cannot be read.
pub fn key(dir: &Path) -> Result<EnsembleKey, StartError> {
    let path = dir.to_owned();
    let bytes = crate::host::folder::root::peek_own(dir, KEY_FILE, KEY_FILE_LEN_MAX)?;
    let bytes = bytes.ok_or(RootError::NotOurs { path: path.clone() })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.parse().map_err(|source| StartError::Key { path, source })
}

/// Opens the index of the folder, or begins one; with the paths whose rows are in doubt.
fn open_index(root: &Root) -> Result<(Index, BTreeSet<TreePath>), StartError> {
    let path = root.own_path();
    let device = || Ok::<_, HostError>(Device::from_bits(entropy::seed()?));
    let mut suspects = BTreeSet::new();
    let mut index = match index::open(&path)? {
        Found::Nothing { lost } => {
            if lost {
                log::warn!("the index of {} is lost; what differs elsewhere is united", path.display());
            }
            index::create(&path, device()?)?
        }
        Found::Whole { index, clean } => {
            if !clean && is_same_run(root)? {
                log::info!(
                    "the last stop was not clean, but the system ran on: what was written is as it was"
                );
            } else if !clean {
                log::info!(
                    "the last stop was not clean: what was written since the last clean mark is read again"
                );
                suspects = suspects_of(&index)?;
            }
            *index
        }
        Found::Restored(mut index) => {
            log::warn!("an older index was put in the place of {}", path.display());
            index.renew(device()?)?;
            *index
        }
        Found::Damaged(error) => {
            let aside = index::set_aside(&path)?;
            log::warn!(
                "{}; it is kept as {}, and what differs elsewhere is united",
                chain(&error),
                aside.display()
            );
            index::create(&path, device()?)?
        }
    };
    if root.is_copy() {
        index.renew(device()?)?;
    }
    root.write_own(BOOT_FILE, computer::boot().unwrap_or_default().as_bytes())?;
    Ok((index, suspects))
}

/// Whether the system has not stopped since a member last began here: then nothing that was written is lost, whatever
/// happened to the program.
fn is_same_run(root: &Root) -> Result<bool, StartError> {
    let then = root.read_own(BOOT_FILE, BOOT_FILE_LEN_MAX)?;
    Ok(computer::boot().is_some_and(|now| then.as_deref() == Some(now.as_bytes())))
}

fn suspects_of(index: &Index) -> Result<BTreeSet<TreePath>, IndexError> {
    let mut suspects = BTreeSet::new();
    loop {
        let page = index.suspects(suspects.last())?;
        if page.is_empty() {
            return Ok(suspects);
        }
        suspects.extend(page.into_iter().map(|own| own.path));
    }
}

fn start_hands(context: &Arc<Context>, threads: &mut Vec<Thread>) -> Result<Hands, StartError> {
    let hints = Arc::clone(context);
    let watch = match Watch::start(context.root.path(), move |hint| hints.report(Event::Hint(hint))) {
        Ok(watch) => Some(watch),
        Err(error) => {
            // Changes are found by looking, every hour.
            log::warn!("{}", chain(&error));
            None
        }
    };
    let cover = move |path: Option<&TreePath>| match watch.as_ref().map(|watch| watch.cover(path)) {
        None | Some(Cover::Watched | Cover::Gone) => {}
        Some(Cover::Full) => {
            log::warn!("the system watches no more folders; raise fs.inotify.max_user_watches");
        }
        Some(Cover::Refused(error)) => log::warn!("a folder cannot be watched: {error}"),
    };
    let (scanner, thread) =
        Hand::start(context, "scanner", move |context, order| scanner::look(context, order, &cover))?;
    threads.push(thread);
    let (reading, thread) = Hand::start(context, "reading", reading::read)?;
    threads.push(thread);
    let (preparer, thread) = Hand::start(context, "preparer", preparer::prepare)?;
    threads.push(thread);
    let (applier, thread) = Hand::start(context, "applier", applier::work)?;
    threads.push(thread);
    let mut keeps = Archivist::default();
    let (archivist, thread) =
        Hand::start(context, "archivist", move |context, order| keeps.work(context, order))?;
    threads.push(thread);
    let (memory, thread) =
        Hand::start(context, "memory", |context, text: String| finder::remember(context, &text))?;
    threads.push(thread);
    Ok(Hands { scanner, reading, applier, preparer, archivist, memory })
}

/// When the keeper has ended, and with what.
type End = (Receiver<()>, Receiver<Result<Report, KeeperError>>, Thread);

fn start_keeper(context: &Arc<Context>, keeper: Keeper) -> Result<End, HostError> {
    let (alive, ended) = crossbeam_channel::bounded::<()>(0);
    let (tell, outcome): (Sender<_>, _) = crossbeam_channel::bounded(1);
    let thread = context.spawn("keeper", move |context| {
        let result = keeper.run();
        context.stopping.store(true, Ordering::Relaxed);
        // Whoever asks has the other end.
        drop(tell.send(result));
        drop(alive);
    })?;
    Ok((ended, outcome, thread))
}

fn start_listener(context: &Arc<Context>, listener: TcpListener) -> Result<Thread, HostError> {
    context.spawn("listener", move |context| {
        let knock = |stream, remote| context.report(Event::Knock(stream, remote));
        accept(&listener, || context.is_stopping(), knock);
    })
}

fn start_lan(context: &Arc<Context>, key: &EnsembleKey) -> Option<Lan> {
    let (key, found) = (key.clone(), Arc::clone(context));
    let tag = move |day| key.tag(day);
    let tell = move |address| found.report(Event::Address(address, Source::Conductor));
    match Lan::start(context.port, tag, tell) {
        Ok(lan) => Some(lan),
        Err(error) => {
            log::warn!("{}", chain(&error));
            None
        }
    }
}

/// How people call this computer.
fn label() -> String {
    let mut label = String::new();
    for letter in computer::name().chars() {
        if label.len() + letter.len_utf8() > LABEL_LEN_MAX {
            break;
        }
        label.push(letter);
    }
    label
}
