use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::limits::ROSTER_MAX;

const SECOND: Duration = Duration::from_secs(1);

fn registry() -> Registry {
    Registry::new(7, Bounds::default())
}

/// An announce of `address` ("10.0.0.1:10001") to swarm `swarm`, made on 192.168.1.1.
fn ask(swarm: u8, address: &str, complete: bool, event: Event) -> Ask {
    let address: SocketAddr = address.parse().unwrap();
    let announce = Announce { swarm: [swarm; 32], port: address.port(), complete, left: 1, event };
    Ask { from: address.ip(), reached_on: "192.168.1.1".parse().unwrap(), announce }
}

fn roster(registry: &mut Registry, now: Moment, ask: &Ask) -> Roster {
    match registry.answer(now, ask) {
        Ok(roster) => roster,
        Err(refusal) => panic!("refused: {refusal:?}"),
    }
}

/// What a getting member with this address is told at the start.
fn told(registry: &mut Registry, swarm: u8, address: &str) -> Vec<String> {
    let roster = roster(registry, Moment::START, &ask(swarm, address, false, Event::Going));
    roster.members.iter().map(SocketAddr::to_string).collect()
}

/// `10.a.b.c:10001` for the number `n`.
fn nth(n: usize) -> String {
    format!("10.{}.{}.{}:10001", n >> 16, n >> 8 & 255, n & 255)
}

#[test]
fn members_of_a_swarm_hear_of_each_other_and_of_no_other_swarm() {
    let mut registry = registry();
    assert!(told(&mut registry, 1, "10.0.0.1:10001").is_empty());
    assert!(told(&mut registry, 2, "10.0.0.2:10001").is_empty());
    assert_eq!(told(&mut registry, 1, "10.0.0.3:10002"), ["10.0.0.1:10001"]);
    assert_eq!(told(&mut registry, 1, "10.0.0.1:10001"), ["10.0.0.3:10002"]);
    assert_eq!((registry.swarms(), registry.members()), (2, 3));
}

#[test]
fn who_leaves_is_forgotten_at_once() {
    let mut registry = registry();
    told(&mut registry, 1, "10.0.0.1:10001");
    told(&mut registry, 1, "10.0.0.2:10001");
    let left = roster(&mut registry, Moment::START, &ask(1, "10.0.0.1:10001", false, Event::Left));
    assert_eq!((left.complete, left.getting, left.members), (0, 1, vec![]));
    assert!(told(&mut registry, 1, "10.0.0.2:10001").is_empty());
    roster(&mut registry, Moment::START, &ask(1, "10.0.0.2:10001", false, Event::Left));
    assert_eq!((registry.swarms(), registry.deadline()), (0, None));
    // Leaving twice, or a swarm that nobody knows, is a late fact.
    roster(&mut registry, Moment::START, &ask(1, "10.0.0.2:10001", false, Event::Left));
}

#[test]
fn complete_members_come_first_and_hear_of_getting_ones_only() {
    let mut registry = registry();
    told(&mut registry, 1, "10.0.0.1:10001");
    told(&mut registry, 1, "10.0.0.2:10001");
    let done = roster(&mut registry, Moment::START, &ask(1, "10.0.0.3:10001", true, Event::Started));
    assert_eq!((done.complete, done.getting, done.members.len()), (0, 2, 2));
    let done = roster(&mut registry, Moment::START, &ask(1, "10.0.0.2:10001", true, Event::Completed));
    assert_eq!((done.complete, done.getting), (1, 1));
    assert_eq!(done.members, ["10.0.0.1:10001".parse().unwrap()]);
    told(&mut registry, 1, "10.0.0.4:10001");
    let members = told(&mut registry, 1, "10.0.0.1:10001");
    assert_eq!(members.len(), 3);
    assert_eq!(members[2], "10.0.0.4:10001");
}

#[test]
fn a_getting_member_hears_of_complete_ones_however_many_get() {
    let mut registry = registry();
    for n in 0..1_000 {
        told(&mut registry, 1, &nth(n));
    }
    roster(&mut registry, Moment::START, &ask(1, "10.9.9.9:1", true, Event::Started));
    for n in 0..100 {
        let members = told(&mut registry, 1, &nth(n));
        assert_eq!((members.len(), members[0].as_str()), (ROSTER_MAX, "10.9.9.9:1"));
    }
    for n in 0..900 {
        roster(&mut registry, Moment::START, &ask(1, &nth(n), true, Event::Completed));
    }
    assert_eq!(told(&mut registry, 1, &nth(999)).len(), ROSTER_MAX);
    registry.check_invariants();
}

#[test]
fn the_sample_is_uniform() {
    let mut registry = registry();
    for n in 0..201 {
        told(&mut registry, 1, &nth(n));
    }
    let mut seen = HashMap::new();
    for _ in 0..4_000 {
        for address in told(&mut registry, 1, &nth(0)) {
            *seen.entry(address).or_insert(0) += 1;
        }
    }
    // Each of 200 is drawn with probability 1/4: 1,000 times, standard deviation 27.
    assert_eq!(seen.len(), 200);
    assert!(seen.values().all(|count| (850..1_150).contains(count)), "{seen:?}");
}

#[test]
fn a_lease_that_is_not_renewed_runs_out() {
    let mut registry = registry();
    told(&mut registry, 1, "10.0.0.1:10001");
    let lease = limits::ANNOUNCE_INTERVALS[0] * limits::LEASE_HALF_INTERVALS / 2;
    assert_eq!(registry.deadline(), Some(Moment::START + lease));
    let later = Moment::START + (lease - SECOND);
    registry.tick(later);
    assert_eq!(registry.members(), 1);
    roster(&mut registry, later, &ask(1, "10.0.0.1:10001", false, Event::Going));
    registry.tick(later + (lease - SECOND));
    assert_eq!(registry.members(), 1);
    registry.tick(later + lease);
    assert_eq!((registry.members(), registry.swarms(), registry.deadline()), (0, 0, None));
}

#[test]
fn many_leases_run_out_in_bounded_steps_and_are_never_handed_out() {
    let mut registry = registry();
    for n in 0..5_000 {
        told(&mut registry, 1, &nth(n));
    }
    let later = Moment::START + Duration::from_secs(3_600);
    assert!(roster(&mut registry, later, &ask(1, "10.9.9.9:1", false, Event::Started)).members.is_empty());
    let before = registry.members();
    registry.tick(later);
    assert_eq!(registry.members(), before - limits::EXPIRIES_PER_TICK);
    while registry.deadline().is_some_and(|deadline| deadline <= later) {
        registry.tick(later);
    }
    assert_eq!(registry.members(), 1);
    registry.check_invariants();
}

#[test]
fn a_loopback_member_is_shown_where_the_asker_reached_the_conductor() {
    let mut registry = registry();
    told(&mut registry, 1, "127.0.0.1:10001");
    assert_eq!(told(&mut registry, 1, "192.168.1.7:10001"), ["192.168.1.1:10001"]);
    let mut members = told(&mut registry, 1, "[::1]:10002");
    members.sort();
    assert_eq!(members, ["127.0.0.1:10001", "192.168.1.7:10001"]);
    // Over the address of its own machine, a member sees itself come back as a loopback one.
    assert!(!told(&mut registry, 1, "192.168.1.1:10001").contains(&"192.168.1.1:10001".to_owned()));
}

#[test]
fn mapped_addresses_are_the_ipv4_addresses_that_they_mean() {
    let mut registry = registry();
    told(&mut registry, 1, "[::ffff:10.0.0.1]:10001");
    assert!(told(&mut registry, 1, "10.0.0.1:10001").is_empty());
    assert_eq!(told(&mut registry, 1, "[2001:db8::1]:10001"), ["10.0.0.1:10001"]);
    let mut other = ask(1, "[::ffff:192.168.1.8]:10001", false, Event::Started);
    other.reached_on = "::ffff:192.168.1.1".parse().unwrap();
    told(&mut registry, 2, "[::ffff:127.0.0.1]:10001");
    other.announce.swarm = [2; 32];
    assert_eq!(roster(&mut registry, Moment::START, &other).members, ["192.168.1.1:10001".parse().unwrap()]);
}

#[test]
fn a_member_without_a_port_hears_of_others_but_they_not_of_it() {
    let mut registry = registry();
    told(&mut registry, 1, "10.0.0.1:10001");
    assert_eq!(told(&mut registry, 1, "10.0.0.2:0"), ["10.0.0.1:10001"]);
    assert!(told(&mut registry, 1, "10.0.0.1:10001").is_empty());
    assert!(told(&mut registry, 9, "10.0.0.2:0").is_empty());
    assert_eq!(registry.swarms(), 1);
}

#[test]
fn full_refuses_the_newest_and_serves_the_rest() {
    let mut registry = Registry::new(1, Bounds { swarms: 2, swarm_members: 2, members: 3 });
    let going = |swarm, address| ask(swarm, address, false, Event::Going);
    for (swarm, address) in [(1, "10.0.0.1:1"), (1, "10.0.0.2:1"), (2, "10.0.0.1:1")] {
        roster(&mut registry, Moment::START, &going(swarm, address));
    }
    let refused = |registry: &mut Registry, ask| match registry.answer(Moment::START, &ask) {
        Err(refusal) => refusal,
        Ok(roster) => panic!("not refused: {roster:?}"),
    };
    assert_eq!(refused(&mut registry, going(1, "10.0.0.3:1")), Refusal::MembersFull);
    assert_eq!(refused(&mut registry, going(2, "10.0.0.3:1")), Refusal::MembersFull);
    assert_eq!(told(&mut registry, 1, "10.0.0.1:1"), ["10.0.0.2:1"]);
    roster(&mut registry, Moment::START, &ask(1, "10.0.0.2:1", false, Event::Left));
    assert_eq!(refused(&mut registry, going(3, "10.0.0.3:1")), Refusal::SwarmsFull);
    assert_eq!(told(&mut registry, 1, "10.0.0.3:1"), ["10.0.0.1:1"]);
}

#[test]
fn the_interval_grows_with_load_and_is_jittered() {
    let mut registry = registry();
    let interval = |registry: &mut Registry, n: usize| {
        Duration::from_millis(
            roster(registry, Moment::START, &ask(1, &nth(n), false, Event::Going)).interval_ms.into(),
        )
    };
    let around =
        |seconds: u64| Duration::from_secs(seconds * 9 / 10)..=Duration::from_secs(seconds * 11 / 10);
    assert!(around(10).contains(&interval(&mut registry, 0)));
    for n in 1..limits::SWARM_SMALL {
        interval(&mut registry, n);
    }
    let intervals: HashSet<Duration> = (0..20).map(|_| interval(&mut registry, 0)).collect();
    assert!(intervals.len() > 10 && intervals.iter().all(|interval| around(30).contains(interval)));
    // Other swarms are load as well.
    for n in 0..limits::ANNOUNCES_PER_SECOND * 31 {
        let swarm = u8::try_from(n % 200).unwrap() + 10;
        registry.answer(Moment::START, &ask(swarm, &nth(n), false, Event::Going)).unwrap();
    }
    assert!(around(60).contains(&interval(&mut registry, 0)));
}

#[test]
fn members_take_at_most_64_bytes_each_however_many_there_are() {
    let mut registry = registry();
    for n in 0..150_000 {
        let mut ask = ask(0, &nth(n), n % 3 == 0, Event::Started);
        ask.announce.swarm[..8].copy_from_slice(&(n as u64 % 1_000).to_le_bytes());
        registry.answer(Moment::START, &ask).unwrap();
        // Tables that just grew have the most room to spare, wherever that is.
        let members = registry.members();
        if members >= 50_000 && members.is_multiple_of(101) {
            let footprint = registry.footprint();
            assert!(footprint <= 64 * members, "{footprint} bytes of {members} members");
        }
    }
    assert_eq!((registry.members(), registry.swarms()), (150_000, 1_000));
    let each = registry.footprint() / registry.members();
    assert!(each <= 64, "{each} bytes a member");
    registry.check_invariants();
}

#[derive(Clone, Debug)]
struct Step {
    pause_ms: u64,
    swarm: u8,
    address: u8,
    port: u16,
    complete: bool,
    event: Event,
}

fn step() -> impl Strategy<Value = Step> {
    let event = prop_oneof![
        1 => Just(Event::Started), 4 => Just(Event::Going), 1 => Just(Event::Completed), 1 => Just(Event::Left),
    ];
    (0u64..4_000, 1u8..5, 1u8..9, 0u16..6, any::<bool>(), event).prop_map(
        |(pause_ms, swarm, address, port, complete, event)| Step {
            pause_ms,
            swarm,
            address,
            port,
            complete,
            event,
        },
    )
}

/// The obvious registry: a list.
#[derive(Default)]
struct Model {
    members: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    swarm: u8,
    address: SocketAddr,
    complete: bool,
    until: Moment,
}

const BOUNDS: Bounds = Bounds { swarms: 3, swarm_members: 15, members: 30 };

impl Model {
    fn of(&self, swarm: u8) -> Vec<Entry> {
        self.members.iter().filter(|entry| entry.swarm == swarm).copied().collect()
    }

    /// The others in the swarm, or why there is no roster.
    fn answer(&mut self, now: Moment, step: &Step, address: SocketAddr) -> Result<Vec<Entry>, Refusal> {
        self.members.retain(|entry| entry.until > now);
        let known = |entry: &Entry| (entry.swarm, entry.address) == (step.swarm, address);
        if step.event == Event::Left {
            self.members.retain(|entry| !known(entry));
        } else if step.port != 0 {
            let new = !self.members.iter().any(known);
            let swarms: HashSet<u8> = self.members.iter().map(|entry| entry.swarm).collect();
            if new
                && (self.of(step.swarm).len() == BOUNDS.swarm_members || self.members.len() == BOUNDS.members)
            {
                return Err(Refusal::MembersFull);
            }
            if new && !swarms.contains(&step.swarm) && swarms.len() == BOUNDS.swarms {
                return Err(Refusal::SwarmsFull);
            }
            self.members.retain(|entry| !known(entry));
            let lease = if self.of(step.swarm).len() + 1 < limits::SWARM_SMALL { 25 } else { 75 };
            // Deadlines are rounded up to tenths of a second.
            let until = Moment::from_micros((now.as_micros()).div_ceil(100_000) * 100_000) + SECOND * lease;
            self.members.push(Entry { swarm: step.swarm, address, complete: step.complete, until });
        }
        Ok(self.of(step.swarm).into_iter().filter(|entry| entry.address != address).collect())
    }
}

proptest! {
    #[test]
    fn agrees_with_an_obvious_list(seed in any::<u64>(), steps in proptest::collection::vec(step(), 0..200)) {
        let (mut registry, mut model, mut now) = (Registry::new(seed, BOUNDS), Model::default(), Moment::START);
        for step in steps {
            now = now + Duration::from_millis(step.pause_ms);
            while registry.deadline().is_some_and(|deadline| deadline <= now) {
                registry.tick(now);
            }
            let address: SocketAddr = format!("10.0.0.{}:{}", step.address, step.port).parse().unwrap();
            let ask = ask(step.swarm, &address.to_string(), step.complete, step.event);
            let (reply, expected) = (registry.answer(now, &ask), model.answer(now, &step, address));
            prop_assert_eq!(registry.members(), model.members.len());
            let (roster, others) = match (reply, expected) {
                (Err(refusal), expected) => {
                    prop_assert_eq!(Some(refusal), expected.err());
                    continue;
                }
                (Ok(roster), Ok(others)) => (roster, others),
                (Ok(_), Err(refusal)) => panic!("should have been refused: {refusal:?}"),
            };
            let kind = |complete| -> HashSet<SocketAddr> {
                let some = others.iter().filter(|entry| entry.complete == complete);
                some.map(|entry| entry.address).collect()
            };
            let (complete, getting) = (kind(true), kind(false));
            prop_assert_eq!(roster.complete as usize, complete.len());
            prop_assert_eq!(roster.getting as usize, getting.len());
            // There are never more than fit, so each is named, complete ones first.
            let told = roster.members;
            let (first, rest) = match (step.event, step.complete) {
                (Event::Left, _) => (0, 0),
                (_, true) => (0, getting.len()),
                (_, false) => (complete.len(), getting.len()),
            };
            prop_assert_eq!(told.len(), first + rest);
            prop_assert!(first == 0 || told[..first].iter().copied().collect::<HashSet<_>>() == complete);
            prop_assert!(rest == 0 || told[first..].iter().copied().collect::<HashSet<_>>() == getting);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_replies(seed in any::<u64>(), steps in proptest::collection::vec(step(), 0..60)) {
        let mut twins = [Registry::new(seed, BOUNDS), Registry::new(seed, BOUNDS)];
        let mut now = Moment::START;
        for step in steps {
            now = now + Duration::from_millis(step.pause_ms);
            let ask = ask(step.swarm, &format!("10.0.0.{}:{}", step.address, step.port), step.complete, step.event);
            let [first, second] = &mut twins;
            prop_assert_eq!(first.answer(now, &ask), second.answer(now, &ask));
        }
    }
}
