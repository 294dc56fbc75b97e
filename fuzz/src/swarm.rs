//! One member among strangers who say whatever the protocol has words for, in any order, on several links.
//!
//! Swarm and sessions are the real ones; the input plays the far ends, the conductor, the disk and the clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use orchestra::identity::MemberId;
use orchestra::limits::{
    DIALS_MAX, LINKS_MAX, OWED_RUNS_MAX, ROSTER_MAX, RUN_BYTES_U32, TICK_INTERVAL, WINDOW_BYTES_MAX,
};
use orchestra::logic::session::{Owed, Reaction, Session, owed_bytes_max};
use orchestra::logic::swarm::{Flow, Input, LinkId, Order, Rules, Swarm};
use orchestra::part::{Layout, PartIndex, Run};
use orchestra::part_set::PartSet;
use orchestra::time::Moment;
use orchestra::wire::desk::{Event, Roster};
use orchestra::wire::member::{Denial, Have, Hello, Message, Reason, Span};

use super::script::Script;

/// Size and part size: nothing, one byte, short last parts, runs of many parts, parts as long as they may be.
const LAYOUTS: [(u64, u64); 7] = [
    (0, 1),
    (1, 1),
    (8 << 20, 1 << 20),
    (1_000_001, 16_384),
    (200, 1),
    (100_000, 7_000),
    (80 << 20, 16 << 20),
];
const DENIALS: [Denial; 3] = [Denial::NotHeld, Denial::Cancelled, Denial::Elsewhere];
const REASONS: [Reason; 7] = [
    Reason::Leaving,
    Reason::Complete,
    Reason::TooMany,
    Reason::Idle,
    Reason::Fault,
    Reason::Renew,
    Reason::Oneself,
];

/// Whatever is said and happens, what the member orders makes sense and its bounds hold.
pub fn swarm(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(&mut script);
    while !script.is_over() {
        world.happens(&mut script);
    }
}

struct World {
    swarm: Swarm,
    layout: Layout,
    now: Moment,
    links: BTreeMap<LinkId, Far>,
    next_link: u64,
    /// Dials under way.
    dials: Vec<SocketAddr>,
    /// How many parts were looked at on disk.
    checked: u32,
    /// Announces under way.
    asks: usize,
    finished: bool,
    stopped: bool,
    /// What was held at the last look.
    held: u32,
}

/// The far end of a link.
struct Far {
    session: Session,
    member: u8,
    remote: SocketAddr,
    dialled: Option<SocketAddr>,
    /// The swarm was told of it.
    up: bool,
    /// The swarm has closed it; the threads of the link have not ended yet.
    closing: bool,
    /// What it says it holds.
    claims: PartSet,
    /// What it was asked for and has not answered, oldest first.
    asked: Vec<Run>,
    /// What it has asked us for.
    owed: Owed,
    flow: Flow,
}

impl World {
    fn new(script: &mut Script<'_>) -> World {
        let &(size, part_len) = script.among(&LAYOUTS).expect("there are layouts");
        let layout = Layout::new(size, part_len).expect("these are layouts");
        let rules = Rules {
            member: member_id(0),
            layout,
            links_per_member: 1 + script.below(4),
            conductor: !script.byte().is_multiple_of(4),
            seed: u64::from(script.byte()),
        };
        let now = Moment::from_micros(1_000_000);
        let mut world = World {
            swarm: Swarm::new(now, rules),
            layout,
            now,
            links: BTreeMap::new(),
            next_link: 0,
            dials: Vec::new(),
            checked: 0,
            asks: 0,
            finished: false,
            stopped: false,
            held: 0,
        };
        world.step(Input::Started);
        world
    }

    fn happens(&mut self, script: &mut Script<'_>) {
        match script.byte() % 24 {
            0 | 1 => self.connects(script, None),
            2 | 3 => {
                if !self.dials.is_empty() {
                    let dialled = self.dials.swap_remove(script.below(self.dials.len()));
                    self.connects(script, Some(dialled));
                }
            }
            4 => {
                if !self.dials.is_empty() {
                    let dialled = self.dials.swap_remove(script.below(self.dials.len()));
                    self.step(Input::DialFailed(dialled));
                }
            }
            5..=11 => self.says(script),
            12..=14 => self.answers(script),
            15 | 16 => self.looks_at_disk(script),
            17 | 18 => self.time_passes(script),
            19 => self.conductor_answers(script),
            20 => {
                let address = address(script);
                self.step(Input::Named(address));
            }
            21 => {
                if let Some(link) = self.some_link(script) {
                    self.ends(link);
                }
            }
            22 => self.stale(script),
            _ => {
                if script.byte() == 255 {
                    self.step(Input::Stopped);
                    self.stopped = true;
                }
            }
        }
    }

    fn some_link(&self, script: &mut Script<'_>) -> Option<LinkId> {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        script.among(&links).copied()
    }

    fn connects(&mut self, script: &mut Script<'_>, dialled: Option<SocketAddr>) {
        // The director counts those who have said nothing apart.
        if self.links.len() >= 2 * LINKS_MAX {
            return;
        }
        let member = script.byte() % 8;
        let remote = dialled.unwrap_or_else(|| address(script));
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let far = Far {
            session: Session::new(self.layout),
            member,
            remote,
            dialled,
            up: false,
            closing: false,
            claims: PartSet::empty(self.layout),
            asked: Vec::new(),
            owed: Owed::default(),
            flow: Flow::default(),
        };
        self.links.insert(link, far);
        // Most say hello and what they hold; the others may say anything first.
        let talk = script.byte();
        if talk & 1 == 0 {
            self.message(
                script,
                link,
                Message::Hello(Hello { member: member_id(member), port: 9, abilities: 0 }),
            );
        }
        if talk & 3 == 0 {
            let have = have(script, self.layout);
            self.message(script, link, Message::Have(have));
        }
    }

    fn says(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.some_link(script) else { return };
        let member = self.links[&link].member;
        let message = message(script, self.layout, member);
        self.message(script, link, message);
    }

    /// What a link's reader does with a message.
    fn message(&mut self, script: &mut Script<'_>, link: LinkId, message: Message) {
        let Some(far) = self.links.get_mut(&link) else { return };
        let Ok(reaction) = far.session.on_message(message, far.owed) else { return self.ends(link) };
        match reaction {
            Reaction::Introduced(hello) => {
                far.up = true;
                let (remote, dialled) = (far.remote, far.dialled);
                self.step(Input::LinkUp { link, hello, remote, dialled, keyed: true });
            }
            Reaction::Holds(set) => {
                far.claims = set.clone();
                self.step(Input::Holds(link, set));
            }
            Reaction::HoldsAlso(runs) => {
                for part in runs.iter().flat_map(|run| run.parts()) {
                    far.claims.insert(part);
                }
                self.step(Input::HoldsAlso(link, runs));
            }
            Reaction::Serve(run) => {
                far.owed.bytes += self.layout.bytes_of(run);
                far.owed.runs += 1;
                assert!(far.owed.bytes <= owed_bytes_max(self.layout) && far.owed.runs <= OWED_RUNS_MAX);
            }
            Reaction::Withdraw(_) => far.owed = Owed::default(),
            Reaction::Receive(run) => {
                self.step(Input::Coming(link, run));
                match script.byte() & 1 {
                    0 => self.stored(link, run),
                    _ => self.corrupt(script, link, run),
                }
            }
            Reaction::Refused(run, denial) => self.refused(link, run, denial),
            Reaction::Roster(addresses) => self.step(Input::Gossip(link, addresses)),
            Reaction::Ended(_) => self.ends(link),
        }
    }

    /// An honest far end answers what it was asked for.
    fn answers(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.some_link(script) else { return };
        let Some(&asked) = self.links[&link].asked.first() else { return };
        let (head, _) = asked.split_at(1 + u32::from(script.byte()));
        match script.byte() % 8 {
            0 => self.refused(link, head, DENIALS[script.below(DENIALS.len())]),
            1 => self.corrupt(script, link, head),
            // It begins, and goes on later.
            2 => self.step(Input::Coming(link, head)),
            _ => self.stored(link, head),
        }
    }

    fn stored(&mut self, link: LinkId, run: Run) {
        self.answered(link, run);
        self.step(Input::Stored(link, run));
    }

    fn refused(&mut self, link: LinkId, run: Run, denial: Denial) {
        self.answered(link, run);
        self.step(Input::Refused(link, run, denial));
    }

    fn corrupt(&mut self, script: &mut Script<'_>, link: LinkId, run: Run) {
        let parts: Vec<PartIndex> = run.parts().collect();
        let &part = script.among(&parts).expect("a run has parts");
        self.step(Input::Corrupt(link, part));
        self.ends(link);
    }

    /// Takes the run out of what the link was asked for.
    fn answered(&mut self, link: LinkId, run: Run) {
        let Some(far) = self.links.get_mut(&link) else { return };
        let asked = std::mem::take(&mut far.asked);
        far.asked = asked
            .into_iter()
            .flat_map(|asked| match asked.intersect(run) {
                None => [Some(asked), None],
                Some(common) => asked.minus(common),
            })
            .flatten()
            .collect();
    }

    /// A link's threads have ended.
    fn ends(&mut self, link: LinkId) {
        let Some(far) = self.links.remove(&link) else { return };
        match far.dialled {
            _ if far.up => self.step(Input::LinkDown(link)),
            Some(dialled) => self.step(Input::DialFailed(dialled)),
            None => {}
        }
    }

    fn looks_at_disk(&mut self, script: &mut Script<'_>) {
        let count = 1 + u32::from(script.byte()) / 2;
        let left = self.layout.parts() - self.checked;
        match self.layout.run(self.checked, count.min(left)) {
            Some(run) => {
                self.checked += run.count();
                self.step(Input::Checked { run, held: script.byte().is_multiple_of(4) });
            }
            None if !self.swarm.is_checked() => self.step(Input::CheckEnded),
            None => {}
        }
    }

    fn time_passes(&mut self, script: &mut Script<'_>) {
        let span = match script.byte() {
            255 => Duration::from_secs(3_600),
            ticks @ 192.. => TICK_INTERVAL * u32::from(ticks),
            millis => Duration::from_millis(u64::from(millis)),
        };
        self.now = self.now + span;
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            let far = self.links.get_mut(&link).expect("no link ends here");
            far.flow.received += u64::from(script.byte()) * 1_000;
            let flow = far.flow;
            if far.up {
                self.step(Input::Flowed(link, flow));
            }
        }
        self.step(Input::Tick { held_back: script.byte() == 1 });
        // It may be asked at any time.
        let quiet = self.swarm.quiet(self.now);
        assert!(
            quiet.is_none() || !self.swarm.is_complete(),
            "a complete member waits for nothing: {quiet:?}"
        );
    }

    fn conductor_answers(&mut self, script: &mut Script<'_>) {
        self.asks = self.asks.saturating_sub(1);
        let input = match script.byte() % 4 {
            0 => Input::ConductorSilent,
            1 => Input::ConductorRefused,
            answers => {
                let interval_ms = [0, 1, 10_000, u32::MAX][script.below(4)];
                let members = addresses(script);
                let roster = Roster { interval_ms, complete: 1, getting: u32::MAX, members };
                if answers == 2 { Input::Conducted(roster) } else { Input::Greeted(roster) }
            }
        };
        self.step(input);
    }

    /// Facts about links that are gone, as they come from threads that were slower.
    fn stale(&mut self, script: &mut Script<'_>) {
        let link = LinkId(script.below(256) as u64);
        if self.links.contains_key(&link) {
            return;
        }
        let Some(run) = run(script, self.layout) else { return };
        self.step(match script.byte() % 7 {
            0 => Input::Stored(link, run),
            1 => Input::Refused(link, run, Denial::Elsewhere),
            2 => Input::HoldsAlso(link, vec![run]),
            3 => Input::Holds(link, PartSet::full(self.layout)),
            4 => Input::LinkDown(link),
            5 => Input::Coming(link, run),
            _ => Input::Corrupt(link, run.first()),
        });
    }

    fn step(&mut self, input: Input) {
        let mut orders = Vec::new();
        self.swarm.step(self.now, input, &mut orders);
        for order in orders {
            self.obey(order);
        }
        let held = self.swarm.held().count();
        assert!(held >= self.held, "what is held stays held");
        self.held = held;
        assert!(self.dials.len() <= DIALS_MAX, "{} dials are under way", self.dials.len());
        assert!(self.swarm.members() <= LINKS_MAX);
        let open = self.links.values().filter(|far| far.up && !far.closing).count();
        assert!(open <= LINKS_MAX, "{open} links are open");
    }

    fn obey(&mut self, order: Order) {
        let to_leave = matches!(order, Order::Close(..) | Order::Announce { event: Event::Left, .. });
        assert!(!self.stopped || to_leave, "a member that has left orders {order:?}");
        match order {
            Order::Dial(address) => self.dials.push(address),
            Order::Want(link, run) => self.wanted(link, run),
            Order::Cancel(link, run) => {
                let far = self.open(link);
                assert!(
                    far.asked.iter().any(|asked| asked.intersect(run).is_some()),
                    "it was asked for that"
                );
            }
            Order::Publish(link) => drop(self.open(link)),
            Order::Gossip(link, addresses) => {
                self.open(link);
                assert!(!addresses.is_empty() && addresses.len() <= ROSTER_MAX);
            }
            Order::Close(link, _) => {
                let far = self.links.get_mut(&link).expect("only links that are there are closed");
                assert!(far.up, "the swarm was told of it");
                far.closing = true;
            }
            Order::Announce { event, left } => {
                self.asks += usize::from(event != Event::Left);
                assert!(self.asks <= 1, "one announce at a time");
                assert!(left <= self.layout.size());
            }
            Order::Finish => {
                assert!(!self.finished && self.swarm.is_complete() && self.swarm.is_checked());
                self.finished = true;
            }
        }
    }

    fn wanted(&mut self, link: LinkId, run: Run) {
        assert!(run.parts().all(|part| !self.swarm.held().contains(part)), "what is held is not asked for");
        let layout = self.layout;
        let far = self.open(link);
        assert!(run.parts().all(|part| far.claims.contains(part)), "it never claimed that");
        assert!(far.asked.iter().all(|asked| asked.intersect(run).is_none()), "asked twice of one link");
        far.asked.push(run);
        let bytes: u64 = far.asked.iter().map(|&run| layout.bytes_of(run)).sum();
        assert!(bytes <= WINDOW_BYTES_MAX + u64::from(layout.part_len().max(RUN_BYTES_U32)), "a window");
    }

    /// The far end of a link that the swarm may speak to.
    fn open(&mut self, link: LinkId) -> &mut Far {
        let far = self.links.get_mut(&link).expect("orders name links that are there");
        assert!(far.up && !far.closing, "an order names {link}, which it closed");
        far
    }
}

fn member_id(member: u8) -> MemberId {
    MemberId::from_bytes([member; 16])
}

/// One of a few addresses; some of them nobody can listen on.
fn address(script: &mut Script<'_>) -> SocketAddr {
    let (host, port) = (script.byte() % 64, script.byte() % 8);
    if host == 63 {
        return SocketAddr::new(Ipv4Addr::new(10, 0, 0, port).to_ipv6_mapped().into(), 9);
    }
    SocketAddr::from(([10, 0, 0, host], if port == 7 { 0 } else { 9 + u16::from(port) }))
}

fn addresses(script: &mut Script<'_>) -> Vec<SocketAddr> {
    let count = script.below(ROSTER_MAX + 2);
    (0..count).map(|_| address(script)).collect()
}

/// Parts that exist, if there are any.
fn run(script: &mut Script<'_>, layout: Layout) -> Option<Run> {
    let first = u32::from(script.byte()).checked_rem(layout.parts())?;
    let count = 1 + u32::from(script.byte()) % (layout.parts() - first);
    layout.run(first, count)
}

/// Parts that exist in most cases.
fn span(script: &mut Script<'_>, layout: Layout) -> Span {
    match (script.byte(), run(script, layout)) {
        (0, _) | (_, None) => Span { first: u32::from(script.byte()), count: u32::from(script.byte()) },
        (_, Some(run)) => run.into(),
    }
}

fn have(script: &mut Script<'_>, layout: Layout) -> Have {
    match script.byte() % 4 {
        0 => Have::All,
        1 => {
            let mut set = PartSet::empty(layout);
            let bits = script.bytes(4).to_vec();
            for part in layout.all() {
                let byte = bits.get(part.at() / 8 % 4).copied().unwrap_or_default();
                if byte >> (part.at() % 8) & 1 == 1 {
                    set.insert(part);
                }
            }
            Have::Bits(set.to_bytes())
        }
        2 => Have::Bits(script.bytes(2).to_vec()),
        _ => {
            let count = script.below(4);
            Have::Runs((0..count).map(|_| span(script, layout)).collect())
        }
    }
}

/// Any message that the protocol has a word for.
fn message(script: &mut Script<'_>, layout: Layout, member: u8) -> Message {
    match script.byte() % 12 {
        0 => {
            Message::Hello(Hello { member: member_id(member), port: u16::from(script.byte()), abilities: 0 })
        }
        1..=3 => Message::Have(have(script, layout)),
        4 | 5 => Message::Want(span(script, layout)),
        6 | 7 => Message::Parts(span(script, layout)),
        8 => Message::Refuse(span(script, layout), DENIALS[script.below(DENIALS.len())]),
        9 => Message::Cancel(span(script, layout)),
        10 => Message::Roster(addresses(script)),
        _ => Message::Bye(REASONS[script.below(REASONS.len())]),
    }
}
