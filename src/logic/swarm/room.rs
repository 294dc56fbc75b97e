//! Who gets one of the links that a member has room for.
//!
//! A flood of links must not keep a member from the rest of the swarm, however many members those who open them
//! claim to be. So some of the room is for those whom the member dials itself, and in the rest a host that has
//! more links than others gives way to them. Those who cannot prove that they have the manifest, since they speak the
//! classic protocol, have a share of it all, and give way to those who can.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::link::Link;
use super::{LinkId, Swarm};
use crate::limits::{
    LINKS_DIALLED_MAX, LINKS_DIALLED_MIN, LINKS_KEYLESS_MAX, LINKS_MAX, PENDING_MAX, PENDING_PER_ADDRESS_MAX,
};
use crate::logic::addresses::source_of;

/// Whether there is room for one more link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room<Id> {
    /// There is.
    Free,
    /// There is, once this link is closed.
    InsteadOf(Id),
    /// There is not.
    Full,
}

/// One of the links that a member has.
#[derive(Clone, Copy, Debug)]
pub struct Seat<Id, Worth> {
    /// Which.
    pub id: Id,
    /// Whether the member dialled it itself.
    pub dialled: bool,
    /// Whether the other side proved that it has the key.
    pub keyed: bool,
    /// With whom, as a [source of connections](source_of).
    pub source: IpAddr,
    /// Of two links the one that is worth less gives way.
    pub worth: Worth,
}

/// Whether a member with these links has room for one with somebody at this source of connections, who proved to have the
/// key or did not.
#[must_use]
pub fn room_for<Id: Copy, Worth: Ord + Copy>(
    source: IpAddr,
    dialled: bool,
    keyed: bool,
    seats: &[Seat<Id, Worth>],
) -> Room<Id> {
    let keyless = || seats.iter().filter(|seat| !seat.keyed);
    let accepted = seats.iter().filter(|seat| !seat.dialled).count();
    let has_share = keyed || keyless().count() < LINKS_KEYLESS_MAX;
    let is_free = dialled || accepted < LINKS_MAX - LINKS_DIALLED_MIN;
    if has_share && is_free && seats.len() < LINKS_MAX {
        return Room::Free;
    }
    let gives_way = if keyed {
        // Whoever is accepted needs the place of one that was.
        let stranger = keyless().filter(|seat| dialled || !seat.dialled).min_by_key(|seat| seat.worth);
        stranger.map(|seat| seat.id).or_else(|| who_gives_way(source, seats.iter()))
    } else {
        who_gives_way(source, keyless())
    };
    gives_way.map_or(Room::Full, Room::InsteadOf)
}

/// Whether a member may dial somebody that has so many links, so many of which it dialled itself, and so many dials under
/// way.
#[must_use]
pub const fn has_room_to_dial(links: usize, dialled: usize, dials: usize) -> bool {
    links + dials < LINKS_DIALLED_MAX || dialled + dials < LINKS_DIALLED_MIN
}

/// Of those that others opened, the least useful link of the source that has most, unless this one has as many.
fn who_gives_way<'s, Id: Copy + 's, Worth: Ord + Copy + 's>(
    source: IpAddr,
    seats: impl Iterator<Item = &'s Seat<Id, Worth>>,
) -> Option<Id> {
    let mut sources: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let accepted: Vec<_> = seats.filter(|seat| !seat.dialled).collect();
    accepted.iter().for_each(|seat| *sources.entry(seat.source).or_default() += 1);
    let ours = sources.get(&source).copied().unwrap_or(0);
    let (&crowd, &most) = sources.iter().max_by_key(|&(_, count)| count)?;
    // With one more, this one would have as many: they would take turns.
    if most <= ours + 1 {
        return None;
    }
    accepted.into_iter().filter(|seat| seat.source == crowd).min_by_key(|seat| seat.worth).map(|seat| seat.id)
}

/// What becomes of one more connection that somebody opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// It is let in.
    Welcome,
    /// It is, once this one is cut, which has not said hello.
    InsteadOf(LinkId),
    /// It is closed.
    Refused,
}

/// Whether a member that has so many `links`, in whatever state, takes one more connection from this host.
/// `pending` are those that others opened and that have not said hello, the oldest first, with their hosts.
///
/// If there are too many of them, the oldest one of the host that has most gives way: whoever has the key says hello
/// in no time, and those who never will must not keep it out by being many, or by having many hosts.
#[must_use]
pub fn may_knock(from: IpAddr, pending: impl Iterator<Item = (LinkId, IpAddr)>, links: usize) -> Knock {
    let mut sources: BTreeMap<IpAddr, (usize, Reverse<LinkId>)> = BTreeMap::new();
    let mut all = 0;
    for (link, host) in pending {
        sources.entry(source_of(host)).or_insert((0, Reverse(link))).0 += 1;
        all += 1;
    }
    let here = sources.get(&source_of(from)).map_or(0, |&(count, _)| count);
    // Those that gave way may still be ending.
    if here >= PENDING_PER_ADDRESS_MAX || links >= LINKS_MAX + 2 * PENDING_MAX {
        return Knock::Refused;
    }
    if all < PENDING_MAX && links < LINKS_MAX + PENDING_MAX {
        return Knock::Welcome;
    }
    sources.into_values().max().map_or(Knock::Refused, |(_, Reverse(oldest))| Knock::InsteadOf(oldest))
}

impl Swarm {
    /// Whether there is room for a link with somebody at this source of connections.
    pub(super) fn room_for(&self, source: IpAddr, dialled: bool, keyed: bool) -> Room<LinkId> {
        let seat = |(&id, link): (&LinkId, &Link)| {
            let worth = (link.brought, link.useful);
            Seat { id, dialled: link.dialled, keyed: link.keyed, source: link.source, worth }
        };
        room_for(source, dialled, keyed, &self.links.iter().map(seat).collect::<Vec<_>>())
    }

    /// Whether it may dial somebody, with so many dials under way. Those who have no key do not keep it from members.
    pub(super) fn has_room_to_dial(&self, dials: usize) -> bool {
        let dialled = self.links.values().filter(|link| link.dialled && link.keyed).count();
        has_room_to_dial(self.links.len(), dialled, dials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u64) -> IpAddr {
        IpAddr::from([10, 0, u8::try_from(number / 250).unwrap(), u8::try_from(number % 250).unwrap()])
    }

    fn knock(from: u64, pending: &[u64]) -> Knock {
        let pending = pending.iter().zip(1..).map(|(&number, link)| (LinkId(link), host(number)));
        may_knock(host(from), pending, LINKS_MAX)
    }

    #[test]
    fn the_silent_give_way_to_who_knocks() {
        let full = LINKS_MAX + 2 * PENDING_MAX;
        assert_eq!(may_knock(host(1), std::iter::empty(), full), Knock::Refused, "they end too slowly");
        assert_eq!(knock(1, &[]), Knock::Welcome);
        assert_eq!(knock(1, &[1; PENDING_PER_ADDRESS_MAX]), Knock::Refused, "too many of its own");
        // One that is alone came first, then a host that has most of it, then many hosts.
        let crowd = [&[2][..], &[3; 9], &(4..300).take(PENDING_MAX - 10).collect::<Vec<_>>()].concat();
        assert_eq!(knock(1, &crowd[1..]), Knock::Welcome);
        assert_eq!(knock(1, &crowd), Knock::InsteadOf(LinkId(2)), "the oldest of those that have most");
        let each: Vec<u64> = (2..300).take(PENDING_MAX).collect();
        assert_eq!(knock(1, &each), Knock::InsteadOf(LinkId(1)), "the oldest of all");
    }
}
