//! The thread that talks to those who connected to the catalogue.
//!
//! A loop over the sockets that are ready, as the conductor's own, which hands it the sockets. It owns them, what is half
//! asked or half answered, and who may try a password when. It asks the database, those who hash passwords and the
//! conductor's thread, waits for none of them, and hears their answers in its inbox. While a question is not answered
//! nothing is read of its connection.

mod answering;

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use self::answering::{Next, Step, refused};
use super::budget::Budget;
use super::connection::Connection;
use super::database::{Job, Outcome, Work};
use super::passwords::{Hashed, Hashing, Passwords, Purpose};
use super::{Asked, News, Post, Seen, Ticket, Told};
use crate::conductor::Shared;
use crate::conductor::admission::{Admission, Caps, Room};
use crate::conductor::journal::Journal;
use crate::credential::SessionId;
use crate::host::catalogue::ListingId;
use crate::host::clock;
use crate::host::password::Password;
use crate::limits;
use crate::logic::addresses::source_of;
use crate::logic::catalogue::attempts::Attempts;
use crate::logic::catalogue::places::{Place, who_gives_way};
use crate::logic::catalogue::registrations::Registrations;
use crate::logic::deadlines::Deadlines;
use crate::time::Moment;
use crate::wire::WireError;
use crate::wire::catalogue::{self, Refusal};
use crate::wire::seal::ConductorKey;

/// Woken for what is in the inbox, or the end.
pub(super) const WAKER: Token = Token(usize::MAX);
/// How many sockets may report in one turn of the loop.
const EVENTS_PER_TURN: usize = 1_024;

/// The waits of [`Deadlines`].
const FOR_HANDSHAKE: u8 = 0;
const FOR_REQUEST: u8 = 1;
const FOR_ANSWER: u8 = 2;

/// What the front hears.
#[derive(Debug)]
pub(in crate::conductor) enum Heard {
    /// A connection to the catalogue, whose preamble has come, and the bytes behind it.
    Adopt { stream: TcpStream, from: SocketAddr, input: Vec<u8> },
    /// The database has answered.
    Done(Ticket, Outcome),
    /// A password was hashed.
    Hashed(Ticket, Hashed),
    /// The conductor's thread has answered.
    Told(Ticket, Told),
}

/// To whom the front talks.
pub(super) struct Ways {
    pub(super) conductor: Post<News>,
    pub(super) database: Sender<Work>,
    pub(super) passwords: Passwords,
}

/// Who may ask what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether only who is logged in may look at listings.
    pub(super) is_private: bool,
    /// Whether nobody may register.
    pub(super) is_closed: bool,
}

/// See the module.
pub(super) struct Front {
    poll: Poll,
    heard: Receiver<Heard>,
    ways: Ways,
    key: ConductorKey,
    rules: Rules,
    shared: Arc<Shared>,
    lines: Vec<Option<Line>>,
    vacant: Vec<u32>,
    /// Lines that had their turn and may have more to read; each is marked, so that it stands here once.
    again: Vec<u32>,
    admission: Admission,
    deadlines: Deadlines,
    attempts: Attempts,
    registrations: Registrations,
    budget: Budget,
    journal: Journal,
    /// The number of the next question.
    next_turn: u64,
    buffer: Box<[u8]>,
}

/// One connection.
struct Line {
    stream: TcpStream,
    from: SocketAddr,
    seen: Seen,
    connection: Connection,
    /// What was read, and comes after the question that is being answered.
    input: Vec<u8>,
    state: State,
    session: Option<Owned>,
    /// Whether it has asked nothing yet.
    is_pending: bool,
    /// Whether the other side has ended it: what it said before may still have to be read.
    has_ended: bool,
    /// Since when something of the other side is awaited, if it is not itself that waits.
    idle_since: Moment,
    in_line: bool,
    /// How many messages had come when its time began.
    messages: u64,
    /// When what it is publishing has to be there.
    publish_until: Moment,
}

/// Whose connection it is.
#[derive(Clone, Debug)]
struct Owned {
    id: SessionId,
    name: String,
}

/// What a connection waits for.
enum State {
    /// A question.
    Idle,
    /// An answer to the question with this number.
    Asked(u64, Box<Step>),
    /// Room for the next digests of this listing.
    Sending { listing: ListingId, next: u32, parts: u32 },
}

impl Front {
    pub(super) fn new(
        poll: Poll,
        heard: Receiver<Heard>,
        key: ConductorKey,
        rules: Rules,
        shared: Arc<Shared>,
        ways: Ways,
    ) -> Front {
        let caps = Caps {
            desks: limits::CATALOGUE_CONNECTIONS_MAX,
            desks_per_address: limits::CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX,
            pending: limits::CATALOGUE_PENDING_MAX,
            pending_per_address: limits::CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX,
        };
        let waits = [
            limits::CATALOGUE_HANDSHAKE_TIMEOUT,
            limits::CATALOGUE_REQUEST_TIMEOUT,
            limits::CATALOGUE_ANSWER_TIMEOUT,
        ];
        Front {
            poll,
            heard,
            ways,
            key,
            rules,
            shared,
            lines: Vec::new(),
            vacant: Vec::new(),
            again: Vec::new(),
            admission: Admission::new(caps),
            deadlines: Deadlines::new(&waits),
            attempts: Attempts::new(),
            registrations: Registrations::new(),
            budget: Budget::new(
                limits::PUBLISH_BYTES_MAX,
                limits::PUBLISH_BYTES_PER_ACCOUNT_MAX,
                limits::PUBLISH_BYTES_PER_SOURCE_MAX,
            ),
            journal: Journal::new(),
            next_turn: 0,
            buffer: vec![0; limits::CATALOGUE_READ].into(),
        }
    }

    /// Answers until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !self.shared.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.poll.poll(&mut events, Some(self.patience(clock::now())))
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("the catalogue answers no more: {error}");
                return;
            }
            let now = clock::now();
            for slot in std::mem::take(&mut self.again) {
                if let Some(line) = self.at(slot) {
                    line.in_line = false;
                    self.serve(now, slot);
                }
            }
            events.iter().for_each(|event| self.on_event(now, event));
            // As many as wait now; more that come meanwhile wake it again.
            for _ in 0..self.heard.len() {
                let Ok(heard) = self.heard.try_recv() else { break };
                self.hear(now, heard);
            }
            while let Some(slot) = self.deadlines.due(now) {
                self.on_overdue(now, slot);
            }
            self.journal.turn_page(now);
            self.shared.catalogue_connections.store(self.admission.desks(), Ordering::Relaxed);
        }
    }

    fn patience(&self, now: Moment) -> Duration {
        if !self.again.is_empty() || !self.heard.is_empty() {
            return Duration::ZERO;
        }
        let deadlines = [self.deadlines.next(), self.journal.deadline()];
        let next = deadlines.into_iter().flatten().map(|deadline| deadline.since(now)).min();
        next.unwrap_or(limits::POLL_INTERVAL).min(limits::POLL_INTERVAL)
    }

    fn at(&mut self, slot: u32) -> Option<&mut Line> {
        self.lines.get_mut(slot as usize)?.as_mut()
    }

    fn on_event(&mut self, now: Moment, event: &Event) {
        if event.token() == WAKER {
            return;
        }
        let slot = u32::try_from(event.token().0).expect("tokens of lines are their slots");
        if let Some(line) = self.at(slot)
            && (event.is_read_closed() || event.is_error())
        {
            line.has_ended = true;
        }
        self.serve(now, slot);
    }

    fn on_overdue(&mut self, now: Moment, slot: u32) {
        let line = self.at(slot).expect("only open lines have deadlines");
        let why = match (&line.state, line.connection.unsent().is_empty()) {
            (_, false) => "it does not read its replies",
            (State::Asked(..), true) => "it was not answered in time",
            (_, true) if line.connection.is_midway() => "no whole request came in time",
            // It stayed, but asked nothing more.
            (_, true) => return self.close(now, slot, None),
        };
        self.close(now, slot, Some(&why));
    }

    fn hear(&mut self, now: Moment, heard: Heard) {
        match heard {
            Heard::Adopt { stream, from, input } => self.adopt(now, stream, from, input),
            Heard::Done(ticket, outcome) => {
                self.resume(now, ticket, |front, step| front.on_outcome(now, ticket.slot, step, outcome));
            }
            Heard::Hashed(ticket, hashed) => {
                self.resume(now, ticket, |front, step| front.on_hashed(now, ticket.slot, step, hashed));
            }
            Heard::Told(ticket, told) => {
                self.resume(now, ticket, |front, step| front.on_told(ticket.slot, step, told));
            }
        }
    }

    fn adopt(&mut self, now: Moment, mut stream: TcpStream, from: SocketAddr, input: Vec<u8>) {
        let Ok(reached_on) = stream.local_addr() else { return };
        if !self.admit(now, from.ip()) {
            self.journal.turned_away(now, from);
            // Its own version, and the end: too many connections. It is a courtesy.
            if stream.write(&catalogue::preamble()).is_ok() {
                drop(stream.shutdown(std::net::Shutdown::Write));
            }
            return;
        }
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.lines.push(None);
            u32::try_from(self.lines.len() - 1).expect("there are few connections")
        });
        let (token, both) = (Token(slot as usize), Interest::READABLE | Interest::WRITABLE);
        let ready =
            stream.set_nodelay(true).and_then(|()| self.poll.registry().register(&mut stream, token, both));
        self.lines[slot as usize] = Some(Line {
            stream,
            from,
            seen: Seen { from: from.ip().to_canonical(), reached_on: reached_on.ip().to_canonical() },
            connection: Connection::new(),
            input,
            state: State::Idle,
            session: None,
            is_pending: true,
            has_ended: false,
            idle_since: now,
            in_line: false,
            messages: 0,
            publish_until: now,
        });
        self.deadlines.arm(now, slot, FOR_HANDSHAKE);
        match ready {
            Ok(()) => self.serve(now, slot),
            Err(error) => self.close(now, slot, Some(&error.kind())),
        }
    }

    /// Whether there is room for one more connection from there, if need be instead of another one.
    fn admit(&mut self, now: Moment, from: IpAddr) -> bool {
        let pending_only = match self.admission.room(from) {
            Room::Free => return self.admission.admit(from),
            Room::NotForThem => return false,
            Room::NotPending => true,
            Room::Full => false,
        };
        let place = |(slot, line): (u32, &Line)| Place {
            id: slot,
            source: source_of(line.from.ip()),
            idle_since: (!matches!(line.state, State::Asked(..))).then_some(line.idle_since),
        };
        let lines = (0..).zip(&self.lines).filter_map(|(slot, line)| Some((slot, line.as_ref()?)));
        let places = lines.filter(|(_, line)| line.is_pending || !pending_only).map(place);
        match who_gives_way(source_of(from), places) {
            None => false,
            Some(slot) => {
                self.close(now, slot, Some(&"it gave way to somebody else"));
                self.admission.admit(from)
            }
        }
    }

    /// Forgets a connection; its socket closes. Says why, if that is not how those of honest members end.
    fn close(&mut self, now: Moment, slot: u32, why: Option<&dyn std::fmt::Display>) {
        let Some(line) = self.lines.get_mut(slot as usize).and_then(Option::take) else { return };
        self.deadlines.disarm(slot);
        self.vacant.push(slot);
        self.admission.leave(line.from.ip(), line.is_pending);
        if let State::Asked(turn, _) = line.state {
            // If there is no room for this, it is done in vain.
            let _full = self.ways.database.try_send(Work::Gone(Ticket { slot, turn }, line.from.ip()));
        }
        if let Some(why) = why {
            self.journal.closed(now, line.from, why);
        }
    }

    /// Writes, reads and asks until nothing more can be done now, or it is others' turn.
    fn serve(&mut self, now: Moment, slot: u32) {
        for _ in 0..limits::CATALOGUE_READS_PER_TURN {
            match self.step(now, slot) {
                Ok(true) => {}
                Ok(false) => return,
                Err(end) => return self.close(now, slot, end.as_ref().map(|end| end as _)),
            }
        }
        if let Some(line) = self.at(slot)
            && !std::mem::replace(&mut line.in_line, true)
        {
            self.again.push(slot);
        }
    }

    /// One of these; whether there may be more to do.
    fn step(&mut self, now: Moment, slot: u32) -> Result<bool, Option<End>> {
        let Some(line) = self.lines.get_mut(slot as usize).and_then(Option::as_mut) else { return Ok(false) };
        while !line.connection.unsent().is_empty() {
            match line.stream.write(line.connection.unsent()) {
                Ok(0) => return Err(Some(End::Broken(io::ErrorKind::WriteZero))),
                Ok(len) => line.connection.sent(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Some(End::Broken(error.kind()))),
            }
        }
        match line.state {
            // Nobody is there to read an answer.
            State::Asked(..) if line.has_ended => return Err(None),
            State::Asked(..) => return Ok(false),
            State::Sending { listing, next, parts } => {
                let job = Job::Parts { listing, first: next, count: limits::DIGESTS_PER_FRAME };
                let step = Step::Parts { listing, next, parts };
                let next = self.ask_database(slot, job, step);
                self.go_on(now, slot, next);
                return Ok(true);
            }
            State::Idle => {}
        }
        if line.input.is_empty() && !line.connection.has_more() {
            let len = match line.stream.read(&mut self.buffer) {
                Ok(0) if line.connection.is_midway() => return Err(Some(End::Cut)),
                Ok(0) => return Err(None),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
                Err(error) => return Err(Some(End::Broken(error.kind()))),
            };
            line.input.extend_from_slice(&self.buffer[..len]);
        }
        let mut input = line.input.as_slice();
        let question = line.connection.take(&self.key, &mut input);
        let taken = line.input.len() - input.len();
        line.input.drain(..taken);
        if line.input.is_empty() {
            line.input = Vec::new();
        }
        match question.map_err(|error| Some(End::Malformed(error)))? {
            Some(question) => {
                if std::mem::take(&mut line.is_pending) {
                    self.admission.asked(line.from.ip());
                }
                let next = self.on_question(now, slot, question);
                self.go_on(now, slot, next);
            }
            None => self.on_progress(now, slot)?,
        }
        Ok(true)
    }

    /// Gives a connection more time if something whole came.
    fn on_progress(&mut self, now: Moment, slot: u32) -> Result<(), Option<End>> {
        let Some(line) = self.lines.get_mut(slot as usize).and_then(Option::as_mut) else { return Ok(()) };
        if line.connection.is_gathering() && now >= line.publish_until {
            return Err(Some(End::Late));
        }
        let messages = line.connection.messages() + u64::from(line.connection.is_open());
        if messages > line.messages {
            line.messages = messages;
            line.idle_since = now;
            self.deadlines.arm(now, slot, FOR_REQUEST);
        }
        Ok(())
    }

    /// An answer came: goes on with what waited for it, if it still waits.
    fn resume(&mut self, now: Moment, ticket: Ticket, then: impl FnOnce(&mut Front, Step) -> Next) {
        let Some(line) = self.at(ticket.slot) else { return };
        match std::mem::replace(&mut line.state, State::Idle) {
            State::Asked(turn, step) if turn == ticket.turn => {
                let next = then(self, *step);
                self.go_on(now, ticket.slot, next);
                self.serve(now, ticket.slot);
            }
            other => line.state = other,
        }
    }

    fn go_on(&mut self, now: Moment, slot: u32, next: Next) {
        let turn = self.next_turn;
        let Some(line) = self.lines.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let (reply, state) = match next {
            Next::Reply(reply) => (Some(reply), State::Idle),
            Next::Send(reply, state) => (Some(reply), state),
            Next::Wait(step) => {
                // The question went out with this number.
                line.state = State::Asked(turn, Box::new(step));
                self.next_turn += 1;
                self.deadlines.arm(now, slot, FOR_ANSWER);
                return;
            }
            Next::Read => (None, State::Idle),
            Next::End(why) => return self.close(now, slot, Some(&why)),
        };
        (line.state, line.idle_since) = (state, now);
        if let Some(Err(error)) = reply.map(|reply| line.connection.reply(&reply)) {
            return self.close(now, slot, Some(&error));
        }
        self.deadlines.arm(now, slot, FOR_REQUEST);
    }

    /// Asks the database; what came of it has the number of the next question.
    fn ask_database(&self, slot: u32, job: Job, step: Step) -> Next {
        let ticket = Ticket { slot, turn: self.next_turn };
        match self.ways.database.try_send(Work::Ask(ticket, self.from(slot).ip(), job)) {
            Ok(()) => Next::Wait(step),
            Err(_full) => refused(Refusal::Busy),
        }
    }

    /// Asks the conductor's thread; what comes of it if that has too much to do says `otherwise`.
    fn ask_conductor(
        &self,
        slot: u32,
        asked: Asked,
        step: Step,
        otherwise: impl FnOnce(Step) -> Next,
    ) -> Next {
        let ticket = Ticket { slot, turn: self.next_turn };
        match self.ways.conductor.try_send(News::Asked(ticket, asked)) {
            Ok(()) => Next::Wait(step),
            Err(_full) => otherwise(step),
        }
    }

    /// Has a password hashed, unless too many wait for that.
    fn hash(&self, slot: u32, password: Password, purpose: Purpose, step: Step) -> Option<Next> {
        let ticket = Ticket { slot, turn: self.next_turn };
        self.ways.passwords.hash(Hashing { ticket, password, purpose }).then_some(Next::Wait(step))
    }
}

/// Why a connection is over, unless it just is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum End {
    #[error("it ended in the middle of a request")]
    Cut,
    #[error("{0}")]
    Malformed(WireError),
    #[error("what it publishes did not come in time")]
    Late,
    #[error("{0}")]
    Broken(io::ErrorKind),
}
