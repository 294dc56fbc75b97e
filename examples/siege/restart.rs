//! Members of a conductor that goes away under them and comes back empty: when they find it again, and whether all
//! at once.
//!
//! The machines of member and conductor are the real ones; clock and network are made up, so a minute of ten
//! thousand members takes a moment and every run is the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use orchestra::identity::MemberId;
use orchestra::logic::registry::{Ask, Bounds, Registry};
use orchestra::logic::swarm::{Input, Order, Rules, Swarm};
use orchestra::part::Layout;
use orchestra::time::Moment;
use orchestra::wire::desk::{Announce, Event};

use super::bar;

const MEMBERS: usize = 10_000;
const SWARMS: usize = 100;
/// Members get a composition that nobody has, so they all stay.
const LAYOUT: (u64, u64) = (1 << 20, 1 << 20);
/// Until the members have spread over the interval.
const CALM: Duration = Duration::from_secs(300);
/// The time on the wire.
const LATENCY: Duration = Duration::from_millis(1);
/// Steps of the pictures.
const COLUMN: Duration = Duration::from_secs(2);
/// The bars: everybody is back after the longest pause that is due, and no second has many times what it should.
const INTERVAL: Duration = Duration::from_secs(33);
const RETRY_MAX: Duration = Duration::from_secs(66);
const CROWD_MAX: usize = 5;

pub(crate) fn play(tenth: usize) -> bool {
    let members = MEMBERS / tenth;
    println!("\nrestart: {members} members in {SWARMS} swarms, on a virtual clock");
    let mut holds = true;
    for (gone, within) in [(2, INTERVAL), (30, RETRY_MAX), (600, RETRY_MAX)] {
        let outage = Duration::from_secs(gone);
        let seen = World::new(members).lives_through(outage);
        let back = seen.back.iter().max().copied().unwrap_or_default();
        let all = seen.back.len() == members;
        println!("       gone for {gone} s; announces in each {} s after it is back:", COLUMN.as_secs());
        draw(&seen.columns);
        let said = format!(
            "all {members} are back after {:.1} s, the bar is {} s",
            back.as_secs_f64(),
            within.as_secs()
        );
        holds &= bar(all && back <= within, &said);
        let most = seen.seconds.iter().max().copied().unwrap_or_default();
        let times = most as f64 / seen.usual;
        let said = format!(
            "{most} announces in the fullest second, {times:.1} times the {:.0} of calm days; the bar is {CROWD_MAX}",
            seen.usual
        );
        holds &= bar(times <= CROWD_MAX as f64, &said);
    }
    holds
}

fn draw(columns: &[usize]) {
    let most = columns.iter().max().copied().unwrap_or(1).max(1);
    for (at, &count) in columns.iter().enumerate() {
        let after = COLUMN.as_secs() * at as u64;
        println!("       {after:>4} s {count:>6} {}", "#".repeat((count * 50).div_ceil(most)));
    }
}

/// What was seen after the conductor came back.
struct Seen {
    /// Announces in each column and each second since then.
    columns: Vec<usize>,
    seconds: Vec<usize>,
    /// After how long each member was known again.
    back: Vec<Duration>,
    /// Announces a second in the last interval before.
    usual: f64,
}

struct World {
    now: Moment,
    members: Vec<Swarm>,
    registry: Registry,
    up: bool,
    /// What happens next: when, the number of the event, and to which member.
    queue: BinaryHeap<Reverse<(Moment, u64, usize, Next)>>,
    events: u64,
    /// When announces arrived at a conductor that was there, and of whom.
    arrived: Vec<(Moment, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Started,
    Tick,
    Arrives { event: u8, left: u64 },
}

impl World {
    fn new(members: usize) -> World {
        let now = Moment::from_micros(1_000_000);
        let layout = Layout::new(LAYOUT.0, LAYOUT.1).unwrap();
        let swarm = |number: usize| {
            let member = MemberId::from_bytes((number as u128).to_le_bytes());
            let rules = Rules { member, layout, links_per_member: 1, conductor: true, seed: number as u64 };
            Swarm::new(now, rules)
        };
        let mut world = World {
            now,
            members: (0..members).map(swarm).collect(),
            registry: Registry::new(7, Bounds::default()),
            up: true,
            queue: BinaryHeap::new(),
            events: 0,
            arrived: Vec::new(),
        };
        let mut rng = fastrand::Rng::with_seed(7);
        for member in 0..members {
            world.at(now + Duration::from_millis(rng.u64(..60_000)), member, Next::Started);
        }
        world
    }

    fn lives_through(mut self, outage: Duration) -> Seen {
        let gone = self.now + CALM;
        self.runs_until(gone);
        let lately = gone.since(Moment::START).saturating_sub(INTERVAL);
        let usual = self.arrived.iter().filter(|(when, _)| when.since(Moment::START) >= lately).count();
        self.up = false;
        let back = gone + outage;
        self.runs_until(back);
        self.up = true;
        self.registry = Registry::new(8, Bounds::default());
        self.arrived.clear();
        self.runs_until(back + RETRY_MAX);
        let mut known = vec![None; self.members.len()];
        let (mut columns, mut seconds) = (Vec::new(), Vec::new());
        for &(when, member) in &self.arrived {
            let after = when.since(back);
            known[member].get_or_insert(after);
            for (counts, width) in [(&mut columns, COLUMN), (&mut seconds, Duration::from_secs(1))] {
                let at = usize::try_from(after.as_millis() / width.as_millis()).unwrap();
                counts.resize(counts.len().max(at + 1), 0);
                counts[at] += 1;
            }
        }
        let usual = usual as f64 / INTERVAL.as_secs_f64();
        Seen { columns, seconds, back: known.into_iter().flatten().collect(), usual }
    }

    fn at(&mut self, when: Moment, member: usize, next: Next) {
        self.queue.push(Reverse((when, self.events, member, next)));
        self.events += 1;
    }

    fn runs_until(&mut self, end: Moment) {
        while let Some(&Reverse((when, _, member, next))) = self.queue.peek().filter(|next| next.0.0 < end) {
            self.queue.pop();
            self.now = when;
            match next {
                Next::Started => {
                    let parts = self.members[member].held().layout().whole().expect("it has parts");
                    self.step(member, Input::Started);
                    self.step(member, Input::Checked { run: parts, held: true });
                    self.step(member, Input::CheckEnded);
                    self.at(when, member, Next::Tick);
                }
                Next::Tick => {
                    self.step(member, Input::Tick { held_back: false });
                    let due = self.members[member].deadline().max(when + Duration::from_millis(1));
                    self.at(due, member, Next::Tick);
                }
                Next::Arrives { event, left } => {
                    let answer = self.answer(member, event, left);
                    self.step(member, answer);
                }
            }
        }
        self.now = end;
    }

    fn step(&mut self, member: usize, input: Input) {
        let mut orders = Vec::new();
        self.members[member].step(self.now, input, &mut orders);
        for order in orders {
            match order {
                Order::Announce { event, left } => {
                    self.at(self.now + LATENCY, member, Next::Arrives { event: event as u8, left });
                }
                // There is nobody else to be reached.
                Order::Dial(address) => self.step(member, Input::DialFailed(address)),
                _ => {}
            }
        }
    }

    fn answer(&mut self, member: usize, event: u8, left: u64) -> Input {
        if !self.up {
            return Input::ConductorSilent;
        }
        self.arrived.push((self.now, member));
        let mut swarm = [0; 32];
        swarm[..8].copy_from_slice(&((member % SWARMS) as u64).to_le_bytes());
        let event = [Event::Started, Event::Going, Event::Completed, Event::Left][usize::from(event)];
        let announce = Announce { swarm, port: 10_001, complete: left == 0, left, event };
        let from = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(member).unwrap()));
        match self
            .registry
            .answer(self.now, &Ask { from, reached_on: IpAddr::from([10, 255, 0, 1]), announce })
        {
            Ok(roster) => Input::Conducted(roster),
            Err(_) => Input::ConductorRefused,
        }
    }
}
