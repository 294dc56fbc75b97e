//! How far links are trusted: what happens to those that bring wrong parts, and to their neighbours.

use super::link::Link;
use super::{LinkId, Order, Swarm};
use crate::limits::RUN_BYTES_U32;
use crate::time::Moment;
use crate::wire::member::Reason;

impl Swarm {
    /// Wrong bytes came over this link.
    pub(super) fn on_corrupt(&mut self, now: Moment, id: LinkId, orders: &mut Vec<Order>) {
        let Some(link) = self.links.get(&id) else { return };
        let (member, source, at) = (link.member, link.source, link.dialled_at());
        match at {
            // Whoever answers there sends wrong bytes, whatever it calls itself.
            Some(address) => self.meeting.addresses.on_blame(now, address),
            None => self.suspects.blame(now, source, member),
        }
        // Its other links as well; but whoever borrows an id must not end what its owner has earned.
        let is_other = |link: &Link| match at {
            Some(address) => link.dialled_at() == Some(address),
            None => !link.dialled && link.member == member && link.source == source && !link.has_merit(),
        };
        let others = self.links.iter().filter(|&(&other, link)| other != id && is_other(link));
        let blamed: Vec<LinkId> = others.map(|(&id, _)| id).chain([id]).collect();
        for id in blamed {
            self.expel(now, id, orders);
        }
        self.suspects.strike(now, source);
        self.mark_suspects(now);
        self.ask_everybody(now, orders);
    }

    /// Ends a link whose far end broke the protocol or sent wrong bytes.
    pub(super) fn expel(&mut self, now: Moment, id: LinkId, orders: &mut Vec<Order>) {
        orders.push(Order::Close(id, Reason::Fault));
        self.forget(now, id, None);
    }

    /// The far end has ended this link, or let it stand still: what it began and did not end is lost.
    pub(super) fn broke_off(&mut self, now: Moment, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let lost = link.flow.received.saturating_sub(link.brought_bytes);
        let piece = u64::from(self.rules.layout.part_len().max(RUN_BYTES_U32));
        if self.suspects.broke_off(now, link.source, lost, piece) {
            self.mark_suspects(now);
        }
    }

    /// Links from suspect sources have to earn what they are asked for.
    pub(super) fn mark_suspects(&mut self, now: Moment) {
        for link in self.links.values_mut() {
            link.suspect = self.suspects.is_suspect(now, link.source);
        }
    }

    /// Asks one link of each suspect source whose time has come for one run. Of those that wait, the oldest one: a
    /// liar that comes back stands behind an honest neighbour.
    pub(super) fn try_suspects(&mut self, now: Moment, orders: &mut Vec<Order>) {
        let waits = |link: &Link| link.suspect && !link.has_merit() && link.in_flight.is_empty();
        let waiting: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| waits(link)).map(|(&id, _)| id).collect();
        for id in waiting {
            let Some(link) = self.links.get(&id).filter(|link| self.suspects.may_try(now, link.source))
            else {
                continue;
            };
            let among = self.among(now, link);
            let Some(link) = self.links.get_mut(&id) else { continue };
            if let Some(run) = self.picker.pick(&link.askable, among) {
                self.suspects.tried(now, link.source);
                link.ask(now, run);
                orders.push(Order::Want(id, run));
            }
        }
    }
}
