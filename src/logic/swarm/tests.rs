//! Whole swarms of machines in a small, exact world: values instead of bytes, a queue instead of a network.
//! Every message takes [`LATENCY`], and every member sends at most [`UPLOAD`].

use std::collections::BTreeMap;

use super::*;
use crate::limits::MIB;
use crate::logic::giving::{Entry, Given};
use std::time::Duration;

const PART: u64 = MIB as u64;
const LATENCY: Duration = Duration::from_millis(1);
/// Bytes per second.
const UPLOAD: u64 = 100 * PART;

/// A message between two members, or back to the one who caused it.
#[derive(Debug)]
enum Event {
    Input(usize, Input),
    /// This member's far end must answer a want.
    Asked {
        from: usize,
        link: LinkId,
        run: Run,
    },
    /// The answer has arrived.
    Served {
        from: usize,
        link: LinkId,
        run: Run,
    },
}

struct Member {
    swarm: Swarm,
    /// The far end of each link: member and its id there.
    links: BTreeMap<LinkId, (usize, LinkId)>,
    sent: u64,
    given: BTreeMap<PartIndex, Entry>,
    /// When everything queued for sending has left.
    upload_free: Moment,
    finished: bool,
    alive: bool,
}

/// Members that reach each other at `10.0.0.N:1`, and a conductor that knows all of them.
struct World {
    layout: Layout,
    members: Vec<Member>,
    queue: BTreeMap<(Moment, u64), Event>,
    next_event: u64,
    now: Moment,
    next_link: u64,
    /// Members whose every part is wrong.
    liars: Vec<usize>,
    /// How many wrong parts they sent.
    lies: usize,
    /// Members that never answer.
    mute: Vec<usize>,
    conducting: bool,
}

fn address(member: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(member).unwrap()], 1))
}

fn member_id(member: usize) -> MemberId {
    MemberId::from_bytes([u8::try_from(member).unwrap(); 16])
}

impl World {
    /// `held[m]` draws what member `m` holds at the start.
    fn draw(held: &[&str], seed: u64) -> World {
        let layout = Layout::new(held[0].len() as u64 * PART, PART).unwrap();
        let mut world = World {
            layout,
            members: Vec::new(),
            queue: BTreeMap::new(),
            next_event: 0,
            now: Moment::from_micros(1_000_000),
            next_link: 0,
            liars: Vec::new(),
            lies: 0,
            mute: Vec::new(),
            conducting: true,
        };
        for (member, drawn) in held.iter().enumerate() {
            let rules = Rules {
                member: member_id(member),
                layout,
                links_per_member: 2,
                conductor: true,
                seed: seed + member as u64,
            };
            let swarm = Swarm::new(world.now, rules);
            let (links, upload_free) = (BTreeMap::new(), world.now);
            world.members.push(Member {
                swarm,
                links,
                sent: 0,
                given: BTreeMap::new(),
                upload_free,
                finished: false,
                alive: true,
            });
            world.soon(Event::Input(member, Input::Started));
            for (part, letter) in layout.all().zip(drawn.chars()) {
                world.soon(Event::Input(member, Input::Checked { run: Run::one(part), held: letter == '#' }));
            }
            world.soon(Event::Input(member, Input::CheckEnded));
        }
        world
    }

    fn soon(&mut self, event: Event) {
        self.at(self.now + LATENCY, event);
    }

    fn at(&mut self, when: Moment, event: Event) {
        self.queue.insert((when, self.next_event), event);
        self.next_event += 1;
    }

    fn step(&mut self, member: usize, input: Input) {
        if !self.members[member].alive {
            return;
        }
        let mut orders = Vec::new();
        self.members[member].swarm.step(self.now, input, &mut orders);
        for order in orders {
            self.obey(member, order);
        }
    }

    fn obey(&mut self, member: usize, order: Order) {
        match order {
            Order::Dial(to) => self.dial(member, to),
            Order::Want(link, run) => self.soon(Event::Asked { from: member, link, run }),
            Order::Cancel(link, run) => {
                self.soon(Event::Input(member, Input::Refused(link, run, Denial::Cancelled)));
            }
            Order::Publish(link) => {
                if let Some(&(far, far_link)) = self.members[member].links.get(&link) {
                    let held = self.members[member].swarm.held().runs();
                    self.soon(Event::Input(far, Input::HoldsAlso(far_link, held)));
                }
            }
            Order::Gossip(link, addresses) => {
                if let Some(&(far, far_link)) = self.members[member].links.get(&link) {
                    self.soon(Event::Input(far, Input::Gossip(far_link, addresses)));
                }
            }
            Order::Close(link, _) => self.cut(member, link),
            Order::Announce { .. } if !self.conducting => {
                self.soon(Event::Input(member, Input::ConductorSilent));
            }
            Order::Announce { .. } => {
                let others =
                    (0..self.members.len()).filter(|&other| other != member && self.members[other].alive);
                let members = others.map(address).collect();
                let roster = Roster { interval_ms: 5_000, complete: 0, getting: 0, members };
                self.soon(Event::Input(member, Input::Conducted(roster)));
            }
            Order::Finish => self.members[member].finished = true,
        }
    }

    fn dial(&mut self, member: usize, to: SocketAddr) {
        let far = (0..self.members.len()).find(|&far| address(far) == to && self.members[far].alive);
        let Some(far) = far else {
            self.soon(Event::Input(member, Input::DialFailed(to)));
            return;
        };
        let (near_link, far_link) = (LinkId(self.next_link), LinkId(self.next_link + 1));
        self.next_link += 2;
        self.members[member].links.insert(near_link, (far, far_link));
        self.members[far].links.insert(far_link, (member, near_link));
        for (one, link, other, dialled) in [(member, near_link, far, Some(to)), (far, far_link, member, None)]
        {
            let hello = Hello { member: member_id(other), port: 1, abilities: 0 };
            let up = Input::LinkUp { link, hello, remote: address(other), dialled, keyed: true };
            self.soon(Event::Input(one, up));
            let held = self.members[other].swarm.held().clone();
            self.soon(Event::Input(one, Input::Holds(link, held)));
        }
    }

    fn cut(&mut self, member: usize, link: LinkId) {
        if let Some((far, far_link)) = self.members[member].links.remove(&link) {
            self.members[far].links.remove(&far_link);
            self.soon(Event::Input(member, Input::LinkDown(link)));
            self.soon(Event::Input(far, Input::LinkDown(far_link)));
        }
    }

    fn asked(&mut self, from: usize, link: LinkId, run: Run) {
        let Some(&(far, far_link)) = self.members[from].links.get(&link) else { return };
        if self.mute.contains(&far) {
            return;
        }
        if self.liars.contains(&far) {
            self.lies += 1;
            self.step(from, Input::Corrupt(link, run.first()));
            self.cut(far, far_link);
            return;
        }
        let held = run.parts().all(|part| self.members[far].swarm.held().contains(part));
        assert!(held, "asked for what the other side never claimed");
        let to = u32::try_from(from).unwrap();
        let complete = self.members[far].swarm.is_complete();
        let given = &mut self.members[far].given;
        let entry = |part| given.get(&part).copied().unwrap_or_default();
        if run.parts().any(|part| !Entry::may_give(entry(part), self.now, complete, false, to)) {
            self.soon(Event::Input(from, Input::Refused(link, run, Denial::Elsewhere)));
            return;
        }
        for part in run.parts() {
            let entry = given.entry(part).or_default();
            let given = Given { to, at: self.now };
            *entry = entry.promised(given).unwrap_or(*entry);
            *entry = entry.sent(given).unwrap_or(*entry);
        }
        self.soon(Event::Input(from, Input::Coming(link, run)));
        let bytes = self.layout.bytes_of(run);
        let far = &mut self.members[far];
        far.sent += bytes;
        far.upload_free = far.upload_free.max(self.now) + Duration::from_micros(bytes * 1_000_000 / UPLOAD);
        let arrives = far.upload_free + LATENCY;
        self.at(arrives, Event::Served { from, link, run });
    }

    fn served(&mut self, from: usize, link: LinkId, run: Run) {
        if self.members[from].links.contains_key(&link) {
            self.step(from, Input::Stored(link, run));
        }
    }

    /// Runs until everybody who can finish has, or `seconds` have passed.
    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        let mut tick = self.now + TICK_INTERVAL;
        while self.now < end && !self.members.iter().all(|member| member.finished || !member.alive) {
            match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= tick => {
                    let ((when, _), event) = entry.remove_entry();
                    self.now = when;
                    match event {
                        Event::Input(member, input) => self.step(member, input),
                        Event::Asked { from, link, run } => self.asked(from, link, run),
                        Event::Served { from, link, run } => self.served(from, link, run),
                    }
                }
                _ => {
                    self.now = tick;
                    tick = tick + TICK_INTERVAL;
                    for member in 0..self.members.len() {
                        self.step(member, Input::Tick { held_back: false });
                    }
                }
            }
        }
    }

    fn finished(&self) -> Vec<bool> {
        self.members.iter().map(|member| member.finished).collect()
    }
}

#[test]
fn one_gets_all_from_another() {
    let mut world = World::draw(&["########", "........"], 1);
    world.run(10);
    assert_eq!(world.finished(), [true, true]);
    assert_eq!(world.members[0].sent, 8 * PART);
    world.run(1);
    assert!(world.members.iter().all(|member| member.links.is_empty()), "two complete members part");
}

#[test]
fn halves_make_a_whole() {
    for seed in 0..20 {
        let mut world = World::draw(&["####....", "....####", "........"], seed);
        world.run(30);
        assert_eq!(world.finished(), [true, true, true], "seed {seed}");
    }
}

#[test]
fn the_sharing_member_is_spared() {
    for seed in 0..10 {
        let none = ".".repeat(200);
        let all = "#".repeat(200);
        let mut world = World::draw(&[&all, &none, &none, &none, &none], seed);
        let start = world.now;
        world.run(60);
        let bound = Duration::from_secs(2);
        assert!(world.now.since(start) < bound * 5 / 4, "seed {seed}: {:?}", world.now.since(start));
        assert_eq!(world.finished(), [true; 5], "seed {seed}");
        let sent = world.members[0].sent as f64 / (200 * PART) as f64;
        assert!(sent <= 1.2, "seed {seed}: it sent {sent:.2} times the file");
    }
}

#[test]
fn a_member_that_never_answers_is_worked_around() {
    let mut world = World::draw(&["########", "########", "........"], 4);
    world.mute.push(0);
    world.members[0].finished = true;
    world.run(10);
    assert!(world.members[2].finished);
}

#[test]
fn a_liar_is_blamed_and_not_dialled_again() {
    // Only the liar claims the last part, so its victim has every reason to come back.
    let mut world = World::draw(&["########", "#######.", "........"], 4);
    world.liars.push(0);
    world.run(20);
    assert_eq!(world.members[2].swarm.held().count(), 7, "the honest one gave what it has");
    // One wrong part for each link that was up when the first came.
    assert!((1..=4).contains(&world.lies), "{} wrong parts", world.lies);
    assert!(world.members[2].links.values().all(|&(far, _)| far != 0));
}

#[test]
fn a_swarm_outlives_its_conductor() {
    // Member 2 knows only member 1; member 1 passes on where member 0 is.
    let mut world = World::draw(&["########", "........", "........"], 9);
    world.conducting = false;
    world.soon(Event::Input(1, Input::Named(address(0))));
    world.soon(Event::Input(2, Input::Named(address(1))));
    world.run(60);
    assert_eq!(world.finished(), [true; 3]);
}

#[test]
fn it_says_why_nothing_moves() {
    let mut world = World::draw(&["###.....", "........"], 2);
    world.run(5);
    let quiet = world.members[1].swarm.quiet(world.now);
    assert!(matches!(quiet, Some(Quiet::NoHolder { first, parts: 5 }) if first.get() == 3), "{quiet:?}");

    let mut world = World::draw(&["........"], 2);
    world.run(5);
    assert_eq!(world.members[0].swarm.quiet(world.now), Some(Quiet::Alone));

    let mut world = World::draw(&["........"], 2);
    world.conducting = false;
    world.run(5);
    assert_eq!(world.members[0].swarm.quiet(world.now), Some(Quiet::ConductorSilent));
    world.soon(Event::Input(0, Input::Named(address(200))));
    world.run(5);
    assert_eq!(world.members[0].swarm.quiet(world.now), Some(Quiet::NoneReachable { known: 1 }));
}

#[test]
fn bytes_that_nobody_asked_for_end_the_link() {
    let mut world = World::draw(&["########", "........"], 2);
    world.mute.push(0);
    world.run(1);
    let (&link, _) = world.members[1].links.first_key_value().unwrap();
    // A window begins with one part, so the link was not asked for all of them.
    let run = world.layout.whole().unwrap();
    let mut orders = Vec::new();
    world.members[1].swarm.step(world.now, Input::Stored(link, run), &mut orders);
    assert!(orders.contains(&Order::Close(link, Reason::Fault)), "{orders:?}");
}

#[test]
fn who_leaves_says_goodbye_unless_the_conductor_never_heard_of_it() {
    let rules = |conductor| Rules {
        member: member_id(0),
        layout: Layout::new(PART, PART).unwrap(),
        links_per_member: 2,
        conductor,
        seed: 7,
    };
    let now = Moment::from_micros(1_000_000);
    let goodbyes = |mut swarm: Swarm, inputs: &[Input]| {
        let mut orders = Vec::new();
        inputs.iter().for_each(|input| swarm.step(now, input.clone(), &mut orders));
        orders.clear();
        swarm.step(now, Input::Stopped, &mut orders);
        let is_goodbye =
            |order: &&Order| matches!(order, Order::Announce { event: crate::wire::desk::Event::Left, .. });
        orders.iter().filter(is_goodbye).count()
    };
    let asked = [Input::Started, Input::Tick { held_back: false }];
    assert_eq!(goodbyes(Swarm::new(now, rules(true)), &asked), 1, "the question is on its way");
    let silent = [&asked[..], &[Input::ConductorSilent]].concat();
    assert_eq!(goodbyes(Swarm::new(now, rules(true)), &silent), 0, "nobody answers there");
    assert_eq!(goodbyes(Swarm::new(now, rules(true)), &[]), 0, "nothing was said");
    assert_eq!(goodbyes(Swarm::new(now, rules(false)), &asked), 0);
}

#[test]
fn a_stopped_member_closes_everything() {
    let mut world = World::draw(&["########", "........"], 2);
    world.mute.push(0);
    world.run(1);
    let links = world.members[1].links.len();
    let mut orders = Vec::new();
    world.members[1].swarm.step(world.now, Input::Stopped, &mut orders);
    let closed = orders.iter().filter(|order| matches!(order, Order::Close(_, Reason::Leaving))).count();
    assert_eq!(closed, links);
    let later = world.now + TICK_INTERVAL;
    world.members[1].swarm.step(later, Input::Tick { held_back: false }, &mut Vec::new());
    assert_eq!(world.members[1].swarm.deadline(), later + TICK_INTERVAL, "nobody spins until it has left");
    assert!(
        orders
            .iter()
            .any(|order| matches!(order, Order::Announce { event: crate::wire::desk::Event::Left, .. }))
    );
}
