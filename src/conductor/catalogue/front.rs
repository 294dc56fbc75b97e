//! The thread that talks to those who connected to the catalogue.
//!
//! A loop over the sockets that are ready, as the conductor's own, which hands it the sockets. It owns them, what is half
//! asked or half answered, and who may try a password when. It asks the database, those who hash passwords and the
//! conductor's thread, waits for none of them, and hears their answers in its inbox. While a question is not answered
//! nothing is read of its connection.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::connection::{Budget, Connection, Gathered, Publishing, Question};
use super::database::{Gate, Job, NewSession, Outcome, Unpublished, Work};
use super::passwords::{Hashed, Hashing, Passwords, Purpose};
use super::{Asked, Held, News, Post, Seen, Ticket, Told};
use crate::account::{AccountId, AccountName};
use crate::conductor::Shared;
use crate::conductor::admission::{Admission, Caps};
use crate::conductor::journal::Journal;
use crate::credential::{SessionId, SessionToken};
use crate::digest::{DIGEST_LEN, Digest};
use crate::host::catalogue::{Found, Listing, ListingId, NotPublished, NotRegistered};
use crate::host::password::Password;
use crate::host::{clock, entropy};
use crate::limits;
use crate::logic::catalogue::attempts::Attempts;
use crate::logic::deadlines::Deadlines;
use crate::name::Name;
use crate::part::Layout;
use crate::text::{Escaped, folded};
use crate::time::Moment;
use crate::wire::WireError;
use crate::wire::catalogue::{
    self, Composition, Cursor, Details, Digests, Holder, Listed, Login, Page, Published, Refusal, Reply,
    Request, Session,
};
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

/// See the module.
pub(super) struct Front {
    poll: Poll,
    heard: Receiver<Heard>,
    ways: Ways,
    key: ConductorKey,
    is_private: bool,
    shared: Arc<Shared>,
    lines: Vec<Option<Line>>,
    vacant: Vec<u32>,
    /// Lines that had their turn and may have more to read; each is marked, so that it stands here once.
    again: Vec<u32>,
    admission: Admission,
    deadlines: Deadlines,
    attempts: Attempts,
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

/// What is to be done with the answer.
enum Step {
    /// Look for the account of who wants to log in.
    Find {
        name: AccountName,
        password: Password,
    },
    /// Was the password right?
    Verify {
        account: Option<(AccountId, AccountName)>,
        folded: String,
    },
    /// The session of who logged in.
    Open {
        token: SessionToken,
        session: NewSession,
        name: String,
    },
    /// Is the name free?
    Free {
        name: AccountName,
        password: Password,
    },
    /// The hash of a new account's password.
    Keep {
        name: AccountName,
    },
    /// Whose session it is.
    Resume {
        id: SessionId,
    },
    Logout,
    Publish {
        name: String,
    },
    Page,
    Details,
    Fetch,
    Unpublish {
        name: String,
    },
    /// How many hold these.
    Count {
        listings: Vec<Listing>,
        shape: Shape,
    },
    /// Who holds this.
    Hold {
        listing: Box<Listing>,
    },
    /// What the holders are called.
    Name {
        listing: Box<Listing>,
        count: (u32, u32),
        holders: Vec<Held>,
    },
    /// More digests.
    Parts {
        listing: ListingId,
        next: u32,
        parts: u32,
    },
}

/// What listings are told in.
enum Shape {
    Page { next: Option<Cursor>, matches: u32 },
    Several,
    Published { already_by: Option<String> },
}

/// What comes next on a connection.
enum Next {
    /// This, and then a question.
    Reply(Reply),
    /// An answer of somebody else.
    Wait(Step),
    /// This, and then the digests of a listing.
    Send(Reply, State),
    /// Nothing but more bytes of the other side.
    Read,
    /// The end.
    End(&'static str),
}

impl Front {
    pub(super) fn new(
        poll: Poll,
        heard: Receiver<Heard>,
        key: ConductorKey,
        is_private: bool,
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
            is_private,
            shared,
            lines: Vec::new(),
            vacant: Vec::new(),
            again: Vec::new(),
            admission: Admission::new(caps),
            deadlines: Deadlines::new(&waits),
            attempts: Attempts::new(),
            budget: Budget::new(limits::PUBLISH_BYTES_MAX),
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
        if event.token() != WAKER {
            self.serve(now, u32::try_from(event.token().0).expect("tokens of lines are their slots"));
        }
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
        if !self.admission.admit(from.ip()) {
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

    /// Forgets a connection; its socket closes. Says why, if that is not how those of honest members end.
    fn close(&mut self, now: Moment, slot: u32, why: Option<&dyn std::fmt::Display>) {
        let Some(line) = self.lines.get_mut(slot as usize).and_then(Option::take) else { return };
        self.deadlines.disarm(slot);
        self.vacant.push(slot);
        self.admission.leave(line.from.ip(), line.is_pending);
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
        line.state = state;
        if let Some(Err(error)) = reply.map(|reply| line.connection.reply(&reply)) {
            return self.close(now, slot, Some(&error));
        }
        self.deadlines.arm(now, slot, FOR_REQUEST);
    }

    /// Asks the database; what came of it has the number of the next question.
    fn ask_database(&self, slot: u32, job: Job, step: Step) -> Next {
        let ticket = Ticket { slot, turn: self.next_turn };
        match self.ways.database.try_send(Work::Ask(ticket, job)) {
            Ok(()) => Next::Wait(step),
            Err(_full) => refused(Refusal::Busy),
        }
    }

    fn ask_conductor(&self, slot: u32, asked: Asked, step: Step) -> Next {
        let ticket = Ticket { slot, turn: self.next_turn };
        match self.ways.conductor.try_send(News::Asked(ticket, asked)) {
            Ok(()) => Next::Wait(step),
            Err(_full) => refused(Refusal::Busy),
        }
    }

    /// Has a password hashed, if there is room for it.
    fn hash(&self, slot: u32, password: Password, purpose: Purpose, step: Step) -> Option<Next> {
        let ticket = Ticket { slot, turn: self.next_turn };
        let is_taken = self.ways.passwords.hash(Hashing { ticket, password, purpose });
        is_taken.then_some(Next::Wait(step))
    }

    fn on_question(&mut self, now: Moment, slot: u32, question: Question) -> Next {
        match question {
            Question::Publish(composition) => self.on_publish(now, slot, &composition),
            Question::Gathered(gathered) => self.on_gathered(slot, gathered),
            Question::Ask(request) => self.on_request(now, slot, request),
        }
    }

    fn on_request(&mut self, now: Moment, slot: u32, request: Request) -> Next {
        let line = self.lines[slot as usize].as_mut().expect("it asked just now");
        let session = line.session.as_ref().map(|session| session.id);
        match request {
            Request::Register(Login { name, password }) => {
                let Ok(name) = AccountName::parse(&name) else { return refused(Refusal::BadName) };
                match Password::parse(&password) {
                    Err(_) => refused(Refusal::BadPassword),
                    Ok(password) => {
                        self.ask_database(slot, Job::Account(name.clone()), Step::Free { name, password })
                    }
                }
            }
            Request::Login(login) => self.on_login(now, slot, &login),
            Request::Resume(token) => {
                let id = token.id();
                self.ask_database(slot, Job::Resume(id), Step::Resume { id })
            }
            Request::Logout => match session {
                None => refused(Refusal::LoginFirst),
                Some(id) => self.ask_database(slot, Job::Close(id), Step::Logout),
            },
            Request::List(query) => match self.gate(session) {
                Err(refusal) => refused(refusal),
                Ok(gate) => self.ask_database(slot, Job::List(gate, query), Step::Page),
            },
            Request::Details(wanted) => match self.gate(session) {
                Err(refusal) => refused(refusal),
                Ok(gate) => self.ask_database(slot, Job::Find(gate, wanted), Step::Details),
            },
            Request::Fetch(wanted) => match self.gate(session) {
                Err(refusal) => refused(refusal),
                Ok(gate) => self.ask_database(slot, Job::Find(gate, wanted), Step::Fetch),
            },
            Request::Unpublish(wanted) => match session {
                None => refused(Refusal::LoginFirst),
                Some(id) => {
                    let name = wanted.name.clone();
                    self.ask_database(slot, Job::Unpublish(id, wanted), Step::Unpublish { name })
                }
            },
            Request::Publish(_) | Request::Digests(_) => unreachable!("the connection makes them questions"),
        }
    }

    /// Who may look at listings.
    const fn gate(&self, session: Option<SessionId>) -> Result<Gate, Refusal> {
        match (self.is_private, session) {
            (false, _) => Ok(Gate::Open),
            (true, Some(session)) => Ok(Gate::Session(session)),
            (true, None) => Err(Refusal::LoginFirst),
        }
    }

    fn on_login(&mut self, now: Moment, slot: u32, login: &Login) -> Next {
        let from = self.from(slot);
        // What is no name counts like one that nobody has.
        let name = AccountName::parse(&login.name);
        let key = name.as_ref().map_or_else(|_| folded(&login.name), AccountName::folded);
        if let Err(pause) = self.attempts.begin(now, from.ip(), &key) {
            let seconds = u32::try_from(pause.as_secs() + 1).unwrap_or(u32::MAX);
            return refused(Refusal::TryAgainIn { seconds });
        }
        // Neither says anything about who has an account: nobody has such a name, or such a password.
        let (Ok(name), Ok(password)) = (name, Password::parse(&login.password)) else {
            return refused(Refusal::WrongLogin);
        };
        let next = self.ask_database(slot, Job::Account(name.clone()), Step::Find { name, password });
        if matches!(next, Next::Reply(_)) {
            self.attempts.dropped(from.ip(), &key);
        }
        next
    }

    fn on_publish(&mut self, now: Moment, slot: u32, composition: &Composition) -> Next {
        let Composition { name, digest, size, part_len } = composition;
        let Ok(layout) = Layout::new(*size, u64::from(*part_len)) else {
            // Nobody knows how many digests follow.
            let line = self.lines[slot as usize].as_mut().expect("it asked just now");
            if line.connection.reply(&Reply::Refused(Refusal::BadComposition)).is_ok() {
                drop(line.stream.write(line.connection.unsent()));
            }
            return Next::End("what it publishes is no composition");
        };
        let grant = self.budget.grant(layout.parts() as usize * DIGEST_LEN);
        let line = self.lines[slot as usize].as_mut().expect("it asked just now");
        // What would be put right elsewhere is not published: who fetches it would find it under another name.
        let name = Name::parse(name).ok().filter(|parsed| parsed.as_str() == name);
        let fate = match (name, grant, &line.session) {
            (_, _, None) => Err(Refusal::LoginFirst),
            (None, _, Some(_)) => Err(Refusal::BadComposition),
            (Some(_), None, Some(_)) => Err(Refusal::Busy),
            (Some(name), Some(grant), Some(_)) => {
                Ok(Publishing { name, digest: Digest::from_bytes(*digest), layout, grant })
            }
        };
        line.publish_until = now + limits::CATALOGUE_PUBLISH_TIMEOUT;
        match line.connection.gather(layout.parts(), fate) {
            Some(gathered) => self.on_gathered(slot, gathered),
            None => Next::Read,
        }
    }

    fn on_gathered(&mut self, slot: u32, gathered: Gathered) -> Next {
        let line = self.lines[slot as usize].as_ref().expect("it asked just now");
        match (gathered.fate, &line.session) {
            (Err(refusal), _) => refused(refusal),
            (Ok(_), None) => refused(Refusal::LoginFirst),
            (Ok(publishing), Some(session)) => {
                let name = publishing.name.as_str().to_owned();
                let job = Job::Publish(session.id, Box::new(publishing), gathered.parts);
                self.ask_database(slot, job, Step::Publish { name })
            }
        }
    }

    fn on_outcome(&mut self, now: Moment, slot: u32, step: Step, outcome: Outcome) -> Next {
        match (step, outcome) {
            (step, Outcome::Trouble) => {
                if let Step::Find { name, .. } = step {
                    let from = self.from(slot);
                    self.attempts.dropped(from.ip(), &name.folded());
                }
                refused(Refusal::Trouble)
            }
            (_, Outcome::SessionOver) => {
                self.set_session(slot, None);
                refused(Refusal::SessionOver)
            }
            (Step::Find { name, password }, Outcome::Account(account)) => {
                // Who is shut out is told the same as who has no account, after the same work.
                let account = account.filter(|account| !account.is_disabled);
                let hash = account.as_ref().map(|account| account.password.clone());
                let folded = name.folded();
                let account = account.map(|account| (account.id, account.name));
                let step = Step::Verify { account, folded: folded.clone() };
                self.hash(slot, password, Purpose::Verify(hash), step).unwrap_or_else(|| {
                    let from = self.from(slot);
                    self.attempts.dropped(from.ip(), &folded);
                    refused(Refusal::Busy)
                })
            }
            (Step::Free { name, password }, Outcome::Account(None)) => {
                let hashing = self.hash(slot, password, Purpose::Keep, Step::Keep { name });
                hashing.unwrap_or_else(|| refused(Refusal::Busy))
            }
            (Step::Free { .. }, Outcome::Account(Some(_))) => refused(Refusal::NameTaken),
            (Step::Open { token, session, name }, Outcome::Opened(true)) => {
                self.journal.account(now, self.from(slot), format_args!("{name} logged in"));
                self.begin_session(slot, token, &session, name)
            }
            (Step::Open { .. }, Outcome::Opened(false)) => refused(Refusal::Busy),
            (Step::Open { token, session, name }, Outcome::Registered(Ok(_))) => {
                self.journal.account(now, self.from(slot), format_args!("{name} registered"));
                self.begin_session(slot, token, &session, name)
            }
            (Step::Open { .. }, Outcome::Registered(Err(NotRegistered::Taken))) => {
                refused(Refusal::NameTaken)
            }
            (Step::Open { .. }, Outcome::Registered(Err(NotRegistered::Full))) => {
                refused(Refusal::AccountsFull)
            }
            (Step::Resume { id }, Outcome::Session(owner)) => match owner {
                None => refused(Refusal::SessionOver),
                Some(owner) => {
                    let name = owner.name.as_str().to_owned();
                    self.set_session(slot, Some(Owned { id, name: name.clone() }));
                    Next::Reply(Reply::Account(name))
                }
            },
            (Step::Logout, Outcome::Closed) => {
                if let Some(owned) = self.set_session(slot, None) {
                    self.journal.account(now, self.from(slot), format_args!("{} logged out", owned.name));
                }
                Next::Reply(Reply::Done)
            }
            (step, outcome) => self.on_listings(now, slot, step, outcome),
        }
    }

    /// What came of what is asked about listings.
    fn on_listings(&mut self, now: Moment, slot: u32, step: Step, outcome: Outcome) -> Next {
        match (step, outcome) {
            (Step::Publish { name }, Outcome::Published(published)) => match published {
                Err(NotPublished::Nobody) => refused(Refusal::SessionOver),
                Err(NotPublished::AccountFull | NotPublished::Full) => refused(Refusal::ListingsFull),
                Ok(published) => {
                    if published.is_new {
                        let what = format!("published {}", Escaped(&name));
                        self.journal.changed(now, self.from(slot), what);
                    }
                    let already_by = published.already_by.map(|name| name.as_str().to_owned());
                    self.count(slot, published.namesakes, Shape::Published { already_by })
                }
            },
            (Step::Page, Outcome::Page(page)) => {
                let last = page.listings.last().filter(|_| page.has_more);
                let next =
                    last.map(|last| Cursor { name: folded(last.name.as_str()), listing: last.id.number() });
                let matches = u32::try_from(page.matches).unwrap_or(u32::MAX);
                self.count(slot, page.listings, Shape::Page { next, matches })
            }
            (Step::Details | Step::Fetch, Outcome::Found(Found::None)) => refused(Refusal::NotFound),
            (Step::Details | Step::Fetch, Outcome::Found(Found::Several(listings))) => {
                self.count(slot, listings, Shape::Several)
            }
            (Step::Details, Outcome::Found(Found::One(listing))) => {
                let seen = self.lines[slot as usize].as_ref().expect("it asked just now").seen;
                let asked = Asked::Holders { swarm: listing.swarm, seen };
                self.ask_conductor(slot, asked, Step::Hold { listing })
            }
            (Step::Fetch, Outcome::Found(Found::One(listing))) => {
                let parts = listing.layout.parts();
                let state = match parts {
                    0 => State::Idle,
                    _ => State::Sending { listing: listing.id, next: 0, parts },
                };
                Next::Send(Reply::Manifest(composition(&listing)), state)
            }
            (Step::Parts { listing, next, parts }, Outcome::Parts(Some(digests))) => {
                let sent = next + u32::try_from(digests.len()).unwrap_or(u32::MAX);
                match (digests.is_empty(), sent.cmp(&parts)) {
                    (false, std::cmp::Ordering::Less) => Next::Send(
                        Reply::Digests(Digests::new(&digests)),
                        State::Sending { listing, next: sent, parts },
                    ),
                    (false, std::cmp::Ordering::Equal) => {
                        Next::Send(Reply::Digests(Digests::new(&digests)), State::Idle)
                    }
                    _ => Next::End("a listing has not one digest for each part"),
                }
            }
            (Step::Parts { .. }, Outcome::Parts(None)) => {
                // Half of it is out: nothing else can be said in its place.
                Next::End("what it was sent was taken back meanwhile")
            }
            (Step::Unpublish { name }, Outcome::Unpublished(outcome)) => match outcome {
                Unpublished::Done => {
                    let what = format!("took back {}", Escaped(&name));
                    self.journal.changed(now, self.from(slot), what);
                    Next::Reply(Reply::Done)
                }
                Unpublished::NotFound => refused(Refusal::NotFound),
                Unpublished::NotYours => refused(Refusal::NotYours),
                Unpublished::Several(listings) => self.count(slot, listings, Shape::Several),
            },
            (Step::Name { listing, count, holders }, Outcome::Names(names)) => {
                let listed = listed(&listing, count);
                let of = |account| {
                    names.iter().find(|(id, _)| *id == account).map(|(_, name)| name.as_str().to_owned())
                };
                let holders = holders.iter().map(|held| holder(held, held.account.and_then(of))).collect();
                Next::Reply(Reply::Details(Details { listed, holders }))
            }
            _ => unreachable!("each question has its own answers"),
        }
    }

    fn on_hashed(&mut self, now: Moment, slot: u32, step: Step, hashed: Hashed) -> Next {
        let from = self.from(slot);
        match (step, hashed) {
            (Step::Verify { account, folded }, Hashed::Verified(is_right)) => match account {
                Some((id, name)) if is_right => {
                    self.attempts.right(now, from.ip(), &folded);
                    self.open(slot, name.as_str().to_owned(), |session| Job::Open(id, session))
                }
                _ => {
                    let what = format!("a wrong name or password, as {}", Escaped(&folded));
                    self.journal.account(now, from, what);
                    refused(Refusal::WrongLogin)
                }
            },
            (Step::Keep { name }, Hashed::Hash(Some(password))) => {
                let shown = name.as_str().to_owned();
                self.open(slot, shown, |session| Job::Register { name, password, session })
            }
            (Step::Keep { .. }, Hashed::Hash(None)) => refused(Refusal::Trouble),
            _ => unreachable!("each password has its own answers"),
        }
    }

    fn on_told(&mut self, slot: u32, step: Step, told: Told) -> Next {
        match (step, told) {
            (Step::Count { listings, shape }, Told::Counts(counts)) => {
                let listed = listings.iter().zip(counts).map(|(listing, count)| listed(listing, count));
                Next::Reply(shape.of(listed.collect()))
            }
            (Step::Hold { listing }, Told::Holders { count, holders }) => {
                let mut accounts: Vec<AccountId> = holders.iter().filter_map(|held| held.account).collect();
                accounts.sort_unstable();
                accounts.dedup();
                self.ask_database(slot, Job::Names(accounts), Step::Name { listing, count, holders })
            }
            _ => unreachable!("each question has its own answers"),
        }
    }

    /// Draws a session and has it opened.
    fn open(&self, slot: u32, name: String, job: impl FnOnce(NewSession) -> Job) -> Next {
        let token = match entropy::bytes() {
            Ok(bytes) => SessionToken::from_bytes(bytes),
            Err(error) => {
                log::error!("{error}");
                return refused(Refusal::Trouble);
            }
        };
        let expires = clock::wall() + limits::SESSION_SPAN;
        let session = NewSession { id: token.id(), key: token.key(), expires };
        self.ask_database(slot, job(session.clone()), Step::Open { token, session, name })
    }

    fn begin_session(&mut self, slot: u32, token: SessionToken, session: &NewSession, name: String) -> Next {
        self.set_session(slot, Some(Owned { id: session.id, name: name.clone() }));
        let expires = session.expires.as_secs();
        Next::Reply(Reply::Session(Session { token, account: name, expires }))
    }

    /// Whose connection it is from now on; whose it was.
    fn set_session(&mut self, slot: u32, session: Option<Owned>) -> Option<Owned> {
        let line = self.lines[slot as usize].as_mut().expect("it asked just now");
        std::mem::replace(&mut line.session, session)
    }

    /// Asks how many hold each of these.
    fn count(&self, slot: u32, listings: Vec<Listing>, shape: Shape) -> Next {
        if listings.is_empty() {
            return Next::Reply(shape.of(Vec::new()));
        }
        let swarms = listings.iter().map(|listing| listing.swarm).collect();
        self.ask_conductor(slot, Asked::Counts(swarms), Step::Count { listings, shape })
    }

    fn from(&self, slot: u32) -> SocketAddr {
        self.lines[slot as usize].as_ref().expect("it asked just now").from
    }
}

impl Shape {
    fn of(self, listings: Vec<Listed>) -> Reply {
        match self {
            Shape::Page { next, matches } => Reply::Page(Page { listings, next, matches }),
            Shape::Several => Reply::Several(listings),
            Shape::Published { already_by } => {
                Reply::Published(Published { already_by, namesakes: listings })
            }
        }
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

const fn refused(refusal: Refusal) -> Next {
    Next::Reply(Reply::Refused(refusal))
}

fn composition(listing: &Listing) -> Composition {
    Composition {
        name: listing.name.as_str().to_owned(),
        digest: *listing.digest.as_bytes(),
        size: listing.layout.size(),
        part_len: listing.layout.part_len(),
    }
}

fn listed(listing: &Listing, (complete, getting): (u32, u32)) -> Listed {
    Listed {
        composition: composition(listing),
        publisher: listing.publisher.as_str().to_owned(),
        published: listing.published.as_secs(),
        complete,
        getting,
    }
}

fn holder(held: &Held, account: Option<String>) -> Holder {
    Holder {
        address: held.address,
        complete: held.is_complete,
        account,
        reach: held.reach,
        downloads: hundredths(held.counts.downloads),
        failures: hundredths(held.counts.failures),
        score: u64::try_from(held.score.as_micros() / 10).unwrap_or(u64::MAX),
    }
}

/// A count, as it is told.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and is no less than 0"
)]
const fn hundredths(count: f64) -> u32 {
    (count * 100.0) as u32
}
