//! What a run consists of, drawn from its seed: members, the composition, rates, and what goes wrong when.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use super::trace::Detail;
use crate::limits::{BLAME_TIMEOUT, KIB, MIB};
use crate::part::Layout;

/// What a member does that means no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vice {
    /// Nothing: it is honest.
    None,
    /// It says that it holds everything, and refuses what it lacks.
    Boasts,
    /// Some of the parts that it sends are wrong.
    Lies,
    /// It never answers a want.
    Mute,
    /// It sends a few bytes a second.
    Drips,
    /// It says more than anybody may, opens ever more connections, and says nothing on every second one.
    Flood,
}

/// What a member holds at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Everything.
    All,
    /// About so many parts in a hundred.
    Percent(u8),
}

/// One member of a run.
#[derive(Clone, Debug)]
pub struct MemberPlan {
    /// Where it listens.
    pub address: SocketAddr,
    /// Bytes per second that it sends at most.
    pub up: u64,
    /// Bytes per second that it receives at most.
    pub down: u64,
    /// How long its bytes travel to the middle of the network.
    pub latency: Duration,
    /// Bytes per second that it verifies and writes.
    pub disk_rate: u64,
    /// What a write takes beyond that.
    pub disk_delay: Duration,
    /// When it starts.
    pub starts: Duration,
    /// What it holds then.
    pub held: Share,
    /// What is wrong with it.
    pub vice: Vice,
    /// Members that its user named.
    pub named: Vec<SocketAddr>,
}

/// Something that goes wrong; to whom, is drawn when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A connection breaks; both ends are told, or only find out.
    Cut {
        /// Nobody is told.
        silent: bool,
    },
    /// A connection carries nothing in one direction for so long.
    Stall(Duration),
    /// A connection carries so many bytes per second from now on.
    Slow(u64),
    /// A member's process is killed, or its machine loses power; it is started again after so long.
    Crash {
        /// What was not synced may be lost, and nobody is told.
        power: bool,
        /// How long it is away.
        away: Duration,
    },
    /// A member leaves politely and comes back after so long.
    Leave(Duration),
    /// A member starts again, at another address.
    Move,
    /// The next part that a member sends is spoilt on its way.
    Spoil,
    /// A member refuses connections for so long.
    Refuse(Duration),
    /// The conductor cannot be reached for so long.
    ConductorGone(Duration),
    /// The conductor is started again and knows nobody.
    ConductorEmpty,
    /// The conductor refuses everybody for so long.
    ConductorBusy(Duration),
    /// A member's disk has no room for so long.
    DiskFull(Duration),
    /// A member's clock leaps ahead.
    Leap(Duration),
    /// A member does nothing for so long.
    Freeze(Duration),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything else follows from it.
    pub seed: u64,
    /// The composition.
    pub layout: Layout,
    /// Bytes of parts travel so many at a time.
    pub slice: u32,
    /// How many links a member opens to one other.
    pub links_per_member: usize,
    /// Whether there is a conductor.
    pub conductor: bool,
    /// Whether it knows accounts: its rosters come best first, and all think the same ones best.
    pub ranked: bool,
    /// Who takes part.
    pub members: Vec<MemberPlan>,
    /// What goes wrong, and when.
    pub faults: Vec<(Duration, Fault)>,
    /// One connection that is slow stays so for ever; there are others.
    pub one_stays_slow: bool,
    /// When the faults stop.
    pub calm: Duration,
    /// How long everybody may take from then on.
    pub patience: Duration,
    /// More events than that are a fault.
    pub events_max: u64,
    /// Whether everything is looked at after each step.
    pub checked: bool,
    /// How much is written down.
    pub detail: Detail,
}

/// Beyond the time that the bytes need: redials after failures, announces to a conductor that was away, links
/// that nobody noticed are dead.
const SETTLE: Duration = Duration::from_secs(240);
/// A run of this size has some ten thousand events.
const EVENTS_MAX: u64 = 20_000_000;
/// Part lengths, short ones more often.
const PART_LENS: [usize; 8] = [KIB, 16 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB];

impl Plan {
    /// The run of this seed.
    #[must_use]
    pub fn draw(seed: u64) -> Plan {
        let rng = &mut Rng::with_seed(seed);
        let members = 2 + rng.usize(0..8) * rng.usize(0..8) / 5;
        Plan::draw_rest(seed, rng, members)
    }

    /// The run of this seed, with so many members; at least two.
    #[must_use]
    pub fn draw_with(seed: u64, members: usize) -> Plan {
        Plan::draw_rest(seed, &mut Rng::with_seed(seed), members.max(2))
    }

    fn draw_rest(seed: u64, rng: &mut Rng, members: usize) -> Plan {
        let layout = draw_layout(rng);
        let members = draw_members(rng, members, layout);
        let calm = Duration::from_millis(rng.u64(500..40_000));
        let conductor = rng.bool() || members[1..].iter().any(|member| member.named.is_empty());
        let mut faults: Vec<_> = (0..rng.usize(0..14))
            .map(|_| (calm.mul_f64(rng.f64()), draw_fault(rng)))
            // Whoever moves can be found again only with a conductor.
            .filter(|&(_, fault)| conductor || fault != Fault::Move)
            .collect();
        faults.sort_by_key(|&(when, _)| when);
        let slowest = members.iter().map(|member| member.up.min(member.down)).min().unwrap_or(1).max(1);
        let transfer = Duration::from_secs(layout.size() * members.len() as u64 / slowest);
        Plan {
            seed,
            layout,
            slice: [4, 16, 64, 256][rng.usize(0..4)] * 1024,
            links_per_member: rng.usize(1..5),
            conductor,
            // Of the number itself, so that runs of before stay what they were.
            ranked: seed % 4 == 1,
            one_stays_slow: members.iter().filter(|member| member.vice == Vice::None).count() >= 4,
            members,
            faults,
            calm,
            patience: transfer * 4 + SETTLE + BLAME_TIMEOUT,
            events_max: EVENTS_MAX,
            checked: true,
            detail: Detail::Hash,
        }
    }

    /// The same with a word on how much is written down.
    #[must_use]
    pub const fn with_detail(mut self, detail: Detail) -> Plan {
        self.detail = detail;
        self
    }
}

fn draw_layout(rng: &mut Rng) -> Layout {
    let part_len = PART_LENS[rng.usize(0..PART_LENS.len())] as u64;
    let parts = 1 + rng.u64(0..12) * rng.u64(0..12);
    let size = part_len * parts - rng.u64(0..part_len);
    Layout::new(size, part_len).expect("the lengths are allowed, and the parts few")
}

/// A rate from 64 KiB/s to 64 MiB/s, each order of magnitude as likely as the others.
fn draw_rate(rng: &mut Rng) -> u64 {
    (64 << 10) << rng.u32(0..11)
}

fn draw_members(rng: &mut Rng, count: usize, layout: Layout) -> Vec<MemberPlan> {
    // So that most runs take a minute at most.
    let needed = layout.size() / 60;
    let even = rng.bool().then(|| draw_rate(rng));
    let named = rng.u8(0..4) == 0;
    let mut members: Vec<MemberPlan> = (0..count)
        .map(|index| MemberPlan {
            address: address_of(index),
            up: even.unwrap_or_else(|| draw_rate(rng)).max(needed),
            down: even.unwrap_or_else(|| draw_rate(rng)).max(needed),
            latency: Duration::from_micros(50 << rng.u32(0..11)),
            disk_rate: draw_rate(rng).max(needed * 2) * 4,
            disk_delay: Duration::from_micros(20 << rng.u32(0..9)),
            starts: Duration::from_millis(rng.u64(0..3_000)),
            held: match rng.u8(0..4) {
                0 => Share::Percent(rng.u8(0..100)),
                _ => Share::Percent(0),
            },
            vice: Vice::None,
            named: Vec::new(),
        })
        .collect();
    members[0].held = Share::All;
    if named {
        let first = members[0].address;
        members[1..].iter_mut().for_each(|member| member.named.push(first));
    }
    if count >= 3 && rng.bool() {
        for _ in 0..rng.usize(1..3) {
            let vices = [Vice::Boasts, Vice::Lies, Vice::Mute, Vice::Drips, Vice::Flood];
            let bad = rng.usize(1..count);
            members[bad].vice = vices[rng.usize(0..vices.len())];
            members[bad].held = if rng.bool() { Share::All } else { members[bad].held };
        }
    }
    if count >= 4 && rng.u8(0..4) == 0 {
        // Two behind one address; only one of them can be reached, or they differ in the port.
        let (one, other) = (rng.usize(1..count), rng.usize(1..count));
        let mut address = members[one].address;
        address.set_port(address.port() + u16::from(rng.bool() || members[one].vice != members[other].vice));
        if one != other {
            members[other].address = address;
        }
    }
    members
}

/// The address of the member with this number.
pub(super) fn address_of(index: usize) -> SocketAddr {
    let [.., high, middle, low] = (index + 1).to_be_bytes();
    SocketAddr::from(([10, high, middle, low], 10_001))
}

fn draw_fault(rng: &mut Rng) -> Fault {
    let span = Duration::from_millis(50 << rng.u32(0..11));
    match rng.u8(0..18) {
        0 | 1 => Fault::Cut { silent: rng.bool() },
        2 | 3 => Fault::Stall(span),
        4 => Fault::Slow(64 << rng.u32(0..14)),
        5..=7 => Fault::Crash { power: rng.bool(), away: span },
        8 => Fault::Leave(span),
        9 => Fault::Move,
        10 => Fault::Spoil,
        11 => Fault::Refuse(span),
        12 => Fault::ConductorGone(span),
        13 => Fault::ConductorEmpty,
        14 => Fault::ConductorBusy(span),
        15 => Fault::DiskFull(span),
        16 => Fault::Leap(span * 4),
        _ => Fault::Freeze(span),
    }
}
