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

    /// Puts the best sources first, and those that the conductor does not reach last. Others stay in the order in which they
    /// are.
    pub fn order(&self, wall: Duration, addresses: &mut [SocketAddr]) {
        addresses.sort_by_cached_key(|&address| {
            let is_unreached = self.of(address).is_some_and(|standing| standing.reach == Reach::Unreached);
            (is_unreached, self.score(wall, address))
        });
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
