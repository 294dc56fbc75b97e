//! The thread that owns the catalogue's database.
//!
//! It takes what is in its inbox into the queue of those who wait, in which sources and kinds of work take turns, and looks
//! into its inbox again after each of them. What is written goes into one transaction, as much as waits, and is answered
//! after it is on the disk: so a thousand who publish at once wait for the disk a few times, not a thousand.
//! It tells the conductor's thread of sessions and counts before it answers: who has heard of a new session can use it.
//!
//! It owns the database, and waits for its queue, the disk, and the inboxes of those whom it answers.

use std::net::IpAddr;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::connection::Publishing;
use super::front::Heard;
use super::{News, Post, Ticket};
use crate::account::{AccountId, AccountName};
use crate::conductor::journal::Journal;
use crate::credential::SessionId;
use crate::digest::Digest;
use crate::host::catalogue::{
    Account, After, Catalogue, CatalogueError, Found, ListingId, NewListing, NotPublished, NotRegistered,
    Page, Published, Reader, Report, Session, SessionOwner, Writer,
};
use crate::host::clock;
use crate::host::password::PasswordHash;
use crate::limits::{DATABASE_BEAT, DATABASE_FORGET_INTERVAL, DATABASE_FORGET_PAUSE, LISTINGS_PER_PAGE};
use crate::logic::addresses::source_of;
use crate::logic::catalogue::counts::counted;
use crate::logic::catalogue::turns::{Asker, Kind, Turn, Turns};
use crate::text::chain;
use crate::wire::catalogue::{Query, Wanted};

/// Something to do, and who hears what came of it.
#[derive(Debug)]
pub(in crate::conductor) enum Work {
    /// A connection from there asks.
    Ask(Ticket, IpAddr, Job),
    /// The connection from there that has asked this is gone.
    Gone(Ticket, IpAddr),
    /// A link went well, or did not. Nobody waits for it.
    Report(Report, bool),
}

/// What a connection asks.
#[derive(Debug)]
pub(in crate::conductor) enum Job {
    /// The account of this name.
    Account(AccountName),
    /// Make an account, and open a session of it.
    Register { name: AccountName, password: PasswordHash, session: NewSession },
    /// Open a session of an account, if the hash of its password is still the one that was verified.
    Open(AccountId, PasswordHash, NewSession),
    /// Replace the password of an account if its hash is still the one that was verified, and open a session.
    Renew { account: AccountId, before: PasswordHash, after: PasswordHash, session: NewSession },
    /// Whose session is this?
    Resume(SessionId),
    /// End it.
    Close(SessionId),
    /// Publish a composition.
    Publish(SessionId, Box<Publishing>, Vec<Digest>),
    /// A page of listings.
    List(Gate, Query),
    /// The listings of a name.
    Find(Gate, Wanted),
    /// Digests of so many parts of a listing, from this one on.
    Parts { listing: ListingId, first: u32, count: usize },
    /// What these accounts are called.
    Names(Vec<AccountId>),
    /// Take a listing back.
    Unpublish(SessionId, Wanted),
}

/// A session that is to be opened.
#[derive(Clone, Debug)]
pub(in crate::conductor) struct NewSession {
    pub(super) id: SessionId,
    pub(super) key: crate::credential::SessionKey,
    pub(super) expires: Duration,
}

/// Who may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::conductor) enum Gate {
    /// Everybody.
    Open,
    /// Who has this session.
    Session(SessionId),
}

/// What came of it.
#[derive(Debug)]
pub(in crate::conductor) enum Outcome {
    Account(Option<Account>),
    Registered(Result<AccountId, NotRegistered>),
    /// Whether the session is open: else the account is not as it was when the password was verified.
    Opened(bool),
    /// The same of a session that is open with another password.
    Renewed(bool),
    Session(Option<SessionOwner>),
    Closed,
    Published(Result<Published, NotPublished>),
    Page(Page),
    Found(Found),
    Parts(Option<Vec<Digest>>),
    Names(Vec<(AccountId, AccountName)>),
    Unpublished(Unpublished),
    /// The session on which it was asked is over.
    SessionOver,
    /// Too much waits from there already.
    Busy,
    /// The database does not work now; nothing was changed.
    Trouble,
}

/// What came of a wish to take a listing back.
#[derive(Debug)]
pub(in crate::conductor) enum Unpublished {
    Done,
    /// There is none of that name.
    NotFound,
    /// It is somebody else's.
    NotYours,
    Several(Vec<crate::host::catalogue::Listing>),
}

/// See the module.
pub(super) struct Database {
    pub(super) catalogue: Catalogue,
    pub(super) queue: Receiver<Work>,
    pub(super) front: Post<Heard>,
    pub(super) conductor: Post<News>,
}

impl Database {
    /// Works until nobody asks any more.
    pub(super) fn run(mut self) {
        let mut journal = Journal::new();
        let (mut look, mut forget) = (clock::now() + DATABASE_BEAT, clock::now());
        let mut turns = Turns::new();
        loop {
            if turns.is_empty() {
                match self.queue.recv_timeout(look.min(forget).since(clock::now())) {
                    Ok(work) => self.take_in(&mut turns, work),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            for _ in 0..self.queue.len() {
                let Ok(work) = self.queue.try_recv() else { break };
                self.take_in(&mut turns, work);
            }
            match turns.next(clock::now()) {
                None => {}
                Some(Turn::Read(work)) => self.read(&mut journal, work),
                Some(Turn::Write(writes)) => self.write_all(&mut journal, writes),
            }
            let now = clock::now();
            if now >= look {
                look = now + DATABASE_BEAT;
                self.look(&mut journal);
                journal.turn_page(now);
            }
            if now >= forget {
                let more = self.forget(&mut journal);
                forget = now + if more { DATABASE_FORGET_PAUSE } else { DATABASE_FORGET_INTERVAL };
            }
        }
    }

    /// Tells of all sessions, if another process changed anything: it may have ended some.
    fn look(&mut self, journal: &mut Journal) {
        match self.catalogue.changed_elsewhere(|reader| reader.sessions(clock::wall())) {
            Ok(None) => {}
            Ok(Some(sessions)) => self.conductor.send(News::Sessions(sessions)),
            Err(error) => journal.trouble(clock::now(), chain(&error)),
        }
    }

    /// Forgets what time has ended; whether there may be more of it.
    fn forget(&mut self, journal: &mut Journal) -> bool {
        match self.catalogue.write(|writer| writer.forget(clock::wall())) {
            Ok((ended, may_be_more)) => {
                // The desk believes none of them anyway, but has to have room for others.
                if !ended.is_empty() {
                    self.conductor.send(News::Ended(ended));
                }
                may_be_more
            }
            Err(error) => {
                journal.trouble(clock::now(), chain(&error));
                false
            }
        }
    }

    /// Has it wait for its turn, unless too much waits.
    fn take_in(&self, turns: &mut Turns<Work>, work: Work) {
        let (asker, kind) = match &work {
            Work::Ask(_, from, job) => (Asker::Source(source_of(*from)), job.kind()),
            Work::Report(..) => (Asker::Conductor, Kind::Write),
            Work::Gone(gone, from) => {
                return turns.forget(Asker::Source(source_of(*from)), |work| work.is_only_for(*gone));
            }
        };
        match turns.push(asker, kind, work) {
            Ok(()) => {}
            Err(Work::Ask(ticket, ..)) => self.front.send(Heard::Done(ticket, Outcome::Busy)),
            Err(_) => log::debug!("a report is lost: the database has too much to do"),
        }
    }

    fn read(&mut self, journal: &mut Journal, work: Work) {
        let Work::Ask(ticket, _, job) = work else { return };
        let outcome = self.catalogue.read(|reader| job.read(reader, clock::wall()));
        let outcome = outcome.unwrap_or_else(|error| trouble(journal, &error));
        self.front.send(Heard::Done(ticket, outcome));
    }

    fn write_all(&mut self, journal: &mut Journal, writes: Vec<Work>) {
        match self.write(&writes) {
            Ok(done) => self.tell(writes, done),
            // What one of them stumbled over may be its own: the others get their turn alone.
            Err(error) if !error.is_others() && writes.len() > 1 => {
                for work in writes {
                    let one = vec![work];
                    match self.write(&one) {
                        Ok(done) => self.tell(one, done),
                        Err(error) => self.fail(journal, one, &error),
                    }
                }
            }
            Err(error) => self.fail(journal, writes, &error),
        }
    }

    /// Everything that is written, in one transaction.
    fn write(&mut self, writes: &[Work]) -> Result<Vec<Done>, CatalogueError> {
        let now = clock::wall();
        self.catalogue.write(|writer| writes.iter().map(|work| work.write(writer, now)).collect())
    }

    fn tell(&self, writes: Vec<Work>, done: Vec<Done>) {
        for (work, done) in writes.into_iter().zip(done) {
            done.news.into_iter().for_each(|news| self.conductor.send(news));
            if let (Work::Ask(ticket, ..), Some(outcome)) = (work, done.outcome) {
                self.front.send(Heard::Done(ticket, outcome));
            }
        }
    }

    fn fail(&self, journal: &mut Journal, writes: Vec<Work>, error: &CatalogueError) {
        trouble(journal, error);
        for work in writes {
            if let Work::Ask(ticket, ..) = work {
                self.front.send(Heard::Done(ticket, Outcome::Trouble));
            }
        }
    }
}

fn trouble(journal: &mut Journal, error: &CatalogueError) -> Outcome {
    journal.trouble(clock::now(), chain(error));
    Outcome::Trouble
}

/// What a write did, once it is on the disk.
struct Done {
    /// None for those whom nobody waits for.
    outcome: Option<Outcome>,
    news: Vec<News>,
}

impl Done {
    const fn only(outcome: Outcome) -> Done {
        Done { outcome: Some(outcome), news: Vec::new() }
    }
}

impl Work {
    /// Whether nobody but the connection that has asked this wants it to be done: who takes something back means it, and may
    /// not wait to hear of it.
    fn is_only_for(&self, asked: Ticket) -> bool {
        match self {
            Work::Ask(ticket, _, job) => {
                *ticket == asked && !matches!(job, Job::Close(_) | Job::Unpublish(..))
            }
            Work::Gone(..) | Work::Report(..) => false,
        }
    }

    fn write(&self, writer: &mut Writer<'_>, now: Duration) -> Result<Done, CatalogueError> {
        match self {
            Work::Ask(_, _, job) => job.write(writer, now),
            Work::Gone(..) => unreachable!("nothing is done about it"),
            Work::Report(report, has_failed) => {
                let counts = writer.report(report, now, |counts| counted(counts, now, *has_failed))?;
                let news = counts.map(|counts| News::Counts(vec![(report.about, counts)]));
                Ok(Done { outcome: None, news: news.into_iter().collect() })
            }
        }
    }
}

impl Job {
    const fn kind(&self) -> Kind {
        match self {
            Job::List(..) => Kind::Walk,
            Job::Account(_) | Job::Resume(_) | Job::Find(..) | Job::Parts { .. } | Job::Names(_) => {
                Kind::Lookup
            }
            Job::Register { .. }
            | Job::Open(..)
            | Job::Renew { .. }
            | Job::Close(_)
            | Job::Publish(..)
            | Job::Unpublish(..) => Kind::Write,
        }
    }

    fn read(self, reader: &Reader<'_>, now: Duration) -> Result<Outcome, CatalogueError> {
        Ok(match self {
            Job::Account(name) => Outcome::Account(reader.account(&name)?),
            Job::Resume(session) => Outcome::Session(reader.session(session, now)?),
            Job::List(gate, _) | Job::Find(gate, _) if !gate.lets_in(reader, now)? => Outcome::SessionOver,
            Job::List(_, query) => {
                let after = query
                    .after
                    .map(|after| After { name: after.name, id: ListingId::from_number(after.listing) });
                let most = usize::from(query.limit).min(LISTINGS_PER_PAGE);
                Outcome::Page(reader.list(&query.text, after.as_ref(), most)?)
            }
            Job::Find(_, wanted) => Outcome::Found(reader.find(&wanted.name, &wanted.digits, None)?),
            Job::Parts { listing, first, count } => Outcome::Parts(reader.some_parts(listing, first, count)?),
            Job::Names(accounts) => {
                let name = |account| Ok(reader.account_name(account)?.map(|name| (account, name)));
                let names: Result<Vec<_>, CatalogueError> =
                    accounts.into_iter().filter_map(|account| name(account).transpose()).collect();
                Outcome::Names(names?)
            }
            Job::Register { .. }
            | Job::Open(..)
            | Job::Renew { .. }
            | Job::Close(_)
            | Job::Publish(..)
            | Job::Unpublish(..) => unreachable!("that is written"),
        })
    }

    fn write(&self, writer: &mut Writer<'_>, now: Duration) -> Result<Done, CatalogueError> {
        Ok(match self {
            Job::Register { name, password, session } => match writer.register(name, password, now)? {
                Err(not) => Done::only(Outcome::Registered(Err(not))),
                Ok(account) => {
                    // It was made in this very transaction, so there is nothing that could keep it out.
                    let (_, news) = session.open(writer, account, password, now)?;
                    Done { outcome: Some(Outcome::Registered(Ok(account))), news }
                }
            },
            Job::Open(account, password, session) => {
                let (is_open, news) = session.open(writer, *account, password, now)?;
                Done { outcome: Some(Outcome::Opened(is_open)), news }
            }
            Job::Renew { account, before, after, session } => {
                match writer.replace_password(*account, before, after)? {
                    None => Done::only(Outcome::Renewed(false)),
                    Some(ended) => {
                        let mut news = vec![News::Ended(ended)];
                        let (is_open, opened) = session.open(writer, *account, after, now)?;
                        news.extend(opened);
                        Done { outcome: Some(Outcome::Renewed(is_open)), news }
                    }
                }
            }
            Job::Close(session) => {
                writer.close_session(*session)?;
                Done { outcome: Some(Outcome::Closed), news: vec![News::Ended(vec![*session])] }
            }
            Job::Publish(session, publishing, parts) => match writer.session(*session, now)? {
                None => Done::only(Outcome::SessionOver),
                Some(owner) => {
                    let new = NewListing {
                        name: &publishing.name,
                        digest: publishing.digest,
                        layout: publishing.layout,
                        parts,
                    };
                    Done::only(Outcome::Published(writer.publish(owner.account, &new, now)?))
                }
            },
            Job::Unpublish(session, wanted) => match writer.session(*session, now)? {
                None => Done::only(Outcome::SessionOver),
                Some(owner) => {
                    let found = writer.find(&wanted.name, &wanted.digits, Some(owner.account))?;
                    Done::only(Outcome::Unpublished(match found {
                        Found::One(listing) if writer.unpublish(owner.account, listing.id)? => {
                            Unpublished::Done
                        }
                        Found::Several(several) => Unpublished::Several(several),
                        Found::One(_) | Found::None => {
                            match writer.find(&wanted.name, &wanted.digits, None)? {
                                Found::None => Unpublished::NotFound,
                                Found::One(_) | Found::Several(_) => Unpublished::NotYours,
                            }
                        }
                    }))
                }
            },
            Job::Account(_)
            | Job::Resume(_)
            | Job::List(..)
            | Job::Find(..)
            | Job::Parts { .. }
            | Job::Names(_) => unreachable!("that is only read"),
        })
    }
}

impl NewSession {
    /// Opens it; whether the account still has this password, and what there is to tell.
    fn open(
        &self,
        writer: &mut Writer<'_>,
        account: AccountId,
        password: &PasswordHash,
        now: Duration,
    ) -> Result<(bool, Vec<News>), CatalogueError> {
        let NewSession { id, key, expires } = self.clone();
        let session = Session { id, key, account, expires };
        Ok(match writer.open_session(&session, password, now)? {
            Err(_) => (false, Vec::new()),
            Ok(opened) => (true, vec![News::Ended(opened.ended), News::Opened(session)]),
        })
    }
}

impl Gate {
    fn lets_in(self, reader: &Reader<'_>, now: Duration) -> Result<bool, CatalogueError> {
        match self {
            Gate::Open => Ok(true),
            Gate::Session(session) => Ok(reader.session(session, now)?.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossbeam_channel::unbounded;
    use mio::{Poll, Token, Waker};

    use super::*;
    use crate::credential::SessionToken;

    /// A database, and what it tells the front and the conductor.
    fn database(catalogue: Catalogue) -> (Database, Receiver<Heard>, Receiver<News>) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let (front, heard) = unbounded();
        let (conductor, news) = unbounded();
        let front = Post { sender: front, waker: Arc::clone(&waker) };
        let conductor = Post { sender: conductor, waker };
        (Database { catalogue, queue: unbounded().1, front, conductor }, heard, news)
    }

    #[test]
    fn what_one_write_stumbles_over_fails_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(&dir.path().join("c")).unwrap();
        let (hash, now) = (PasswordHash::from_text(String::new()), clock::wall());
        let expires = now + Duration::from_secs(1_000);
        let session = |number| {
            let token = SessionToken::from_bytes([number; 32]);
            NewSession { id: token.id(), key: token.key(), expires }
        };
        let open = |writer: &mut Writer<'_>| {
            let account = writer.register(&AccountName::parse("ada").unwrap(), &hash, now)?.unwrap();
            for number in 1..=3 {
                assert!(session(number).open(writer, account, &hash, now)?.0);
            }
            Ok(account)
        };
        let account = catalogue.write(open).unwrap();
        let (mut database, heard, _news) = database(catalogue);
        // There is one of this number already, which no draw ever yields.
        let stumbles = Job::Open(account, hash.clone(), session(2));
        let jobs = [Job::Close(session(1).id), stumbles, Job::Close(session(3).id)];
        let from = IpAddr::from([192, 0, 2, 1]);
        let asked = (1..).zip(jobs).map(|(turn, job)| Work::Ask(Ticket { slot: 0, turn }, from, job));
        database.write_all(&mut Journal::new(), asked.collect());
        let told = heard.try_iter().map(|heard| match heard {
            Heard::Done(ticket, Outcome::Closed) => (ticket.turn, true),
            Heard::Done(ticket, Outcome::Trouble) => (ticket.turn, false),
            other => panic!("{other:?}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), [(1, true), (2, false), (3, true)]);
        let left = database.catalogue.read(|reader| reader.sessions(now)).unwrap();
        assert_eq!(left.iter().map(|left| left.id).collect::<Vec<_>>(), [session(2).id]);
    }

    #[test]
    fn the_desk_hears_of_sessions_that_time_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(&dir.path().join("c")).unwrap();
        let (hash, now) = (PasswordHash::from_text(String::new()), clock::wall());
        let token = |number| SessionToken::from_bytes([number; 32]);
        let open = |writer: &mut Writer<'_>| {
            let account = writer.register(&AccountName::parse("ada").unwrap(), &hash, now)?.unwrap();
            for (number, expires) in [(1, now), (2, now + Duration::from_secs(1_000))] {
                let token = token(number);
                let session = Session { id: token.id(), key: token.key(), account, expires };
                writer.open_session(&session, &hash, now)?.unwrap();
            }
            Ok(())
        };
        catalogue.write(open).unwrap();
        let (mut database, _heard, news) = database(catalogue);
        assert!(!database.forget(&mut Journal::new()));
        let Ok(News::Ended(ended)) = news.try_recv() else { panic!("nothing is told") };
        assert_eq!(ended, [token(1).id()]);
        assert!(!database.forget(&mut Journal::new()));
        assert!(news.try_recv().is_err(), "once");
    }
}
