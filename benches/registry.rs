//! What an announce costs a conductor, by the members that it knows.
//!
//! `cargo bench --bench registry` measures one core; on a busy machine, believe the best of several runs.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use orchestra::limits::SWARM_MEMBERS_MAX;
use orchestra::logic::registry::{Ask, Bounds, Registry};
use orchestra::time::Moment;
use orchestra::wire::desk::{Announce, Event};

/// The most members of one swarm.
const FULL: u32 = 50_000;
const _: () = assert!(FULL as usize == SWARM_MEMBERS_MAX);
/// Members in all, and in each swarm.
const SIZES: [(u32, u32); 5] =
    [(1_000, 1_000), (100_000, 10), (100_000, 100), (100_000, 1_000), (100_000, FULL)];
/// One of so many members is complete.
const MEMBERS_PER_COMPLETE: u32 = 10;
/// Announces between two looks at the clock.
const BATCH: u32 = 32;
const NOW: Moment = Moment::from_micros(1_000_000);

/// The announce of the member with this number.
fn ask(number: u32, per_swarm: u32, event: Event) -> Ask {
    let mut swarm = [0; 32];
    swarm[..4].copy_from_slice(&(number / per_swarm).to_le_bytes());
    let complete = number.is_multiple_of(MEMBERS_PER_COMPLETE);
    let announce = Announce { swarm, port: 10_001, complete, left: u64::from(!complete), event };
    let from = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number));
    Ask { from, reached_on: IpAddr::V4(Ipv4Addr::new(10, 255, 0, 1)), announce }
}

fn answered(registry: &mut Registry, ask: &Ask) {
    let reply = registry.answer(NOW, ask);
    assert!(reply.is_ok(), "{reply:?}");
}

fn announces(criterion: &mut Criterion) {
    for (members, per_swarm) in SIZES {
        let mut registry = Registry::new(7, Bounds::default());
        // A swarm at its bound has no room for new ones.
        let known = if per_swarm == FULL { per_swarm - BATCH } else { per_swarm };
        let stands = |number: &u32| number % per_swarm < known;
        let mut rng = fastrand::Rng::with_seed(7);
        // Members of a swarm come at different times, so they lie far apart in memory.
        let mut arrivals: Vec<u32> = (0..members).filter(stands).collect();
        rng.shuffle(&mut arrivals);
        arrivals.iter().for_each(|&number| answered(&mut registry, &ask(number, per_swarm, Event::Started)));
        let mut group = criterion.benchmark_group(format!("{members} members"));
        group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
        group.bench_function(BenchmarkId::new("renewal", per_swarm), |bencher| {
            bencher.iter(|| {
                let number = std::iter::repeat_with(|| rng.u32(0..members)).find(stands).expect("some stand");
                answered(&mut registry, &ask(number, per_swarm, Event::Going));
            });
        });
        for (name, timed) in [("new member", Event::Started), ("leave", Event::Left)] {
            group.bench_function(BenchmarkId::new(name, per_swarm), |bencher| {
                bencher.iter_custom(|count| come_and_go(&mut registry, count, members, per_swarm, timed));
            });
        }
        group.finish();
    }
}

/// Lets `count` members come and go, a few at a time; the time that one of the two took.
fn come_and_go(registry: &mut Registry, count: u64, members: u32, per_swarm: u32, timed: Event) -> Duration {
    let (mut left, mut spent) = (count, Duration::ZERO);
    while left > 0 {
        let together = u32::try_from(left).unwrap_or(BATCH).min(BATCH);
        for event in [Event::Started, Event::Left] {
            let asks: Vec<Ask> = (0..together).map(|new| newcomer(new, members, per_swarm, event)).collect();
            let start = Instant::now();
            asks.iter().for_each(|ask| answered(registry, ask));
            if event == timed {
                spent += start.elapsed();
            }
        }
        left -= u64::from(together);
    }
    spent
}

/// The announce of one of a few members that nobody knows, each in another swarm as far as there are.
fn newcomer(new: u32, members: u32, per_swarm: u32, event: Event) -> Ask {
    let mut ask = ask((new * per_swarm + 1) % members, per_swarm, event);
    ask.from = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 | new));
    ask
}

criterion_group!(benches, announces);
criterion_main!(benches);
