//! What one step of the swarm costs: parts stored and the next ones wanted, news from a link, a refusal, a tick.
//!
//! The machine is the real one, with 50 links; what it wants of them is answered by hand, in the order of asking.
//! The time is that of [`Swarm::step`]: what the director spends on one event, beside passing on the orders.
//!
//! `cargo bench --bench swarm` takes some two minutes; `cargo bench --bench swarm -- '1048576 .* stored'` is a part.
//! On a busy machine, believe the best of several runs.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use orchestra::identity::MemberId;
use orchestra::limits::{KIB, LINKS_MAX, PARTS_DEFAULT_MAX, PARTS_MAX, RUN_BYTES};
use orchestra::logic::swarm::{Input, LinkId, Order, Rules, Swarm};
use orchestra::part::{Layout, Run};
use orchestra::part_set::PartSet;
use orchestra::time::Moment;
use orchestra::wire::member::{Denial, Hello};

/// 1 GiB as it is cut by default, and 16 GiB in the most parts that there are: their number and length.
const SHAPES: [(u32, usize); 2] = [(PARTS_DEFAULT_MAX, 512 * KIB), (PARTS_MAX, 16 * KIB)];
/// Between two steps: as if the links brought 3 GB/s together.
const PAUSE: Duration = Duration::from_micros(300);
/// Steps between two looks at the clock.
const BATCH: u64 = 16;
/// A world is made anew after so many steps: refusals and news would else change what it is.
const STEPS_MAX: u64 = 4_096;

/// Who is linked.
#[derive(Clone, Copy)]
enum Links {
    /// Members that hold everything.
    Complete,
    /// Members that hold each part or not, as a coin falls: short runs of any rarity.
    Halves,
    /// One that holds everything, and members that have got as much as we have, each something else.
    Getting,
    /// Members that hold some half of the parts, and for every four of them one that holds just the others: what is
    /// rarest is everywhere, and most links do not have it.
    Camps,
}

/// How far the transfer is.
#[derive(Clone, Copy)]
enum Phase {
    Early,
    Middle,
    End,
}

/// What happens.
#[derive(Clone, Copy)]
enum Step {
    /// What was wanted longest is stored; the next want follows.
    Stored,
    /// A link holds one more run.
    News,
    /// What was wanted longest is refused; others are asked for it.
    Refused,
    /// A quarter of a second has passed.
    Tick,
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Links::Complete => "complete links",
            Links::Halves => "links with random halves",
            Links::Getting => "one complete link",
            Links::Camps => "links in two camps",
        })
    }
}

impl Phase {
    /// The hundredths that are held when it begins and when it ends.
    const fn span(self) -> (u8, u8) {
        match self {
            Phase::Early => (0, 10),
            Phase::Middle => (50, 60),
            Phase::End => (98, 100),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Early => "early",
            Phase::Middle => "middle",
            Phase::End => "end",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Stored => "stored",
            Step::News => "news",
            Step::Refused => "refused",
            Step::Tick => "tick",
        })
    }
}

/// A swarm in the middle of things, and what it has asked for.
struct World {
    swarm: Swarm,
    layout: Layout,
    now: Moment,
    orders: Vec<Order>,
    /// What is in flight, oldest first.
    wanted: VecDeque<(LinkId, Run)>,
    rng: fastrand::Rng,
}

impl World {
    fn new((parts, part_len): (u32, usize), links: Links, phase: Phase) -> World {
        let layout = Layout::new(u64::from(parts) * part_len as u64, part_len as u64).expect("a layout");
        let now = Moment::from_micros(1_000_000);
        let member = MemberId::from_bytes([0; 16]);
        let rules = Rules { member, layout, links_per_member: 2, conductor: true, seed: 7 };
        let mut world = World {
            swarm: Swarm::new(now, rules),
            layout,
            now,
            orders: Vec::new(),
            wanted: VecDeque::new(),
            rng: fastrand::Rng::with_seed(7),
        };
        world.step(Input::Started);
        let (held, _) = phase.span();
        let half = world.random_half();
        let rest = complement(&half);
        for number in 0..LINKS_MAX {
            let set = match links {
                Links::Complete => PartSet::full(layout),
                Links::Getting if number == 0 => PartSet::full(layout),
                // Early, too, they have begun.
                Links::Getting => world.random_runs(held.max(1)),
                Links::Halves => world.random_half(),
                Links::Camps if number % 5 == 0 => rest.clone(),
                Links::Camps => half.clone(),
            };
            world.link(number, set);
        }
        let ours = world.random_runs(held);
        for run in runs(layout) {
            world.step(Input::Checked { run, held: ours.contains(run.first()) });
        }
        world.step(Input::CheckEnded);
        // The windows open.
        for _ in 0..runs(layout).count() / 100 {
            world.take(Step::Stored);
        }
        world
    }

    fn link(&mut self, number: usize, holds: PartSet) {
        let host = u8::try_from(number + 1).expect("there are few links");
        let link = LinkId(u64::from(host));
        let hello = Hello { member: MemberId::from_bytes([host; 16]), port: 10_001, abilities: 0 };
        let remote = SocketAddr::from(([10, 0, 0, host], 10_001));
        self.step(Input::LinkUp { link, hello, remote, dialled: None, keyed: true });
        self.step(Input::Holds(link, holds));
    }

    fn random_half(&mut self) -> PartSet {
        let mut bytes = vec![0; (self.layout.parts() as usize).div_ceil(8)];
        self.rng.fill(&mut bytes);
        PartSet::from_bytes(self.layout, &bytes).expect("both layouts have a multiple of 8 parts")
    }

    /// So many hundredths of all parts, in runs as members ask for them.
    fn random_runs(&mut self, hundredths: u8) -> PartSet {
        let mut set = PartSet::empty(self.layout);
        for run in runs(self.layout) {
            if self.rng.u8(0..100) < hundredths {
                for part in run.parts() {
                    set.insert(part);
                }
            }
        }
        set
    }

    /// Takes one step of this kind; false if there is none to take.
    fn take(&mut self, step: Step) -> bool {
        self.now = self.now + PAUSE;
        match step {
            Step::Stored => {
                let Some((link, run)) = self.wanted.pop_front() else { return false };
                self.step(Input::Stored(link, run));
            }
            Step::Refused => {
                let Some((link, run)) = self.wanted.pop_front() else { return false };
                self.step(Input::Refused(link, run, Denial::Elsewhere));
            }
            Step::News => {
                let link = LinkId(self.rng.u64(1..=LINKS_MAX as u64));
                let count = run_parts(self.layout);
                let first = self.rng.u32(0..self.layout.parts() / count) * count;
                let run = self.layout.run(first, count).expect("runs tile the layout");
                self.step(Input::HoldsAlso(link, vec![run]));
            }
            Step::Tick => self.step(Input::Tick { held_back: false }),
        }
        true
    }

    fn step(&mut self, input: Input) {
        self.swarm.step(self.now, input, &mut self.orders);
        for order in self.orders.drain(..) {
            if let Order::Want(link, run) = order {
                self.wanted.push_back((link, run));
            }
        }
    }

    fn is_within(&self, phase: Phase) -> bool {
        let hundredths = u64::from(self.swarm.held().count()) * 100 / u64::from(self.layout.parts());
        hundredths < u64::from(phase.span().1)
    }
}

fn complement(set: &PartSet) -> PartSet {
    let mut rest = PartSet::full(set.layout());
    for part in set.iter() {
        rest.remove(part);
    }
    rest
}

/// The runs that members ask for, all of them.
fn runs(layout: Layout) -> impl Iterator<Item = Run> {
    let mut rest = layout.whole();
    std::iter::from_fn(move || {
        let (run, after) = rest?.split_at(run_parts(layout));
        rest = after;
        Some(run)
    })
}

fn run_parts(layout: Layout) -> u32 {
    u32::try_from(RUN_BYTES / u64::from(layout.part_len())).expect("a run has few parts")
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, step: Step, phase: Phase, make: impl Fn() -> World) {
    group.bench_function(format!("{step}, {phase}"), |bencher| {
        bencher.iter_custom(|steps| {
            let (mut done, mut spent) = (0, Duration::ZERO);
            while done < steps {
                let mut world = make();
                let mut taken = 0;
                while done < steps && taken < STEPS_MAX && world.is_within(phase) {
                    let start = Instant::now();
                    let batch = (0..BATCH).take_while(|_| world.take(step)).count() as u64;
                    spent += start.elapsed();
                    taken += batch;
                    done += batch;
                    if batch < BATCH {
                        break;
                    }
                }
                assert!(taken > 0, "a new world has such a step");
            }
            spent.mul_f64(steps as f64 / done as f64)
        });
    });
}

fn swarm(criterion: &mut Criterion) {
    for shape in SHAPES {
        for links in [Links::Complete, Links::Halves, Links::Getting, Links::Camps] {
            let mut group = criterion.benchmark_group(format!("{} parts, {links}", shape.0));
            group.sample_size(10).warm_up_time(Duration::from_millis(200));
            group.measurement_time(Duration::from_millis(800));
            for phase in [Phase::Early, Phase::Middle, Phase::End] {
                for step in [Step::Stored, Step::News, Step::Refused, Step::Tick] {
                    // Complete members have no news.
                    if !matches!((step, links), (Step::News, Links::Complete)) {
                        measure(&mut group, step, phase, || World::new(shape, links, phase));
                    }
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, swarm);
criterion_main!(benches);
