//! What the conductor's thread adds to its registry when there is a catalogue: whose members are whose, who can be
//! reached, and who comes first.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::catalogue::database::Work;
use super::catalogue::front::Heard;
use super::catalogue::{Asked, Held, Known, News, Seen, Ticket, Told, Ways};
use super::desk::Proving;
use super::journal::Journal;
use crate::account::AccountId;
use crate::credential::Challenge;
use crate::host::catalogue::{Report as Counted, Session};
use crate::host::{clock, entropy};
use crate::identity::SwarmId;
use crate::limits::{HOLDERS_MAX, HOLDERS_RANKED_MAX};
use crate::logic::catalogue::reporters::Reporters;
use crate::logic::catalogue::sessions::{self, Sessions};
use crate::logic::catalogue::standing::{Reach, Standings};
use crate::logic::registry::{Ask, Registry};
use crate::time::Moment;
use crate::wire::desk::{Event, Greeted, Proven, Refusal, Reply, Report, Said};

/// See the module.
pub(super) struct Standing {
    ways: Ways,
    sessions: Sessions,
    standings: Standings,
    reporters: Reporters,
}

impl Standing {
    pub(super) fn new(ways: Ways, known: Known) -> Standing {
        let (sessions, standings, reporters) = (Sessions::new(), Standings::new(), Reporters::new());
        let mut standing = Standing { ways, sessions, standings, reporters };
        standing.sessions.replace(known.sessions.into_iter().map(keyed));
        known.counts.into_iter().for_each(|(account, counts)| standing.standings.set_counts(account, counts));
        standing
    }

    /// The way to the front.
    pub(super) const fn ways(&self) -> &Ways {
        &self.ways
    }

    /// Takes what the other threads have to say. Who has heard of a new session from them may use it at once, so this comes
    /// before any desk.
    pub(super) fn hear(&mut self, now: Moment, registry: &Registry) {
        for _ in 0..self.ways.news.len() {
            let Ok(news) = self.ways.news.try_recv() else { return };
            match news {
                News::Sessions(all) => self.sessions.replace(all.into_iter().map(keyed)),
                News::Opened(session) => {
                    let (id, session) = keyed(session);
                    self.sessions.open(id, session);
                }
                News::Ended(ended) => ended.into_iter().for_each(|id| self.sessions.close(id)),
                News::Counts(counts) => {
                    counts
                        .into_iter()
                        .for_each(|(account, counts)| self.standings.set_counts(account, counts));
                }
                News::Tried { address, response } => self.standings.tried(now, address, response),
                News::Asked(ticket, asked) => self.tell(registry, ticket, asked),
            }
        }
    }

    /// Whether more news wait.
    pub(super) fn has_news(&self) -> bool {
        !self.ways.news.is_empty()
    }

    /// When to call [`tick`](Standing::tick) if nothing happens first.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.standings.deadline()
    }

    /// Forgets who is gone, and has members connected to whose turn it is.
    pub(super) fn tick(&mut self, now: Moment) {
        self.standings.tick(now);
        while let Some(address) = self.standings.next_try(now) {
            // There is room for as many as are tried at a time.
            if self.ways.reach.try_send(address).is_err() {
                self.standings.tried(now, address, None);
            }
        }
    }

    /// What to prove against on a connection: drawn once, so that the count of proofs goes on.
    pub(super) fn challenge(proving: &mut Proving) -> Reply {
        if let Some(challenge) = proving.challenge {
            return Reply::Challenge(challenge);
        }
        match entropy::bytes() {
            Ok(bytes) => {
                let challenge = Challenge::from_bytes(bytes);
                proving.challenge = Some(challenge);
                Reply::Challenge(challenge)
            }
            Err(error) => {
                log::error!("{error}");
                Reply::Refused(Refusal::Busy)
            }
        }
    }

    /// Answers an announce without a proof.
    pub(super) fn announced(
        &mut self,
        now: Moment,
        registry: &mut Registry,
        journal: &mut Journal,
        ask: &Ask,
    ) -> Reply {
        if self.ways.is_private {
            let answer = Err(Refusal::LoginFirst);
            journal.answered(now, ask, &answer);
            return Reply::Refused(Refusal::LoginFirst);
        }
        let answer = registry.answer(now, ask);
        journal.answered(now, ask, &answer);
        match answer {
            Err(refusal) => Reply::Refused(refusal),
            Ok(roster) => {
                self.note(now, ask, None);
                Reply::Roster(roster)
            }
        }
    }

    /// Answers what is said with a proof.
    pub(super) fn proven(
        &mut self,
        now: Moment,
        registry: &mut Registry,
        journal: &mut Journal,
        proven: &Proven,
        proving: &mut Proving,
        seen: Seen,
    ) -> Reply {
        let ask = |announce| Ask { from: seen.from, reached_on: seen.reached_on, announce };
        let wall = clock::wall();
        let count = proving.count;
        // Right or wrong, it has had its turn. Nobody says more than a u32 counts on one connection.
        proving.count = count.saturating_add(1);
        let challenge = proving.challenge.filter(|_| count < u32::MAX);
        let account = challenge.and_then(|challenge| self.sessions.verify(wall, proven, challenge, count));
        match (proven.said, account) {
            (Said::Announce(announce), None) => {
                journal.answered(now, &ask(announce), &Err(Refusal::LoginFirst));
                Reply::Refused(Refusal::LoginFirst)
            }
            (Said::Report(_), None) => Reply::Refused(Refusal::LoginFirst),
            (Said::Report(report), Some(account)) => {
                if proving.takes_part == Some(SwarmId::from_bytes(report.swarm)) {
                    self.report(now, registry, seen.reached_on, account, &report);
                }
                Reply::Noted
            }
            (Said::Announce(announce), Some(account)) => {
                let ask = ask(announce);
                match registry.answer_in_kinds(now, &ask) {
                    Err(refusal) => {
                        journal.answered(now, &ask, &Err(refusal));
                        Reply::Refused(refusal)
                    }
                    Ok((mut roster, complete)) => {
                        self.note(now, &ask, Some(account));
                        proving.takes_part = Some(SwarmId::from_bytes(announce.swarm));
                        let (of_complete, of_getting) = roster.members.split_at_mut(complete);
                        self.order(wall, ask.reached_on, of_complete);
                        self.order(wall, ask.reached_on, of_getting);
                        let own = SocketAddr::new(ask.from, announce.port);
                        let reach = self.standings.of(own).map_or(Reach::Untried, |own| own.reach).told();
                        let answer = Ok(roster);
                        journal.answered(now, &ask, &answer);
                        answer.map_or_else(Reply::Refused, |roster| Reply::Greeted(Greeted { roster, reach }))
                    }
                }
            }
        }
    }

    /// Remembers whose member that is.
    fn note(&mut self, now: Moment, ask: &Ask, account: Option<AccountId>) {
        let address = SocketAddr::new(ask.from, ask.announce.port);
        match ask.announce.event {
            Event::Left => self.standings.left(now, address),
            Event::Started | Event::Going | Event::Completed => {
                self.standings.announced(now, address, account);
            }
        }
    }

    /// Has a report counted, if it is about somebody else's member that takes part.
    fn report(
        &mut self,
        now: Moment,
        registry: &Registry,
        reached_on: IpAddr,
        reporter: AccountId,
        report: &Report,
    ) {
        let home = self.home_of(report.member, reached_on);
        let about = self.standings.of(home).and_then(|standing| standing.account);
        let swarm = SwarmId::from_bytes(report.swarm);
        let Some(about) = about.filter(|&about| about != reporter && registry.knows(swarm, home)) else {
            return;
        };
        // Bytes that never came are no download.
        if (report.failed || report.bytes > 0) && self.reporters.may_report(now, reporter) {
            let counted = Counted { reporter, about, swarm };
            if self.ways.database.try_send(Work::Report(counted, report.failed)).is_err() {
                log::debug!("a report is lost: the database has too much to do");
            }
        }
    }

    /// Puts the best first, and those that are not reached last.
    fn order(&self, wall: Duration, reached_on: IpAddr, addresses: &mut [SocketAddr]) {
        addresses.sort_by_cached_key(|&address| self.standings.rank(wall, self.home_of(address, reached_on)));
    }

    /// Where a member announced from that others know by this address: one that reached the conductor over its loopback is
    /// shown where the asker reached the conductor.
    fn home_of(&self, address: SocketAddr, reached_on: IpAddr) -> SocketAddr {
        if address.ip().to_canonical() == reached_on.to_canonical() && self.standings.of(address).is_none() {
            let here = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
            if self.standings.of(here).is_some() {
                return here;
            }
        }
        address
    }

    fn tell(&self, registry: &Registry, ticket: Ticket, asked: Asked) {
        let told = match asked {
            Asked::Counts(swarms) => {
                Told::Counts(swarms.into_iter().map(|swarm| registry.count(swarm)).collect())
            }
            Asked::Holders { swarm, seen } => {
                let (count, holders) = (registry.count(swarm), registry.holders(swarm, HOLDERS_RANKED_MAX));
                Told::Holders { count, holders: self.held(seen, holders) }
            }
        };
        if self.ways.front.try_send(Heard::Told(ticket, told)).is_err() {
            log::debug!("an answer is lost: the front has too much to do");
        }
    }

    fn held(&self, seen: Seen, holders: Vec<(SocketAddr, bool)>) -> Vec<Held> {
        let wall = clock::wall();
        let mut held: Vec<((bool, bool, Duration), Held)> = holders
            .into_iter()
            .map(|(home, is_complete)| {
                let standing = self.standings.of(home);
                let account = standing.and_then(|standing| standing.account);
                let (is_unreached, score) = self.standings.rank(wall, home);
                let is_here = home.ip().is_loopback() && !seen.from.is_loopback();
                let held = Held {
                    address: if is_here { SocketAddr::new(seen.reached_on, home.port()) } else { home },
                    is_complete,
                    account,
                    reach: standing.map_or(Reach::Untried, |standing| standing.reach).told(),
                    counts: account.map(|account| self.standings.counts(wall, account)).unwrap_or_default(),
                    score,
                };
                ((!is_complete, is_unreached, score), held)
            })
            .collect();
        held.sort_by_key(|&(rank, _)| rank);
        held.into_iter().take(HOLDERS_MAX).map(|(_, held)| held).collect()
    }
}

fn keyed(session: Session) -> (crate::credential::SessionId, sessions::Session) {
    let Session { id, key, account, expires } = session;
    (id, sessions::Session { key, account, expires })
}
