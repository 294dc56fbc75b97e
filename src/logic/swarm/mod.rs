//! One composition as one member sees it: who is linked, who is asked for what, when it is whole.
//!
//! - `link`: one link and what is in flight on it.
//! - `asking`: which parts are asked of which link.
//! - `meeting`: whom to dial, what to tell the conductor and the others.
//! - `room`: who gets one of the links that there is room for.
//! - `trust`: what happens to those that bring wrong parts, and to their neighbours.
//!
//! Invariants, checked after every step in debug builds:
//!
//! - a part is exactly one of: not looked at, open, asked (of one link, or of several), held;
//!   held never changes back;
//! - a run is asked of a link only while what is in flight there is below its window;
//! - a part's availability is the number of live, incomplete links whose set contains it;
//! - a closed link appears nowhere, and no order names one.
//!
//! The swarm does not know sockets, files, threads or bytes.

mod asking;
mod link;
mod meeting;
mod room;
#[cfg(test)]
mod siege;
#[cfg(test)]
mod tests;
mod trust;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

pub use self::link::Flow;
use self::link::{Asked, Link, smoothed};
use self::meeting::{Far, Meeting};
pub use self::room::{Knock, Room, Seat, has_room_to_dial, may_knock, room_for};
use super::picker::Picker;
use super::suspects::Suspects;
use super::turns::Supply;
use crate::identity::MemberId;
use crate::limits::{LINKS_MAX, QUIET_TIMEOUT, RUN_BYTES_U32, TICK_INTERVAL, WINDOW_BYTES_MAX};
use crate::part::{Layout, PartIndex, Run};
use crate::part_set::PartSet;
use crate::time::Moment;
use crate::wire::desk::{Event, Roster};
use crate::wire::member::{Denial, Hello, Reason};

/// In each tick the best rate of late fades by such a share: by half within five seconds.
const CAPACITY_FADES: u64 = 32;

/// One of so many who lack something waits in a line for it: the others ask for other things meanwhile.
const WAITS_ONE_IN: usize = 2;

/// A link of this member; never used again after the link's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// What is fixed for the life of a swarm.
#[derive(Clone, Debug)]
pub struct Rules {
    /// This member.
    pub member: MemberId,
    /// The composition's layout.
    pub layout: Layout,
    /// How many links to open to one other member while few are known.
    pub links_per_member: usize,
    /// Whether a conductor is to be asked at all.
    pub conductor: bool,
    /// Breaks ties, differently in each member.
    pub seed: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The member begins.
    Started,
    /// Parts were looked at on disk.
    Checked {
        /// Which.
        run: Run,
        /// Whether all of them are there and right; else none is.
        held: bool,
    },
    /// Every part was looked at.
    CheckEnded,
    /// The user named a member.
    Named(SocketAddr),
    /// A dial came to nothing.
    DialFailed(SocketAddr),
    /// A link said hello.
    LinkUp {
        /// Its id.
        link: LinkId,
        /// What the far end says about itself.
        hello: Hello,
        /// The address of the socket's far end.
        remote: SocketAddr,
        /// The address that was dialled, if we dialled.
        dialled: Option<SocketAddr>,
        /// Whether the far end proved that it has the manifest; in the classic protocol nobody can.
        keyed: bool,
    },
    /// The far end told all that it holds.
    Holds(LinkId, PartSet),
    /// It holds more.
    HoldsAlso(LinkId, Vec<Run>),
    /// The bytes of these parts come next over this link.
    Coming(LinkId, Run),
    /// These parts came over this link, are right, and are on disk.
    Stored(LinkId, Run),
    /// These parts will not come over this link.
    Refused(LinkId, Run, Denial),
    /// Wrong bytes came over this link; its thread ends it.
    Corrupt(LinkId, PartIndex),
    /// What the link has carried so far; reported with each tick.
    Flowed(LinkId, Flow),
    /// The link ended.
    LinkDown(LinkId),
    /// Another member passed on addresses.
    Gossip(LinkId, Vec<SocketAddr>),
    /// The conductor answered.
    Conducted(Roster),
    /// The same, and its members come best first.
    Greeted(Roster),
    /// The conductor refused.
    ConductorRefused,
    /// The conductor could not be asked.
    ConductorSilent,
    /// Time passed; `held_back` if the user's rate limit is what slows us.
    Tick {
        /// Whether `--down` makes links wait.
        held_back: bool,
    },
    /// The user wants to leave.
    Stopped,
}

/// What must be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Open a link to this address.
    Dial(SocketAddr),
    /// Ask for these parts.
    Want(LinkId, Run),
    /// These are no longer needed from this link.
    Cancel(LinkId, Run),
    /// Tell the far end which parts are new.
    Publish(LinkId),
    /// Pass on addresses.
    Gossip(LinkId, Vec<SocketAddr>),
    /// End the link, with this last word.
    Close(LinkId, Reason),
    /// Tell the conductor.
    Announce {
        /// What happened.
        event: Event,
        /// Bytes still missing.
        left: u64,
    },
    /// Every part is on disk: give the file its name.
    Finish,
}

/// Why nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// The conductor cannot be reached, and nobody else is known.
    ConductorSilent,
    /// The conductor refused, and nobody else is known.
    ConductorRefused,
    /// Nobody else is known.
    Alone,
    /// Members are known but there is no link to any.
    NoneReachable {
        /// How many addresses are known.
        known: usize,
    },
    /// No linked member holds these parts.
    NoHolder {
        /// The first of them.
        first: PartIndex,
        /// How many.
        parts: u32,
    },
    /// Linked members were asked and have sent nothing since.
    Unanswered,
    /// The user's rate limit.
    HeldBack,
}

/// The machine.
#[derive(Debug)]
pub struct Swarm {
    rules: Rules,
    picker: Picker,
    links: BTreeMap<LinkId, Link>,
    meeting: Meeting,
    suspects: Suspects,
    rng: fastrand::Rng,
    bytes_held: u64,
    checked: bool,
    finished: bool,
    stopped: bool,
    held_back: bool,
    /// Bytes per second received over all links, smoothed.
    rate: u64,
    /// The best of that of late.
    capacity: u64,
    /// Bytes that were asked for and hardly come.
    stuck: u64,
    last_tick: Moment,
    /// When a part was last stored, or getting became possible.
    progressed: Moment,
}

impl Swarm {
    /// A swarm in which nothing is known yet.
    #[must_use]
    pub fn new(now: Moment, rules: Rules) -> Swarm {
        let mut seeds = fastrand::Rng::with_seed(rules.seed);
        Swarm {
            picker: Picker::new(rules.layout, seeds.u64(..)),
            meeting: Meeting::new(seeds.fork()),
            suspects: Suspects::new(),
            rng: seeds.fork(),
            links: BTreeMap::new(),
            bytes_held: 0,
            checked: false,
            finished: false,
            stopped: false,
            held_back: false,
            rate: 0,
            capacity: 0,
            stuck: 0,
            last_tick: now,
            progressed: now,
            rules,
        }
    }

    /// Advances the machine by one input and appends what must now be done.
    /// Total: it accepts every input in every state. Inputs about links that are gone are ignored.
    pub fn step(&mut self, now: Moment, input: Input, orders: &mut Vec<Order>) {
        if self.stopped && !matches!(input, Input::LinkDown(_)) {
            match input {
                // Links may still come up while their threads learn of the end.
                Input::LinkUp { link, .. } => orders.push(Order::Close(link, Reason::Leaving)),
                // The deadline goes on, or whoever waits for it would spin.
                Input::Tick { .. } => self.last_tick = now,
                _ => {}
            }
            return;
        }
        match input {
            Input::Started => self.meet(now, orders),
            Input::Checked { run, held } => self.on_checked(now, run, held, orders),
            Input::CheckEnded => self.on_check_ended(now, orders),
            Input::Named(address) => self.on_named(now, address, orders),
            Input::DialFailed(address) => self.on_dial_failed(now, address),
            Input::LinkUp { link, hello, remote, dialled, keyed } => {
                self.on_link_up(now, link, hello, Far { remote, dialled, keyed }, orders);
            }
            Input::Holds(link, set) => self.on_holds(now, link, set, orders),
            Input::HoldsAlso(link, runs) => self.on_holds_also(now, link, &runs, orders),
            Input::Coming(link, run) => self.on_coming(now, link, run, orders),
            Input::Stored(link, run) => self.on_stored(now, link, run, orders),
            Input::Refused(link, run, denial) => self.on_refused(now, link, run, denial, orders),
            Input::Corrupt(link, _) => self.on_corrupt(now, link, orders),
            Input::Flowed(link, flow) => self.on_flowed(now, link, flow),
            Input::LinkDown(link) => self.on_link_down(now, link, orders),
            Input::Gossip(link, addresses) => self.on_gossip(now, link, &addresses, orders),
            Input::Conducted(roster) => self.on_roster(now, &roster, false, orders),
            Input::Greeted(roster) => self.on_roster(now, &roster, true, orders),
            Input::ConductorRefused => self.meeting.on_conductor_refused(now),
            Input::ConductorSilent => self.meeting.on_conductor_silent(now),
            Input::Tick { held_back } => self.on_tick(now, held_back, orders),
            Input::Stopped => self.on_stopped(orders),
        }
        #[cfg(debug_assertions)]
        self.check_invariants(orders);
    }

    /// When to call `step` with [`Input::Tick`] if nothing else happens first.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        self.last_tick + TICK_INTERVAL
    }

    /// The parts that are on disk and verified.
    #[must_use]
    pub const fn held(&self) -> &PartSet {
        self.picker.held()
    }

    /// The parts that are held here and at the far end of every link: nobody who is here will ask for them.
    pub fn spread(&self) -> impl Iterator<Item = PartIndex> {
        self.picker.held_by(self.links.values().filter(|link| !link.is_complete()).count())
    }

    /// How many incomplete members hold a part, and how many of those who lack it should wait for it here, if others can
    /// send it as well: as many as for each of them, if every second one waits. A complete member has a rule of its own for
    /// that, see [`crate::logic::giving`].
    pub fn supply(&self) -> impl Fn(PartIndex) -> Supply {
        let incomplete = self.links.values().filter(|link| link.incomplete_set().is_some()).count();
        let is_complete = self.is_complete();
        move |part| {
            let holders = usize::from(self.picker.availability(part));
            let rooms = incomplete.saturating_sub(holders) / WAITS_ONE_IN / (holders + 1);
            Supply { holders, rooms: (holders > 0 && !is_complete).then_some(rooms) }
        }
    }

    /// Whether every part is held.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.picker.held().is_full()
    }

    /// Whether every part was looked at on disk.
    #[must_use]
    pub const fn is_checked(&self) -> bool {
        self.checked
    }

    /// The number of other members with a link.
    #[must_use]
    pub fn members(&self) -> usize {
        let mut members: Vec<MemberId> = self.links.values().map(|link| link.member).collect();
        members.sort_unstable();
        members.dedup();
        members.len()
    }

    /// Why nothing moves; none while something does, or when there is nothing to get.
    #[must_use]
    pub fn quiet(&self, now: Moment) -> Option<Quiet> {
        if self.is_complete() || !self.checked || now.since(self.progressed) < QUIET_TIMEOUT {
            return None;
        }
        if self.links.is_empty() {
            return Some(self.meeting.quiet());
        }
        if self.links.values().any(|link| !link.in_flight.is_empty()) {
            let moving = self.links.values().any(|link| link.rate > 0);
            return match (self.held_back, moving) {
                (true, _) => Some(Quiet::HeldBack),
                (false, true) => None,
                (false, false) => Some(Quiet::Unanswered),
            };
        }
        if self.links.values().any(Link::is_complete) {
            // It holds everything, and gives it to others before us.
            return Some(Quiet::Unanswered);
        }
        self.picker.unavailable().map(|(first, parts)| Quiet::NoHolder { first, parts })
    }

    fn on_checked(&mut self, now: Moment, run: Run, held: bool, orders: &mut Vec<Order>) {
        if held {
            self.hold(now, run, orders);
        } else {
            run.parts().for_each(|part| self.picker.on_missing(part));
            self.progressed = now;
        }
    }

    fn on_check_ended(&mut self, now: Moment, orders: &mut Vec<Order>) {
        self.checked = true;
        self.progressed = now;
        self.meeting.hurry_announce();
        self.finish_if_complete(orders);
        // Complete members may have come while we did not know yet that we are one.
        self.close_where_both_complete(now, orders);
        self.ask_everybody(now, orders);
        self.meet(now, orders);
    }

    fn on_holds(&mut self, now: Moment, id: LinkId, set: PartSet, orders: &mut Vec<Order>) {
        let is_complete = self.is_complete();
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.theirs.is_some() {
            return;
        }
        if !set.is_full() {
            set.iter().for_each(|part| self.picker.on_have(part));
        }
        link.askable = set.clone();
        link.theirs = Some(set);
        // What came since our own set went out was told to nobody on this link, and nothing more may come.
        if !self.picker.held().is_empty() && (is_complete || !link.is_complete()) {
            orders.push(Order::Publish(id));
        }
        self.close_if_both_complete(now, id, orders);
        self.ask(now, id, orders);
        self.meet(now, orders);
    }

    fn on_holds_also(&mut self, now: Moment, id: LinkId, runs: &[Run], orders: &mut Vec<Order>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(theirs) = link.theirs.as_mut().filter(|theirs| !theirs.is_full()) else { return };
        for part in runs.iter().flat_map(|run| run.parts()) {
            if theirs.insert(part) {
                self.picker.on_have(part);
            }
            link.dry &= !self.picker.is_open(part);
        }
        if theirs.is_full() {
            theirs.iter().for_each(|part| self.picker.on_lost(part));
        }
        runs.iter().for_each(|&run| link.offer(run));
        self.close_if_both_complete(now, id, orders);
        self.ask(now, id, orders);
    }

    fn on_stored(&mut self, now: Moment, id: LinkId, run: Run, orders: &mut Vec<Order>) {
        let layout = self.rules.layout;
        if let Some(link) = self.links.get_mut(&id) {
            let (taken, asked_for) = link.answered(run);
            link.moved = now;
            link.brought_bytes += layout.bytes_of(run);
            self.suspects.brought(link.source, layout.bytes_of(run));
            if link.brought.replace(now).is_none()
                && let Some(address) = link.address
            {
                self.meeting.on_useful(now, address);
            }
            for asked in &taken {
                if !asked.cancelled {
                    self.picker.on_returned(asked.run);
                }
                link.window.answered(now, layout.bytes_of(asked.run), now.since(asked.since));
            }
            if !asked_for {
                self.expel(now, id, orders);
            }
        }
        // Right bytes are right whoever asked: they count even from a link that is gone.
        self.hold(now, run, orders);
        self.ask(now, id, orders);
    }

    /// Whoever begins first brings it.
    fn on_coming(&mut self, now: Moment, id: LinkId, run: Run, orders: &mut Vec<Order>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.begin(now, run);
        if run.parts().any(|part| self.picker.asked_of(part) > 1) {
            self.cancel_elsewhere(run, |other, asked| other != id && asked.begun.is_none(), orders);
        }
    }

    fn on_refused(&mut self, now: Moment, id: LinkId, run: Run, denial: Denial, orders: &mut Vec<Order>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (taken, asked_for) = link.answered(run);
        for asked in taken {
            match (asked.cancelled, denial) {
                (true, Denial::NotHeld) => {}
                (true, _) => link.offer(asked.run),
                (false, _) => {
                    link.refused(now, asked.run, denial);
                    self.picker.on_returned(asked.run);
                }
            }
        }
        if !asked_for {
            self.expel(now, id, orders);
            self.ask_everybody(now, orders);
        } else {
            self.ask_elsewhere(now, id, run, orders);
        }
    }

    /// The parts are on disk.
    fn hold(&mut self, now: Moment, run: Run, orders: &mut Vec<Order>) {
        let mut news = false;
        if run.parts().any(|part| self.picker.asked_of(part) > 0) {
            self.cancel_elsewhere(run, |_, _| true, orders);
        }
        for part in run.parts() {
            if self.picker.on_held(part) {
                self.bytes_held += u64::from(self.rules.layout.len_of(part));
                news = true;
            }
        }
        if !news {
            return;
        }
        self.progressed = now;
        self.finish_if_complete(orders);
        let complete = self.is_complete();
        // A complete member gains nothing from our additions; it waits for the end.
        let listeners =
            self.links.iter().filter(|(_, link)| link.theirs.is_some() && (complete || !link.is_complete()));
        orders.extend(listeners.map(|(&id, _)| Order::Publish(id)));
        self.close_where_both_complete(now, orders);
    }

    fn close_where_both_complete(&mut self, now: Moment, orders: &mut Vec<Order>) {
        if self.is_complete() {
            let ids: Vec<LinkId> = self.links.keys().copied().collect();
            ids.into_iter().for_each(|id| self.close_if_both_complete(now, id, orders));
        }
    }

    /// Whoever else was asked for these parts need not send them, where `which` says so.
    fn cancel_elsewhere(
        &mut self,
        run: Run,
        which: impl Fn(LinkId, &Asked) -> bool,
        orders: &mut Vec<Order>,
    ) {
        for (&id, link) in &mut self.links {
            for cancelled in link.cancel(run, |asked| which(id, asked)) {
                self.picker.on_returned(cancelled);
                orders.push(Order::Cancel(id, cancelled));
            }
        }
    }

    fn finish_if_complete(&mut self, orders: &mut Vec<Order>) {
        if self.checked && self.is_complete() && !self.finished {
            self.finished = true;
            self.meeting.on_completed();
            orders.push(Order::Finish);
        }
    }

    fn on_flowed(&mut self, now: Moment, id: LinkId, flow: Flow) {
        let span = now.since(self.last_tick);
        if let Some(link) = self.links.get_mut(&id) {
            link.flowed(now, flow, span);
        }
    }

    fn on_tick(&mut self, now: Moment, held_back: bool, orders: &mut Vec<Order>) {
        self.last_tick = now;
        self.held_back = held_back;
        let rate = self.links.values().map(|link| link.rate).fold(0, u64::saturating_add);
        self.rate = smoothed(self.rate, rate);
        self.capacity = (self.capacity - self.capacity / CAPACITY_FADES).max(self.rate);
        let layout = self.rules.layout;
        self.stuck = self.links.values().map(|link| link.bytes_stuck(now, layout)).sum();
        self.links.values_mut().for_each(|link| link.renew_deferred(now));
        self.replace_useless_links(now, orders);
        self.mark_suspects(now);
        self.ask_everybody(now, orders);
        self.try_suspects(now, orders);
        self.ask_again(now, orders);
        self.meet(now, orders);
        self.gossip(now, orders);
    }

    fn on_stopped(&mut self, orders: &mut Vec<Order>) {
        self.stopped = true;
        orders.extend(self.links.keys().map(|&id| Order::Close(id, Reason::Leaving)));
        if self.meeting.may_be_known_to_conductor() {
            orders.push(Order::Announce { event: Event::Left, left: self.left() });
        }
    }

    fn left(&self) -> u64 {
        self.rules.layout.size() - self.bytes_held
    }

    /// Recounts everything from scratch.
    ///
    /// # Panics
    /// An invariant is broken, which is a bug.
    pub fn check_invariants(&self, orders: &[Order]) {
        let live = self.links.values().flat_map(Link::live_runs);
        // Recounting millions of parts after each step would make debug builds useless.
        if self.rules.layout.parts() <= 4_096 {
            self.picker.check_invariants(live, self.links.values().filter_map(Link::incomplete_set));
        }
        assert!(self.links.len() <= LINKS_MAX, "links are bounded");
        for order in orders {
            if let Order::Want(id, _) | Order::Cancel(id, _) | Order::Publish(id) | Order::Gossip(id, _) =
                order
            {
                let closed = orders.iter().any(|other| matches!(other, Order::Close(gone, _) if gone == id));
                assert!(closed || self.links.contains_key(id), "{order:?} names a link that is gone");
            }
        }
        for link in self.links.values() {
            // In bytes: answers may leave any holes in what was asked.
            let most = WINDOW_BYTES_MAX + u64::from(self.rules.layout.part_len().max(RUN_BYTES_U32));
            assert!(link.bytes_in_flight(self.rules.layout) <= most, "what is in flight is bounded");
        }
    }
}
