//! The hub: the one thread that knows the index, decides what is to be done, and orders it.
//!
//! - [`looking`]: what was seen on the disk becomes entries;
//! - [`planning`]: entries of others become orders;
//! - [`waiting`]: paths at which nothing can be done yet;
//! - [`fetching`]: contents come from others, or from what is here;
//! - [`hedging`]: and what somebody is late with, from somebody else;
//! - [`giving`]: slices, and lists of chunks, for others;
//! - [`linking`]: who is there, and what is told to whom.
//!
//! Nothing is stored but entries: whatever is under way is found again from them after any stop.

mod fetching;
mod giving;
mod hedging;
pub(super) mod linking;
pub(super) mod looking;
mod planning;
mod room;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use thiserror::Error;

use self::fetching::Arrivals;
use self::giving::Told;
use self::linking::Links;
use self::looking::Looking;
use self::planning::Plans;
use self::room::Room;
use super::applier::{self, Outcome as Applied};
use super::archivist;
use super::context::Context;
use super::hands::Hand;
use super::link::{Fact, LinkId};
use super::preparer::{self, Prepared};
use super::progress::{Moved, Standing};
use super::reading::{self, Found};
use super::scanner::{self, Glimpse, Looked};
use crate::entry::{Author, Chunk, Content, ContentHash, Entry, TreePath};
use crate::host::clock;
use crate::host::folder::FolderError;
use crate::host::folder::content::Task;
use crate::host::folder::facts::Facts;
use crate::host::folder::index::{Change, Index, IndexError, Own, Totals};
use crate::host::folder::watch::Hint;
use crate::host::thread;
use crate::limits::{
    EVENTS_PER_TURN, LEAVE_GRACE, LISTS_MAX, REPORT_MAX, SETTLE_PAUSE, TICK_INTERVAL, TOTALS_INTERVAL,
    TROUBLES_MAX,
};
use crate::logic::addresses::Source;
use crate::time::Moment;
use crate::wire::ensemble::Reason;

/// What the keeper hears.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody dials us.
    Knock(TcpStream, SocketAddr),
    /// A member may listen there.
    Address(SocketAddr, Source),
    /// Where what the user named is, by the words with which that was done; or why nobody knows.
    Named(String, Result<Vec<SocketAddr>, String>),
    /// Something happened on a link.
    Link(LinkId, Fact),
    /// The scanner sees this.
    Glimpses(Vec<Glimpse>),
    /// The scanner is done.
    Looked(Looked),
    /// These were read, and those were not.
    Read { found: BTreeMap<TreePath, Found>, unread: Vec<TreePath>, outcome: reading::Outcome },
    /// The applier is done with these.
    Applied(Vec<Applied>),
    /// Everything is on the disk, or why not.
    Synced(Result<(), FolderError>),
    /// The preparer is done with this content.
    Prepared(ContentHash, Prepared),
    /// The archivist is done.
    Tidied(archivist::Done),
    /// What was to be remembered is on the disk, or not.
    Remembered,
    /// Something changed in the folder.
    Hint(Hint),
    /// The deletions that were held back are meant.
    Approve(Sender<u64>),
    /// Our rows after this path are wanted, a page of them.
    Rows(Option<TreePath>, Sender<Vec<Own>>),
    /// Leave.
    Stop,
    /// A thread of the member failed: a bug of ours.
    Panicked,
}

/// What keeps a member from going on.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A bug of ours.
    #[error("a thread of the program failed; its log says which and where")]
    Panicked,
}

/// How a member left.
#[derive(Debug)]
pub struct Report {
    /// The files that came, at most [`REPORT_MAX`].
    pub moved: Vec<Moved>,
    /// How many came in all.
    pub moved_count: u64,
    /// Whether everything was in unison when it left.
    pub united: bool,
    /// Whether it left because what [`once`](super::Config::once) waits for had come.
    pub fulfilled: bool,
    /// What hindered.
    pub troubles: Vec<String>,
    /// What the user named and was not reached at the end, and why.
    pub unreached: Vec<String>,
}

/// The threads that work for the keeper.
pub(super) struct Hands {
    pub(super) scanner: Hand<scanner::Order>,
    pub(super) reading: Hand<Vec<Task>>,
    pub(super) applier: Hand<applier::Task>,
    pub(super) preparer: Hand<preparer::Order>,
    pub(super) archivist: Hand<archivist::Order>,
    pub(super) memory: Hand<String>,
}

/// What the keeper is to do beyond keeping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose {
    /// Leave when so many other members are there and all is in unison.
    pub(super) once: Option<usize>,
    /// The earliest time at which it leaves by itself.
    pub(super) stays_until: Moment,
}

/// The keeper's state.
pub(super) struct Keeper {
    context: Arc<Context>,
    inbox: Receiver<Event>,
    /// What came while the index had no room, before all that waits in the inbox.
    put_off: VecDeque<Event>,
    news: Sender<()>,
    purpose: Purpose,
    index: Index,
    hands: Hands,
    links: Links,
    looking: Looking,
    plans: Plans,
    arrivals: Arrivals,
    told: Option<Told>,
    room: Room,
    /// Lists of chunks that are not in the index yet.
    lists: BTreeMap<ContentHash, Vec<Chunk>>,
    /// By what they are about.
    troubles: BTreeMap<String, String>,
    moved: Vec<Moved>,
    moved_count: u64,
    totals: Totals,
    conflicts: u64,
    totals_at: Option<Moment>,
    totals_stale: bool,
    next_tick: Moment,
    /// When rows were written last, if not everything was marked clean since.
    unsettled: Option<Moment>,
    stopping: Option<Moment>,
    united_since: Option<Moment>,
    /// What `once` waits for has come.
    fulfilled: bool,
}

impl Keeper {
    pub(super) fn new(
        context: Arc<Context>,
        (inbox, news): (Receiver<Event>, Sender<()>),
        purpose: Purpose,
        index: Index,
        hands: Hands,
        (links, looking): (Links, Looking),
        seed: u64,
    ) -> Keeper {
        Keeper {
            context,
            inbox,
            put_off: VecDeque::new(),
            news,
            purpose,
            index,
            hands,
            links,
            looking,
            plans: Plans::default(),
            arrivals: Arrivals::new(seed),
            told: None,
            room: Room::default(),
            lists: BTreeMap::new(),
            troubles: BTreeMap::new(),
            moved: Vec::new(),
            moved_count: 0,
            totals: Totals::default(),
            conflicts: 0,
            totals_at: None,
            totals_stale: false,
            next_tick: clock::now(),
            unsettled: None,
            stopping: None,
            united_since: None,
            fulfilled: false,
        }
    }

    /// Keeps the folder in unison until it is told to stop.
    pub(super) fn run(mut self) -> Result<Report, KeeperError> {
        self.context.progress.set_device(self.index.device());
        self.plans.sweep();
        let outcome = self.keep();
        for link in self.links.cut_all() {
            thread::join_within(link, LEAVE_GRACE);
        }
        match outcome.and_then(|()| self.conclude()) {
            // What was not written is found again by the next start, and without a mark more is read again.
            Err(KeeperError::Index(error)) if error.is_full() && self.stopping.is_some() => {
                self.no_room(&error);
            }
            outcome => outcome?,
        }
        Ok(Report {
            united: self.united_since.is_some(),
            fulfilled: self.fulfilled,
            troubles: self.hindrances(),
            unreached: self.links.unreached(),
            moved_count: self.moved_count,
            moved: std::mem::take(&mut self.moved),
        })
    }

    /// Writes what is left to write when nothing happens any more.
    fn conclude(&mut self) -> Result<(), KeeperError> {
        self.write_lists()?;
        self.mark_clean_now()
    }

    fn keep(&mut self) -> Result<(), KeeperError> {
        loop {
            let now = clock::now();
            let wait = if self.has_work() { std::time::Duration::ZERO } else { self.next_tick.since(now) };
            let first = self.put_off.pop_front().map_or_else(|| self.inbox.recv_timeout(wait), Ok);
            match first {
                Ok(event) => {
                    self.hear(event)?;
                    for _ in 0..EVENTS_PER_TURN {
                        let next = self.put_off.pop_front().or_else(|| self.inbox.try_recv().ok());
                        let Some(event) = next else { break };
                        self.hear(event)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let now = clock::now();
            if let Some(since) = self.stopping {
                let done =
                    self.links.is_empty() && !self.hands.applier.is_busy() && !self.hands.preparer.is_busy();
                if done || now.since(since) >= LEAVE_GRACE && !self.hands.applier.is_busy() {
                    return Ok(());
                }
                self.next_tick = now + TICK_INTERVAL / 10;
                continue;
            }
            self.advance(now)?;
            if now >= self.next_tick {
                self.next_tick = now + TICK_INTERVAL;
                self.tick(now)?;
            }
        }
    }

    /// Whether there is something to do without hearing of anything.
    fn has_work(&self) -> bool {
        self.stopping.is_none() && self.plans.has_work()
    }

    fn hear(&mut self, event: Event) -> Result<(), KeeperError> {
        // Whoever has done its order is free, also when nobody wants to know any more what came of it.
        match &event {
            Event::Looked(_) => self.hands.scanner.done(),
            Event::Read { .. } => self.hands.reading.done(),
            Event::Applied(_) | Event::Synced(_) => self.hands.applier.done(),
            Event::Prepared(..) => self.hands.preparer.done(),
            Event::Tidied(_) => self.hands.archivist.done(),
            Event::Remembered => self.hands.memory.done(),
            _ => {}
        }
        if self.stopping.is_some()
            && !matches!(
                event,
                Event::Link(_, Fact::Ended(_))
                    | Event::Applied(_)
                    | Event::Synced(_)
                    | Event::Prepared(..)
                    | Event::Panicked
            )
        {
            return Ok(());
        }
        match event {
            Event::Knock(stream, remote) => self.knocked(stream, remote),
            Event::Address(address, source) => self.links.learn(address, source),
            Event::Named(name, found) => self.links.named(&name, found),
            Event::Link(id, fact) => self.on_link(id, fact)?,
            Event::Glimpses(glimpses) => self.glimpsed(glimpses)?,
            Event::Looked(looked) => self.looked(looked)?,
            Event::Read { found, unread, outcome } => self.read(found, unread, outcome)?,
            Event::Applied(outcomes) => self.applied(outcomes)?,
            Event::Synced(outcome) => self.synced(outcome)?,
            Event::Prepared(content, prepared) => self.prepared(content, prepared)?,
            Event::Tidied(done) => self.tidied(done),
            Event::Remembered => {}
            Event::Hint(hint) => self.looking.hint(hint),
            Event::Approve(answer) => {
                // Whoever asked may be gone.
                let _gone = answer.try_send(self.looking.approve());
            }
            Event::Rows(after, answer) => {
                let _gone = answer.try_send(self.index.own_beneath(None, after.as_ref())?);
            }
            Event::Stop => self.stop(),
            Event::Panicked => return Err(KeeperError::Panicked),
        }
        Ok(())
    }

    /// Does what can be done now.
    fn advance(&mut self, now: Moment) -> Result<(), KeeperError> {
        self.look_on(now)?;
        self.plan_some()?;
        self.fetch(now)?;
        self.apply_some();
        self.tell(now)
    }

    fn tick(&mut self, now: Moment) -> Result<(), KeeperError> {
        self.dial(now);
        self.tidy(now);
        self.remember(now);
        self.retry(now);
        self.ask_elsewhere(now);
        self.tell_having();
        let chunks: usize = self.lists.values().map(Vec::len).sum();
        if chunks > LISTS_MAX || !self.is_busy() {
            self.write_lists()?;
        }
        self.settle(now);
        let standing = self.standing(now)?;
        let is_united = standing.is_in_unison();
        if is_united {
            self.united_since.get_or_insert(now);
        } else {
            self.united_since = None;
        }
        if let Some(expected) = self.purpose.once
            && is_united
            && now >= self.purpose.stays_until
            && self.links.has_met(expected)
        {
            self.fulfilled = true;
            self.stop();
        }
        if self.context.progress.publish(standing) {
            // One word is enough for whoever has not looked yet.
            let _unread = self.news.try_send(());
        }
        Ok(())
    }

    /// Writes down where others were reached, for the next start.
    fn remember(&mut self, now: Moment) {
        if !self.hands.memory.is_busy()
            && let Some(text) = self.links.news_of_places(now)
        {
            self.hands.memory.order(text);
        }
    }

    fn standing(&mut self, now: Moment) -> Result<Standing, KeeperError> {
        let behind = self.plans.behind();
        let busy = self.is_busy();
        // Whoever unites once leaves with the right count.
        let is_last = self.purpose.once.is_some() && behind == 0 && !busy;
        let is_due = |at| self.totals_stale && (is_last || now.since(at) >= TOTALS_INTERVAL);
        if self.totals_at.is_none_or(is_due) {
            self.totals = self.index.totals()?;
            self.conflicts = self.index.conflicts()?;
            (self.totals_at, self.totals_stale) = (Some(now), false);
        }
        Ok(Standing {
            members: self.links.neighbours(),
            totals: self.totals,
            behind,
            busy,
            united: self.links.are_united(self.index.last_sequence()),
            conflicts: self.conflicts,
            held: self.looking.held(),
            troubles: self.troubles.values().cloned().collect(),
            unreached: self.links.told_of_named(now),
        })
    }

    /// Whether anything here is about to change.
    fn is_busy(&self) -> bool {
        self.looking.is_busy()
            || self.hands.reading.is_busy()
            || self.plans.is_busy()
            || self.arrivals.is_busy()
    }

    fn stop(&mut self) {
        self.stopping = Some(clock::now());
        self.links.close_all(Reason::Leaving);
    }

    fn author(&self) -> Author {
        Author { device: self.index.device(), seconds: clock::wall().as_secs() }
    }

    /// Writes rows of ours.
    fn write_own(&mut self, rows: &[(TreePath, Entry, Option<Facts>)]) -> Result<(), KeeperError> {
        if rows.is_empty() {
            return Ok(());
        }
        // Whoever has heard of a content may ask for its chunks.
        self.write_lists()?;
        self.write(|keeper| {
            let own = rows.iter();
            keeper.index.write(own.map(|(path, entry, facts)| Change::Own {
                path,
                entry,
                facts: facts.as_ref(),
            }))
        })?;
        self.unsettled = Some(clock::now());
        self.totals_stale = true;
        for (path, entry, _) in rows {
            self.plans.changed_here(path);
            if let Content::File { hash, .. } = &entry.content {
                self.plans.retry_content(hash);
            }
        }
        Ok(())
    }

    /// When nothing has happened for a while, everything is brought to the disk and marked clean.
    fn settle(&mut self, now: Moment) {
        let is_due = self.unsettled.is_some_and(|since| now.since(since) >= SETTLE_PAUSE);
        if is_due && !self.is_busy() && !self.hands.applier.is_busy() {
            self.unsettled = None;
            self.hands.applier.order(applier::Task::Sync);
        }
    }

    fn synced(&mut self, outcome: Result<(), FolderError>) -> Result<(), KeeperError> {
        if outcome.is_ok() {
            self.no_trouble("disk");
        }
        match outcome {
            // What was written since the sync began is not known to be on the disk.
            Ok(()) if self.unsettled.is_none() && !self.is_busy() => match self.index.mark_clean() {
                // Without the mark nothing is wrong; it is tried again like the sync before it.
                Err(error) if error.is_full() => {
                    self.no_room(&error);
                    self.unsettled = Some(clock::now());
                }
                marked => {
                    marked?;
                    self.no_trouble(room::ABOUT);
                }
            },
            Ok(()) => {}
            Err(error) => {
                self.unsettled = Some(clock::now());
                self.trouble("disk", crate::text::chain(&error));
            }
        }
        Ok(())
    }

    /// At the end, if the disk takes everything.
    fn mark_clean_now(&mut self) -> Result<(), KeeperError> {
        if self.unsettled.is_some() && !self.looking.has_suspects() && self.context.root.sync().is_ok() {
            self.index.mark_clean()?;
        }
        Ok(())
    }

    /// Something hinders; `about` names what, so that it can be told when it is over.
    fn trouble(&mut self, about: &str, text: String) {
        if self.troubles.get(about) != Some(&text) {
            log::warn!("{text}");
        }
        if self.troubles.len() < TROUBLES_MAX || self.troubles.contains_key(about) {
            self.troubles.insert(about.to_owned(), text);
        }
    }

    fn no_trouble(&mut self, about: &str) {
        if self.troubles.remove(about).is_some() {
            log::info!("over: {about}");
        }
    }

    fn report(&mut self, moved: Moved) {
        self.moved_count += 1;
        if self.moved.len() < REPORT_MAX {
            self.moved.push(moved);
        }
    }
}
