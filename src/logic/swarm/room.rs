//! Who gets one of the links that a member has room for.
//!
//! A flood of links must not keep a member from the rest of the swarm, however many members those who open them
//! claim to be. So some of the room is for those whom the member dials itself, and in the rest a host that has
//! more links than others gives way to them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::link::Link;
use super::{LinkId, Swarm};
use crate::limits::{LINKS_DIALLED_MAX, LINKS_DIALLED_MIN, LINKS_MAX, PENDING_MAX, PENDING_PER_ADDRESS_MAX};
use crate::logic::addresses::source_of;

/// Whether there is room for one more link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Free,
    /// There is, once this link is closed.
    InsteadOf(LinkId),
    /// There is not.
    Full,
}

/// Whether a member that has so many `links`, in whatever state, takes one more connection from this host.
/// `pending` are the hosts of those that others opened and that have not said hello, one for each.
#[must_use]
pub fn may_knock(from: IpAddr, pending: impl Iterator<Item = IpAddr>, links: usize) -> bool {
    let source = source_of(from);
    let (all, here) =
        pending.fold((0, 0), |(all, here), host| (all + 1, here + usize::from(source_of(host) == source)));
    all < PENDING_MAX && here < PENDING_PER_ADDRESS_MAX && links < LINKS_MAX + PENDING_MAX
}

impl Swarm {
    /// Whether there is room for a link with somebody at this source of connections.
    pub(super) fn room_for(&self, source: IpAddr, dialled: bool) -> Room {
        let accepted = self.links.values().filter(|link| !link.dialled).count();
        let is_free = dialled || accepted < LINKS_MAX - LINKS_DIALLED_MIN;
        if is_free && self.links.len() < LINKS_MAX {
            return Room::Free;
        }
        self.who_gives_way(source).map_or(Room::Full, Room::InsteadOf)
    }

    /// Whether it may dial somebody, with so many dials under way.
    pub(super) fn has_room_to_dial(&self, dials: usize) -> bool {
        let dialled = self.links.values().filter(|link| link.dialled).count();
        self.links.len() + dials < LINKS_DIALLED_MAX || dialled + dials < LINKS_DIALLED_MIN
    }

    /// Of those that others opened, the least useful link of the source that has most, unless this one has as many.
    fn who_gives_way(&self, source: IpAddr) -> Option<LinkId> {
        let mut sources: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let accepted = || self.links.iter().filter(|(_, link)| !link.dialled);
        accepted().for_each(|(_, link)| *sources.entry(link.source).or_default() += 1);
        let ours = sources.get(&source).copied().unwrap_or(0);
        let (&crowd, &most) = sources.iter().max_by_key(|&(_, count)| count)?;
        // With one more, this one would have as many: they would take turns.
        if most <= ours + 1 {
            return None;
        }
        let theirs = accepted().filter(|(_, link)| link.source == crowd);
        let usefulness = |link: &Link| (link.brought, link.useful);
        theirs.min_by_key(|(_, link)| usefulness(link)).map(|(&id, _)| id)
    }
}
