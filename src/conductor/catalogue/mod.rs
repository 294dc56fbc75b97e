//! The threads of a conductor with a catalogue.
//!
//! ```text
//!  conductor's thread ── sockets ──▶ front ──▶ passwords (a few threads)
//!    ▲  ▲  │  ▲                      │  ▲ ▲          │
//!    │  │  │  └── counts? holders? ──┘  │ └──────────┘
//!    │  │  └── reports ──▶ database ────┘
//!    │  └───── sessions, counts ──┘
//!    └─ reach: can that member be reached?
//! ```
//!
//! Neither the conductor's thread nor the front ever waits for a queue: what does not fit is refused. The others wait for
//! these two, so nobody waits in a ring.

pub mod budget;
pub mod connection;
pub(super) mod database;
pub(super) mod front;
mod passwords;
mod reach;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use mio::{Poll, Waker};

use self::database::{Database, Work};
use self::front::{Front, Heard};
use self::reach::Reacher;
use super::CatalogueConfig;
use super::{Shared, StartError};
use crate::account::{AccountId, Counts};
use crate::credential::{Fingerprint, SessionId};
use crate::host::catalogue::{self, Catalogue, Session};
use crate::host::error::SystemAction;
use crate::host::thread::{self, Panicked, Thread};
use crate::host::{HostError, clock};
use crate::identity::SwarmId;
use crate::limits::{CONDUCTOR_INBOX, DATABASE_QUEUE, REACH_TRIES_MAX};
use crate::wire::desk::Reach;
use crate::wire::seal::ConductorKey;

/// Which question an answer is for. A connection that has gone on to another one, or another connection in its place, has
/// another ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    slot: u32,
    turn: u64,
}

/// What the conductor's thread hears.
#[derive(Debug)]
pub(super) enum News {
    /// These are all sessions.
    Sessions(Vec<Session>),
    /// One was opened.
    Opened(Session),
    /// Some ended.
    Ended(Vec<SessionId>),
    /// How links with these accounts went.
    Counts(Vec<(AccountId, Counts)>),
    /// An address was connected to: how long that took, if it worked.
    Tried { address: SocketAddr, response: Option<Duration> },
    /// The front asks what the registry knows.
    Asked(Ticket, Asked),
}

/// What the front asks the conductor's thread.
#[derive(Debug)]
pub(super) enum Asked {
    /// How many members these swarms have.
    Counts(Vec<SwarmId>),
    /// Who they are, as seen from there.
    Holders { swarm: SwarmId, seen: Seen },
}

/// From where somebody asks: members on this computer are shown as it is seen from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) from: IpAddr,
    pub(super) reached_on: IpAddr,
}

/// What the conductor's thread answers.
#[derive(Debug)]
pub(super) enum Told {
    /// For each swarm: complete members, and getting ones.
    Counts(Vec<(u32, u32)>),
    /// The same for one swarm, and its members, the best first.
    Holders { count: (u32, u32), holders: Vec<Held> },
}

/// A member of a swarm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) address: SocketAddr,
    pub(super) is_complete: bool,
    pub(super) account: Option<AccountId>,
    pub(super) reach: Reach,
    pub(super) counts: Counts,
    pub(super) score: Duration,
}

/// The way into a thread that waits for its sockets.
#[derive(Debug)]
pub(super) struct Post<T> {
    sender: Sender<T>,
    waker: Arc<Waker>,
}

/// All that the conductor's thread has to do with its catalogue.
pub(super) struct Ways {
    pub(super) is_private: bool,
    pub(super) front: Post<Heard>,
    pub(super) database: Sender<Work>,
    pub(super) reach: Post<SocketAddr>,
    pub(super) news: Receiver<News>,
}

/// What the catalogue knows at the start.
pub(super) struct Known {
    pub(super) sessions: Vec<Session>,
    pub(super) counts: Vec<(AccountId, Counts)>,
}

/// The threads, beside the conductor's own.
#[derive(Debug)]
pub(super) struct Annex {
    fingerprint: Fingerprint,
    is_strange: bool,
    /// Held as long as there are threads.
    _key: catalogue::ConductorKey,
    threads: Vec<Thread>,
    wakers: [Arc<Waker>; 2],
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Post<T> {
        Post { sender: self.sender.clone(), waker: Arc::clone(&self.waker) }
    }
}

impl<T> Post<T> {
    /// Hands it over, and waits until there is room. Nobody is there any more only at the end, when nobody needs it.
    fn send(&self, item: T) {
        if self.sender.send(item).is_ok() {
            self.wake();
        }
    }

    /// Hands it over if there is room.
    pub(super) fn try_send(&self, item: T) -> Result<(), T> {
        match self.sender.try_send(item) {
            Ok(()) => {
                self.wake();
                Ok(())
            }
            Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) => Err(item),
        }
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            // It looks into its inbox now and then all the same.
            log::error!("cannot wake a thread: {error}");
        }
    }
}

/// Opens the catalogue and starts its threads. `conductor` wakes the conductor's own.
pub(super) fn start(
    config: &CatalogueConfig,
    conductor: Arc<Waker>,
    shared: &Arc<Shared>,
) -> Result<(Annex, Ways, Known), StartError> {
    let mut catalogue = Catalogue::open(&config.file)?;
    let kept = catalogue.conductor_key()?;
    let key = ConductorKey::from_bytes(*kept.secret);
    let fingerprint = Fingerprint::of(&key.public());
    let sessions = catalogue.read(|reader| reader.sessions(clock::wall()))?;
    let counts = catalogue.read(|reader| reader.all_counts())?;
    let is_strange = kept.is_new && !sessions.is_empty();

    let poll = || Poll::new().map_err(HostError::system(SystemAction::WaitForSockets));
    let (front_poll, reach_poll) = (poll()?, poll()?);
    let waker = |poll: &Poll, token| {
        Waker::new(poll.registry(), token)
            .map(Arc::new)
            .map_err(HostError::system(SystemAction::WaitForSockets))
    };
    let (front_waker, reach_waker) = (waker(&front_poll, front::WAKER)?, waker(&reach_poll, reach::WAKER)?);

    let (news_in, news) = crossbeam_channel::bounded(CONDUCTOR_INBOX);
    let (heard_in, heard) = crossbeam_channel::bounded(CONDUCTOR_INBOX);
    let (wanted_in, wanted) = crossbeam_channel::bounded(REACH_TRIES_MAX);
    let (work_in, work) = crossbeam_channel::bounded(DATABASE_QUEUE);
    let conductor = Post { sender: news_in, waker: conductor };
    let to_front = Post { sender: heard_in, waker: Arc::clone(&front_waker) };
    let to_reach = Post { sender: wanted_in, waker: Arc::clone(&reach_waker) };

    // Without one of its threads a catalogue answers nobody, and who runs it would not learn of it: whether it panics, or
    // ends because the system lets it wait for no sockets.
    let give_up = {
        let (shared, conductor) = (Arc::clone(shared), Arc::clone(&conductor.waker));
        move || shared.ask_to_stop(&conductor)
    };
    let (passwords, mut threads) = passwords::start(&to_front, &shared.hashed, give_up.clone())?;
    let front = Front::new(
        front_poll,
        heard,
        key,
        front::Rules { is_private: config.private, is_closed: config.closed },
        Arc::clone(shared),
        front::Ways { conductor: conductor.clone(), database: work_in.clone(), passwords },
    );
    let run = followed_by(give_up.clone(), move || front.run());
    threads.push(thread::spawn_guarded("front", run, give_up.clone())?);
    let reacher = Reacher::new(reach_poll, wanted, conductor.clone(), Arc::clone(shared));
    let run = followed_by(give_up.clone(), move || reacher.run());
    threads.push(thread::spawn_guarded("reach", run, give_up.clone())?);
    let database = Database { catalogue, queue: work, front: to_front.clone(), conductor };
    threads.push(thread::spawn_guarded("database", move || database.run(), give_up)?);

    let ways = Ways { is_private: config.private, front: to_front, database: work_in, reach: to_reach, news };
    let annex = Annex { fingerprint, is_strange, _key: kept, threads, wakers: [front_waker, reach_waker] };
    Ok((annex, ways, Known { sessions, counts }))
}

/// This work, and then that.
fn followed_by(then: impl FnOnce(), work: impl FnOnce()) -> impl FnOnce() {
    move || {
        work();
        then();
    }
}

impl Annex {
    /// What people know this conductor by.
    pub(super) const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether its key was made just now although there are sessions, whose owners know another one.
    pub(super) const fn is_strange(&self) -> bool {
        self.is_strange
    }

    /// Waits for the threads, once the conductor's own has ended and they were told to stop.
    ///
    /// # Errors
    /// One of them panicked.
    pub(super) fn join(&mut self) -> Result<(), Panicked> {
        for waker in &self.wakers {
            if let Err(error) = waker.wake() {
                log::error!("cannot wake a thread: {error}");
            }
        }
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            outcome = outcome.and(thread.join());
        }
        outcome
    }
}
