//! One link as the swarm sees it: who is there, what they hold, what they were asked.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::identity::MemberId;
use crate::limits::{
    ELSEWHERE_PAUSE, LANDING_PATIENCE, LANDING_RATE_MIN, SECOND_HAND_PATIENCE, WINDOW_RUNS_MAX,
};
use crate::logic::addresses::source_of;
use crate::logic::window::Window;
use crate::part::{Layout, Run};
use crate::part_set::PartSet;
use crate::time::Moment;
use crate::wire::member::Denial;

/// Over so many ticks rates are smoothed.
const SMOOTH_TICKS: u64 = 8;

/// A link, from its hello to its end.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) member: MemberId,
    /// Where the member at the far end accepts links, if it does.
    pub(super) address: Option<SocketAddr>,
    /// Where its far end is.
    pub(super) host: IpAddr,
    /// What it counts as where links are counted by source.
    pub(super) source: IpAddr,
    /// We opened it.
    pub(super) dialled: bool,
    /// The far end proved that it has the manifest.
    pub(super) keyed: bool,
    /// What the far end says it holds; none until it said so.
    pub(super) theirs: Option<PartSet>,
    /// The parts among them that it has not refused.
    pub(super) askable: PartSet,
    /// Parts that it refused for now, and when.
    pub(super) deferred: Vec<(Moment, Run)>,
    pub(super) window: Window,
    /// What was asked and not yet answered, oldest first.
    pub(super) in_flight: Vec<Asked>,
    /// Nothing open was found for this link; cleared when that may have changed.
    pub(super) dry: bool,
    /// When this link last gave or took anything.
    pub(super) useful: Moment,
    /// When bytes last arrived that were asked for, or the first of them was asked.
    pub(super) moved: Moment,
    /// When it was first asked for anything.
    pub(super) first_asked: Option<Moment>,
    /// When it last brought a part.
    pub(super) brought: Option<Moment>,
    /// The bytes of all parts that it brought, and that were right.
    pub(super) brought_bytes: u64,
    /// Wrong parts came from its source: it is asked for no more at a time than it has brought.
    pub(super) suspect: bool,
    /// Bytes received and sent at the last tick.
    pub(super) flow: Flow,
    /// Bytes per second received lately, measured by the tick: falls to 0 when nothing comes.
    pub(super) rate: u64,
    /// The same, smoothed.
    steady_rate: u64,
    pub(super) gossiped: Moment,
    /// When addresses that it passed on were last taken in.
    pub(super) gossip_heard: Option<Moment>,
}

/// A run in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) run: Run,
    pub(super) since: Moment,
    /// It was cancelled: no longer counted as asked, but still to be answered.
    pub(super) cancelled: bool,
    /// When its bytes began to come, and how many the link had received by then.
    pub(super) begun: Option<(Moment, u64)>,
}

/// What a link has carried since it came up: bytes of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Whether our own reader is what waits: for the user's rate limit, or for a part buffer.
    pub waits: bool,
}

impl Link {
    /// A link with this member, who accepts links at `address` if at all.
    pub(super) fn new(
        now: Moment,
        layout: Layout,
        member: MemberId,
        address: Option<SocketAddr>,
        host: IpAddr,
        dialled: bool,
    ) -> Link {
        Link {
            member,
            address,
            host: host.to_canonical(),
            source: source_of(host),
            dialled,
            keyed: true,
            theirs: None,
            askable: PartSet::empty(layout),
            deferred: Vec::new(),
            window: Window::new(now),
            in_flight: Vec::new(),
            dry: false,
            useful: now,
            moved: now,
            first_asked: None,
            brought: None,
            brought_bytes: 0,
            suspect: false,
            flow: Flow::default(),
            rate: 0,
            steady_rate: 0,
            gossiped: now,
            gossip_heard: None,
        }
    }

    /// Whether the far end holds every part.
    pub(super) fn is_complete(&self) -> bool {
        self.theirs.as_ref().is_some_and(PartSet::is_full)
    }

    /// The set of the far end, if it counts towards availability.
    pub(super) fn incomplete_set(&self) -> Option<&PartSet> {
        self.theirs.as_ref().filter(|set| !set.is_full())
    }

    /// Bytes asked for and not yet answered.
    pub(super) fn bytes_in_flight(&self, layout: Layout) -> u64 {
        self.in_flight.iter().map(|asked| layout.bytes_of(asked.run)).sum()
    }

    /// The bytes in flight, if they hardly come.
    pub(super) fn bytes_stuck(&self, now: Moment, layout: Layout) -> u64 {
        let waits = self.in_flight.iter().any(|asked| now.since(asked.since) >= LANDING_PATIENCE);
        if waits && self.steady_rate < LANDING_RATE_MIN { self.bytes_in_flight(layout) } else { 0 }
    }

    /// Bytes per second that came of late.
    pub(super) const fn steady_rate(&self) -> u64 {
        self.steady_rate
    }

    /// Bytes per second that came of late, or that could have if our own reader did not wait.
    pub(super) const fn rate_of_late(&self) -> u64 {
        if self.flow.waits { u64::MAX } else { self.steady_rate }
    }

    /// Whether another run may be asked for.
    pub(super) fn has_room(&self, layout: Layout) -> bool {
        let earned = if self.suspect { self.brought_bytes } else { u64::MAX };
        self.in_flight.len() < WINDOW_RUNS_MAX as usize
            && self.bytes_in_flight(layout) < self.window.bytes().min(earned)
    }

    /// Whether both lead to the same member, at the same place: an id can be borrowed.
    pub(super) fn is_to_where(&self, other: &Link) -> bool {
        (self.member, self.host) == (other.member, other.host)
    }

    /// Whether it has brought anything.
    pub(super) const fn has_merit(&self) -> bool {
        self.brought_bytes > 0
    }

    /// The address at which we dialled it, which so is that of whoever is there.
    pub(super) fn dialled_at(&self) -> Option<SocketAddr> {
        self.address.filter(|_| self.dialled)
    }

    /// A run is asked for.
    pub(super) fn ask(&mut self, now: Moment, run: Run) {
        if self.in_flight.is_empty() {
            self.moved = now;
            self.window.resumed(now);
        }
        self.first_asked.get_or_insert(now);
        self.in_flight.push(Asked { run, since: now, cancelled: false, begun: None });
    }

    /// Takes `run` out of what is in flight. Returns what was taken, in pieces, and whether all of `run` was.
    pub(super) fn answered(&mut self, run: Run) -> (Vec<Asked>, bool) {
        let mut taken = Vec::new();
        let mut kept = Vec::with_capacity(self.in_flight.len() + 1);
        let mut lacking = run.count();
        for asked in self.in_flight.drain(..) {
            match asked.run.intersect(run) {
                None => kept.push(asked),
                Some(common) => {
                    lacking = lacking.saturating_sub(common.count());
                    taken.push(Asked { run: common, ..asked });
                    kept.extend(
                        asked.run.minus(common).into_iter().flatten().map(|run| Asked { run, ..asked }),
                    );
                }
            }
        }
        self.in_flight = kept;
        (taken, lacking == 0)
    }

    /// The bytes of these come next.
    pub(super) fn begin(&mut self, now: Moment, run: Run) {
        let (taken, _) = self.answered(run);
        let begun = Some((now, self.flow.received));
        self.in_flight.extend(taken.into_iter().map(|asked| Asked { begun, ..asked }));
    }

    /// Marks what is in flight of `run` as cancelled, where `which` says so; returns the pieces that were not before.
    ///
    /// Until the far end has answered they are not asked for again here: nobody could tell the answers apart.
    pub(super) fn cancel(&mut self, run: Run, which: impl Fn(&Asked) -> bool) -> Vec<Run> {
        let (taken, _) = self.answered(run);
        let mut fresh = Vec::new();
        for asked in taken {
            let now = !asked.cancelled && which(&asked);
            if now {
                for part in asked.run.parts() {
                    self.askable.remove(part);
                }
                fresh.push(asked.run);
            }
            self.in_flight.push(Asked { cancelled: asked.cancelled || now, ..asked });
        }
        fresh
    }

    /// The far end will not give these, now or ever.
    pub(super) fn refused(&mut self, now: Moment, run: Run, denial: Denial) {
        for part in run.parts() {
            self.askable.remove(part);
        }
        if denial != Denial::NotHeld {
            self.deferred.push((now, run));
        }
    }

    /// These may be asked for, or may be again, except what was cancelled here and is still to be answered.
    pub(super) fn offer(&mut self, run: Run) {
        for part in run.parts() {
            self.askable.insert(part);
        }
        let cancelled = self.in_flight.iter().filter(|asked| asked.cancelled);
        for part in cancelled.filter_map(|asked| asked.run.intersect(run)).flat_map(Run::parts) {
            self.askable.remove(part);
        }
    }

    /// What was refused for a while may be asked for again.
    pub(super) fn renew_deferred(&mut self, now: Moment) {
        let deferred = std::mem::take(&mut self.deferred);
        let (wait, renewed): (Vec<_>, Vec<_>) =
            deferred.into_iter().partition(|&(since, _)| now.since(since) < ELSEWHERE_PAUSE);
        self.deferred = wait;
        renewed.into_iter().for_each(|(_, run)| self.offer(run));
    }

    /// Runs that count as asked.
    pub(super) fn live_runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.in_flight.iter().filter(|asked| !asked.cancelled).map(|asked| asked.run)
    }

    /// The bytes per second to count on: nothing from a link that has brought nothing lately, anything from
    /// one that was asked for the first time only just now.
    pub(super) fn expected_rate(&self, now: Moment) -> u64 {
        let lately = |when: Option<Moment>| when.is_some_and(|when| now.since(when) < SECOND_HAND_PATIENCE);
        match self.window.rate() {
            0 if lately(self.first_asked) => u64::MAX,
            rate if lately(self.brought) => rate,
            _ => 0,
        }
    }

    /// Takes in what the link has carried so far.
    pub(super) fn flowed(&mut self, now: Moment, flow: Flow, span: Duration) {
        let received = flow.received.saturating_sub(self.flow.received);
        if received > 0 || flow.waits {
            self.moved = now;
        }
        if flow != self.flow {
            self.useful = now;
        }
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        self.rate = received.saturating_mul(1_000_000) / micros;
        self.steady_rate = smoothed(self.steady_rate, self.rate);
        self.flow = flow;
    }
}

/// A rate after one more tick, smoothed: what comes in bursts is no better for it.
pub(super) const fn smoothed(before: u64, now: u64) -> u64 {
    before - before / SMOOTH_TICKS + now / SMOOTH_TICKS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::PartIndex;

    fn layout() -> Layout {
        Layout::new(100, 1).unwrap()
    }

    fn run(first: u32, count: u32) -> Run {
        layout().run(first, count).unwrap()
    }

    fn link() -> Link {
        let host = IpAddr::from([10, 0, 0, 1]);
        Link::new(Moment::START, layout(), MemberId::from_bytes([0; 16]), None, host, false)
    }

    #[test]
    fn an_answer_may_cut_a_run_in_the_middle() {
        let mut link = link();
        link.ask(Moment::START, run(0, 10));
        let (taken, whole) = link.answered(run(4, 2));
        assert!(whole && taken.len() == 1);
        let left: Vec<Run> = link.live_runs().collect();
        assert_eq!(left, [run(0, 4), run(6, 4)]);
        assert_eq!(link.bytes_in_flight(layout()), 8);
    }

    #[test]
    fn an_answer_to_nothing_is_seen() {
        let mut link = link();
        link.ask(Moment::START, run(0, 10));
        assert!(!link.answered(run(9, 2)).1);
        assert!(!link.answered(run(50, 1)).1);
    }

    #[test]
    fn a_cancelled_run_is_still_to_be_answered() {
        let mut link = link();
        link.ask(Moment::START, run(0, 10));
        assert_eq!(link.cancel(run(3, 2), |_| true), [run(3, 2)]);
        assert_eq!(link.cancel(run(3, 2), |_| true), [], "once");
        assert_eq!(link.bytes_in_flight(layout()), 10);
        assert_eq!(link.live_runs().map(Run::count).sum::<u32>(), 8);
        assert!(link.answered(run(3, 2)).1);
    }

    #[test]
    fn what_was_cancelled_is_not_offered_before_it_is_answered() {
        let mut link = link();
        link.offer(run(0, 10));
        link.ask(Moment::START, run(0, 10));
        link.cancel(run(3, 2), |_| true);
        link.offer(run(2, 3));
        let askable: Vec<usize> = link.askable.iter().map(PartIndex::at).collect();
        assert_eq!(askable, [0, 1, 2, 5, 6, 7, 8, 9]);
        link.answered(run(3, 2));
        link.offer(run(3, 2));
        assert_eq!(link.askable.count(), 10);
    }
}
