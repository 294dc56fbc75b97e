//! How fast a swarm is, beside how fast any swarm could be.
//!
//! The bound is that of a fluid: `max(F / u_s, F / d_min, N F / (u_s + Σ u_i))`, with F the size of the
//! composition, `u_s` the upload of who shares it, `u_i` those of the N others and `d_min` the slowest download
//! (Kumar and Ross, "Peer-assisted file distribution: the minimum distribution time", 2006).
//! Bytes come in parts, and a part can be given on only when it is whole, so each hop takes the time of one part
//! beyond that.

use std::time::Duration;

use fastrand::Rng;

use super::plan::{MemberPlan, Plan, Share, Vice, address_of};
use super::trace::Detail;
use crate::limits::{KIB, LINKS_PER_MEMBER_MAX, MIB};
use crate::part::Layout;

/// How fast the members' links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speeds {
    /// All have 100 Mbit/s in each direction.
    Equal,
    /// From 20 to 200 Mbit/s up, and down once to four times that; who shares has 100.
    Mixed,
}

/// 100 Mbit/s, in bytes per second.
const RATE: u64 = 12_500_000;
/// Parts of the composition, of 1 MiB each.
const PARTS: u64 = 256;
/// All members start within this time: the bound has all of them begin at once.
const STARTS_WITHIN_MS: u64 = 100;
/// No run takes longer.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// One member that shares and `getting` that get, of these speeds.
#[must_use]
pub fn plan(getting: usize, speeds: Speeds, seed: u64) -> Plan {
    let rng = &mut Rng::with_seed(seed);
    let layout = Layout::new(PARTS * MIB as u64, MIB as u64).expect("256 parts of 1 MiB are allowed");
    let member = |index: usize| {
        let (up, down) = match speeds {
            Speeds::Mixed if index > 0 => {
                let up = RATE / 5 * [1, 2, 5, 10][rng.usize(0..4)];
                (up, up * [1, 2, 4][rng.usize(0..3)])
            }
            Speeds::Equal | Speeds::Mixed => (RATE, RATE),
        };
        MemberPlan {
            address: address_of(index),
            up,
            down,
            latency: Duration::from_micros(rng.u64(500..20_000)),
            disk_rate: 1_000_000_000,
            disk_delay: Duration::from_micros(500),
            starts: Duration::from_millis(if index == 0 { 0 } else { rng.u64(0..STARTS_WITHIN_MS) }),
            held: if index == 0 { Share::All } else { Share::Percent(0) },
            vice: Vice::None,
            named: Vec::new(),
        }
    };
    Plan {
        seed,
        layout,
        slice: u32::try_from(256 * KIB).expect("32 bits fit"),
        links_per_member: LINKS_PER_MEMBER_MAX / 2,
        conductor: true,
        ranked: false,
        one_stays_slow: false,
        members: (0..=getting).map(member).collect(),
        faults: Vec::new(),
        calm: Duration::ZERO,
        patience: PATIENCE,
        events_max: u64::MAX,
        checked: false,
        detail: Detail::Off,
    }
}

/// How long it takes at least, if bytes flowed like water and everybody began at once.
#[must_use]
pub fn bound(plan: &Plan) -> Duration {
    let size = plan.layout.size();
    let Some((shares, getting)) = plan.members.split_first() else { return Duration::ZERO };
    let slowest = getting.iter().map(|member| member.down).min().unwrap_or(shares.up);
    let all: u64 = plan.members.iter().map(|member| member.up).sum();
    let micros = |bytes: u64, rate: u64| u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    let longest =
        micros(size, shares.up).max(micros(size, slowest)).max(micros(size * getting.len() as u64, all));
    Duration::from_micros(u64::try_from(longest).unwrap_or(u64::MAX))
}

/// What the hops take: a part reaches twice as many in each, and each takes the time of one part on the slowest
/// of these links.
#[must_use]
pub fn hops(plan: &Plan) -> Duration {
    let slowest = plan.members.iter().map(|member| member.up.min(member.down)).min().unwrap_or(1).max(1);
    let micros = u64::from(plan.layout.part_len()) * 1_000_000 / slowest;
    Duration::from_micros(micros) * plan.members.len().next_power_of_two().ilog2()
}
