//! What a question leads to, step by step, until there is an answer.
//!
//! Each step asks one of those who know more, and goes on with what they say. It knows sessions, accounts and listings, and
//! no sockets.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Front, Owned, State};
use crate::account::{AccountId, AccountName};
use crate::conductor::catalogue::connection::{Gathered, Publishing, Question};
use crate::conductor::catalogue::database::{Gate, Job, NewSession, Outcome, Unpublished};
use crate::conductor::catalogue::passwords::{Hashed, Purpose};
use crate::conductor::catalogue::{Asked, Held, Told};
use crate::credential::{SessionId, SessionToken};
use crate::digest::Digest;
use crate::host::catalogue::{Account, Found, Listing, ListingId, NotPublished, NotRegistered};
use crate::host::password::Password;
use crate::host::{clock, entropy};
use crate::limits;
use crate::logic::addresses::source_of;
use crate::name::Name;
use crate::part::Layout;
use crate::text::{Escaped, folded};
use crate::time::Moment;
use crate::wire::catalogue::{
    Composition, Cursor, Details, Digests, Holder, Listed, Login, Page, Published, Refusal, Reply, Request,
    Session,
};

/// What is to be done with the answer.
pub(super) enum Step {
    /// Look for the account of who wants to log in.
    Find {
        name: AccountName,
        password: Password,
        /// What the password is to be afterwards, if it is to be another one.
        new: Option<Password>,
    },
    /// Was the password right?
    Verify {
        account: Option<Account>,
        folded: String,
        new: Option<Password>,
    },
    /// The hash of the new password.
    Renew(Account),
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
pub(super) enum Shape {
    Page { next: Option<Cursor>, matches: u32 },
    Several,
    Published { already_by: Option<String> },
}

/// What comes next on a connection.
pub(super) enum Next {
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
    pub(super) fn on_question(&mut self, now: Moment, slot: u32, question: Question) -> Next {
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
            Request::Register(login) => self.on_register(now, slot, &login),
            Request::Login(login) => self.on_login(now, slot, &login, None),
            Request::Renew(renewal) => match Password::parse(renewal.password.reveal()) {
                Ok(new) => self.on_login(now, slot, &renewal.login, Some(new)),
                Err(_) => refused(Refusal::BadPassword),
            },
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
        match (self.rules.is_private, session) {
            (false, _) => Ok(Gate::Open),
            (true, Some(session)) => Ok(Gate::Session(session)),
            (true, None) => Err(Refusal::LoginFirst),
        }
    }

    fn on_register(&mut self, now: Moment, slot: u32, login: &Login) -> Next {
        if self.rules.is_closed {
            return refused(Refusal::Closed);
        }
        let Ok(name) = AccountName::parse(&login.name) else { return refused(Refusal::BadName) };
        let Ok(password) = Password::parse(login.password.reveal()) else {
            return refused(Refusal::BadPassword);
        };
        if let Err(pause) = self.registrations.begin(now, self.from(slot).ip()) {
            return wait(pause);
        }
        self.ask_database(slot, Job::Account(name.clone()), Step::Free { name, password })
    }

    /// Somebody logs in, perhaps to have a new password.
    fn on_login(&mut self, now: Moment, slot: u32, login: &Login, new: Option<Password>) -> Next {
        let from = self.from(slot);
        // What is no name counts like one that nobody has.
        let name = AccountName::parse(&login.name);
        let key = name.as_ref().map_or_else(|_| folded(&login.name), AccountName::folded);
        if let Err(pause) = self.attempts.begin(now, from.ip(), &key) {
            return wait(pause);
        }
        // Neither says anything about who has an account: nobody has such a name, or such a password.
        let (Ok(name), Ok(password)) = (name, Password::parse(login.password.reveal())) else {
            return refused(Refusal::WrongLogin);
        };
        let next = self.ask_database(slot, Job::Account(name.clone()), Step::Find { name, password, new });
        if matches!(next, Next::Reply(_)) {
            self.attempts.dropped(from.ip(), &key);
        }
        next
    }

    fn on_publish(&mut self, now: Moment, slot: u32, composition: &Composition) -> Next {
        let Composition { name, digest, size, part_len } = composition;
        let line = self.lines[slot as usize].as_mut().expect("it asked just now");
        let layout = match (Layout::new(*size, u64::from(*part_len)), &line.session) {
            (Ok(layout), Some(session)) => Ok((layout, session)),
            // Nobody knows how many digests follow, or they are not worth reading.
            (Err(_), _) => Err((Refusal::BadComposition, "what it publishes is no composition")),
            (Ok(_), None) => Err((Refusal::LoginFirst, "it publishes without a session")),
        };
        let (layout, session) = match layout {
            Ok(layout) => layout,
            Err((refusal, why)) => {
                if line.connection.reply(&Reply::Refused(refusal)).is_ok() {
                    drop(line.stream.write(line.connection.unsent()));
                }
                return Next::End(why);
            }
        };
        // What would be put right elsewhere is not published: who fetches it would find it under another name.
        let name = Name::parse(name).ok().filter(|parsed| parsed.as_str() == name);
        let fate = name.ok_or(Refusal::BadComposition).map(|name| {
            let grant = self.budget.open(&session.name, source_of(line.from.ip()));
            Publishing { name, digest: Digest::from_bytes(*digest), layout, grant }
        });
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

    pub(super) fn on_outcome(&mut self, now: Moment, slot: u32, step: Step, outcome: Outcome) -> Next {
        match (step, outcome) {
            (step, outcome @ (Outcome::Trouble | Outcome::Busy)) => {
                if let Step::Find { name, .. } = step {
                    let from = self.from(slot);
                    self.attempts.dropped(from.ip(), &name.folded());
                }
                refused(if matches!(outcome, Outcome::Busy) { Refusal::Busy } else { Refusal::Trouble })
            }
            (_, Outcome::SessionOver) => {
                self.set_session(slot, None);
                refused(Refusal::SessionOver)
            }
            (
                step @ (Step::Find { .. }
                | Step::Free { .. }
                | Step::Open { .. }
                | Step::Resume { .. }
                | Step::Logout),
                outcome,
            ) => self.on_account(now, slot, step, outcome),
            (step, outcome) => self.on_listing(now, slot, step, outcome),
        }
    }

    /// What the database says of accounts and sessions.
    fn on_account(&mut self, now: Moment, slot: u32, step: Step, outcome: Outcome) -> Next {
        match (step, outcome) {
            (Step::Find { name, password, new }, Outcome::Account(account)) => {
                let hash = account.as_ref().map(|account| account.password.clone());
                let folded = name.folded();
                let step = Step::Verify { account, folded: folded.clone(), new };
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
            (Step::Open { token, session, name }, Outcome::Renewed(true)) => {
                let what = format_args!("{name} has a new password, and all its other sessions have ended");
                self.journal.account(now, self.from(slot), what);
                self.begin_session(slot, token, &session, name)
            }
            (Step::Open { name, .. }, Outcome::Opened(false) | Outcome::Renewed(false)) => {
                let what = format!("a password of {name} that is not valid any more");
                self.journal.account(now, self.from(slot), what);
                refused(Refusal::WrongLogin)
            }
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
            _ => unreachable!("each question has its own answers"),
        }
    }

    /// What the database says of listings.
    fn on_listing(&mut self, now: Moment, slot: u32, step: Step, outcome: Outcome) -> Next {
        match (step, outcome) {
            (Step::Publish { name }, Outcome::Published(published)) => match published {
                Err(NotPublished::Nobody) => refused(Refusal::SessionOver),
                Err(NotPublished::NameFull) => refused(Refusal::NameFull),
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
                // As it was published: what it is ordered by may be many times as long, and no request could carry it.
                let next = last
                    .map(|last| Cursor { name: last.name.as_str().to_owned(), listing: last.id.number() });
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
                self.ask_conductor(slot, asked, Step::Hold { listing }, |_| refused(Refusal::Busy))
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

    pub(super) fn on_hashed(&mut self, now: Moment, slot: u32, step: Step, hashed: Hashed) -> Next {
        let from = self.from(slot);
        match (step, hashed) {
            (Step::Verify { account, folded, new }, Hashed::Verified(is_right)) => match account {
                // Only who has the password is told.
                Some(Account { name, is_disabled: true, .. }) if is_right => {
                    self.journal.account(now, from, format_args!("{name}, which is disabled"));
                    refused(Refusal::Disabled)
                }
                Some(account) if is_right => {
                    self.attempts.right(now, from.ip(), &folded);
                    if let Some(new) = new {
                        let hashing = self.hash(slot, new, Purpose::Keep, Step::Renew(account));
                        return hashing.unwrap_or_else(|| refused(Refusal::Busy));
                    }
                    let Account { id, name, password, .. } = account;
                    self.open(slot, name.as_str().to_owned(), |session| Job::Open(id, password, session))
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
            (Step::Renew(account), Hashed::Hash(Some(after))) => {
                let Account { id, name, password: before, .. } = account;
                self.open(slot, name.as_str().to_owned(), |session| Job::Renew {
                    account: id,
                    before,
                    after,
                    session,
                })
            }
            (Step::Keep { .. } | Step::Renew(_), Hashed::Hash(None)) => refused(Refusal::Trouble),
            _ => unreachable!("each password has its own answers"),
        }
    }

    pub(super) fn on_told(&mut self, slot: u32, step: Step, told: Told) -> Next {
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
        let is_published = matches!(shape, Shape::Published { .. });
        let swarms = listings.iter().map(|listing| listing.swarm).collect();
        self.ask_conductor(slot, Asked::Counts(swarms), Step::Count { listings, shape }, |step| match step {
            // What is on the disk is done, whatever else there is to say of it.
            Step::Count { shape, .. } if is_published => Next::Reply(shape.of(Vec::new())),
            _ => refused(Refusal::Busy),
        })
    }

    pub(super) fn from(&self, slot: u32) -> SocketAddr {
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
        swarm: *listing.swarm.as_bytes(),
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
fn hundredths(count: f64) -> u32 {
    (count * 100.0).round() as u32
}

/// Whoever tries too much is told when to come again.
fn wait(pause: Duration) -> Next {
    refused(Refusal::TryAgainIn { seconds: u32::try_from(pause.as_secs() + 1).unwrap_or(u32::MAX) })
}

/// The answer that there is none.
pub(super) const fn refused(refusal: Refusal) -> Next {
    Next::Reply(Reply::Refused(refusal))
}
