//! The addresses at which other members may be reached, and when to dial which.
//!
//! The book is bounded: what the user named stays for ever, what failed longest gives way first.
//! It does not know links beyond their number, nor what they carry.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::backoff::Backoff;
use crate::identity::MemberId;
use crate::limits::{
    ADDRESSES_MAX, BLAME_TIMEOUT, HEARSAY_DIALS_MAX, REDIAL_MAX, REDIAL_MIN, REMEMBERED_REDIAL_MAX,
};
use crate::time::Moment;

/// Who told us of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// We: somebody was reached there in an earlier run.
    Remembered,
    /// Another member, by gossip.
    Member,
    /// The conductor, or the address itself: somebody listens there who says so.
    Conductor,
    /// The user. Such an address is never forgotten.
    User,
}

/// Every address that is known.
#[derive(Debug)]
pub struct Addresses {
    entries: BTreeMap<SocketAddr, Entry>,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    backoff: Backoff,
    dials: u32,
    links: u32,
    /// Who answered there last when it was dialled, with our key: worth passing on.
    proven: Option<MemberId>,
    /// Its place among those that the conductor told best first; last for all others.
    place: usize,
    /// It is our own address.
    oneself: bool,
    refused_until: Moment,
}

impl Addresses {
    /// An empty book.
    #[must_use]
    pub const fn new(rng: fastrand::Rng) -> Addresses {
        Addresses { entries: BTreeMap::new(), rng }
    }

    /// Notes an address; a new one is due after `pause`. Addresses that nobody can listen on are ignored.
    pub fn learn(&mut self, now: Moment, address: SocketAddr, source: Source, pause: Duration) {
        let address = normalised(address);
        if !is_dialable(address) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&address) {
            if source > entry.source {
                if entry.source == Source::Remembered {
                    // Somebody says that it is there again: what failed before does not count.
                    entry.backoff = new_backoff(now, source, pause);
                }
                entry.source = source;
            }
            return;
        }
        if self.entries.len() >= ADDRESSES_MAX && !self.forget_worst(source) {
            return;
        }
        let backoff = new_backoff(now, source, pause);
        let refused_until = Moment::START;
        let entry = Entry {
            source,
            backoff,
            dials: 0,
            links: 0,
            proven: None,
            place: usize::MAX,
            oneself: false,
            refused_until,
        };
        self.entries.insert(address, entry);
    }

    /// These are the best, in this order; others come after them.
    pub fn prefer(&mut self, best: &[SocketAddr]) {
        self.entries.values_mut().for_each(|entry| entry.place = usize::MAX);
        for (place, &address) in best.iter().enumerate() {
            if let Some(entry) = self.entries.get_mut(&normalised(address)) {
                entry.place = entry.place.min(place);
            }
        }
    }

    /// An address without a link or dial that is due: hearsay last, then those that failed least first, then those that
    /// are preferred, at random among equals.
    pub fn next_due(&mut self, now: Moment) -> Option<SocketAddr> {
        self.choose_due(now, |_, _| true)
    }

    /// The same of those for which `may` says so, and no hearsay while [`HEARSAY_DIALS_MAX`] dials go to such.
    pub fn next_due_of(&mut self, now: Moment, may: impl Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
        let hearsay = self.entries.values().filter(|entry| entry.is_hearsay());
        let is_room = hearsay.map(|entry| entry.dials as usize).sum::<usize>() < HEARSAY_DIALS_MAX;
        self.choose_due(now, |address, entry| may(address) && (is_room || !entry.is_hearsay()))
    }

    fn choose_due(&mut self, now: Moment, may: impl Fn(SocketAddr, &Entry) -> bool) -> Option<SocketAddr> {
        let due = |(address, entry): &(&SocketAddr, &Entry)| {
            let is_idle = entry.links == 0 && entry.dials == 0;
            let is_due = is_idle && entry.may_be_dialled(now) && entry.backoff.due() <= now;
            is_due && may(**address, entry)
        };
        let rank = |entry: &Entry| (entry.is_hearsay(), entry.backoff.failures(), entry.place);
        let first = self.entries.iter().filter(due).map(|(_, entry)| rank(entry)).min()?;
        let equals = self.entries.iter().filter(due).filter(|(_, entry)| rank(entry) == first);
        let equals: Vec<SocketAddr> = equals.map(|(&address, _)| address).collect();
        self.rng.choice(equals)
    }

    /// Whether one more link to an address that already has one may be dialled.
    #[must_use]
    pub fn may_dial_again(&self, now: Moment, address: SocketAddr) -> bool {
        self.entries
            .get(&address)
            .is_some_and(|entry| entry.may_be_dialled(now) && entry.backoff.due() <= now)
    }

    /// How many dials are under way, in all.
    #[must_use]
    pub fn dials(&self) -> usize {
        self.entries.values().map(|entry| entry.dials as usize).sum()
    }

    /// How many dials are under way to this address.
    #[must_use]
    pub fn dials_to(&self, address: SocketAddr) -> usize {
        self.entries.get(&address).map_or(0, |entry| entry.dials as usize)
    }

    /// A dial began.
    pub fn on_dial(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.dials += 1;
        }
    }

    /// A dial came to nothing.
    pub fn on_dial_failed(&mut self, now: Moment, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.dials = entry.dials.saturating_sub(1);
            entry.backoff.failed(now, &mut self.rng);
        }
    }

    /// A dial became a link.
    pub fn on_dial_done(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.dials = entry.dials.saturating_sub(1);
        }
    }

    /// Whether this member may be the one that listens there, as it says.
    #[must_use]
    pub fn may_be(&self, address: SocketAddr, member: MemberId) -> bool {
        let proven = self.entries.get(&normalised(address)).and_then(|entry| entry.proven);
        proven.is_none_or(|proven| proven == member)
    }

    /// A link to the member that says it listens there is up; `dialled` proves it.
    pub fn on_link(&mut self, address: SocketAddr, member: MemberId, dialled: bool) {
        if let Some(entry) = self.entries.get_mut(&normalised(address)) {
            entry.links += 1;
            if dialled {
                entry.proven = Some(member);
            }
        }
    }

    /// A link with the member that listens there brought something: earlier failures are forgotten. A hello
    /// alone does not count, or a member that always says no would be dialled for ever without a pause.
    pub fn on_useful(&mut self, now: Moment, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&normalised(address)) {
            entry.backoff.succeeded(now, Duration::ZERO);
        }
    }

    /// That link is gone; the address is due again after `pause`, or as after a failed dial.
    pub fn on_link_gone(&mut self, now: Moment, address: SocketAddr, pause: Option<Duration>) {
        if let Some(entry) = self.entries.get_mut(&normalised(address)) {
            entry.links = entry.links.saturating_sub(1);
            match pause {
                Some(pause) => entry.backoff.succeeded(now, pause),
                None => entry.backoff.failed(now, &mut self.rng),
            }
        }
    }

    /// Whoever answers there sent wrong bytes.
    pub fn on_blame(&mut self, now: Moment, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&normalised(address)) {
            entry.refused_until = now + BLAME_TIMEOUT;
        }
    }

    /// The member that listens there is this one.
    pub fn on_oneself(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&normalised(address)) {
            entry.oneself = true;
        }
    }

    /// Whether links with whoever answers there are refused for now.
    #[must_use]
    pub fn is_refused(&self, now: Moment, address: SocketAddr) -> bool {
        self.entries.get(&normalised(address)).is_some_and(|entry| entry.refused_until > now)
    }

    /// Whether this address is in the book.
    #[must_use]
    pub fn is_known(&self, address: SocketAddr) -> bool {
        self.entries.contains_key(&normalised(address))
    }

    /// How many addresses of others are known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.entries.values().filter(|entry| !entry.oneself).count()
    }

    /// Up to `most` addresses worth passing on, at random: those at which somebody with our key was reached, and
    /// those where a member that has a link with us says that it listens.
    ///
    /// Without the latter, whoever is always dialled and never dials, as a member that holds everything, would know
    /// the whole swarm and could tell a newcomer of nobody.
    pub fn sample_to_pass_on(&mut self, most: usize) -> Vec<SocketAddr> {
        let known = self
            .entries
            .iter()
            .filter(|(_, entry)| (entry.proven.is_some() || entry.links > 0) && !entry.oneself);
        let known: Vec<SocketAddr> = known.map(|(&address, _)| address).collect();
        let mut sample = self.rng.choose_multiple(known, most);
        sample.sort_unstable();
        sample
    }

    /// Makes room for an address from this source by dropping the one that failed most, or hearsay for better
    /// knowledge; says whether there is room.
    fn forget_worst(&mut self, source: Source) -> bool {
        let idle = |entry: &Entry| entry.links == 0 && entry.dials == 0 && entry.source != Source::User;
        let gives_way =
            |entry: &Entry| entry.backoff.failures() > 0 || (entry.is_hearsay() && source > Source::Member);
        let may_go = self.entries.iter().filter(|(_, entry)| idle(entry) && gives_way(entry));
        let worst = may_go.max_by_key(|(_, entry)| entry.backoff.failures()).map(|(&address, _)| address);
        worst.is_some_and(|address| self.entries.remove(&address).is_some())
    }
}

impl Entry {
    /// Only another member says that somebody is there, or an earlier run.
    fn is_hearsay(&self) -> bool {
        self.source <= Source::Member && self.proven.is_none()
    }

    fn may_be_dialled(&self, now: Moment) -> bool {
        !self.oneself && self.refused_until <= now
    }
}

/// Due after `pause`.
fn new_backoff(now: Moment, source: Source, pause: Duration) -> Backoff {
    let max = if source == Source::Remembered { REMEMBERED_REDIAL_MAX } else { REDIAL_MAX };
    let mut backoff = Backoff::new(REDIAL_MIN, max);
    backoff.succeeded(now, pause);
    backoff
}

/// The same address in the one form that is kept: IPv4 as such, not mapped into IPv6.
#[must_use]
pub fn normalised(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // As it is: a link-local address is worth nothing without its zone.
        IpAddr::V6(_) => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// What counts as one source of connections: an address, or for IPv6 its /64, since whoever has one address there
/// has them all.
#[must_use]
pub fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip @ IpAddr::V4(_) => ip,
    }
}

fn is_dialable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Addresses {
        Addresses::new(fastrand::Rng::with_seed(3))
    }

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], number))
    }

    const ID: MemberId = MemberId::from_bytes([1; 16]);
    const NOW: Moment = Moment::from_micros(1_000_000);

    #[test]
    fn what_fails_waits_longer() {
        let mut book = book();
        book.learn(NOW, address(1), Source::Conductor, Duration::ZERO);
        assert_eq!(book.next_due(NOW), Some(address(1)));
        book.on_dial(address(1));
        assert_eq!(book.next_due(NOW), None, "it is being dialled");
        book.on_dial_failed(NOW, address(1));
        assert_eq!(book.next_due(NOW), None, "it just failed");
        assert_eq!(book.next_due(NOW + REDIAL_MIN), Some(address(1)));
        book.learn(NOW, address(2), Source::Conductor, Duration::ZERO);
        assert_eq!(book.next_due(NOW + REDIAL_MIN), Some(address(2)), "it failed less");
    }

    #[test]
    fn the_preferred_come_first_unless_they_failed() {
        let mut book = book();
        (1..=4).for_each(|number| book.learn(NOW, address(number), Source::Conductor, Duration::ZERO));
        book.prefer(&[address(3), address(1), address(9)]);
        book.on_dial(address(1));
        assert_eq!(book.next_due(NOW), Some(address(3)));
        book.on_dial(address(3));
        book.on_dial_failed(NOW, address(3));
        book.on_dial_failed(NOW, address(1));
        let later = NOW + REDIAL_MIN;
        assert!([Some(address(2)), Some(address(4))].contains(&book.next_due(later)), "those failed");
        book.prefer(&[address(4)]);
        assert_eq!(book.next_due(later), Some(address(4)));
    }

    #[test]
    fn impossible_addresses_are_ignored() {
        let mut book = book();
        for text in ["10.0.0.1:0", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[::]:1", "[ff02::1]:1"] {
            book.learn(NOW, text.parse().unwrap(), Source::Conductor, Duration::ZERO);
        }
        assert_eq!(book.known(), 0);
    }

    #[test]
    fn mapped_addresses_are_the_same_address() {
        let mut book = book();
        book.learn(NOW, "[::ffff:10.0.0.1]:1".parse().unwrap(), Source::Conductor, Duration::ZERO);
        book.learn(NOW, address(1), Source::Conductor, Duration::ZERO);
        assert_eq!((book.known(), book.next_due(NOW)), (1, Some(address(1))));
    }

    #[test]
    fn the_book_is_bounded_and_keeps_what_the_user_named() {
        let mut book = book();
        book.learn(NOW, address(9_999), Source::User, Duration::ZERO);
        book.on_dial(address(9_999));
        book.on_dial_failed(NOW, address(9_999));
        for number in 1..5_000 {
            book.learn(NOW, address(number), Source::Member, Duration::ZERO);
            book.on_dial(address(number));
            book.on_dial_failed(NOW, address(number));
        }
        assert_eq!(book.known(), ADDRESSES_MAX);
        assert!(book.entries.contains_key(&address(9_999)));
        assert!(book.entries.contains_key(&address(4_999)), "new ones replace failed ones");
    }

    #[test]
    fn hearsay_gives_way_to_knowledge() {
        let mut book = book();
        for number in 1..=2_000 {
            book.learn(NOW, address(number), Source::Member, Duration::ZERO);
        }
        book.learn(NOW, address(9_000), Source::Conductor, Duration::ZERO);
        assert_eq!((book.known(), book.next_due(NOW)), (ADDRESSES_MAX, Some(address(9_000))));
        book.on_dial(address(9_000));
        book.on_dial_failed(NOW, address(9_000));
        assert_ne!(book.next_due(NOW), Some(address(9_000)), "not due");
        assert_eq!(book.next_due(NOW + REDIAL_MIN), Some(address(9_000)), "although it failed once");
        book.learn(NOW, address(9_001), Source::Member, Duration::ZERO);
        assert_eq!(book.known(), ADDRESSES_MAX);
    }

    #[test]
    fn the_remembered_are_dialled_last_and_ever_more_seldom() {
        let mut book = book();
        for number in 1..=20 {
            book.learn(NOW, address(number), Source::Remembered, Duration::ZERO);
        }
        book.learn(NOW, address(100), Source::Conductor, Duration::ZERO);
        let mut dialled = Vec::new();
        while let Some(address) = book.next_due_of(NOW, |place| place != address(5)) {
            book.on_dial(address);
            dialled.push(address);
        }
        assert_eq!((dialled.len(), dialled[0]), (1 + HEARSAY_DIALS_MAX, address(100)));
        assert!(!dialled.contains(&address(5)), "it may not");
        // Others are still found meanwhile.
        book.learn(NOW, address(101), Source::Conductor, Duration::ZERO);
        assert_eq!(book.next_due_of(NOW, |_| true), Some(address(101)));
        let silent = dialled[1];
        for _ in 0..20 {
            book.on_dial_failed(NOW, silent);
        }
        let is_due = |book: &mut Addresses, now| book.next_due_of(now, |place| place == silent).is_some();
        assert!(!is_due(&mut book, NOW + REDIAL_MAX) && is_due(&mut book, NOW + REMEMBERED_REDIAL_MAX));
        book.learn(NOW, silent, Source::Member, Duration::ZERO);
        assert!(is_due(&mut book, NOW), "somebody says that it is back");
    }

    #[test]
    fn blame_ends_after_a_while() {
        let mut book = book();
        book.learn(NOW, address(1), Source::Conductor, Duration::ZERO);
        book.on_blame(NOW, address(1));
        assert!(book.is_refused(NOW, address(1)) && book.next_due(NOW).is_none());
        let later = NOW + BLAME_TIMEOUT;
        assert!(!book.is_refused(later, address(1)) && book.next_due(later).is_some());
    }

    #[test]
    fn who_only_says_hello_waits_longer_each_time() {
        let mut book = book();
        book.learn(NOW, address(1), Source::Conductor, Duration::ZERO);
        for _ in 0..20 {
            book.on_link(address(1), ID, true);
            book.on_link_gone(NOW, address(1), None);
        }
        assert!(book.next_due(NOW + REDIAL_MAX / 2).is_none());
        book.on_link(address(1), ID, true);
        book.on_useful(NOW, address(1));
        book.on_link_gone(NOW, address(1), None);
        assert!(book.next_due(NOW + REDIAL_MIN).is_some(), "what was useful is soon tried again");
    }

    #[test]
    fn a_zone_is_part_of_an_address() {
        let local: SocketAddr = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 0, 7).into();
        assert_eq!(normalised(local), local);
    }

    #[test]
    fn only_addresses_of_members_are_passed_on() {
        let mut book = book();
        for number in 1..=5 {
            book.learn(NOW, address(number), Source::Conductor, Duration::ZERO);
        }
        book.on_link(address(2), ID, true);
        book.on_link(address(3), ID, true);
        book.on_link(address(4), ID, false);
        book.on_oneself(address(3));
        assert_eq!(book.sample_to_pass_on(10), [address(2), address(4)]);
        book.on_link_gone(NOW, address(2), None);
        book.on_link_gone(NOW, address(4), None);
        assert_eq!(book.sample_to_pass_on(10), [address(2)], "who only said that it listens may be gone");
    }

    #[test]
    fn a_claim_does_not_stand_against_what_was_proven() {
        let mut book = book();
        let other = MemberId::from_bytes([2; 16]);
        book.learn(NOW, address(1), Source::Conductor, Duration::ZERO);
        book.on_link(address(1), other, false);
        assert!(book.may_be(address(1), ID), "a claim proves nothing");
        book.on_link(address(1), ID, true);
        assert!(book.may_be(address(1), ID) && !book.may_be(address(1), other));
        book.on_link(address(1), other, true);
        assert!(book.may_be(address(1), other), "a member that starts again has another id");
    }
}
