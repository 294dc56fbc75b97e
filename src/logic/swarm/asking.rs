//! Which parts are asked of which link.

use std::time::Duration;

use super::link::Link;
use super::{LinkId, Order, Swarm};
use crate::limits::{END_PHASE_PATIENCE, END_PHASE_PATIENCE_MORE, SECOND_HAND_PATIENCE};
use crate::logic::picker::Among;
use crate::part::{PartIndex, Run};
use crate::part_set::PartSet;
use crate::time::Moment;

impl Swarm {
    /// Asks a link for as much as its window allows.
    pub(super) fn ask(&mut self, now: Moment, id: LinkId, orders: &mut Vec<Order>) {
        let layout = self.rules.layout;
        let Some(link) = self.links.get(&id).filter(|link| !link.dry && link.has_room(layout)) else {
            return;
        };
        let among = self.among(now, link);
        let Some(link) = self.links.get_mut(&id) else { return };
        while link.has_room(layout) {
            let Some(run) = self.picker.pick(&link.askable, among) else {
                link.dry = true;
                return;
            };
            link.ask(now, run);
            orders.push(Order::Want(id, run));
        }
    }

    /// Asks every link that may have become able to give something.
    pub(super) fn ask_everybody(&mut self, now: Moment, orders: &mut Vec<Order>) {
        self.ask_those(now, |_, _| true, orders);
    }

    /// Link `id` does not bring these parts: it has room again, and links that had nothing left to give may hold them.
    /// To look again at everything that all links hold would take too long for each refusal.
    pub(super) fn ask_elsewhere(&mut self, now: Moment, id: LinkId, run: Run, orders: &mut Vec<Order>) {
        let may_give =
            |other, link: &Link| if link.dry { link.askable.has_some_of(run) } else { other == id };
        self.ask_those(now, may_give, orders);
    }

    fn ask_those(&mut self, now: Moment, which: impl Fn(LinkId, &Link) -> bool, orders: &mut Vec<Order>) {
        let mut chosen = Vec::new();
        for (&id, link) in self.links.iter_mut().filter(|(id, link)| which(**id, link)) {
            link.dry = false;
            chosen.push((link.is_complete(), id));
        }
        // Incomplete members first: what only complete ones hold can wait for them, the rest need not.
        chosen.sort_unstable();
        for (_, id) in chosen {
            self.ask(now, id, orders);
        }
    }

    /// Whether a link may be asked for parts that incomplete members hold as well.
    ///
    /// A complete member's upload is what everybody needs, so it is not spent on parts that incomplete
    /// members are about to bring anyway.
    pub(super) fn among(&self, now: Moment, link: &Link) -> Among {
        if !link.is_complete() {
            return Among::Counted;
        }
        let incomplete = self.links.values().filter(|link| link.incomplete_set().is_some());
        let rate = incomplete.map(|link| link.expected_rate(now)).fold(0, u64::saturating_add);
        let soon = rate.saturating_mul(SECOND_HAND_PATIENCE.as_secs());
        let open = u64::from(self.picker.open_count()) * u64::from(self.rules.layout.part_len());
        if open > soon { Among::All } else { Among::Rare }
    }

    /// The end phase: nothing is open, so links with nothing to do are asked for what others are slow to
    /// bring. Whoever comes first wins, and the others are cancelled.
    pub(super) fn ask_again(&mut self, now: Moment, orders: &mut Vec<Order>) {
        if self.picker.open_count() > 0 || self.picker.asked_count() == 0 {
            return;
        }
        let idle: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| {
                link.in_flight.is_empty() && !link.askable.is_empty() && link.has_room(self.rules.layout)
            })
            .map(|(&id, _)| id)
            .collect();
        for id in idle {
            let Some(run) = self.slow_run_for(now, id) else { continue };
            let Some(link) = self.links.get_mut(&id) else { continue };
            self.picker.ask_again(run);
            link.ask(now, run);
            orders.push(Order::Want(id, run));
        }
    }

    /// A run, in flight elsewhere for too long, of which this link holds some.
    fn slow_run_for(&self, now: Moment, id: LinkId) -> Option<Run> {
        let theirs = &self.links.get(&id)?.askable;
        let elsewhere = self.links.iter().filter(|&(&other, _)| other != id);
        let asked = elsewhere.flat_map(|(_, link)| link.in_flight.iter());
        asked
            .filter(|asked| !asked.cancelled && now.since(asked.since) >= END_PHASE_PATIENCE)
            .filter_map(|asked| {
                let run = self.worth_asking_again(asked.run, now.since(asked.since), theirs)?;
                Some((asked.since, run))
            })
            .min_by_key(|&(since, _)| since)
            .map(|(_, run)| run)
    }

    fn worth_asking_again(&self, run: Run, waited: Duration, theirs: &PartSet) -> Option<Run> {
        let worth =
            |part: &PartIndex| theirs.contains(*part) && waited >= patience(self.picker.asked_of(*part));
        let mut parts = run.parts().skip_while(|part| !worth(part)).take_while(worth);
        let first = Run::one(parts.next()?);
        Some(parts.fold(first, |run, part| run.extended_by(part).unwrap_or(run)))
    }

    /// What a link was asked is open again.
    pub(super) fn return_all(&mut self, link: &Link) {
        link.live_runs().for_each(|run| self.picker.on_returned(run));
        if let Some(theirs) = link.incomplete_set() {
            theirs.iter().for_each(|part| self.picker.on_lost(part));
        }
    }
}

/// How long a part that so many links were asked for stays with them.
fn patience(asked_of: u8) -> Duration {
    match asked_of {
        0 | 1 => END_PHASE_PATIENCE,
        more => END_PHASE_PATIENCE_MORE.saturating_mul(1 << (more - 2).min(16)),
    }
}
