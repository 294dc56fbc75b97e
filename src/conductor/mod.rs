//! A conductor: knows which members share which composition, and tells them of each other.
//!
//! One thread, `conductor`, owns all sockets, the registry and the log lines; it waits for readiness of any
//! socket, for the next deadline, or to be woken, and for nothing else. Thousands of strangers may hold
//! connections open; none of them costs a thread, and none can keep the others waiting.
//!
//! It knows neither manifests nor parts, and never dials anybody. Only with a catalogue, which adds threads of its own,
//! it keeps what members publish, and connects back to where members connected from, to see whether others can reach them.

mod actor;
mod admission;
pub mod catalogue;
mod classic;
mod desk;
mod intake;
mod journal;
mod standing;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use mio::Waker;
use thiserror::Error;

use self::actor::Actor;
pub use self::admission::Caps;
use self::catalogue::Annex;
use crate::credential::Fingerprint;
use crate::host::catalogue::CatalogueError;
use crate::host::error::{NetAction, SystemAction};
use crate::host::tcp::{self, ListenOn};
use crate::host::thread::{self, Panicked, Thread};
use crate::host::{HostError, entropy};
use crate::limits;
use crate::logic::registry::{Bounds, Registry};

/// What a conductor is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it accepts connections.
    pub listen: ListenOn,
    /// How many connections it serves.
    pub caps: Caps,
    /// How many swarms and members it keeps.
    pub bounds: Bounds,
    /// From accept to a whole first request, and from one request to the next.
    pub timeout: Duration,
    /// Whether it speaks the classic protocol as well, which is neither sealed nor authenticated.
    pub classic: bool,
    /// Its catalogue; without one it keeps nothing but leases, in memory.
    pub catalogue: Option<CatalogueConfig>,
}

/// What a conductor is to do with a catalogue.
#[derive(Clone, Debug)]
pub struct CatalogueConfig {
    /// The file; it is made if there is none.
    pub file: PathBuf,
    /// Whether only members that are logged in may announce, list or get.
    pub private: bool,
    /// Whether nobody may register: then only the operator makes accounts.
    pub closed: bool,
}

/// Why a conductor does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system does not let it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Its catalogue cannot be used.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl Config {
    /// A conductor at this place, with the usual bounds.
    #[must_use]
    pub fn new(listen: ListenOn) -> Config {
        Config {
            listen,
            caps: Caps::default(),
            bounds: Bounds::default(),
            timeout: limits::DESK_TIMEOUT,
            classic: false,
            catalogue: None,
        }
    }
}

impl CatalogueConfig {
    /// A catalogue in this file, open to everybody.
    #[must_use]
    pub const fn new(file: PathBuf) -> CatalogueConfig {
        CatalogueConfig { file, private: false, closed: false }
    }
}

/// A running conductor; dropping it stops it.
#[derive(Debug)]
pub struct Conductor {
    address: SocketAddr,
    shared: Arc<Shared>,
    waker: Arc<Waker>,
    annex: Option<Annex>,
    ended: Receiver<Infallible>,
    /// None once it has been joined.
    thread: Option<Thread<Result<(), HostError>>>,
}

/// What a conductor is busy with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Members with a lease, in all swarms.
    pub members: usize,
    /// Swarms with at least one member.
    pub swarms: usize,
    /// Open connections.
    pub connections: usize,
    /// Announces answered since the start; refusals count as answers.
    pub answered: usize,
    /// Open connections to its catalogue.
    pub catalogue_connections: usize,
    /// Passwords hashed since the start.
    pub hashed: usize,
}

/// What the handle and the thread share: a wish that is never taken back, and numbers that stand for
/// themselves, so all orderings are relaxed.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    members: AtomicUsize,
    swarms: AtomicUsize,
    connections: AtomicUsize,
    answered: AtomicUsize,
    catalogue_connections: AtomicUsize,
    hashed: Arc<AtomicUsize>,
}

impl Shared {
    /// Makes the conductor, which this wakes, stop soon.
    fn ask_to_stop(&self, conductor: &Waker) {
        self.stop.store(true, Ordering::Relaxed);
        if let Err(error) = conductor.wake() {
            // It looks at the wish at every deadline as well.
            log::error!("cannot wake the conductor: {error}");
        }
    }
}

impl Conductor {
    /// Listens, and answers from then on.
    ///
    /// # Errors
    /// The address cannot be listened on, the system grants no thread, readiness queue or random seed, or the catalogue
    /// cannot be used.
    pub fn start(config: Config) -> Result<Conductor, StartError> {
        let listener = tcp::listen(config.listen)?;
        let address = listener
            .local_addr()
            .and_then(|address| listener.set_nonblocking(true).map(|()| address))
            .map_err(HostError::net(NetAction::Listen, config.listen))?;
        let registry = Registry::new(entropy::seed()?, config.bounds);
        let shared = Arc::new(Shared::default());
        let (mut actor, waker) = Actor::new(listener, registry, &config, Arc::clone(&shared))
            .map_err(HostError::system(SystemAction::WaitForSockets))?;
        let annex = match config.catalogue {
            None => None,
            Some(catalogue) => {
                let started = catalogue::start(&catalogue, Arc::clone(&waker), &shared);
                // Threads that have started go.
                let (annex, ways, known) =
                    started.inspect_err(|_| shared.stop.store(true, Ordering::Relaxed))?;
                actor.attach(ways, known);
                Some(annex)
            }
        };
        let (alive, ended) = bounded(0);
        let thread = thread::spawn("conductor", move || {
            let _alive = alive;
            actor.run()
        })?;
        log::info!("listens on {address}");
        Ok(Conductor { address, shared, waker, annex, ended, thread: Some(thread) })
    }

    /// The address that it listens on, with the port that the system chose if none was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port that it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it is busy with.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            members: self.shared.members.load(Ordering::Relaxed),
            swarms: self.shared.swarms.load(Ordering::Relaxed),
            connections: self.shared.connections.load(Ordering::Relaxed),
            answered: self.shared.answered.load(Ordering::Relaxed),
            catalogue_connections: self.shared.catalogue_connections.load(Ordering::Relaxed),
            hashed: self.shared.hashed.load(Ordering::Relaxed),
        }
    }

    /// What people know the key of its catalogue by; none if it has none.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.annex.as_ref().map(Annex::fingerprint)
    }

    /// Whether the key of its catalogue was not there any more and was made anew, so that members who know the old one refuse
    /// it.
    #[must_use]
    pub fn is_strange(&self) -> bool {
        self.annex.as_ref().is_some_and(Annex::is_strange)
    }

    /// Disconnects when the conductor has ended, for whatever reason.
    #[must_use]
    pub const fn ended(&self) -> &Receiver<Infallible> {
        &self.ended
    }

    /// Makes it stop soon; [`join`](Conductor::join) waits until it has.
    pub fn stop(&self) {
        self.shared.ask_to_stop(&self.waker);
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It ended because it could not wait for its sockets any more.
    ///
    /// # Panics
    /// A thread of it panicked.
    pub fn join(mut self) -> Result<(), HostError> {
        let thread = self.thread.take().expect("only joining takes the thread, and joining ends the handle");
        let outcome = thread.join().expect("the conductor's thread does not panic");
        self.end_annex().expect("no thread of the catalogue panics");
        outcome
    }

    /// Ends the threads of the catalogue, after the conductor's own.
    fn end_annex(&mut self) -> Result<(), Panicked> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.annex.take().map_or(Ok(()), |mut annex| annex.join())
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop();
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::error!("{error}"),
            Err(_) => log::error!("the conductor's thread panicked"),
        }
        if self.end_annex().is_err() {
            log::error!("a thread of the catalogue panicked");
        }
    }
}
