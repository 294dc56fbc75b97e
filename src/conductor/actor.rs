//! The conductor's thread: a loop over the sockets that are ready.
//!
//! Owns every socket of its desks, the registry and the journal, and, with a catalogue, what is known of sessions and
//! members there. Nothing that it does for one event grows with the number of connections or members.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::admission::Admission;
use super::catalogue::front::Heard;
use super::catalogue::{Known, Seen, Ways};
use super::classic::Classic;
use super::desk::{self, Buffers, Desk, End, Stage, Turn};
use super::intake::{Asked, Intake};
use super::journal::Journal;
use super::standing::Standing;
use super::{Config, Shared};
use crate::host::error::SystemAction;
use crate::host::{HostError, clock, tcp};
use crate::limits;
use crate::logic::deadlines::Deadlines;
use crate::logic::registry::{Ask, Registry};
use crate::time::Moment;
use crate::wire::catalogue;
use crate::wire::desk::{Refusal, Reply, Request};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// The longest sleep: how soon a stop is noticed if the waker should fail.
const SLEEP_MAX: Duration = limits::POLL_INTERVAL;

/// How many sockets may report in one turn of the loop; the others report in the next.
const EVENTS_PER_TURN: usize = 1_024;

/// Whether a socket tells of bytes that come after a read that was not filled. Where mio stands on other calls than
/// these systems have, only a read that would block makes it tell.
const TELLS_OF_MORE: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
));

/// The waits of [`Deadlines`]: for the next request, and until a refusal was read.
const FOR_REQUEST: u8 = 0;
const FOR_GOODBYE: u8 = 1;

/// Owns all that the conductor's thread owns.
pub(super) struct Actor {
    poll: Poll,
    listener: TcpListener,
    accepting: Accepting,
    desks: Desks,
    /// Desks that had their turn and may have more to read; each is marked, so that it stands here once.
    again: Vec<u32>,
    buffers: Buffers,
    registry: Registry,
    /// What the classic protocol needs beside the registry, if it is spoken.
    classic: Option<Classic>,
    /// With a catalogue only.
    standing: Option<Standing>,
    journal: Journal,
    shared: Arc<Shared>,
}

/// Whether the listener may have connections for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    /// It had none left; its readiness will say when it has.
    Drained,
    /// It may have more.
    Ready,
    /// The system had no room for another one; it is tried again at this moment.
    Resting(Moment),
}

/// All connections, by slot.
struct Desks {
    /// Slots are reused. A late event for the desk before makes the next one look at its socket in vain.
    desks: Vec<Option<Desk>>,
    vacant: Vec<u32>,
    admission: Admission,
    deadlines: Deadlines,
    /// How many desks only wait for their refusal to be read. They are not admitted, so this is their cap.
    refused: usize,
}

impl Actor {
    /// Everything the thread needs, and the way to wake it.
    pub(super) fn new(
        listener: StdListener,
        registry: Registry,
        config: &Config,
        shared: Arc<Shared>,
    ) -> io::Result<(Actor, Arc<Waker>)> {
        if let Err(error) = tcp::shrink_buffers(&listener, limits::DESK_SOCKET_BUFFER) {
            log::warn!("the system keeps its own buffer sizes: {error}");
        }
        let mut caps = config.caps;
        let of_catalogue = match config.catalogue {
            Some(_) => limits::CATALOGUE_CONNECTIONS_MAX + limits::REACH_TRIES_MAX,
            None => 0,
        };
        let others = limits::DESKS_REFUSED_MAX + limits::FILES_RESERVED + of_catalogue;
        let files = tcp::allow_open_files(caps.desks + others);
        let room = files.saturating_sub(others).max(1);
        if room < caps.desks {
            log::warn!("the system allows {files} open files, so at most {room} connections are served");
            caps.desks = room;
        }
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let is_private = config.catalogue.as_ref().is_some_and(|catalogue| catalogue.private);
        let actor = Actor {
            poll,
            listener,
            accepting: Accepting::Drained,
            desks: Desks {
                desks: Vec::new(),
                vacant: Vec::new(),
                admission: Admission::new(caps),
                deadlines: Deadlines::new(&[config.timeout, limits::DESK_REFUSED_TIMEOUT]),
                refused: 0,
            },
            again: Vec::new(),
            buffers: Buffers::new(),
            registry,
            // Nobody proves anything in it.
            classic: (config.classic && !is_private).then(Classic::default),
            standing: None,
            journal: Journal::new(),
            shared,
        };
        Ok((actor, waker))
    }

    /// From now on there is a catalogue.
    pub(super) fn attach(&mut self, ways: Ways, known: Known) {
        self.standing = Some(Standing::new(ways, known));
    }

    /// Answers until it is told to stop.
    pub(super) fn run(mut self) -> Result<(), HostError> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            let patience = self.patience(clock::now());
            match self.poll.poll(&mut events, Some(patience)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(HostError::system(SystemAction::WaitForSockets)(error));
                }
                Ok(()) | Err(_) => {}
            }
            if self.shared.stop.load(Ordering::Relaxed) {
                log::info!("stops; {} connections are closed", self.desks.admission.desks());
                return Ok(());
            }
            let now = clock::now();
            if let Some(standing) = &mut self.standing {
                standing.hear(now, &self.registry);
            }
            for slot in std::mem::take(&mut self.again) {
                if let Some(desk) = self.desks.at(slot) {
                    desk.in_line = false;
                    self.serve(now, slot, true);
                }
            }
            events.iter().for_each(|event| self.hear(now, event));
            // Last, so that those who asked have left the count of those who have not.
            self.accept(now);
            self.close_overdue(now);
            if self.registry.deadline().is_some_and(|deadline| deadline <= now) {
                self.registry.tick(now);
            }
            if let Some(standing) = &mut self.standing {
                standing.tick(now);
            }
            self.journal.turn_page(now);
            self.publish();
        }
    }

    /// How long to wait for readiness at most.
    fn patience(&self, now: Moment) -> Duration {
        let has_news = self.standing.as_ref().is_some_and(Standing::has_news);
        if has_news || !self.again.is_empty() || self.accepting == Accepting::Ready {
            return Duration::ZERO;
        }
        let rest = match self.accepting {
            Accepting::Resting(until) => Some(until),
            Accepting::Drained | Accepting::Ready => None,
        };
        let standing = self.standing.as_ref().and_then(Standing::deadline);
        let deadlines =
            [self.desks.deadlines.next(), self.registry.deadline(), self.journal.deadline(), standing, rest];
        deadlines
            .into_iter()
            .flatten()
            .map(|deadline| deadline.since(now))
            .min()
            .unwrap_or(SLEEP_MAX)
            .min(SLEEP_MAX)
    }

    fn hear(&mut self, now: Moment, event: &Event) {
        match event.token() {
            WAKER => {}
            LISTENER if self.accepting == Accepting::Drained => self.accepting = Accepting::Ready,
            LISTENER => {}
            Token(slot) => {
                let slot = u32::try_from(slot).expect("tokens of desks are their slots");
                // An end that came with the last bytes is not told of again.
                self.serve(now, slot, !TELLS_OF_MORE || event.is_read_closed() || event.is_error());
            }
        }
    }

    /// Gives a desk its turn; `until_blocked` if its socket would not tell of what is left in it.
    fn serve(&mut self, now: Moment, slot: u32, until_blocked: bool) {
        let Some(desk) = self.desks.at(slot) else { return };
        let was_in_line = desk.in_line;
        let (registry, classic, journal) = (&mut self.registry, &mut self.classic, &mut self.journal);
        let standing = &mut self.standing;
        let (answered, turn) = desk.turn(&mut self.buffers, until_blocked, |question, proving, out| {
            let (from, reached_on) = (question.from.ip(), question.reached_on);
            let ask = |announce| Ask { from, reached_on, announce };
            match (&question.asked, standing.as_mut()) {
                (Asked::Native(Request::Announce(announce)), None) => {
                    let ask = ask(*announce);
                    let answer = registry.answer(now, &ask);
                    journal.answered(now, &ask, &answer);
                    answer.map_or_else(Reply::Refused, Reply::Roster).append_to(out);
                }
                (Asked::Native(Request::Announce(announce)), Some(standing)) => {
                    standing.announced(now, registry, journal, &ask(*announce)).append_to(out);
                }
                // Whoever asks that has a session elsewhere, or none: this conductor keeps no accounts.
                (Asked::Native(Request::Challenge | Request::Proven(_)), None) => {
                    Reply::Refused(Refusal::LoginFirst).append_to(out);
                }
                (Asked::Native(Request::Challenge), Some(_)) => Standing::challenge(proving).append_to(out),
                (Asked::Native(Request::Proven(proven)), Some(standing)) => {
                    let seen = Seen { from, reached_on };
                    standing.proven(now, registry, journal, proven, proving, seen).append_to(out);
                }
                (Asked::Classic(request), _) => {
                    if let Some(classic) = classic {
                        classic.answer(now, registry, journal, question, request, out);
                    }
                }
                (Asked::Catalogue, _) => unreachable!("it is no question to a desk"),
            }
        });
        desk.in_line |= turn == Turn::Again;
        if answered > 0 {
            self.shared.answered.fetch_add(answered, Ordering::Relaxed);
            self.desks.asked(now, slot);
        }
        match turn {
            Turn::Again if !was_in_line => self.again.push(slot),
            Turn::Wait | Turn::Again => {}
            Turn::Stuck => self.watch_for_room(now, slot),
            Turn::Elsewhere => self.hand_over(now, slot),
            Turn::Over(end) => self.close(now, slot, end),
        }
    }

    /// Gives a connection to the front of the catalogue, or says that there is none.
    fn hand_over(&mut self, now: Moment, slot: u32) {
        let Some(mut desk) = self.desks.close(slot) else { return };
        let from = desk.from();
        let Some(standing) = &self.standing else {
            return desk::turn_away(desk.into_parts().0, &catalogue::NO_CATALOGUE);
        };
        // It is to report to another thread from now on.
        if let Err(error) = self.poll.registry().deregister(desk.stream()) {
            return self.journal.ended(now, from, End::Broken(error.kind()));
        }
        let (stream, input) = desk.into_parts();
        if let Err(heard) = standing.ways().front.try_send(Heard::Adopt { stream, from, input }) {
            self.journal.turned_away(now, from);
            if let Heard::Adopt { stream, .. } = heard {
                desk::turn_away(stream, &catalogue::preamble());
            }
        }
    }

    /// Lets the socket tell when it takes bytes again, from the first time that this is of interest: each new socket
    /// would tell so at once, and cost a look in vain.
    fn watch_for_room(&mut self, now: Moment, slot: u32) {
        let Some(desk) = self.desks.at(slot).filter(|desk| !desk.tells_when_writable) else { return };
        desk.tells_when_writable = true;
        let (token, both) = (Token(slot as usize), Interest::READABLE | Interest::WRITABLE);
        if let Err(error) = self.poll.registry().reregister(desk.stream(), token, both) {
            self.close(now, slot, End::Broken(error.kind()));
        }
    }

    fn accept(&mut self, now: Moment) {
        match self.accepting {
            Accepting::Drained => return,
            Accepting::Resting(until) if now < until => return,
            Accepting::Resting(_) | Accepting::Ready => self.accepting = Accepting::Ready,
        }
        for _ in 0..limits::ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, from)) => self.admit(now, stream, from),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.accepting = Accepting::Drained;
                        return;
                    }
                    // That connection is gone already; the next one may be there.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    // Too many open files, no memory, a network that is going down: it would fail again at
                    // once, and the connections keep waiting in the system.
                    _ => {
                        self.journal.cannot_accept(now, &error);
                        self.accepting = Accepting::Resting(now + limits::ACCEPT_PAUSE);
                        return;
                    }
                },
            }
        }
    }

    /// Makes room for a connection, or tells it that there is none.
    fn admit(&mut self, now: Moment, stream: TcpStream, from: SocketAddr) {
        let stage = if self.desks.admission.admit(from.ip()) { Stage::Pending } else { Stage::Unwanted };
        let mut desk = Desk::new(stream, from, stage, Intake::new(self.classic.is_some()));
        if stage == Stage::Unwanted {
            self.journal.turned_away(now, from);
            desk.refuse();
            if self.desks.refused == limits::DESKS_REFUSED_MAX {
                return;
            }
        }
        let slot = self.desks.open(now, desk);
        let desk = self.desks.at(slot).expect("it was opened just now");
        // A reply is one write; waiting for more to send with it would only delay it.
        let ready = desk.stream().set_nodelay(true).and_then(|()| {
            let token = Token(slot as usize);
            self.poll.registry().register(desk.stream(), token, Interest::READABLE)
        });
        if let Err(error) = ready {
            self.close(now, slot, End::Broken(error.kind()));
        }
    }

    fn close_overdue(&mut self, now: Moment) {
        while let Some(slot) = self.desks.deadlines.due(now) {
            let desk = self.desks.at(slot).expect("only open desks have deadlines");
            let end = desk.overdue();
            self.close(now, slot, end);
        }
    }

    fn close(&mut self, now: Moment, slot: u32, end: End) {
        if let Some(desk) = self.desks.close(slot) {
            self.journal.ended(now, desk.from(), end);
        }
    }

    fn publish(&self) {
        self.shared.members.store(self.registry.members(), Ordering::Relaxed);
        self.shared.swarms.store(self.registry.swarms(), Ordering::Relaxed);
        self.shared.connections.store(self.desks.admission.desks(), Ordering::Relaxed);
    }
}

impl Desks {
    fn at(&mut self, slot: u32) -> Option<&mut Desk> {
        self.desks.get_mut(slot as usize)?.as_mut()
    }

    /// Takes a desk that was admitted or refused; its time begins.
    fn open(&mut self, now: Moment, desk: Desk) -> u32 {
        let wait = if desk.stage().is_admitted() { FOR_REQUEST } else { FOR_GOODBYE };
        self.refused += usize::from(!desk.stage().is_admitted());
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.desks.push(None);
            u32::try_from(self.desks.len() - 1).expect("DESKS_MAX is far below 2^32")
        });
        self.desks[slot as usize] = Some(desk);
        self.deadlines.arm(now, slot, wait);
        slot
    }

    /// A desk has asked something: it has earned its place, and its time begins anew.
    fn asked(&mut self, now: Moment, slot: u32) {
        self.deadlines.arm(now, slot, FOR_REQUEST);
        let desk = self.desks[slot as usize].as_mut().expect("it asked just now");
        if desk.stage() == Stage::Pending {
            desk.set_served();
            self.admission.asked(desk.from().ip());
        }
    }

    /// Forgets a desk; its socket closes when it is dropped.
    fn close(&mut self, slot: u32) -> Option<Desk> {
        let desk = self.desks.get_mut(slot as usize)?.take()?;
        self.deadlines.disarm(slot);
        self.vacant.push(slot);
        match desk.stage() {
            Stage::Unwanted | Stage::Refused => self.refused -= 1,
            stage @ (Stage::Pending | Stage::Served) => {
                self.admission.leave(desk.from().ip(), stage == Stage::Pending);
            }
        }
        Some(desk)
    }
}
