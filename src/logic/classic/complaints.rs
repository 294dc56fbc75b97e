//! Whom a classic conductor does not hand out because others complained.
//!
//! Complaints prove nothing, so one is not enough: several different sources must complain about the same member of the
//! same composition within a while, and each complaint counts for that while only.
//! Only who takes part in a composition is heard about it, which is known of whoever asked lately; that both still have
//! their leases, whoever asks this machine knows.
//! It never hides everybody: where only such are left about whom others complained, they are told, the worst last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::identity::SwarmId;
use crate::limits::{
    CLASSIC_ASKERS_MAX, CLASSIC_COMPLAINERS, CLASSIC_COMPLAINERS_KEPT, CLASSIC_COMPLAINT_SPAN,
    CLASSIC_COMPLAINTS_MAX, CLASSIC_COMPLAINTS_PER_SOURCE_MAX,
};
use crate::logic::addresses::source_of;
use crate::time::Moment;

/// How many old entries one step may clear away: more than it can add.
const CLEARED_PER_STEP: usize = 4;

/// A member of a composition. Invariant: its address is [`plain`].
type Member = (SwarmId, SocketAddr);

/// See the module.
///
/// Invariant: the same complaints stand in `about`, `by` and `order`; at most [`CLASSIC_COMPLAINTS_MAX`] in all,
/// [`CLASSIC_COMPLAINTS_PER_SOURCE_MAX`] of one source, and [`CLASSIC_COMPLAINERS_KEPT`] about one member.
#[derive(Debug, Default)]
pub struct Complaints {
    /// Who complained about a member, and when last; the oldest first, each source once, never nobody.
    about: BTreeMap<Member, Vec<(IpAddr, Moment)>>,
    /// What each source complained of, the oldest first.
    by: BTreeMap<IpAddr, BTreeSet<(Moment, Member)>>,
    /// All of them, the oldest first.
    order: BTreeSet<(Moment, Member, IpAddr)>,
    askers: Askers,
}

impl Complaints {
    /// Nobody complained.
    #[must_use]
    pub const fn new() -> Complaints {
        Complaints {
            about: BTreeMap::new(),
            by: BTreeMap::new(),
            order: BTreeSet::new(),
            askers: Askers { homes: BTreeMap::new(), order: BTreeSet::new() },
        }
    }

    /// Somebody who listens there asked about this composition, or said that they share it.
    pub fn asked(&mut self, now: Moment, swarm: SwarmId, asker: SocketAddr) {
        let asker = plain(asker);
        if asker.port() != 0 {
            self.askers.note(now, swarm, asker);
        }
    }

    /// Somebody at `from` complains about this member, and `has_lease` says who takes part in the composition now. Says
    /// whether the member is not handed out from now on, if it was before.
    pub fn complain(
        &mut self,
        now: Moment,
        swarm: SwarmId,
        member: SocketAddr,
        from: IpAddr,
        has_lease: impl Fn(SocketAddr) -> bool,
    ) -> bool {
        self.clear(now);
        let member = plain(member);
        if !has_lease(member) || !self.askers.home_of(swarm, from).is_some_and(&has_lease) {
            return false;
        }
        let (key, source) = ((swarm, member), source_of(from));
        let was_handed_out = self.is_handed_out(now, swarm, member);
        self.forget(key, source);
        self.make_room(key, source);
        self.about.entry(key).or_default().push((source, now));
        self.by.entry(source).or_default().insert((now, key));
        self.order.insert((now, key, source));
        was_handed_out && !self.is_handed_out(now, swarm, member)
    }

    /// Whether so few complain about this member of this composition that it is handed out.
    #[must_use]
    pub fn is_handed_out(&self, now: Moment, swarm: SwarmId, member: SocketAddr) -> bool {
        self.complainers(now, (swarm, plain(member))) < CLASSIC_COMPLAINERS
    }

    /// Leaves out of `members` who is not handed out; if nobody would be left, the worst of them come last instead.
    pub fn sift(&self, now: Moment, swarm: SwarmId, members: &mut Vec<SocketAddr>) {
        if members.iter().any(|&member| self.is_handed_out(now, swarm, member)) {
            members.retain(|&member| self.is_handed_out(now, swarm, member));
        } else {
            // The sort is stable: among equals the order stays the random one of the roster.
            members.sort_by_key(|&member| self.complainers(now, (swarm, plain(member))));
        }
    }

    /// How many sources have complained about this member so lately that it counts.
    fn complainers(&self, now: Moment, key: Member) -> usize {
        let counts = |&&(_, since): &&(IpAddr, Moment)| now.since(since) < CLASSIC_COMPLAINT_SPAN;
        self.about.get(&key).map_or(0, |by| by.iter().filter(counts).count())
    }

    /// Lets the oldest complaints give way to one more of this source about this member, so that no bound is exceeded.
    fn make_room(&mut self, key: Member, source: IpAddr) {
        let about = self.about.get(&key).filter(|by| by.len() >= CLASSIC_COMPLAINERS_KEPT);
        if let Some(&(oldest, _)) = about.and_then(|by| by.first()) {
            self.forget(key, oldest);
        }
        let by = self.by.get(&source).filter(|by| by.len() >= CLASSIC_COMPLAINTS_PER_SOURCE_MAX);
        if let Some(&(_, oldest)) = by.and_then(BTreeSet::first) {
            self.forget(oldest, source);
        }
        if self.order.len() >= CLASSIC_COMPLAINTS_MAX
            && let Some(&(_, key, source)) = self.order.first()
        {
            self.forget(key, source);
        }
    }

    /// Forgets what this source said about this member, if it said anything.
    fn forget(&mut self, key: Member, source: IpAddr) {
        let Some(about) = self.about.get_mut(&key) else { return };
        let Some(place) = about.iter().position(|&(by, _)| by == source) else { return };
        let (_, since) = about.remove(place);
        if about.is_empty() {
            self.about.remove(&key);
        }
        if let Some(by) = self.by.get_mut(&source) {
            by.remove(&(since, key));
            if by.is_empty() {
                self.by.remove(&source);
            }
        }
        self.order.remove(&(since, key, source));
    }

    /// Clears away a few complaints that are over.
    fn clear(&mut self, now: Moment) {
        for _ in 0..CLEARED_PER_STEP {
            match self.order.first() {
                Some(&(since, key, source)) if now.since(since) >= CLASSIC_COMPLAINT_SPAN => {
                    self.forget(key, source);
                }
                _ => return,
            }
        }
    }
}

/// Where those listen who asked lately: a complaint says only from which address it comes, and a lease is one of an address
/// and a port.
#[derive(Debug, Default)]
struct Askers {
    /// The port that was named last, and when. Invariant: at most [`CLASSIC_ASKERS_MAX`].
    homes: BTreeMap<(SwarmId, IpAddr), (u16, Moment)>,
    /// The same, the oldest first.
    order: BTreeSet<(Moment, SwarmId, IpAddr)>,
}

impl Askers {
    fn note(&mut self, now: Moment, swarm: SwarmId, asker: SocketAddr) {
        let key = (swarm, asker.ip());
        if let Some((_, since)) = self.homes.insert(key, (asker.port(), now)) {
            self.order.remove(&(since, swarm, asker.ip()));
        } else if self.homes.len() > CLASSIC_ASKERS_MAX
            && let Some((_, swarm, ip)) = self.order.pop_first()
        {
            self.homes.remove(&(swarm, ip));
        }
        self.order.insert((now, swarm, asker.ip()));
    }

    fn home_of(&self, swarm: SwarmId, from: IpAddr) -> Option<SocketAddr> {
        let ip = from.to_canonical();
        self.homes.get(&(swarm, ip)).map(|&(port, _)| SocketAddr::new(ip, port))
    }
}

/// The address as leases have it: IPv4 as such, not mapped into IPv6, and no zone.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Moment = Moment::from_micros(1_000_000);

    fn swarm(number: u8) -> SwarmId {
        SwarmId::from_bytes([number; 32])
    }

    fn member(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 9], port))
    }

    fn ip(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    /// The machine in a world in which everybody who asked has a lease.
    #[derive(Default)]
    struct World {
        complaints: Complaints,
    }

    impl World {
        /// A source that takes part complains.
        fn complain(&mut self, now: Moment, id: u8, about: SocketAddr, from: IpAddr) -> bool {
            self.complaints.asked(now, swarm(id), SocketAddr::new(from, 10_001));
            self.complaints.complain(now, swarm(id), about, from, |_| true)
        }

        fn tells(&self, now: Moment, id: u8, members: &[SocketAddr]) -> Vec<SocketAddr> {
            let mut told = members.to_vec();
            self.complaints.sift(now, swarm(id), &mut told);
            told
        }

        fn check(&self) {
            let complaints = &self.complaints;
            let about = complaints.about.iter().flat_map(|(&key, by)| {
                assert!((1..=CLASSIC_COMPLAINERS_KEPT).contains(&by.len()));
                assert!(by.is_sorted_by_key(|&(_, since)| since));
                by.iter().map(move |&(source, since)| (since, key, source))
            });
            assert_eq!(about.collect::<BTreeSet<_>>(), complaints.order);
            let by = complaints.by.iter().flat_map(|(&source, of)| {
                assert!((1..=CLASSIC_COMPLAINTS_PER_SOURCE_MAX).contains(&of.len()));
                of.iter().map(move |&(since, key)| (since, key, source))
            });
            assert_eq!(by.collect::<BTreeSet<_>>(), complaints.order);
            assert!(complaints.order.len() <= CLASSIC_COMPLAINTS_MAX);
            let askers = &complaints.askers;
            assert!(askers.homes.len() <= CLASSIC_ASKERS_MAX && askers.homes.len() == askers.order.len());
        }
    }

    #[test]
    fn several_different_ones_are_believed_for_a_while() {
        let mut world = World::default();
        for _ in 0..9 {
            assert!(!world.complain(NOW, 1, member(1), ip(1)), "one is one, however often");
        }
        let last = u8::try_from(CLASSIC_COMPLAINERS).unwrap();
        for number in 2..last {
            assert!(!world.complain(NOW, 1, member(1), ip(number)));
        }
        assert!(world.complaints.is_handed_out(NOW, swarm(1), member(1)));
        assert!(world.complain(NOW, 1, member(1), ip(last)));
        assert!(!world.complaints.is_handed_out(NOW, swarm(1), member(1)));
        assert!(
            world.complaints.is_handed_out(NOW, swarm(2), member(1))
                && world.complaints.is_handed_out(NOW, swarm(1), member(2))
        );
        assert!(!world.complain(NOW, 1, member(1), ip(99)), "nothing changes");
        let later = NOW + CLASSIC_COMPLAINT_SPAN;
        assert!(world.complaints.is_handed_out(later, swarm(1), member(1)));
        assert!(!world.complain(later, 1, member(1), ip(1)), "all begins anew");
        world.check();
    }

    /// Each complaint counts for its own while, so the first and the third of these never count together.
    #[test]
    fn a_complaint_counts_no_longer_than_it_may() {
        let (mut world, nearly) = (World::default(), CLASSIC_COMPLAINT_SPAN - Duration::from_secs(1));
        for number in 0..20 {
            assert!(!world.complain(NOW + nearly * u32::from(number), 1, member(1), ip(number)), "{number}");
        }
        world.check();
    }

    #[test]
    fn one_address_is_one_however_it_is_spelled() {
        let mut world = World::default();
        let spelled = ["10.0.0.9:7", "[::ffff:10.0.0.9]:7", "[::ffff:10.0.0.9%5]:7"];
        let froms = ["10.0.0.1", "::ffff:10.0.0.2", "10.0.0.3"];
        for (about, from) in spelled.into_iter().zip(froms) {
            world.complain(NOW, 1, about.parse().unwrap(), from.parse().unwrap());
        }
        assert!(!world.complaints.is_handed_out(NOW, swarm(1), member(7)));
        // The same source in other words, and one /64.
        for from in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8::3"] {
            world.complain(NOW, 1, "[fe80::1%3]:7".parse().unwrap(), from.parse().unwrap());
        }
        let mut zoned = "[fe80::1%4]:7".parse().unwrap();
        assert!(world.complaints.is_handed_out(NOW, swarm(1), zoned), "two sources");
        world.complain(NOW, 1, zoned, ip(4));
        zoned = "[fe80::1]:7".parse().unwrap();
        assert!(!world.complaints.is_handed_out(NOW, swarm(1), zoned), "a zone is no other member");
    }

    #[test]
    fn only_who_takes_part_is_heard() {
        let mut complaints = Complaints::new();
        let takes_part: Vec<SocketAddr> = (1..=5).map(|number| SocketAddr::new(ip(number), 10_001)).collect();
        let has_lease = |who: SocketAddr| who == member(1) || takes_part.contains(&who);
        for number in 1..=9 {
            // Those from 6 on asked, but their leases have run out.
            if number != 2 {
                complaints.asked(NOW, swarm(1), SocketAddr::new(ip(number), 10_001));
            }
        }
        complaints.asked(NOW, swarm(2), SocketAddr::new(ip(2), 10_001));
        complaints.asked(NOW, swarm(1), SocketAddr::new(ip(10), 0));
        for number in [1, 2, 6, 7, 8, 9, 10, 3] {
            assert!(!complaints.complain(NOW, swarm(1), member(1), ip(number), has_lease), "{number}");
        }
        assert!(!complaints.complain(NOW, swarm(1), member(2), ip(4), has_lease), "about nobody");
        assert!(complaints.complain(NOW, swarm(1), member(1), ip(4), has_lease));
    }

    #[test]
    fn not_everybody_is_hidden_and_the_worst_come_last() {
        let mut world = World::default();
        let all = [member(1), member(2), member(3)];
        for (about, complainers) in [(1, 5), (2, 4)] {
            for number in 1..=complainers {
                world.complain(NOW, 1, member(about), ip(number));
            }
        }
        assert_eq!(world.tells(NOW, 1, &all), [member(3)]);
        for number in 1..=3 {
            world.complain(NOW, 1, member(3), ip(number));
        }
        assert_eq!(world.tells(NOW, 1, &all), [member(3), member(2), member(1)]);
        assert_eq!(world.tells(NOW, 2, &all), all, "of another composition they are told as ever");
        assert_eq!(world.tells(NOW, 1, &[]), []);
    }

    #[test]
    fn a_flood_of_one_source_pushes_nobody_elses_away() {
        let mut world = World::default();
        for number in 1..=2 {
            world.complain(NOW, 1, member(1), ip(number));
        }
        for port in 2..u16::try_from(CLASSIC_COMPLAINTS_MAX + 99).unwrap() {
            world.complain(NOW + Duration::from_millis(port.into()), 1, member(port), ip(66));
        }
        assert_eq!(world.complaints.by[&ip(66)].len(), CLASSIC_COMPLAINTS_PER_SOURCE_MAX);
        assert!(world.complain(NOW + Duration::from_secs(60), 1, member(1), ip(3)), "the first two count");
        world.check();
    }

    #[test]
    fn when_there_are_too_many_the_oldest_give_way() {
        let mut world = World::default();
        let sources = (1u16..).map(|number| {
            let [high, low] = number.to_be_bytes();
            IpAddr::from([10, 1, high, low])
        });
        world.complain(NOW, 1, member(1), ip(1));
        world.complain(NOW, 1, member(1), ip(2));
        let flood = sources.take(CLASSIC_COMPLAINTS_MAX.div_ceil(CLASSIC_COMPLAINTS_PER_SOURCE_MAX) + 1);
        let mut now = NOW;
        for (number, source) in flood.enumerate() {
            for port in 0..CLASSIC_COMPLAINTS_PER_SOURCE_MAX {
                now = now + Duration::from_micros(1);
                let about =
                    member(u16::try_from(number * CLASSIC_COMPLAINTS_PER_SOURCE_MAX + port + 2).unwrap());
                world.complain(now, 1, about, source);
            }
        }
        assert_eq!(world.complaints.order.len(), CLASSIC_COMPLAINTS_MAX);
        world.check();
        // The newest are heard all the same.
        for number in 1..=3 {
            assert_eq!(world.complain(now, 1, member(1), ip(number)), number == 3);
        }
        // What is over goes, a few at a step.
        let later = now + CLASSIC_COMPLAINT_SPAN;
        for _ in 0..CLASSIC_COMPLAINTS_MAX {
            world.complain(later, 9, member(1), ip(1));
        }
        assert_eq!(world.complaints.order.len(), 1);
        world.check();
    }

    #[test]
    fn askers_are_bounded() {
        let mut complaints = Complaints::new();
        for number in 0..u32::try_from(CLASSIC_ASKERS_MAX).unwrap() + 9 {
            let asker = SocketAddr::from((std::net::Ipv4Addr::from(number), 1));
            complaints.asked(NOW + Duration::from_micros(number.into()), swarm(1), asker);
        }
        assert_eq!(complaints.askers.homes.len(), CLASSIC_ASKERS_MAX);
        assert_eq!(complaints.askers.home_of(swarm(1), IpAddr::from([0, 0, 0, 8])), None);
        assert!(complaints.askers.home_of(swarm(1), IpAddr::from([0, 0, 0, 9])).is_some());
    }

    proptest! {
        /// A member is hidden exactly while so many sources have complained lately as a plain list of them says.
        #[test]
        fn it_agrees_with_a_list(
            steps in proptest::collection::vec((0u8..3, 0u16..3, 0u8..6, 0u64..300), 0..60),
        ) {
            let (mut world, mut said) = (World::default(), Vec::new());
            let mut now = NOW;
            for (id, port, from, wait) in steps {
                now = now + Duration::from_secs(wait);
                world.complain(now, id, member(port), ip(from));
                said.push((id, port, from, now));
                world.check();
                for (id, port) in (0..3).flat_map(|id| (0..3).map(move |port| (id, port))) {
                    let lately = said.iter().filter(|&&(in_, about, _, since)| {
                        (in_, about) == (id, port) && now.since(since) < CLASSIC_COMPLAINT_SPAN
                    });
                    let sources: BTreeSet<u8> = lately.map(|&(.., from, _)| from).collect();
                    prop_assert_eq!(
                        world.complaints.is_handed_out(now, swarm(id), member(port)),
                        sources.len() < CLASSIC_COMPLAINERS
                    );
                }
            }
        }
    }
}
