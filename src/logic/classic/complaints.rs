//! Whom a classic conductor does not hand out because others complained.
//!
//! Complaints prove nothing, so one is not enough: several different sources must complain about the same member of the
//! same composition within a while, and it is forgotten after a while. It does not know who is a member; whoever asks it
//! does, so nobody can fill it with addresses that nobody has.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::identity::SwarmId;
use crate::limits::{CLASSIC_COMPLAINERS, CLASSIC_COMPLAINT_SPAN, CLASSIC_COMPLAINTS_MAX};
use crate::logic::addresses::source_of;
use crate::time::Moment;

/// How many old entries one complaint may clear away: more than it can add.
const CLEARED_PER_COMPLAINT: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub struct Complaints {
    entries: BTreeMap<(SwarmId, SocketAddr), Entry>,
    /// The same keys, by when they were last looked at for being over.
    order: VecDeque<(SwarmId, SocketAddr)>,
}

#[derive(Debug)]
struct Entry {
    /// Who complained. Invariant: different sources, at most [`CLASSIC_COMPLAINERS`].
    by: Vec<IpAddr>,
    /// The last complaint that counted: everything is forgotten [`CLASSIC_COMPLAINT_SPAN`] after it.
    last: Moment,
}

impl Complaints {
    /// Nobody complained.
    #[must_use]
    pub const fn new() -> Complaints {
        Complaints { entries: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Somebody at `from` complains about this member. Says whether the member is not handed out from now on, if it was
    /// before.
    pub fn complain(&mut self, now: Moment, swarm: SwarmId, member: SocketAddr, from: IpAddr) -> bool {
        self.clear(now);
        let source = source_of(from);
        let key = (swarm, member);
        if !self.entries.contains_key(&key) {
            if self.entries.len() >= CLASSIC_COMPLAINTS_MAX {
                return false;
            }
            self.entries.insert(key, Entry { by: Vec::new(), last: now });
            self.order.push_back(key);
        }
        let Some(entry) = self.entries.get_mut(&key) else { return false };
        if now.since(entry.last) >= CLASSIC_COMPLAINT_SPAN {
            entry.by.clear();
        }
        if entry.by.contains(&source) || entry.by.len() == CLASSIC_COMPLAINERS {
            return false;
        }
        entry.by.push(source);
        entry.last = now;
        entry.by.len() == CLASSIC_COMPLAINERS
    }

    /// Whether this member of this composition is handed out.
    #[must_use]
    pub fn is_handed_out(&self, now: Moment, swarm: SwarmId, member: SocketAddr) -> bool {
        let entry = self.entries.get(&(swarm, member));
        !entry.is_some_and(|entry| {
            entry.by.len() == CLASSIC_COMPLAINERS && now.since(entry.last) < CLASSIC_COMPLAINT_SPAN
        })
    }

    /// Clears away a few entries that are over.
    fn clear(&mut self, now: Moment) {
        for _ in 0..CLEARED_PER_COMPLAINT {
            let Some(key) = self.order.pop_front() else { return };
            let is_over =
                self.entries.get(&key).is_none_or(|entry| now.since(entry.last) >= CLASSIC_COMPLAINT_SPAN);
            if is_over {
                self.entries.remove(&key);
            } else {
                self.order.push_back(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn several_different_ones_are_believed_for_a_while() {
        let mut complaints = Complaints::new();
        for _ in 0..9 {
            assert!(!complaints.complain(NOW, swarm(1), member(1), ip(1)), "one is one, however often");
        }
        let last = u8::try_from(CLASSIC_COMPLAINERS).unwrap();
        for number in 2..last {
            assert!(!complaints.complain(NOW, swarm(1), member(1), ip(number)));
        }
        assert!(complaints.is_handed_out(NOW, swarm(1), member(1)));
        assert!(complaints.complain(NOW, swarm(1), member(1), ip(last)));
        assert!(!complaints.is_handed_out(NOW, swarm(1), member(1)));
        assert!(
            complaints.is_handed_out(NOW, swarm(2), member(1))
                && complaints.is_handed_out(NOW, swarm(1), member(2))
        );
        assert!(!complaints.complain(NOW, swarm(1), member(1), ip(99)), "nothing changes");
        let later = NOW + CLASSIC_COMPLAINT_SPAN;
        assert!(complaints.is_handed_out(later, swarm(1), member(1)));
        assert!(!complaints.complain(later, swarm(1), member(1), ip(1)), "all begins anew");
    }

    #[test]
    fn complaints_of_long_ago_do_not_add_up() {
        let mut complaints = Complaints::new();
        for number in 0..20 {
            let now = NOW + CLASSIC_COMPLAINT_SPAN * u32::from(number);
            assert!(!complaints.complain(now, swarm(1), member(1), ip(number)));
        }
    }

    #[test]
    fn a_flood_is_bounded_and_forgotten() {
        let mut complaints = Complaints::new();
        for number in 0..CLASSIC_COMPLAINTS_MAX + 99 {
            let bytes = u32::try_from(number).unwrap().to_le_bytes();
            let mut id = [0; 32];
            id[..4].copy_from_slice(&bytes);
            complaints.complain(NOW, SwarmId::from_bytes(id), member(1), ip(1));
        }
        assert_eq!(complaints.entries.len(), CLASSIC_COMPLAINTS_MAX);
        let later = NOW + CLASSIC_COMPLAINT_SPAN + Duration::from_secs(1);
        for port in 0..u16::try_from(CLASSIC_COMPLAINTS_MAX / 3).unwrap() {
            complaints.complain(later, swarm(9), member(port), ip(1));
        }
        let left = complaints.entries.keys().filter(|(id, _)| *id != swarm(9)).count();
        assert_eq!((left, complaints.order.len()), (0, complaints.entries.len()));
    }
}
