//! How those who announced stand: whose they are, whether the conductor reaches them, and who comes first in a roster.
//!
//! It says whom to try to reach, and when: only addresses from which somebody announced, with the port that they named;
//! each seldom, and those of one source one after the other, so that a conductor is of no use to who looks for open ports.
//! It does not connect.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::counts::faded;
use super::score::score;
use crate::account::{AccountId, Counts};
use crate::limits::{
    ACCOUNTS_MAX, EXPIRIES_PER_TICK, REACH_AGAIN, REACH_RETRY_MAX, REACH_RETRY_MIN, REACH_SOURCE_PAUSE,
    REACH_TRIES_MAX, STANDING_SPAN, STANDINGS_MAX, STANDINGS_PER_SOURCE_MAX,
};
use crate::logic::addresses::{normalised, source_of};
use crate::time::Moment;
use crate::wire::desk;

/// How an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose member it is, if it was announced with a proof.
    pub account: Option<AccountId>,
    /// Whether the conductor reaches it.
    pub reach: Reach,
}

/// Whether the conductor reaches an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody tried yet.
    Untried,
    /// It does.
    Reached {
        /// How long connecting took.
        response: Duration,
    },
    /// It did not, at the last try.
    Unreached,
}

impl Reach {
    /// The same, as it is told.
    #[must_use]
    pub fn told(self) -> desk::Reach {
        match self {
            Reach::Untried => desk::Reach::Unknown,
            Reach::Reached { response } => {
                let millis = response.as_micros().div_ceil(1_000);
                desk::Reach::Reached { millis: u32::try_from(millis).unwrap_or(u32::MAX) }
            }
            Reach::Unreached => desk::Reach::Unreachable,
        }
    }
}

/// See the module.
///
/// Invariants, recounted by [`check_invariants`](Standings::check_invariants):
/// - each place has exactly one end;
/// - a place that is here is being tried, or has exactly one next try;
/// - a source counts its places.
#[derive(Debug, Default)]
pub struct Standings {
    places: BTreeMap<SocketAddr, Place>,
    ends: BTreeSet<(Moment, SocketAddr)>,
    tries: BTreeSet<(Moment, SocketAddr)>,
    sources: BTreeMap<IpAddr, Source>,
    /// Sources without places, which are forgotten when their pause is over.
    idle: BTreeSet<(Moment, IpAddr)>,
    /// Tries under way, also of places that are gone.
    trying: BTreeSet<SocketAddr>,
    counts: BTreeMap<AccountId, Counts>,
}

#[derive(Debug)]
struct Place {
    standing: Standing,
    /// Whether it left: it is kept so that it is not tried again too soon, and is nobody's until it announces again.
    has_left: bool,
    end: Moment,
    /// When it may be tried next.
    due: Moment,
    /// Its source's pause was waited for.
    has_turn: bool,
    /// Tries in vain, since it was reached.
    failures: u32,
}

#[derive(Debug)]
struct Source {
    places: usize,
    /// When the next try may begin.
    free: Moment,
}

impl Standings {
    /// Nobody announced.
    #[must_use]
    pub fn new() -> Standings {
        Standings::default()
    }

    /// A member announced from there, with a proof or without one. What it says with port 0 is ignored: it accepts no links.
    pub fn announced(&mut self, now: Moment, address: SocketAddr, account: Option<AccountId>) {
        let address = normalised(address);
        let end = now + STANDING_SPAN;
        if address.port() == 0 {
            return;
        }
        if let Some(place) = self.places.get_mut(&address) {
            self.ends.remove(&(place.end, address));
            self.ends.insert((end, address));
            place.end = end;
            place.standing.account = account;
            if std::mem::take(&mut place.has_left) && !self.trying.contains(&address) {
                self.tries.insert((place.due, address));
            }
        } else if self.make_room(now, address) {
            let standing = Standing { account, reach: Reach::Untried };
            let place = Place { standing, has_left: false, end, due: now, has_turn: false, failures: 0 };
            self.places.insert(address, place);
            self.ends.insert((end, address));
            if !self.trying.contains(&address) {
                self.tries.insert((now, address));
            }
        }
        self.recount();
    }

    /// The member there left.
    pub fn left(&mut self, now: Moment, address: SocketAddr) {
        let address = normalised(address);
        if let Some(place) = self.places.get(&address).filter(|place| !place.has_left) {
            self.ends.remove(&(place.end, address));
            self.leave(now, address);
        }
        self.recount();
    }

    /// An address to try to reach now. Whether that works is to be told: [`tried`](Standings::tried).
    pub fn next_try(&mut self, now: Moment) -> Option<SocketAddr> {
        while self.trying.len() < REACH_TRIES_MAX {
            let &(due, address) = self.tries.first().filter(|&&(due, _)| due <= now)?;
            self.tries.remove(&(due, address));
            let place = self.places.get_mut(&address).expect("who is to be tried has a place");
            let source = self.sources.get_mut(&source_of(address.ip())).expect("a place has a source");
            if !place.has_turn && source.free > now {
                // Each gets a turn of its own, so that a crowd behind one address is not looked through again and again.
                place.has_turn = true;
                place.due = source.free;
                self.tries.insert((place.due, address));
                source.free = source.free + REACH_SOURCE_PAUSE;
                continue;
            }
            if !place.has_turn {
                source.free = now + REACH_SOURCE_PAUSE;
            }
            place.has_turn = false;
            // Should it leave and come back meanwhile, it is not tried at once.
            place.due = now + REACH_RETRY_MIN;
            self.trying.insert(address);
            self.recount();
            return Some(address);
        }
        None
    }

    /// An address was tried: how long connecting took, if it worked.
    pub fn tried(&mut self, now: Moment, address: SocketAddr, response: Option<Duration>) {
        let address = normalised(address);
        if !self.trying.remove(&address) {
            return;
        }
        let Some(place) = self.places.get_mut(&address) else { return };
        let pause = if let Some(response) = response {
            place.failures = 0;
            place.standing.reach = Reach::Reached { response };
            REACH_AGAIN
        } else {
            place.standing.reach = Reach::Unreached;
            let pause = REACH_RETRY_MIN.saturating_mul(1 << place.failures.min(16)).min(REACH_RETRY_MAX);
            place.failures = place.failures.saturating_add(1);
            pause
        };
        place.due = now + pause;
        if !place.has_left {
            self.tries.insert((place.due, address));
        }
        self.recount();
    }

    /// How links went with an account.
    pub fn set_counts(&mut self, account: AccountId, counts: Counts) {
        if self.counts.contains_key(&account) || (self.counts.len() as u64) < ACCOUNTS_MAX {
            self.counts.insert(account, counts);
        }
    }

    /// How an address stands; nothing if nobody announced from there, or it left.
    #[must_use]
    pub fn of(&self, address: SocketAddr) -> Option<Standing> {
        let place = self.places.get(&normalised(address)).filter(|place| !place.has_left)?;
        Some(place.standing)
    }

    /// How links went with an account lately: at this time of the wall clock, since 1970.
    #[must_use]
    pub fn counts(&self, wall: Duration, account: AccountId) -> Counts {
        faded(self.counts.get(&account).copied().unwrap_or_default(), wall)
    }

    /// The score of an address, less is better; see [`score`].
    #[must_use]
    pub fn score(&self, wall: Duration, address: SocketAddr) -> Duration {
        let standing = self.of(address);
        let counts = standing.and_then(|standing| standing.account).map(|account| self.counts(wall, account));
        let response = match standing.map(|standing| standing.reach) {
            Some(Reach::Reached { response }) => Some(response),
            Some(Reach::Untried | Reach::Unreached) | None => None,
        };
        score(response, &counts.unwrap_or_default())
    }

    /// Where an address comes when the best sources come first: whether the conductor tried in vain to reach it, and its
    /// score, less first.
    #[must_use]
    pub fn rank(&self, wall: Duration, address: SocketAddr) -> (bool, Duration) {
        let is_unreached = self.of(address).is_some_and(|standing| standing.reach == Reach::Unreached);
        (is_unreached, self.score(wall, address))
    }

    /// Forgets those that have not announced for [`STANDING_SPAN`], a bounded number at a time.
    pub fn tick(&mut self, now: Moment) {
        for _ in 0..EXPIRIES_PER_TICK {
            let Some(&(end, address)) = self.ends.first().filter(|&&(end, _)| end <= now) else { break };
            self.ends.remove(&(end, address));
            self.leave(now, address);
        }
        for _ in 0..EXPIRIES_PER_TICK {
            let Some(&(free, source)) = self.idle.first().filter(|&&(free, _)| free <= now) else { break };
            self.idle.remove(&(free, source));
            self.sources.remove(&source);
        }
        self.recount();
    }

    /// When to call [`tick`](Standings::tick), and [`next_try`](Standings::next_try) until there is none, if nothing
    /// happens first.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let has_room = self.trying.len() < REACH_TRIES_MAX;
        let next_try = self.tries.first().filter(|_| has_room).map(|&(due, _)| due);
        let ends = self.ends.first().map(|&(end, _)| end);
        let idle = self.idle.first().map(|&(free, _)| free);
        [next_try, ends, idle].into_iter().flatten().min()
    }

    /// How many addresses have a standing.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Recounts everything from scratch.
    ///
    /// # Panics
    /// An invariant does not hold.
    pub fn check_invariants(&self) {
        assert!(self.places.len() <= STANDINGS_MAX && self.trying.len() <= REACH_TRIES_MAX);
        assert_eq!(self.ends.len(), self.places.len(), "each place has one end");
        let mut tries = 0;
        for (&address, place) in &self.places {
            assert!(self.ends.contains(&(place.end, address)), "a place knows its end");
            let is_due = self.tries.contains(&(place.due, address));
            assert_eq!(is_due, !place.has_left && !self.trying.contains(&address), "who is here is tried");
            tries += usize::from(is_due);
        }
        assert_eq!(tries, self.tries.len(), "only who is here is tried");
        for (&ip, source) in &self.sources {
            let places = self.places.keys().filter(|address| source_of(address.ip()) == ip).count();
            assert_eq!(source.places, places, "a source counts its places");
            assert!(places <= STANDINGS_PER_SOURCE_MAX);
            assert_eq!(
                self.idle.contains(&(source.free, ip)),
                places == 0,
                "who is not here waits for the end"
            );
        }
        let places: usize = self.sources.values().map(|source| source.places).sum();
        assert_eq!(places, self.places.len(), "a place has a source");
        assert!(self.idle.len() <= self.sources.len());
    }

    /// The place, whose end is over, is nobody's any more. It is gone once it might be tried again.
    fn leave(&mut self, now: Moment, address: SocketAddr) {
        let Some(place) = self.places.get_mut(&address) else { return };
        self.tries.remove(&(place.due, address));
        place.has_left = true;
        place.has_turn = false;
        if place.due > now {
            place.end = place.due;
            self.ends.insert((place.end, address));
        } else {
            self.places.remove(&address);
            self.forget_source_of(address);
        }
    }

    /// Makes room for one more place of its source; says whether there is.
    fn make_room(&mut self, now: Moment, address: SocketAddr) -> bool {
        let ip = source_of(address.ip());
        if self.sources.get(&ip).is_some_and(|source| source.places >= STANDINGS_PER_SOURCE_MAX) {
            return false;
        }
        if self.places.len() >= STANDINGS_MAX
            && let Some((_, first)) = self.ends.pop_first()
        {
            let place = self.places.remove(&first).expect("who has an end has a place");
            self.tries.remove(&(place.due, first));
            self.forget_source_of(first);
        }
        let source = self.sources.entry(ip).or_insert(Source { places: 0, free: now });
        self.idle.remove(&(source.free, ip));
        source.places += 1;
        true
    }

    fn forget_source_of(&mut self, address: SocketAddr) {
        let ip = source_of(address.ip());
        let source = self.sources.get_mut(&ip).expect("a place has a source");
        source.places -= 1;
        if source.places == 0 {
            self.idle.insert((source.free, ip));
        }
    }

    /// While there are few; with more, recounting would be all that it does.
    fn recount(&self) {
        if cfg!(debug_assertions) && self.places.len() <= 64 {
            self.check_invariants();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Moment = Moment::from_micros(1_000_000);
    const WALL: Duration = Duration::from_secs(1_800_000_000);
    const ALICE: AccountId = AccountId::from_number(1);
    const NEAR: Duration = Duration::from_millis(2);

    fn place(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    /// All that is to be tried now, which then is.
    fn tries(standings: &mut Standings, now: Moment, response: Option<Duration>) -> Vec<SocketAddr> {
        let mut tried = Vec::new();
        while let Some(address) = standings.next_try(now) {
            standings.tried(now, address, response);
            tried.push(address);
        }
        tried
    }

    #[test]
    fn whoever_announces_is_tried_and_told() {
        let mut standings = Standings::new();
        standings.announced(START, place(1, 1), Some(ALICE));
        standings.announced(START, place(2, 1), None);
        standings.announced(START, place(3, 0), None);
        assert_eq!(standings.of(place(1, 1)), Some(Standing { account: Some(ALICE), reach: Reach::Untried }));
        assert_eq!(standings.next_try(START), Some(place(1, 1)));
        assert_eq!(standings.next_try(START), Some(place(2, 1)));
        assert_eq!(standings.next_try(START), None, "each once, and nobody who accepts no links");
        standings.tried(START, place(1, 1), Some(NEAR));
        standings.tried(START, place(2, 1), None);
        assert_eq!(standings.of(place(1, 1)).unwrap().reach, Reach::Reached { response: NEAR });
        assert_eq!(standings.of("[::ffff:10.0.0.2]:1".parse().unwrap()).unwrap().reach, Reach::Unreached);
        assert_eq!(standings.of(place(9, 9)), None);
        let soon = START + REACH_RETRY_MIN;
        assert_eq!(standings.deadline(), Some(soon));
        assert_eq!(tries(&mut standings, soon, None), [place(2, 1)], "a port may have been opened");
        assert_eq!(tries(&mut standings, soon + REACH_RETRY_MIN, None), [], "ever more seldom");
        assert_eq!(tries(&mut standings, START + REACH_AGAIN, None).len(), 2);
    }

    #[test]
    fn what_is_told_is_rounded_up() {
        let response = Duration::from_micros(1_001);
        assert_eq!(Reach::Reached { response }.told(), desk::Reach::Reached { millis: 2 });
        assert_eq!(
            Reach::Reached { response: Duration::MAX }.told(),
            desk::Reach::Reached { millis: u32::MAX }
        );
        assert_eq!(
            (Reach::Untried.told(), Reach::Unreached.told()),
            (desk::Reach::Unknown, desk::Reach::Unreachable)
        );
    }

    #[test]
    fn nobody_looks_for_open_ports_with_a_conductor() {
        let mut standings = Standings::new();
        for port in 1..=u16::MAX {
            standings.announced(START, place(1, port), None);
        }
        assert_eq!(standings.len(), STANDINGS_PER_SOURCE_MAX);
        standings.announced(START, place(2, 1), None);
        let mut tried = Vec::new();
        for second in 0..60 {
            tried.extend(tries(&mut standings, START + Duration::from_secs(second), None));
        }
        let of_one = tried.iter().filter(|address| address.ip() == place(1, 1).ip()).count();
        assert_eq!(of_one as u64, 60 / REACH_SOURCE_PAUSE.as_secs());
        assert!(tried.contains(&place(2, 1)), "others have their turn");
        standings.check_invariants();
    }

    #[test]
    fn coming_and_going_is_not_tried_more_often() {
        let mut standings = Standings::new();
        let mut tried = 0;
        for second in 0..REACH_RETRY_MIN.as_secs() {
            let now = START + Duration::from_secs(second);
            standings.announced(now, place(1, 1), None);
            tried += tries(&mut standings, now, Some(NEAR)).len();
            standings.left(now, place(1, 1));
            assert_eq!(standings.of(place(1, 1)), None);
            standings.tick(now);
        }
        assert_eq!(tried, 1);
        standings.tick(START + REACH_AGAIN);
        standings.tick(START + REACH_AGAIN + REACH_SOURCE_PAUSE);
        assert!(standings.is_empty() && standings.sources.is_empty() && standings.idle.is_empty());
    }

    #[test]
    fn who_does_not_announce_is_forgotten() {
        let mut standings = Standings::new();
        standings.announced(START, place(1, 1), None);
        tries(&mut standings, START, Some(NEAR));
        standings.announced(START + STANDING_SPAN / 2, place(1, 1), None);
        standings.tick(START + STANDING_SPAN);
        assert_eq!(standings.len(), 1, "it announced meanwhile");
        standings.tick(START + STANDING_SPAN * 3);
        assert_eq!((standings.len(), standings.deadline()), (0, None));
    }

    #[test]
    fn few_are_tried_at_a_time_and_late_results_do_no_harm() {
        let mut standings = Standings::new();
        for host in 0..100 {
            standings.announced(START, place(host, 1), None);
        }
        let first: Vec<SocketAddr> = std::iter::from_fn(|| standings.next_try(START)).collect();
        assert_eq!(first.len(), REACH_TRIES_MAX);
        assert!(standings.deadline().unwrap() > START, "the next one waits for a result");
        standings.left(START, first[0]);
        standings.tried(START, first[0], Some(NEAR));
        standings.tried(START, first[0], None);
        standings.tried(START, place(200, 1), Some(NEAR));
        assert_eq!(standings.of(first[0]), None);
        standings.announced(START, first[0], None);
        assert_eq!(standings.of(first[0]).unwrap().reach, Reach::Reached { response: NEAR }, "it came back");
        assert!(standings.next_try(START).is_some_and(|address| address != first[0]));
    }

    #[test]
    fn a_crowd_pushes_out_those_who_announced_longest_ago() {
        let mut standings = Standings::new();
        let crowd = |number: u32| {
            let ip = std::net::Ipv4Addr::from_bits(0x0b00_0000 | number);
            SocketAddr::new(ip.into(), 1)
        };
        standings.announced(START, place(1, 1), None);
        let later = START + Duration::from_secs(1);
        for number in 0..u32::try_from(STANDINGS_MAX).unwrap() {
            standings.announced(later, crowd(number), None);
        }
        assert_eq!((standings.len(), standings.of(place(1, 1))), (STANDINGS_MAX, None));
        assert!(standings.of(crowd(0)).is_some());
    }

    #[test]
    fn the_best_come_first() {
        let mut standings = Standings::new();
        let counts = |downloads, failures| Counts { downloads, failures, at: WALL };
        let [near, trusted, failing, stranger, unreached] = [1, 2, 3, 4, 5].map(|host| place(host, 1));
        for (number, (address, result)) in [
            (near, Some(Some(Duration::from_millis(20)))),
            (trusted, Some(Some(Duration::from_millis(30)))),
            (failing, Some(Some(Duration::from_millis(200)))),
            (stranger, None),
            (unreached, Some(None)),
        ]
        .into_iter()
        .enumerate()
        {
            standings.announced(START, address, Some(AccountId::from_number(number as u64)));
            assert_eq!(standings.next_try(START), Some(address));
            if let Some(result) = result {
                standings.tried(START, address, result);
            }
        }
        standings.set_counts(AccountId::from_number(1), counts(5.0, 0.0));
        standings.set_counts(AccountId::from_number(2), counts(0.0, 5.0));
        standings.set_counts(AccountId::from_number(4), counts(10.0, 0.0));
        let unknown = place(6, 1);
        let mut addresses = [unreached, unknown, stranger, failing, near, trusted];
        addresses.sort_by_cached_key(|&address| standings.rank(WALL, address));
        assert_eq!(addresses, [trusted, near, unknown, stranger, failing, unreached]);
        // Later nobody remembers how it went.
        let later = WALL + crate::limits::COUNT_HALF_LIFE * 30;
        addresses.sort_by_cached_key(|&address| standings.rank(later, address));
        assert_eq!(addresses, [near, trusted, failing, unknown, stranger, unreached]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Announced(u8, u16, bool),
        Left(u8, u16),
        Try,
        Tried(u8, u16, bool),
        Pass(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let who = || (0..3_u8, 0..4_u16);
        prop_oneof![
            3 => (who(), any::<bool>()).prop_map(|((host, port), proven)| Act::Announced(host, port, proven)),
            2 => who().prop_map(|(host, port)| Act::Left(host, port)),
            3 => Just(Act::Try),
            3 => (who(), any::<bool>()).prop_map(|((host, port), is_reached)| Act::Tried(host, port, is_reached)),
            2 => (0..REACH_RETRY_MIN.as_secs() * 4).prop_map(Act::Pass),
        ]
    }

    proptest! {
        #[test]
        fn in_whatever_order(acts in prop::collection::vec(act(), 0..300)) {
            let (mut standings, mut now) = (Standings::new(), START);
            let (mut here, mut tried_at) = (BTreeSet::new(), BTreeMap::new());
            for act in acts {
                match act {
                    Act::Announced(host, port, proven) => {
                        standings.announced(now, place(host, port), proven.then_some(ALICE));
                        if port > 0 {
                            here.insert(place(host, port));
                        }
                    }
                    Act::Left(host, port) => {
                        standings.left(now, place(host, port));
                        here.remove(&place(host, port));
                    }
                    Act::Try => {
                        if let Some(address) = standings.next_try(now) {
                            prop_assert!(here.contains(&address), "only who announced");
                            let before = tried_at.insert(address, now);
                            prop_assert!(before.is_none_or(|before| now.since(before) >= REACH_RETRY_MIN), "seldom");
                        }
                    }
                    Act::Tried(host, port, is_reached) => {
                        standings.tried(now, place(host, port), is_reached.then_some(NEAR));
                    }
                    Act::Pass(seconds) => {
                        now = now + Duration::from_secs(seconds);
                        standings.tick(now);
                        here.retain(|&address| standings.of(address).is_some());
                    }
                }
                standings.check_invariants();
                prop_assert_eq!(here.len(), here.iter().filter(|&&address| standings.of(address).is_some()).count());
            }
        }
    }
}
