//! Whom to dial, which links to keep, and what to tell the conductor and the others.

use std::net::SocketAddr;
use std::time::Duration;

use super::link::Link;
use super::room::Room;
use super::{LinkId, Order, Quiet, Swarm};
use crate::limits::{
    ANNOUNCE_INTERVAL_MAX, ANNOUNCE_INTERVAL_MIN, ANNOUNCE_RETRY_MAX, ANNOUNCE_RETRY_MIN,
    COMPLETE_DIAL_PAUSE, COMPLETE_REDIAL_PAUSE, DIALS_MAX, GOSSIP_HEARD_INTERVAL, GOSSIP_INTERVAL,
    IDLE_TIMEOUT, LINKS_DIALLED_MAX, LINKS_PER_MEMBER_MAX, LONELY_INTERVAL, MEMBERS_FOR_SINGLE_LINKS,
    ROSTER_MAX, STALL_TIMEOUT,
};
use crate::logic::addresses::{Addresses, Source, source_of};
use crate::logic::backoff::Backoff;
use crate::time::Moment;
use crate::wire::desk::{Event, Roster};
use crate::wire::member::{Hello, Reason};

/// What is known about the world outside the links.
#[derive(Debug)]
pub(super) struct Meeting {
    pub(super) addresses: Addresses,
    rng: fastrand::Rng,
    announce: Backoff,
    /// An announce is under way.
    asking: bool,
    /// Something changed since it went out.
    outdated: bool,
    /// When the last announce went out.
    asked: Moment,
    /// The conductor answered at least once in this run.
    known_to_conductor: bool,
    /// What the next announce is about.
    event: Event,
    /// What the announce under way is about.
    asked_event: Event,
    conductor: Conductor,
}

/// Whom a link is with, as far as sockets and handshakes tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Far {
    pub(super) remote: SocketAddr,
    pub(super) dialled: Option<SocketAddr>,
    pub(super) keyed: bool,
}

/// How the last announce went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conductor {
    Answered,
    Refused,
    Silent,
}

impl Meeting {
    pub(super) fn new(mut rng: fastrand::Rng) -> Meeting {
        Meeting {
            addresses: Addresses::new(rng.fork()),
            rng,
            announce: Backoff::new(ANNOUNCE_RETRY_MIN, ANNOUNCE_RETRY_MAX),
            asking: false,
            outdated: false,
            asked: Moment::START,
            known_to_conductor: false,
            event: Event::Started,
            asked_event: Event::Started,
            conductor: Conductor::Answered,
        }
    }

    /// Whether the conductor has heard of us, or may have: what it answers comes later than what it hears.
    pub(super) const fn may_be_known_to_conductor(&self) -> bool {
        self.known_to_conductor || self.asking
    }

    /// How many addresses of others are known.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.addresses.known()
    }

    pub(super) fn on_completed(&mut self) {
        if self.known_to_conductor {
            self.event = Event::Completed;
        }
        self.hurry_announce();
    }

    /// Something changed that the conductor should hear about soon.
    pub(super) fn hurry_announce(&mut self) {
        self.outdated = self.asking;
        self.announce.hurry();
    }

    /// A link with the member that listens there brought something.
    pub(super) fn on_useful(&mut self, now: Moment, address: SocketAddr) {
        self.addresses.on_useful(now, address);
    }

    pub(super) fn on_conductor_refused(&mut self, now: Moment) {
        self.asking = false;
        self.conductor = Conductor::Refused;
        self.announce.failed(now, &mut self.rng);
    }

    pub(super) fn on_conductor_silent(&mut self, now: Moment) {
        self.asking = false;
        self.conductor = Conductor::Silent;
        self.announce.failed(now, &mut self.rng);
    }

    pub(super) fn quiet(&self) -> Quiet {
        match (self.addresses.known(), self.conductor) {
            (0, Conductor::Silent) => Quiet::ConductorSilent,
            (0, Conductor::Refused) => Quiet::ConductorRefused,
            (0, Conductor::Answered) => Quiet::Alone,
            (known, _) => Quiet::NoneReachable { known },
        }
    }
}

impl Swarm {
    pub(super) fn on_named(&mut self, now: Moment, address: SocketAddr, orders: &mut Vec<Order>) {
        self.meeting.addresses.learn(now, address, Source::User, Duration::ZERO);
        self.meet(now, orders);
    }

    pub(super) fn on_dial_failed(&mut self, now: Moment, address: SocketAddr) {
        self.meeting.addresses.on_dial_failed(now, address);
    }

    pub(super) fn on_roster(
        &mut self,
        now: Moment,
        roster: &Roster,
        best_first: bool,
        orders: &mut Vec<Order>,
    ) {
        self.meeting.asking = false;
        self.meeting.known_to_conductor = true;
        self.meeting.conductor = Conductor::Answered;
        if self.meeting.event == self.meeting.asked_event {
            self.meeting.event = Event::Going;
        }
        let interval = Duration::from_millis(u64::from(roster.interval_ms));
        let interval = interval.clamp(ANNOUNCE_INTERVAL_MIN, ANNOUNCE_INTERVAL_MAX);
        // If it goes away and comes back, it has everybody back within an interval, and no more at a time than ever.
        self.meeting.announce.set_max(interval);
        self.meeting.announce.succeeded(now, interval);
        if std::mem::take(&mut self.meeting.outdated) {
            self.meeting.announce.hurry();
        }
        self.learn(now, &roster.members, Source::Conductor);
        if best_first {
            self.meeting.addresses.prefer(&roster.members);
        }
        self.meet(now, orders);
    }

    pub(super) fn on_gossip(
        &mut self,
        now: Moment,
        id: LinkId,
        addresses: &[SocketAddr],
        orders: &mut Vec<Order>,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.gossip_heard.is_none_or(|heard| now.since(heard) >= GOSSIP_HEARD_INTERVAL) {
            link.gossip_heard = Some(now);
            self.learn(now, addresses, Source::Member);
            self.meet(now, orders);
        }
    }

    fn learn(&mut self, now: Moment, addresses: &[SocketAddr], source: Source) {
        // Two members that dial each other at the same moment end up with twice the links, so a complete
        // one lets the others go first.
        let pause = if self.is_complete() { COMPLETE_DIAL_PAUSE } else { Duration::ZERO };
        for &address in addresses.iter().take(ROSTER_MAX) {
            self.meeting.addresses.learn(now, address, source, pause);
        }
    }

    pub(super) fn on_link_up(
        &mut self,
        now: Moment,
        id: LinkId,
        hello: Hello,
        far: Far,
        orders: &mut Vec<Order>,
    ) {
        let Far { remote, dialled, keyed } = far;
        let source = source_of(remote.ip());
        let claimed = || Some(SocketAddr::new(remote.ip(), hello.port)).filter(|_| hello.port != 0);
        // Somebody else may be at the address that it claims.
        let claimed = || claimed().filter(|&address| self.meeting.addresses.may_be(address, hello.member));
        let address = dialled.or_else(claimed);
        let refused = match dialled {
            Some(address) => self.meeting.addresses.is_refused(now, address),
            None => self.suspects.is_refused(now, source, hello.member),
        };
        // By host as well: whoever borrows the id of another member must not use up its links, and a member that has
        // got another address must not wait until those to its old one are noticed to be dead.
        let host = remote.ip().to_canonical();
        let is_same = |link: &&Link| link.member == hello.member && link.host == host;
        let same = self.links.values().filter(is_same).count();
        let room = self.room_for(source, dialled.is_some(), keyed);
        let refusal = if hello.member == self.rules.member {
            Some(Reason::Oneself)
        } else if refused {
            Some(Reason::Fault)
        } else if room == Room::Full || same >= LINKS_PER_MEMBER_MAX {
            Some(Reason::TooMany)
        } else {
            None
        };
        let addresses = &mut self.meeting.addresses;
        if let Some(reason) = refusal {
            orders.push(Order::Close(id, reason));
            if let Some(address) = dialled {
                addresses.on_dial_failed(now, address);
                if reason == Reason::Oneself {
                    addresses.on_oneself(address);
                }
            }
            return;
        }
        if let Some(address) = dialled {
            addresses.on_dial_done(address);
        }
        if let Some(address) = address {
            addresses.learn(now, address, Source::Conductor, Duration::ZERO);
            addresses.on_link(address, hello.member, dialled.is_some());
        }
        if let Room::InsteadOf(other) = room {
            orders.push(Order::Close(other, Reason::TooMany));
            self.forget(now, other, None);
        }
        let is_dialled = dialled.is_some();
        let mut link = Link::new(now, self.rules.layout, hello.member, address, host, is_dialled);
        // Newcomers are told at once whom else there is.
        link.gossiped = Moment::START;
        link.keyed = keyed;
        link.suspect = self.suspects.is_suspect(now, source);
        self.links.insert(id, link);
    }

    pub(super) fn on_link_down(&mut self, now: Moment, id: LinkId, orders: &mut Vec<Order>) {
        if self.links.contains_key(&id) {
            self.broke_off(now, id);
            self.forget(now, id, None);
            if !self.stopped {
                self.ask_everybody(now, orders);
                self.meet(now, orders);
            }
        }
    }

    /// Two complete members have nothing to give each other.
    pub(super) fn close_if_both_complete(&mut self, now: Moment, id: LinkId, orders: &mut Vec<Order>) {
        let both = self.is_complete() && self.checked && self.links.get(&id).is_some_and(Link::is_complete);
        if both {
            orders.push(Order::Close(id, Reason::Complete));
            self.forget(now, id, Some(COMPLETE_REDIAL_PAUSE));
        }
    }

    /// Takes a link out of everything; its address is due again after `pause`, or as after a failure.
    pub(super) fn forget(&mut self, now: Moment, id: LinkId, pause: Option<Duration>) {
        let Some(link) = self.links.remove(&id) else { return };
        self.return_all(&link);
        if let Some(address) = link.address {
            self.meeting.addresses.on_link_gone(now, address, pause);
        }
    }

    pub(super) fn replace_useless_links(&mut self, now: Moment, orders: &mut Vec<Order>) {
        let stalled = |link: &Link| {
            !link.in_flight.is_empty() && now.since(link.moved) >= STALL_TIMEOUT && !self.held_back
        };
        let crowded = self.links.len() >= LINKS_DIALLED_MAX;
        let idle =
            |link: &Link| crowded && link.in_flight.is_empty() && now.since(link.useful) >= IDLE_TIMEOUT;
        let useless: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| stalled(link) || idle(link)).map(|(&id, _)| id).collect();
        for id in useless {
            orders.push(Order::Close(id, Reason::Idle));
            self.broke_off(now, id);
            self.forget(now, id, None);
        }
    }

    /// Dials and announces whatever is due.
    pub(super) fn meet(&mut self, now: Moment, orders: &mut Vec<Order>) {
        self.dial(now, orders);
        self.dial_again(now, orders);
        self.announce(now, orders);
    }

    fn dial(&mut self, now: Moment, orders: &mut Vec<Order>) {
        loop {
            let dials = self.meeting.addresses.dials();
            if dials >= DIALS_MAX || !self.has_room_to_dial(dials) {
                return;
            }
            let Some(address) = self.meeting.addresses.next_due(now) else { return };
            self.meeting.addresses.on_dial(address);
            orders.push(Order::Dial(address));
        }
    }

    /// While few members are known, one link to each leaves cores and bandwidth unused.
    fn dial_again(&mut self, now: Moment, orders: &mut Vec<Order>) {
        if self.is_complete() || self.members() >= MEMBERS_FOR_SINGLE_LINKS {
            return;
        }
        let useful = self.links.values().filter(|link| {
            link.theirs.as_ref().is_some_and(|theirs| self.picker.held().lacks_some_of(theirs))
        });
        let useful: Vec<_> = useful.filter_map(|link| Some((link.member, link.address?))).collect();
        let mut room = DIALS_MAX.saturating_sub(self.meeting.addresses.dials());
        for (member, address) in useful {
            if room == 0 {
                return;
            }
            let links = self.links.values().filter(|link| link.member == member).count();
            let dials = self.meeting.addresses.dials_to(address);
            if links + dials < self.rules.links_per_member
                && self.meeting.addresses.may_dial_again(now, address)
            {
                room -= 1;
                self.meeting.addresses.on_dial(address);
                orders.push(Order::Dial(address));
            }
        }
    }

    fn announce(&mut self, now: Moment, orders: &mut Vec<Order>) {
        let lonely = self.links.is_empty() && !self.is_complete();
        let meeting = &mut self.meeting;
        // A conductor that does not answer keeps its own, growing pause.
        let due = meeting.announce.due() <= now
            || (lonely && meeting.announce.failures() == 0 && now.since(meeting.asked) >= LONELY_INTERVAL);
        if !self.rules.conductor || meeting.asking || !due {
            return;
        }
        meeting.asking = true;
        meeting.asked = now;
        meeting.asked_event = meeting.event;
        let event = meeting.event;
        orders.push(Order::Announce { event, left: self.left() });
    }

    /// Passes on addresses, so that the swarm outlives its conductor.
    pub(super) fn gossip(&mut self, now: Moment, orders: &mut Vec<Order>) {
        let due = |link: &Link| link.gossiped == Moment::START || now.since(link.gossiped) >= GOSSIP_INTERVAL;
        for (&id, link) in &mut self.links {
            if link.theirs.is_none() || !due(link) {
                continue;
            }
            link.gossiped = now;
            let mut sample = self.meeting.addresses.sample_to_pass_on(ROSTER_MAX);
            sample.retain(|&address| Some(address) != link.address);
            if !sample.is_empty() {
                orders.push(Order::Gossip(id, sample));
            }
        }
    }
}
