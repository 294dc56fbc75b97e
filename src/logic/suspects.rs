//! Who sent wrong parts, and how far those behind the same address are trusted from then on.
//!
//! Blame sticks to what is proven. Whoever opens a link may claim any id and any port, so a wrong part on such a
//! link shuts out that id at that source, and no address; what was dialled is a matter of [`Addresses`].
//! A source is never shut out: honest members may be behind the same address. But links from there have to earn
//! what they are asked for, and new ones are tried one by one, with a pause that doubles with each wrong part. So
//! new ids and new ports buy nothing.
//!
//! It does not know links.
//!
//! [`Addresses`]: super::addresses::Addresses

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::identity::MemberId;
use crate::limits::{
    BLAME_TIMEOUT, LINKS_PER_MEMBER_MAX, SUSPECT_PAUSE_MAX, SUSPECT_PAUSE_MIN, SUSPECT_TIMEOUT, SUSPECTS_MAX,
};
use crate::time::Moment;

/// See the module.
#[derive(Debug, Default)]
pub struct Suspects {
    /// Until when which member is refused, by where it came from.
    members: BTreeMap<(IpAddr, MemberId), Moment>,
    sources: BTreeMap<IpAddr, Account>,
}

/// What is held against a source.
#[derive(Debug, Default)]
struct Account {
    /// Until when it is suspect.
    until: Moment,
    /// How long after one trial the next one may begin.
    pause: Duration,
    /// When the next one may.
    due: Moment,
    /// Bytes of parts that it began and never ended, less those of right parts that it brought since.
    unpaid: u64,
}

impl Suspects {
    /// Nobody is suspect.
    #[must_use]
    pub fn new() -> Suspects {
        Suspects::default()
    }

    /// This member, or whoever borrows its id behind the same address, sent a wrong part over a link that it opened.
    pub fn blame(&mut self, now: Moment, source: IpAddr, member: MemberId) {
        if self.members.len() >= SUSPECTS_MAX {
            let first = self.members.iter().min_by_key(|&(_, &until)| until).map(|(&who, _)| who);
            first.map(|who| self.members.remove(&who));
        }
        self.members.insert((source, member), now + BLAME_TIMEOUT);
    }

    /// Whether links that this member opens are refused for now.
    #[must_use]
    pub fn is_refused(&self, now: Moment, source: IpAddr, member: MemberId) -> bool {
        self.members.get(&(source, member)).is_some_and(|&until| until > now)
    }

    /// A wrong part came from there.
    pub fn strike(&mut self, now: Moment, source: IpAddr) {
        let account = self.account(source);
        let pause = if account.until > now { account.pause * 2 } else { SUSPECT_PAUSE_MIN };
        account.pause = pause.min(SUSPECT_PAUSE_MAX);
        account.due = now + account.pause;
        account.until = now + SUSPECT_TIMEOUT;
    }

    /// So many bytes of parts came from there that were never ended; `piece` is the most that one link can leave
    /// so without meaning it. Says whether that made the source suspect.
    ///
    /// Connections break, but who breaks off more than it brings costs as much as who lies.
    pub fn broke_off(&mut self, now: Moment, source: IpAddr, bytes: u64, piece: u64) -> bool {
        if bytes == 0 {
            return false;
        }
        let account = self.account(source);
        account.unpaid = account.unpaid.saturating_add(bytes);
        let is_too_much = account.unpaid > piece.saturating_mul(LINKS_PER_MEMBER_MAX as u64);
        if is_too_much {
            account.unpaid = 0;
            self.strike(now, source);
        }
        is_too_much
    }

    /// So many bytes of right parts came from there.
    pub fn brought(&mut self, source: IpAddr, bytes: u64) {
        if let Some(account) = self.sources.get_mut(&source) {
            account.unpaid = account.unpaid.saturating_sub(bytes);
        }
    }

    /// Whether links from there have to earn what they are asked for.
    #[must_use]
    pub fn is_suspect(&self, now: Moment, source: IpAddr) -> bool {
        self.sources.get(&source).is_some_and(|account| account.until > now)
    }

    /// Whether one link from there that has brought nothing may be asked for one run now.
    #[must_use]
    pub fn may_try(&self, now: Moment, source: IpAddr) -> bool {
        self.sources.get(&source).is_none_or(|account| account.due <= now)
    }

    /// It was asked.
    pub fn tried(&mut self, now: Moment, source: IpAddr) {
        if let Some(account) = self.sources.get_mut(&source) {
            account.due = now + account.pause;
        }
    }

    /// What is held against a source; the one that is forgotten first makes room.
    fn account(&mut self, source: IpAddr) -> &mut Account {
        if self.sources.len() >= SUSPECTS_MAX && !self.sources.contains_key(&source) {
            let first = self.sources.iter().min_by_key(|(_, account)| (account.until, account.unpaid));
            let first = first.map(|(&source, _)| source);
            first.map(|source| self.sources.remove(&source));
        }
        self.sources.entry(source).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_000_000);
    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn source(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn trials_come_ever_more_seldom_and_never_end() {
        let (mut suspects, mut now) = (Suspects::new(), NOW);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            suspects.strike(now, SOURCE);
            assert!(!suspects.may_try(now, SOURCE));
            let began = now;
            while !suspects.may_try(now, SOURCE) {
                now = now + Duration::from_secs(1);
            }
            pauses.push(now.since(began).as_secs());
            suspects.tried(now, SOURCE);
            assert!(!suspects.may_try(now, SOURCE), "one at a time");
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        now = now + SUSPECT_TIMEOUT;
        assert!(!suspects.is_suspect(now, SOURCE));
        suspects.strike(now, SOURCE);
        assert!(suspects.may_try(now + SUSPECT_PAUSE_MIN, SOURCE), "it begins anew");
    }

    #[test]
    fn who_breaks_off_more_than_it_brings_is_suspect() {
        let mut suspects = Suspects::new();
        assert!(!suspects.broke_off(NOW, SOURCE, 400, 100));
        suspects.brought(SOURCE, 1_000);
        assert!(!suspects.broke_off(NOW, SOURCE, 400, 100), "it has made up for it");
        assert!(!suspects.is_suspect(NOW, SOURCE));
        assert!(suspects.broke_off(NOW, SOURCE, 1, 100));
        assert!(suspects.is_suspect(NOW, SOURCE) && !suspects.may_try(NOW, SOURCE));
    }

    #[test]
    fn a_member_is_refused_for_a_while_and_its_neighbours_are_not() {
        let mut suspects = Suspects::new();
        let [one, other] = [1, 2].map(|number| MemberId::from_bytes([number; 16]));
        suspects.blame(NOW, SOURCE, one);
        assert!(suspects.is_refused(NOW, SOURCE, one) && !suspects.is_refused(NOW, SOURCE, other));
        assert!(!suspects.is_refused(NOW, source(7), one), "somebody elsewhere may have the same id");
        assert!(!suspects.is_refused(NOW + BLAME_TIMEOUT, SOURCE, one));
    }

    #[test]
    fn the_book_is_bounded() {
        let mut suspects = Suspects::new();
        for number in 0..5_000 {
            let now = NOW + Duration::from_millis(number.into());
            suspects.strike(now, source(number));
            suspects.blame(now, source(number), MemberId::from_bytes([0; 16]));
        }
        assert_eq!((suspects.sources.len(), suspects.members.len()), (SUSPECTS_MAX, SUSPECTS_MAX));
        let now = NOW + Duration::from_secs(5);
        assert!(suspects.is_suspect(now, source(4_999)) && !suspects.is_suspect(now, source(0)));
    }
}
