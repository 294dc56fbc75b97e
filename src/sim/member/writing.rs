//! What the writers of links do, and what a member does that means no good.

use std::collections::BTreeMap;

use super::link::{Desk, Link};
use super::{Deed, Member};
use crate::limits::{ROSTER_MAX, RUN_PARTS_MAX};
use crate::logic::giving::Given;
use crate::logic::serving::Outgoing;
use crate::logic::swarm::LinkId;
use crate::logic::turns::InVain;
use crate::part::Run;
use crate::sim::disk::Content;
use crate::sim::ground::Ground;
use crate::sim::harm::Harm;
use crate::sim::net::Slice;
use crate::sim::plan::Vice;
use crate::wire::member::{Denial, Hello};

/// Of so many parts a member with [`Vice::Lies`] sends one wrong.
const LIES_ONE_IN: u8 = 8;
/// How much a member with [`Vice::Flood`] says on each link in each tick.
const FLOOD_WANTS: u32 = 40;

impl Member {
    /// The words that are due on a link, and whether they are the last.
    pub(in crate::sim) fn words(&mut self, ground: &Ground, id: LinkId) -> (Vec<u8>, bool) {
        let (desk, links) = self.desk(ground);
        let Some(link) = links.get_mut(&id) else { return (Vec::new(), false) };
        let words = link.words(&desk);
        let (to, withdrawn) = (link.tag.unwrap_or_default(), std::mem::take(&mut link.withdrawn));
        withdrawn.into_iter().for_each(|run| self.withdraw(run, to));
        words
    }

    /// What the writers of links need to know of this member, and the links.
    fn desk(&mut self, ground: &Ground) -> (Desk<'_>, &mut BTreeMap<LinkId, Link>) {
        let desk = Desk {
            layout: ground.layout,
            hello: Hello { member: self.me, port: self.make.address.port(), abilities: 0 },
            held: &self.held,
            ledger: &self.ledger,
            boasts: self.make.vice == Vice::Boasts,
        };
        (desk, &mut self.links)
    }

    /// Whether the link has parts to send.
    pub(in crate::sim) fn has_bulk(&self, id: LinkId) -> bool {
        self.make.vice != Vice::Mute && self.links.get(&id).is_some_and(Link::has_bulk)
    }

    /// Whether it is this link's turn to be sent parts, or it is in the middle of some.
    pub(in crate::sim) fn has_turn(&mut self, ground: &Ground, id: LinkId) -> bool {
        let now = self.time(ground);
        let Some(link) = self.links.get(&id) else { return false };
        link.sending.is_some() || link.next_part().is_some_and(|part| self.turns.take(now, id, part))
    }

    /// Passes the link's turn on if it is not in the middle of a run. Says whose turns have begun.
    pub(in crate::sim) fn pass_turn(&mut self, id: LinkId) -> Vec<LinkId> {
        if self.links.get(&id).is_some_and(|link| link.sending.is_none()) {
            self.next.extend(self.turns.end(id));
        }
        std::mem::take(&mut self.next)
    }

    /// These will not be sent after all.
    pub(super) fn withdraw(&mut self, run: Run, to: u32) {
        for part in run.parts() {
            let entry = &mut self.given[part.at()];
            *entry = entry.withdrawn(to).unwrap_or(*entry);
        }
    }

    /// Those whose turn has begun may go on.
    pub(super) fn tell_next(&mut self, deeds: &mut Vec<Deed>) {
        deeds.extend(self.next.drain(..).map(Deed::Write));
    }

    /// Sends those elsewhere who wait here for what others can send as well.
    pub(super) fn thin_out_the_line(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        if !self.turns.surplus(self.swarm.supply()).is_empty() {
            self.give_up_waiting(ground, deeds);
        }
    }

    /// Who has waited for a turn for too long, or can be served by others, is told to ask elsewhere.
    pub(super) fn give_up_waiting(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        let now = self.time(ground);
        let mut refused = Vec::new();
        for (&id, link) in &mut self.links {
            if let Some(in_vain) = self.turns.give_up(now, id) {
                let to = link.tag.unwrap_or_default();
                refused.extend(link.disown(ground.layout, in_vain).into_iter().map(|run| (id, to, run)));
                match link.next_part().filter(|_| in_vain == InVain::Part) {
                    // It waits for what else is owed.
                    Some(part) => assert!(!self.turns.take(now, id, part), "it stands in line"),
                    None => self.next.extend(self.turns.end(id)),
                }
            }
        }
        for (id, to, run) in refused {
            self.withdraw(run, to);
            self.tell(ground, id, Outgoing::Refuse(run, Denial::Elsewhere), deeds);
        }
        self.tell_next(deeds);
    }

    /// The next bytes of parts for a link, and the words before them.
    pub(in crate::sim) fn slice(
        &mut self,
        ground: &mut Ground,
        id: LinkId,
        most: u32,
    ) -> (Vec<u8>, Option<Slice>) {
        let now = self.time(ground);
        let mut words = Vec::new();
        let (desk, links) = self.desk(ground);
        let Some(link) = links.get_mut(&id) else { return (words, None) };
        if link.sending.is_none() && link.begin(&desk, &mut words).is_none() {
            return (words, None);
        }
        let Some(link) = self.links.get_mut(&id) else { return (words, None) };
        let Some(sending) = link.sending else { return (words, None) };
        let part = sending.part;
        let bytes = most.min(ground.layout.len_of(part) - sending.offset);
        let on_disk = self.disk.read(part) == Content::Right;
        if !on_disk {
            ground.violated(format_args!("{} gives part {part}, which is not on its disk", self.make.index));
        }
        let spoilt = std::mem::take(&mut self.spoil_next);
        let lies = self.make.vice == Vice::Lies && self.rng.u8(0..LIES_ONE_IN) == 0;
        if spoilt {
            ground.taint(self.make.index, self.make.address);
        }
        let given = Given { to: link.tag.unwrap_or_default(), at: now };
        let last = link.sent(ground.layout, bytes);
        self.sent += u64::from(bytes);
        if last {
            self.turns.sent(part);
            let entry = &mut self.given[part.at()];
            *entry = entry.sent(given).unwrap_or(*entry);
        }
        (words, Some(Slice { part, bytes, last, right: on_disk && !lies && !spoilt }))
    }

    /// Says more than anybody may on every link, and opens one more; see [`Member::on_shaken`].
    pub(super) fn flood(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        let layout = ground.layout;
        let ids = self.links();
        let known: Vec<_> = self.links.values().filter_map(|link| link.dialled).collect();
        deeds.extend(self.rng.choice(known).map(Deed::Dial));
        for id in ids {
            let Some(link) = self.links.get_mut(&id).filter(|link| link.tag.is_some()) else { continue };
            for _ in 0..FLOOD_WANTS {
                let first = self.rng.u32(0..layout.parts().max(1));
                let count = self.rng.u32(1..=RUN_PARTS_MAX).min(layout.parts().saturating_sub(first));
                let Some(run) = layout.run(first, count) else { continue };
                let told = match self.rng.u8(0..4) {
                    0 => link.order(Outgoing::Cancel(run)),
                    1 => link.order(Outgoing::Gossip(vec![self.make.address; ROSTER_MAX])),
                    _ => link.order(Outgoing::Want(Run::one(run.first()))),
                };
                if !told {
                    break;
                }
            }
            ground.harms.count(Harm::Flooded);
            deeds.push(Deed::Write(id));
        }
    }
}
