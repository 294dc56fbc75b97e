//! Who takes part in which composition: the leases behind a conductor's rosters.
//!
//! Knows no sockets: it is told from where an announce came and on which address it arrived. It believes
//! only the port of what a member says about its address, never dials, and keeps no name or manifest.
//!
//! No step grows with the number of members or swarms: a member is found by hash, a lease renewed in a queue
//! of equal leases, a roster drawn by the few first steps of a shuffle.

mod roll;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use self::roll::{Home, Key, Roll};
use super::deadlines::{Deadlines, grow_to};
use crate::identity::SwarmId;
use crate::limits;
use crate::time::Moment;
use crate::wire::desk::{Announce, Event, Refusal, Roster};

/// Debug builds recount everything after each step while there are at most this many members; with more,
/// recounting would be all that they do.
const RECOUNT_MAX: usize = 256;

/// An announce and how it came.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The address that the asker connected from.
    pub from: IpAddr,
    /// The address on which the asker reached this conductor.
    pub reached_on: IpAddr,
    /// What it said.
    pub announce: Announce,
}

/// How much a registry keeps before it refuses the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Compositions.
    pub swarms: usize,
    /// Members of one composition.
    pub swarm_members: usize,
    /// Members in all.
    pub members: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            swarms: limits::SWARMS_MAX,
            swarm_members: limits::SWARM_MEMBERS_MAX,
            members: limits::MEMBERS_MAX,
        }
    }
}

/// The swarms of a conductor and their members.
///
/// Invariants, recounted by [`check_invariants`](Registry::check_invariants):
/// - a member stands in exactly one place of exactly one swarm, and has exactly one deadline;
/// - the complete members of a swarm come before the getting ones;
/// - a swarm without members does not exist;
/// - no bound is exceeded.
#[derive(Debug)]
pub struct Registry {
    bounds: Bounds,
    rng: fastrand::Rng,
    by_id: HashMap<SwarmId, u32>,
    /// Slots of swarms that are gone are reused; their numbers wait in `free`.
    swarms: Vec<Swarm>,
    free: Vec<u32>,
    roll: Roll,
    leases: Deadlines,
}

#[derive(Debug)]
struct Swarm {
    id: SwarmId,
    /// Slots of the roll, complete members first; there is no other order.
    members: Vec<u32>,
    complete: u32,
}

/// The members of a swarm that are complete, or those that are not, as one of them or a stranger sees them.
#[derive(Debug)]
struct Kind {
    places: Range<usize>,
    /// Where the asker stands among them, if it does.
    asker: Option<usize>,
    /// How many there are apart from the asker.
    others: usize,
}

impl Registry {
    /// An empty registry. The same seed and the same steps give the same replies.
    #[must_use]
    pub fn new(seed: u64, bounds: Bounds) -> Registry {
        let leases = limits::ANNOUNCE_INTERVALS.map(|interval| interval * limits::LEASE_HALF_INTERVALS / 2);
        Registry {
            bounds,
            rng: fastrand::Rng::with_seed(seed),
            by_id: HashMap::new(),
            swarms: Vec::new(),
            free: Vec::new(),
            roll: Roll::new(),
            leases: Deadlines::new(&leases),
        }
    }

    /// Takes an announce and answers it with the others, unless a bound is reached.
    ///
    /// # Errors
    /// As many compositions or members as fit are kept; nothing has changed.
    pub fn answer(&mut self, now: Moment, ask: &Ask) -> Result<Roster, Refusal> {
        self.answer_in_kinds(now, ask).map(|(roster, _)| roster)
    }

    /// The same, and how many of the addresses at the front of the roster are those of complete members.
    ///
    /// # Errors
    /// As of [`answer`](Registry::answer).
    pub fn answer_in_kinds(&mut self, now: Moment, ask: &Ask) -> Result<(Roster, usize), Refusal> {
        self.expire(now, limits::EXPIRIES_PER_ANNOUNCE);
        let id = SwarmId::from_bytes(ask.announce.swarm);
        let from = ask.from.to_canonical();
        let reply = match (ask.announce.event, ask.announce.port) {
            (Event::Left, port) => {
                self.leave(id, from, port);
                Ok(self.roster(now, id, None, ask))
            }
            // It accepts no links, so it has no place in a roster; it may dial those that have.
            (_, 0) => Ok(self.roster(now, id, None, ask)),
            (Event::Started | Event::Going | Event::Completed, port) => {
                let slot = self.register(now, id, from, port, ask.announce.complete);
                slot.map(|slot| self.roster(now, id, Some(slot), ask))
            }
        };
        self.recount_if_small();
        reply
    }

    /// How many members of a swarm hold every part, and how many still get some.
    #[must_use]
    pub fn count(&self, id: SwarmId) -> (u32, u32) {
        self.by_id.get(&id).map_or((0, 0), |&number| {
            let swarm = &self.swarms[number as usize];
            (swarm.complete, place_of(swarm.members.len()) - swarm.complete)
        })
    }

    /// Where members of a swarm accept links, as they announced, and whether they hold every part; those that do come
    /// first, and there are at most so many.
    #[must_use]
    pub fn holders(&self, id: SwarmId, most: usize) -> Vec<(SocketAddr, bool)> {
        let Some(&number) = self.by_id.get(&id) else { return Vec::new() };
        let swarm = &self.swarms[number as usize];
        let of = |(place, &slot): (u32, &u32)| {
            let mut addresses = Vec::with_capacity(1);
            self.roll.at(slot).key.home().append_to(&mut addresses);
            addresses.pop().map(|address| (address, place < swarm.complete))
        };
        (0..).zip(&swarm.members).take(most).filter_map(of).collect()
    }

    /// Whether somebody who listens there has a lease in this swarm.
    #[must_use]
    pub fn knows(&self, id: SwarmId, member: SocketAddr) -> bool {
        let swarm = self.by_id.get(&id);
        let key = |&swarm: &u32| Key::new(swarm, member.ip().to_canonical(), member.port());
        swarm.is_some_and(|swarm| self.roll.find(&key(swarm)).is_some())
    }

    /// Drops leases that have run out, a bounded number at a time.
    pub fn tick(&mut self, now: Moment) {
        self.expire(now, limits::EXPIRIES_PER_TICK);
        self.recount_if_small();
    }

    /// When to call [`tick`](Registry::tick) if nobody asks first; in the past if a tick left some over.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.leases.next()
    }

    /// Members in all swarms.
    #[must_use]
    pub fn members(&self) -> usize {
        self.roll.len()
    }

    /// Swarms with at least one member.
    #[must_use]
    pub fn swarms(&self) -> usize {
        self.by_id.len()
    }

    /// The bytes that the registry takes of the heap.
    #[must_use]
    pub fn footprint(&self) -> usize {
        // A hash map keeps a byte of its own for each entry, and an eighth of its room empty.
        let by_id = self.by_id.capacity() * 8 / 7 * (size_of::<(SwarmId, u32)>() + 1);
        let lists: usize = self.swarms.iter().map(|swarm| swarm.members.capacity() * size_of::<u32>()).sum();
        let swarms = self.swarms.capacity() * size_of::<Swarm>() + self.free.capacity() * size_of::<u32>();
        by_id + lists + swarms + self.roll.footprint() + self.leases.footprint()
    }

    /// Recounts everything from scratch.
    ///
    /// # Panics
    /// An invariant does not hold.
    pub fn check_invariants(&self) {
        assert!(self.by_id.len() <= self.bounds.swarms, "at most as many swarms as allowed");
        assert!(self.roll.len() <= self.bounds.members, "at most as many members as allowed");
        assert_eq!(self.by_id.len() + self.free.len(), self.swarms.len(), "a swarm is known or free");
        let mut members = 0;
        for (number, swarm) in (0u32..).zip(&self.swarms) {
            assert_eq!(swarm.members.is_empty(), self.free.contains(&number), "swarms have members");
            if swarm.members.is_empty() {
                continue;
            }
            assert_eq!(self.by_id.get(&swarm.id), Some(&number), "a swarm is found by its id");
            assert!(swarm.members.len() <= self.bounds.swarm_members, "at most as many as a swarm may have");
            assert!(swarm.complete as usize <= swarm.members.len(), "complete members are members");
            for (place, &slot) in (0u32..).zip(&swarm.members) {
                let member = self.roll.at(slot);
                assert_eq!((member.key.swarm, member.place), (number, place), "a member knows its place");
                assert_eq!(self.roll.find(&member.key), Some(slot), "a member is found by its address");
                assert!(self.leases.is_armed(slot), "a member has a lease");
            }
            members += swarm.members.len();
        }
        assert_eq!(members, self.roll.len(), "every member is in a swarm");
    }

    /// Adds the member or renews its lease.
    fn register(
        &mut self,
        now: Moment,
        id: SwarmId,
        from: IpAddr,
        port: u16,
        complete: bool,
    ) -> Result<u32, Refusal> {
        let known = self.by_id.get(&id).copied();
        let found = known.and_then(|swarm| self.roll.find(&Key::new(swarm, from, port)));
        let slot = match (found, known) {
            (Some(slot), _) => slot,
            (None, Some(swarm)) if self.swarms[swarm as usize].members.len() >= self.bounds.swarm_members => {
                return Err(Refusal::MembersFull);
            }
            _ if self.roll.len() >= self.bounds.members => return Err(Refusal::MembersFull),
            (None, Some(swarm)) => self.insert(Key::new(swarm, from, port)),
            (None, None) if self.by_id.len() >= self.bounds.swarms => return Err(Refusal::SwarmsFull),
            (None, None) => {
                let swarm = self.make_swarm(id);
                self.insert(Key::new(swarm, from, port))
            }
        };
        self.set_complete(slot, complete);
        let class = self.interval_class(self.roll.at(slot).key.swarm);
        self.leases.arm(now, slot, class);
        Ok(slot)
    }

    /// Forgets the member, if it is there.
    fn leave(&mut self, id: SwarmId, from: IpAddr, port: u16) {
        let swarm = self.by_id.get(&id);
        if let Some(slot) = swarm.and_then(|&swarm| self.roll.find(&Key::new(swarm, from, port))) {
            self.remove(slot);
        }
    }

    /// Makes a swarm without members; its first one follows at once.
    fn make_swarm(&mut self, id: SwarmId) -> u32 {
        let swarm = Swarm { id, members: Vec::new(), complete: 0 };
        let number = if let Some(number) = self.free.pop() {
            self.swarms[number as usize] = swarm;
            number
        } else {
            self.swarms.push(swarm);
            u32::try_from(self.swarms.len() - 1).expect("SWARMS_MAX is far below 2^32")
        };
        self.by_id.insert(id, number);
        number
    }

    /// Adds a getting member at the end of its swarm.
    fn insert(&mut self, key: Key) -> u32 {
        let slot = self.roll.insert(key);
        let members = &mut self.swarms[key.swarm as usize].members;
        grow_to(members, members.len() + 1);
        members.push(slot);
        self.roll.set_place(slot, place_of(members.len() - 1));
        slot
    }

    /// Forgets a member, and its swarm if it was the last one.
    fn remove(&mut self, slot: u32) {
        self.set_complete(slot, false);
        let Key { swarm: number, .. } = self.roll.at(slot).key;
        let place = self.roll.at(slot).place as usize;
        let last = self.swarms[number as usize].members.len() - 1;
        self.swap(number, place, last);
        let swarm = &mut self.swarms[number as usize];
        swarm.members.pop();
        if swarm.members.is_empty() {
            swarm.members = Vec::new();
            self.by_id.remove(&swarm.id);
            self.free.push(number);
        } else if swarm.members.len() < swarm.members.capacity() / 4 {
            swarm.members.shrink_to(swarm.members.len() * 2);
        }
        self.leases.disarm(slot);
        self.roll.remove(slot);
    }

    /// Moves a member across the border between complete and getting ones, if it is on the wrong side.
    fn set_complete(&mut self, slot: u32, complete: bool) {
        let member = *self.roll.at(slot);
        let number = member.key.swarm;
        let border = self.swarms[number as usize].complete;
        match (member.place < border, complete) {
            (false, true) => {
                self.swap(number, member.place as usize, border as usize);
                self.swarms[number as usize].complete += 1;
            }
            (true, false) => {
                self.swap(number, member.place as usize, border as usize - 1);
                self.swarms[number as usize].complete -= 1;
            }
            (true, true) | (false, false) => {}
        }
    }

    fn swap(&mut self, swarm: u32, a: usize, b: usize) {
        let members = &mut self.swarms[swarm as usize].members;
        members.swap(a, b);
        self.roll.set_place(members[a], place_of(a));
        self.roll.set_place(members[b], place_of(b));
    }

    /// What the asker is told about the swarm, and how many of the addresses, at the front, are those of complete members;
    /// `asker` is its slot, if it has one.
    fn roster(&mut self, now: Moment, id: SwarmId, asker: Option<u32>, ask: &Ask) -> (Roster, usize) {
        let Some(&number) = self.by_id.get(&id) else {
            let interval_ms = self.jittered(limits::ANNOUNCE_INTERVALS[0]);
            return (Roster { interval_ms, complete: 0, getting: 0, members: Vec::new() }, 0);
        };
        let swarm = &self.swarms[number as usize];
        let (border, end) = (swarm.complete as usize, swarm.members.len());
        let asker = asker.map(|slot| self.roll.at(slot).place as usize);
        let (complete, getting) = (Kind::of(0..border, asker), Kind::of(border..end, asker));
        let (of_complete, of_getting) = match (ask.announce.event, ask.announce.complete) {
            (Event::Left, _) => (0, 0),
            // Two complete members have nothing to give each other.
            (_, true) => (0, getting.others.min(limits::ROSTER_MAX)),
            (_, false) => split(complete.others, getting.others),
        };
        let mut members = Vec::with_capacity(of_complete + of_getting);
        self.draw(now, number, &complete, of_complete, ask, &mut members);
        let border = members.len();
        self.draw(now, number, &getting, of_getting, ask, &mut members);
        let interval = limits::ANNOUNCE_INTERVALS[usize::from(self.interval_class(number))];
        let roster = Roster {
            interval_ms: self.jittered(interval),
            complete: place_of(complete.others),
            getting: place_of(getting.others),
            members,
        };
        (roster, border)
    }

    /// Appends the addresses of `wanted` others of this kind, drawn uniformly: the first steps of a shuffle.
    ///
    /// The steps are taken back, because members know their places: to tell each of a new one would cost more than
    /// all the rest of an announce.
    fn draw(
        &mut self,
        now: Moment,
        swarm: u32,
        kind: &Kind,
        wanted: usize,
        ask: &Ask,
        addresses: &mut Vec<SocketAddr>,
    ) {
        let some_ran_out = self.leases.due(now).is_some();
        let members = &mut self.swarms[swarm as usize].members[kind.places.clone()];
        if let Some(asker) = kind.asker {
            members.swap(asker, kind.others);
        }
        let mut steps = [0; limits::ROSTER_MAX];
        let steps = &mut steps[..wanted];
        for (place, drawn) in steps.iter_mut().enumerate() {
            *drawn = self.rng.usize(place..kind.others);
            members.swap(place, *drawn);
        }
        // All are fetched before the first is looked at, so that the waits for memory run side by side: with many
        // members they are most of what an announce takes.
        let mut homes = [Home::default(); limits::ROSTER_MAX];
        for (home, &slot) in homes.iter_mut().zip(&members[..wanted]) {
            *home = self.roll.at(slot).key.home();
        }
        let (own, reached_on) = (Home::new(ask.from, ask.announce.port), Home::new(ask.reached_on, 0));
        for (&home, &slot) in homes.iter().zip(&members[..wanted]) {
            // One that reached the conductor over its loopback is, for askers from elsewhere, where they reached the
            // conductor themselves.
            let is_here = home.is_loopback() && !own.is_loopback();
            let seen = if is_here { Home { port: home.port, ..reached_on } } else { home };
            // The asker may also be registered from its loopback address; and a lease may have run out
            // without having been dropped yet.
            if seen != own && !(some_ran_out && self.leases.is_due(now, slot)) {
                seen.append_to(addresses);
            }
        }
        for (place, &drawn) in steps.iter().enumerate().rev() {
            members.swap(place, drawn);
        }
        if let Some(asker) = kind.asker {
            members.swap(asker, kind.others);
        }
    }

    /// Drops at most `most` leases that have run out.
    fn expire(&mut self, now: Moment, most: usize) {
        for _ in 0..most {
            let Some(slot) = self.leases.due(now) else { return };
            self.remove(slot);
        }
    }

    /// Which of the intervals fits the load and the swarm.
    fn interval_class(&self, swarm: u32) -> u8 {
        let small = self.swarms[swarm as usize].members.len() < limits::SWARM_SMALL;
        let seconds = self.roll.len() / limits::ANNOUNCES_PER_SECOND;
        let needed = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        let intervals = &limits::ANNOUNCE_INTERVALS;
        let class = intervals.iter().position(|&interval| interval >= needed).unwrap_or(intervals.len() - 1);
        u8::try_from(class.max(usize::from(!small))).expect("there are few intervals")
    }

    /// About this interval, in milliseconds.
    fn jittered(&mut self, interval: Duration) -> u32 {
        let middle = u32::try_from(interval.as_millis()).expect("intervals are minutes at most");
        let spread = middle / 100 * limits::ANNOUNCE_JITTER_PERCENT;
        self.rng.u32(middle - spread..=middle + spread)
    }

    fn recount_if_small(&self) {
        if cfg!(debug_assertions) && self.roll.len() <= RECOUNT_MAX && self.swarms.len() <= RECOUNT_MAX {
            self.check_invariants();
        }
    }
}

impl Kind {
    /// The members in these places of a list in which the asker has this one, if any.
    fn of(places: Range<usize>, asker: Option<usize>) -> Kind {
        let asker = asker.filter(|place| places.contains(place)).map(|place| place - places.start);
        Kind { others: places.len() - usize::from(asker.is_some()), asker, places }
    }
}

/// How many of the complete and of the getting members a getting one is told of: half the roster each, and
/// what one kind leaves free goes to the other.
fn split(complete: usize, getting: usize) -> (usize, usize) {
    let half = limits::ROSTER_MAX / 2;
    let of_complete = complete.min(half.max(limits::ROSTER_MAX.saturating_sub(getting)));
    (of_complete, getting.min(limits::ROSTER_MAX - of_complete))
}

fn place_of(index: usize) -> u32 {
    u32::try_from(index).expect("MEMBERS_MAX is far below 2^32")
}
