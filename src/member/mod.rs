//! A member: gets a composition from all other members and shares it on.
//!
//! ```text
//!                       ┌─────────── the terminal reads ── Progress (counters)
//!  q / ^C ──Stop──┐     │
//!                 v     │
//!  listener ─Knock─▶ ┌──────────┐ ──Announce──▶ scout ──tcp── conductor
//!  scout ───Answer─▶ │ director │
//!  check ──Checked─▶ │  Swarm   │ ──Outgoing (try)──▶ link writer ──▶ other member
//!  link reader ─Fact▶│          │                        ▲
//!  verifier ────Fact▶└──────────┘                        │
//!     ▲ │                              link reader ─Outgoing (try)
//!     │ │ pwrite                            │  ▲
//!     │ v                                   │  │ sealed records ◀── other member
//!     │ Store (shared, no lock)             │  │
//!     └────────────Landed (a buffer)────────┘
//! ```
//!
//! | actor | threads | owns | waits on |
//! |---|---|---|---|
//! | `director` | 1 | the swarm, the table of links | its inbox until the machine's deadline, nothing else |
//! | `link` reader | 1 a link | decoder, session, a part buffer | its socket, a buffer, a verifier's queue, the inbox |
//! | `link` writer | 1 a link | output buffer | its queue, the disk, its socket |
//! | `verifier` | half the cores | what it verifies together | its queue, the disk, the inbox |
//! | `listener` | 1 | the listening socket | a connection, the inbox |
//! | `scout` | 1 | nothing | its queue, one socket, the inbox |
//! | `files` | 1 while it works, with helpers on other cores | nothing | the disk, the inbox |
//! | resolver | 1 if the user named members | nothing | the system's name lookup, the inbox |
//!
//! Inside the process everybody may wait for the director and the director waits for nobody; a reader may wait
//! for a verifier, and a verifier for no link; so waits form a tree. A reader never waits for its own writer: the
//! writer's queue is as long as the protocol lets the other side fill it, and overfilling is that side's fault.
//! So each side always keeps reading, and each side's writes always move.

mod buffers;
mod classic;
mod context;
mod director;
mod files;
mod given;
mod journal;
mod line;
mod link;
mod listener;
pub mod progress;
mod scout;
mod verifier;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};
use thiserror::Error;

use self::buffers::Buffers;
use self::classic::Classic;
use self::context::Context;
pub use self::director::MemberError;
use self::director::{Director, Event};
use self::files::{Flush, FlushHeard};
use self::given::GivenBook;
use self::line::Line;
use self::progress::{Progress, Snapshot};
pub use self::scout::SessionSource;
use self::verifier::{Verifiers, Work};
use crate::address::HostPort;
use crate::host::error::NetAction;
use crate::host::store::{Place, Store, StoreError};
use crate::host::tcp::{self, ListenOn};
use crate::host::thread::{self, Thread};
use crate::host::{HostError, clock, dial, entropy};
use crate::identity::MemberId;
use crate::limits::{DIRECTOR_INBOX, LEAVE_GRACE, LINKS_PER_MEMBER_MAX, MEMBER_PORTS, RUN_BYTES_U32};
use crate::logic::reports::Reports;
use crate::logic::swarm::{Rules, Swarm};
use crate::manifest::Manifest;
use crate::stream::Throttle;
use crate::text::chain;
use crate::time::Moment;

/// What a member needs to know to begin.
#[derive(Clone, Debug)]
pub struct Config {
    /// The composition.
    pub manifest: Arc<Manifest>,
    /// Where the composition is, or will be.
    pub dir: PathBuf,
    /// Where to listen; by default the first free port of [`MEMBER_PORTS`], or any.
    pub listen: Option<ListenOn>,
    /// The conductor to ask; none to ask nobody.
    pub conductor: Option<HostPort>,
    /// What proves to the conductor who announces, if the user is logged in there.
    pub session: SessionSource,
    /// Members to dial whatever the conductor says.
    pub members: Vec<HostPort>,
    /// Leave as soon as everything is there.
    pub leave: bool,
    /// Fetch wrong parts of a file that is there in place.
    pub repair: bool,
    /// Check the digest of the whole file before it gets its name.
    pub check_digest: bool,
    /// The whole file is there and was verified a moment ago, by composing it: it is not read again.
    pub verified: bool,
    /// Bytes per second to send at most.
    pub up: Option<NonZeroU64>,
    /// Bytes per second to receive at most.
    pub down: Option<NonZeroU64>,
    /// Speak the classic protocol as well, which is neither sealed nor authenticated.
    pub classic: bool,
}

/// How a member left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole composition is there, under its name.
    Complete,
    /// It is not; running again resumes.
    Incomplete,
}

/// Why a member cannot begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// The composition's file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// A running member. Dropping it stops it and waits for its end.
#[derive(Debug)]
pub struct Member {
    context: Arc<Context>,
    address: SocketAddr,
    began: Moment,
    news: Receiver<()>,
    ended: Receiver<()>,
    outcome: Receiver<Result<Outcome, MemberError>>,
    threads: Vec<Thread>,
}

impl Member {
    /// Opens the file, begins to listen, and starts all threads.
    ///
    /// # Errors
    /// The file under the composition's name is something else, the disk has no room, the port is taken.
    pub fn start(config: Config) -> Result<Member, StartError> {
        let began = clock::now();
        let layout = config.manifest.layout();
        let store = Store::open(&place(&config), layout)?;
        let listener = match config.listen {
            Some(on) => tcp::listen(on)?,
            None => tcp::listen_on_first(MEMBER_PORTS)?,
        };
        let address = listener.local_addr().map_err(HostError::net(NetAction::Listen, "a port"))?;
        let (inbox, events) = crossbeam_channel::bounded(DIRECTOR_INBOX);
        let (flush, flush_heard) = Flush::new();
        let (verifiers, landed) = Verifiers::new();
        let context = Arc::new(Context {
            layout,
            swarm: config.manifest.swarm_id(),
            key: config.manifest.swarm_key(),
            me: MemberId::from_bytes(entropy::bytes()?),
            port: address.port(),
            classic: config.classic.then(|| Classic::new(classic::subject_of(&config.manifest))),
            store,
            buffers: Buffers::new(layout.part_len().max(RUN_BYTES_U32) as usize),
            verifiers,
            up: Throttle::new(config.up.map(NonZeroU64::get)),
            down: Throttle::new(config.down.map(NonZeroU64::get)),
            given: GivenBook::new(layout),
            line: Line::new(layout, config.up.map(NonZeroU64::get)),
            awaited: Arc::default(),
            flush,
            progress: Progress::default(),
            inbox,
            stopping: AtomicBool::new(false),
            manifest: config.manifest,
        });
        let plan = Plan {
            conductor: config.conductor,
            session: config.session,
            members: config.members,
            leave: config.leave,
            check_digest: config.check_digest,
            verified: config.verified,
        };
        let (threads, Ends { news, ended, outcome }) =
            start_threads(&context, plan, listener, Inboxes { events, flush: flush_heard, landed })
                .inspect_err(|_| {
                    // Whoever has started must not go on alone.
                    context.stopping.store(true, Ordering::Relaxed);
                    context.verifiers.leave(began);
                })?;
        Ok(Member { context, address, began, news, ended, outcome, threads })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.context.progress.snapshot(self.context.layout, self.began)
    }

    /// Asks it to leave; says goodbye to everybody and ends within a second.
    pub fn stop(&self) {
        self.context.report(Event::Stop);
    }

    /// Yields a word whenever the member goes on to another phase, so that a view need not wait for its next
    /// look.
    #[must_use]
    pub const fn news(&self) -> &Receiver<()> {
        &self.news
    }

    /// Yields one word, or its sender's end, when the member has ended.
    #[must_use]
    pub const fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Waits until the member has ended and says how.
    ///
    /// # Errors
    /// Its disk or system failed, or the file under the name is not the composition.
    pub fn join(mut self) -> Result<Outcome, MemberError> {
        let outcome = self.outcome.recv().unwrap_or(Err(MemberError::Panicked));
        self.join_threads();
        outcome
    }

    fn join_threads(&mut self) {
        dial::wake_listener(self.address);
        self.context.flush.wake();
        // A thread may sit in a system call that nothing interrupts (a name server, a slow disk): all of them
        // together get so long, and then they are left behind.
        let deadline = clock::now() + LEAVE_GRACE / 2;
        self.context.verifiers.leave(deadline);
        for thread in self.threads.drain(..) {
            thread::join_within(thread, deadline.since(clock::now()));
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.stop();
            drop(self.outcome.recv());
            self.join_threads();
        }
    }
}

fn place(config: &Config) -> Place {
    let name = config.manifest.name();
    Place {
        whole: config.dir.join(name.as_str()),
        partial: config.dir.join(name.part_name()),
        repair: config.repair,
    }
}

/// One link a core uses what a machine has; more only cost.
fn links_per_member() -> usize {
    thread::cores().min(LINKS_PER_MEMBER_MAX)
}

/// What the threads are told beside the context.
struct Plan {
    conductor: Option<HostPort>,
    session: SessionSource,
    members: Vec<HostPort>,
    leave: bool,
    check_digest: bool,
    verified: bool,
}

/// What the threads hear.
struct Inboxes {
    events: Receiver<Event>,
    flush: FlushHeard,
    landed: Vec<Receiver<Work>>,
}

/// Where the director is heard.
struct Ends {
    news: Receiver<()>,
    ended: Receiver<()>,
    outcome: Receiver<Result<Outcome, MemberError>>,
}

fn start_threads(
    context: &Arc<Context>,
    plan: Plan,
    listener: TcpListener,
    inboxes: Inboxes,
) -> Result<(Vec<Thread>, Ends), HostError> {
    let rules = Rules {
        member: context.me,
        layout: context.layout,
        links_per_member: links_per_member(),
        conductor: plan.conductor.is_some(),
        seed: entropy::seed()?,
    };
    let mut threads = vec![listener::start(context, listener)?];
    threads.extend(verifier::start(context, inboxes.landed)?);
    let scout = match plan.conductor {
        Some(conductor) => {
            let (sender, thread) = scout::start(context, conductor, plan.session)?;
            threads.push(thread);
            Some(sender)
        }
        None => None,
    };
    let (news_sender, news) = crossbeam_channel::bounded(1);
    let director = Director {
        news: news_sender,
        context: Arc::clone(context),
        swarm: Swarm::new(clock::now(), rules),
        inbox: inboxes.events,
        scout,
        reports: Reports::new(context.swarm),
        leave: plan.leave,
        check_digest: plan.check_digest,
    };
    let (thread, ended, outcome) = start_director(director)?;
    threads.push(thread);
    threads.push(files::start_check(context, plan.verified)?);
    if context.store.is_writable() {
        threads.push(files::start_flush(context, inboxes.flush)?);
    }
    if !plan.members.is_empty() {
        threads.push(start_resolver(context, plan.members)?);
    }
    Ok((threads, Ends { news, ended, outcome }))
}

/// The director's thread, what yields a word at its end, and what it ended with.
type Started = (Thread, Receiver<()>, Receiver<Result<Outcome, MemberError>>);

fn start_director(director: Director) -> Result<Started, HostError> {
    let (ended_sender, ended): (Sender<()>, _) = crossbeam_channel::bounded(1);
    let (outcome_sender, outcome) = crossbeam_channel::bounded(1);
    let thread = thread::spawn("director", move || {
        let result = director::run(director);
        // Whoever held the other ends may be gone; then nobody asks.
        drop(outcome_sender.send(result));
        let _unheard = ended_sender.send(());
    })?;
    Ok((thread, ended, outcome))
}

/// Looks up the members that the user named; each is dialled as soon as its address is known.
fn start_resolver(context: &Arc<Context>, members: Vec<HostPort>) -> Result<Thread, HostError> {
    context.spawn("resolver", move |context| {
        for member in members {
            match dial::resolve(member.host(), member.port()) {
                Ok(addresses) => {
                    addresses.into_iter().for_each(|address| context.report(Event::Named(address)));
                }
                Err(error) => log::error!("{}", chain(&error)),
            }
        }
    })
}
