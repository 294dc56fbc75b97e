//! Which parts are asked of which link.

use std::time::Duration;

use super::link::{Asked, Link};
use super::{LinkId, Order, Swarm};
use crate::limits::{
    ASKED_BYTES_MIN, ASKED_SPAN, END_PHASE_PATIENCE, END_PHASE_PATIENCE_MAX, END_PHASE_PATIENCE_MORE,
    HEDGE_PATIENCE, LANDING_PATIENCE, LANDING_RATE_MIN, LATE_FACTOR, SECOND_HAND_PATIENCE,
};
use crate::logic::picker::Among;
use crate::part::{PartIndex, Run};
use crate::time::Moment;

/// A link that brings this part of the fair share does well.
const GOOD_SHARE: u64 = 2;
/// A link that brings less of late than this part of what it brought since it began has come to a halt: our best rate fades
/// with it if nothing else comes, so the fair share would not tell.
const HALTED: u64 = 8;

/// Our line is full while all but this part of our best rate of late comes.
const LINE_SLACK: u64 = 8;

/// How a part comes that a link has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coming {
    /// At a good part of the fair share: whoever else is asked would only share our line with it.
    Well,
    /// At less than that.
    Somehow,
    /// At less than [`LANDING_RATE_MIN`].
    Hardly,
}

impl Coming {
    /// How long ago this link began what it was asked, if it did, and how that comes, with this share for each link.
    fn begun(now: Moment, link: &Link, asked: &Asked, share: u64) -> Option<(Duration, Coming)> {
        let (since, before) = asked.begun?;
        let span = now.since(since);
        let bytes = link.flow.received.saturating_sub(before);
        Some((span, Coming::of(span, bytes, link.rate_of_late(), share)))
    }

    /// How a part comes of which so many bytes came in this time, and so many per second of late, with this share for each
    /// link.
    fn of(span: Duration, bytes: u64, of_late: u64, share: u64) -> Coming {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = bytes.saturating_mul(1_000) / millis;
        if rate < LANDING_RATE_MIN {
            Coming::Hardly
        } else if rate >= share / GOOD_SHARE && of_late >= rate / HALTED {
            Coming::Well
        } else {
            Coming::Somehow
        }
    }
}

impl Swarm {
    /// Asks a link for as much as its window allows.
    pub(super) fn ask(&mut self, now: Moment, id: LinkId, orders: &mut Vec<Order>) {
        let layout = self.rules.layout;
        let Some(link) = self.links.get(&id).filter(|link| !link.dry && link.has_room(layout)) else {
            return;
        };
        let mut room = self.room_to_ask();
        if room == 0 {
            return;
        }
        let among = self.among(now, link);
        let Some(link) = self.links.get_mut(&id) else { return };
        while link.has_room(layout) && room > 0 {
            let Some(run) = self.picker.pick(&link.askable, among) else {
                link.dry = true;
                return;
            };
            link.ask(now, run);
            room = room.saturating_sub(layout.bytes_of(run));
            orders.push(Order::Want(id, run));
        }
    }

    /// How many bytes more may be asked for, over all links.
    fn room_to_ask(&self) -> u64 {
        let part_len = u64::from(self.rules.layout.part_len());
        let most = self.capacity.saturating_mul(ASKED_SPAN.as_secs()).max(ASKED_BYTES_MIN).max(2 * part_len);
        // What does not come leaves our line to others: else a few who give nothing would use it up.
        let comes = (u64::from(self.picker.asked_count()) * part_len).saturating_sub(self.stuck);
        most.saturating_sub(comes)
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
        // Else all would turn to the same ones, those who have been here for longest.
        self.rng.shuffle(&mut chosen);
        // Incomplete members first: what only complete ones hold can wait for them, the rest need not.
        chosen.sort_by_key(|&(is_complete, _)| is_complete);
        for (_, id) in chosen {
            self.ask(now, id, orders);
        }
    }

    /// Whether a link may be asked for parts that incomplete members hold as well.
    ///
    /// A complete member's upload is what everybody needs, so it is not spent on parts that incomplete
    /// members are about to bring anyway, nor while what they bring fills our line.
    pub(super) fn among(&self, now: Moment, link: &Link) -> Among {
        if !link.is_complete() {
            return Among::Counted;
        }
        let incomplete = || self.links.values().filter(|link| link.incomplete_set().is_some());
        let comes = incomplete().map(Link::steady_rate).fold(0, u64::saturating_add);
        let is_full = comes > self.capacity - self.capacity / LINE_SLACK;
        let rate = incomplete().map(|link| link.expected_rate(now)).fold(0, u64::saturating_add);
        let soon = rate.saturating_mul(SECOND_HAND_PATIENCE.as_secs());
        let open = u64::from(self.picker.open_count()) * u64::from(self.rules.layout.part_len());
        if open > soon && !is_full { Among::All } else { Among::Rare }
    }

    /// Links with nothing to do are asked for what others do not bring: what they have not begun, for they may have
    /// many to serve, and in the end phase, when nothing is open that somebody holds, what they are late with. Whoever comes first wins,
    /// and the others are told. (Jeffrey Dean and Luiz Barroso call it tied requests: "The Tail at Scale", 2013.)
    pub(super) fn ask_again(&mut self, now: Moment, orders: &mut Vec<Order>) {
        let terms = Terms { late: self.late(), share: self.fair_share(), others: self.is_some_to_be_had() };
        let mut overdue: Vec<Overdue> =
            self.asked().filter_map(|(link, asked)| Overdue::of(now, link, asked, terms)).collect();
        // So it is nearly always: then nothing is spent on looking at what each link could bring.
        if overdue.is_empty() {
            return;
        }
        overdue.sort_by_key(|overdue| overdue.since);
        let idle: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| {
                link.in_flight.is_empty() && !link.askable.is_empty() && link.has_room(self.rules.layout)
            })
            .map(|(&id, _)| id)
            .collect();
        for id in idle {
            let Some(run) = self.overdue_run_for(now, id, &overdue, terms) else { continue };
            let Some(link) = self.links.get_mut(&id) else { continue };
            self.picker.ask_again(run);
            link.ask(now, run);
            orders.push(Order::Want(id, run));
        }
    }

    /// What has been overdue for longest, of which this link, which was asked nothing, holds some.
    fn overdue_run_for(&self, now: Moment, id: LinkId, overdue: &[Overdue], terms: Terms) -> Option<Run> {
        let idle = self.links.get(&id)?;
        // This link would share the far end's line with the other one, which would carry it twice, each half as fast.
        let comes = |link: &Link, asked: &Asked| {
            Coming::begun(now, link, asked, terms.share).is_some_and(|(_, how)| how != Coming::Hardly)
        };
        let comes_from_there: Vec<Run> = self
            .asked()
            .filter(|(link, asked)| link.is_to_where(idle) && comes(link, asked))
            .map(|(_, asked)| asked.run)
            .collect();
        let may_ask = |part: PartIndex| {
            idle.askable.contains(part) && !comes_from_there.iter().any(|run| run.contains(part))
        };
        overdue.iter().find_map(|overdue| self.worth_asking_again(overdue, terms.others, may_ask))
    }

    /// What all links were asked.
    fn asked(&self) -> impl Iterator<Item = (&Link, &Asked)> {
        let all = self.links.values().flat_map(|link| link.in_flight.iter().map(move |asked| (link, asked)));
        all.filter(|(_, asked)| !asked.cancelled)
    }

    /// Whether something is open that some link holds: what nobody holds keeps nobody busy.
    fn is_some_to_be_had(&self) -> bool {
        let complete = self.links.values().any(Link::is_complete);
        if complete { self.picker.open_count() > 0 } else { self.picker.open_counted() > 0 }
    }

    /// What each link brings that has begun something, in bytes per second, if all bring as much.
    fn fair_share(&self) -> u64 {
        let begun = |link: &&Link| link.in_flight.iter().any(|asked| asked.begun.is_some());
        let links = self.links.values().filter(begun).count();
        self.capacity / u64::try_from(links.max(1)).unwrap_or(u64::MAX)
    }

    /// How long a part may take to come.
    fn late(&self) -> Duration {
        let bytes = u64::from(self.picker.asked_count()) * u64::from(self.rules.layout.part_len());
        let all_take = Duration::from_millis(bytes.saturating_mul(1_000) / self.capacity.max(1));
        END_PHASE_PATIENCE.saturating_add(all_take.saturating_mul(LATE_FACTOR)).min(END_PHASE_PATIENCE_MAX)
    }

    /// The first parts of what is overdue that may be asked of one link more.
    fn worth_asking_again(
        &self,
        overdue: &Overdue,
        others: bool,
        may_ask: impl Fn(PartIndex) -> bool,
    ) -> Option<Run> {
        // While others are open, two links are enough for a part.
        let asked_of_max = if others { 1 } else { u8::MAX };
        let worth = |part: &PartIndex| {
            let asked_of = self.picker.asked_of(*part);
            may_ask(*part) && asked_of <= asked_of_max && overdue.waited >= patience(overdue.first, asked_of)
        };
        let mut parts = overdue.run.parts().skip_while(|part| !worth(part)).take_while(worth);
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

/// When a part is worth asking for again.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// How long a part may take to come.
    late: Duration,
    /// What each link brings that has begun something, in bytes per second, if all bring as much.
    share: u64,
    /// Whether something else can be asked for.
    others: bool,
}

/// A run in flight that should have begun or come by now.
#[derive(Clone, Copy, Debug)]
struct Overdue {
    run: Run,
    /// When it was asked for.
    since: Moment,
    /// For how long it is awaited: since it was asked for, or since it began.
    waited: Duration,
    /// How long the first link that was asked for it has it to itself.
    first: Duration,
}

impl Overdue {
    /// What this link was asked, if that is overdue.
    fn of(now: Moment, link: &Link, asked: &Asked, terms: Terms) -> Option<Overdue> {
        let (waited, first) = match Coming::begun(now, link, asked, terms.share) {
            None => (now.since(asked.since), HEDGE_PATIENCE),
            Some(_) if terms.others => return None,
            Some((_, Coming::Well)) => return None,
            Some((waited, Coming::Somehow)) => (waited, terms.late),
            Some((waited, Coming::Hardly)) => (waited, terms.late.min(LANDING_PATIENCE)),
        };
        (waited >= first).then_some(Overdue { run: asked.run, since: asked.since, waited, first })
    }
}

/// How long a part that so many links were asked for stays with them, if it stays with the first for so long.
fn patience(first: Duration, asked_of: u8) -> Duration {
    match asked_of {
        0 | 1 => first,
        more => first.saturating_mul(2).max(END_PHASE_PATIENCE_MORE).saturating_mul(1 << (more - 2).min(16)),
    }
}
