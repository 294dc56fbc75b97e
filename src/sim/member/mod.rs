//! One member: the real machines, and around them what its threads do in earnest (`crate::member`), without threads.
//!
//! - here: what the director does: inputs, orders, the table of links;
//! - `reading`: what links' readers and the verifiers do;
//! - `writing`: what links' writers do;
//! - `checks`: what an onlooker sees that must not be.
//!
//! It knows its own time, disk and links; the world carries out its [`Deed`]s.

mod checks;
mod link;
mod reading;
mod writing;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use self::checks::Vigil;
use self::link::{Link, Mirror};
use super::disk::{Content, Disk};
use super::ground::{Ground, SWARM};
use super::harm::Harm;
use super::net::WayId;
use super::plan::Vice;
use crate::identity::MemberId;
use crate::limits::{CLOSE_GRACE, HANDSHAKE_TIMEOUT, PART_BUFFERS_BYTES, RUN_BYTES_U32};
use crate::logic::giving::Entry;
use crate::logic::serving::Outgoing;
use crate::logic::swarm::{Flow, Input, Knock, LinkId, Order, Quiet, Rules, Swarm, may_knock};
use crate::logic::turns::Turns;
use crate::part::{PartIndex, Run};
use crate::part_set::PartSet;
use crate::time::Moment;
use crate::wire::desk::{Announce, Event as Occasion, Request};
use crate::wire::member::Reason;

/// What the world must do for a member.
#[derive(Debug)]
pub(super) enum Deed {
    /// The link's writer may have something to send.
    Write(LinkId),
    /// The link's reader may go on.
    Hear(LinkId),
    /// Open a connection.
    Dial(SocketAddr),
    /// Ask the conductor.
    Ask(Vec<u8>),
    /// The disk is busy for so long; then [`Member::on_worked`].
    Work(Duration),
    /// Everything is brought to the disk; then [`Member::on_synced`].
    Sync,
    /// The link is over at this end.
    Over(LinkId),
    /// End the link after so long: [`Member::cut`].
    Grace(LinkId, Duration),
    /// The process ends soon.
    Leave,
}

/// What waits for the disk.
#[derive(Debug)]
enum Work {
    Landed {
        id: LinkId,
        run: Run,
        wrong: Vec<PartIndex>,
    },
    /// A link has ended; said after all that it brought.
    Ended {
        id: LinkId,
        tag: Option<u32>,
        dialled: Option<SocketAddr>,
        flow: Flow,
        mirror: Mirror,
    },
}

/// What a member is made of, beside its disk.
#[derive(Clone, Debug)]
pub(super) struct Make {
    pub(super) index: usize,
    pub(super) address: SocketAddr,
    pub(super) links_per_member: usize,
    pub(super) conductor: bool,
    pub(super) disk_rate: u64,
    pub(super) disk_delay: Duration,
    pub(super) vice: Vice,
    pub(super) seed: u64,
}

/// One run of one member.
#[derive(Debug)]
pub(super) struct Member {
    make: Make,
    me: MemberId,
    swarm: Swarm,
    disk: Disk,
    held: PartSet,
    /// The parts in the order of their coming.
    ledger: Vec<PartIndex>,
    given: Vec<Entry>,
    turns: Turns<LinkId>,
    /// Whose turn has begun, and who was not told yet.
    next: Vec<LinkId>,
    /// Bytes of parts sent, over all links.
    sent: u64,
    links: BTreeMap<LinkId, Link>,
    orders: Vec<Order>,
    works: VecDeque<Work>,
    working: bool,
    buffers: u64,
    starving: VecDeque<LinkId>,
    /// How far its clock is ahead.
    skew: Duration,
    /// Parts that were looked at and not found.
    missing: PartSet,
    checked: bool,
    failed: bool,
    stopping: bool,
    finished: bool,
    /// The next part that it sends is spoilt on the way.
    pub(super) spoil_next: bool,
    rng: Rng,
    vigil: Option<Vigil>,
}

impl Member {
    /// A member that begins with what is on its disk.
    pub(super) fn new(make: Make, ground: &Ground, disk: Disk, skew: Duration) -> Member {
        let mut rng = Rng::with_seed(make.seed);
        let me = MemberId::from_bytes(rng.u128(..).to_le_bytes());
        let layout = ground.layout;
        let rules = Rules {
            member: me,
            layout,
            links_per_member: make.links_per_member,
            conductor: make.conductor,
            seed: rng.u64(..),
        };
        let buffer = u64::from(layout.part_len().max(RUN_BYTES_U32));
        Member {
            me,
            swarm: Swarm::new(ground.now + skew, rules),
            disk,
            held: PartSet::empty(layout),
            ledger: Vec::new(),
            given: vec![Entry::default(); layout.parts() as usize],
            turns: Turns::new(ground.now + skew, layout, None),
            next: Vec::new(),
            sent: 0,
            links: BTreeMap::new(),
            orders: Vec::new(),
            works: VecDeque::new(),
            working: false,
            buffers: (PART_BUFFERS_BYTES / buffer).max(1),
            starving: VecDeque::new(),
            skew,
            missing: PartSet::empty(layout),
            checked: false,
            failed: false,
            stopping: false,
            finished: false,
            spoil_next: false,
            rng,
            vigil: None,
            make,
        }
    }

    /// Every part is on its disk for good.
    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) const fn held(&self) -> &PartSet {
        &self.held
    }

    /// What it says about why nothing moves.
    pub(super) fn quiet(&self, ground: &Ground) -> Option<Quiet> {
        self.swarm.quiet(self.time(ground))
    }

    /// Its disk, after its process has ended.
    pub(super) fn into_disk(self) -> Disk {
        self.disk
    }

    pub(super) const fn disk_mut(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// The links there are.
    pub(super) fn links(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    /// When it must be given time, in the world's time.
    pub(super) fn deadline(&self, ground: &Ground) -> Moment {
        ground.now + self.swarm.deadline().since(self.time(ground))
    }

    /// Its clock leaps ahead.
    pub(super) fn leap(&mut self, span: Duration) {
        self.skew += span;
    }

    pub(super) const fn skew(&self) -> Duration {
        self.skew
    }

    fn time(&self, ground: &Ground) -> Moment {
        ground.now + self.skew
    }

    /// It begins.
    pub(super) fn start(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        self.input(ground, Input::Started, deeds);
    }

    /// The user named a member.
    pub(super) fn on_named(&mut self, ground: &mut Ground, address: SocketAddr, deeds: &mut Vec<Deed>) {
        self.input(ground, Input::Named(address), deeds);
    }

    /// Looks at all that is on its disk.
    pub(super) fn check(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        let layout = ground.layout;
        if let Some(whole) = layout.whole() {
            let found: Vec<bool> = whole.parts().map(|part| self.disk.read(part) == Content::Right).collect();
            for (run, held) in whole.cut_by(&found) {
                for part in run.parts() {
                    if held {
                        self.shelve(part);
                    } else {
                        self.missing.insert(part);
                    }
                }
                self.input(ground, Input::Checked { run, held }, deeds);
            }
        }
        self.checked = true;
        self.input(ground, Input::CheckEnded, deeds);
    }

    /// A quarter of a second has passed, or more.
    pub(super) fn tick(
        &mut self,
        ground: &mut Ground,
        stuck: impl Fn(LinkId) -> bool,
        deeds: &mut Vec<Deed>,
    ) {
        let now = self.time(ground);
        let overdue: Vec<LinkId> = self
            .links
            .iter_mut()
            .filter_map(|(&id, link)| {
                let late = link.deadline.is_some_and(|deadline| deadline <= now);
                let slow = link
                    .landing
                    .as_mut()
                    .is_some_and(|landing| landing.pace.hardly_comes(now, landing.filled));
                let hoards = slow && !self.starving.is_empty();
                (late || hoards || stuck(id)).then_some(id)
            })
            .collect();
        overdue.into_iter().for_each(|id| self.cut(ground, id, deeds));
        self.give_up_waiting(ground, deeds);
        self.thin_out_the_line(ground, deeds);
        let links = &self.links;
        let sent_to = |id| links.get(&id).map_or(0, |link| link.flow.sent);
        self.next.extend(self.turns.adapt(now, self.sent, sent_to));
        self.tell_next(deeds);
        let flows: Vec<_> = self.links.iter().map(|(&id, link)| (id, link.flow)).collect();
        for (id, flow) in flows {
            self.input(ground, Input::Flowed(id, flow), deeds);
        }
        self.input(ground, Input::Tick { held_back: false }, deeds);
        if ground.checked && self.make.vice == Vice::None && !self.stopping && !self.failed {
            self.check_vigil(ground);
        }
        if self.make.vice == Vice::Flood {
            self.flood(ground, deeds);
        }
    }

    /// A dial came to nothing.
    pub(super) fn on_dial_failed(&mut self, ground: &mut Ground, address: SocketAddr, deeds: &mut Vec<Deed>) {
        self.input(ground, Input::DialFailed(address), deeds);
    }

    /// A connection is there; its handshake begins.
    pub(super) fn on_connected(
        &mut self,
        ground: &Ground,
        way: WayId,
        far: usize,
        remote: SocketAddr,
        dialled: Option<SocketAddr>,
    ) {
        let deadline = self.time(ground) + HANDSHAKE_TIMEOUT;
        let link = Link::new(ground.layout, far, remote, dialled, deadline);
        self.links.insert(LinkId(way.0), link);
    }

    /// The handshake is through.
    pub(super) fn on_shaken(&mut self, ground: &mut Ground, id: LinkId, deeds: &mut Vec<Deed>) {
        if self.make.vice == Vice::Flood && self.rng.bool() {
            ground.harms.count(Harm::Silent);
            return;
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.open = true;
            deeds.push(Deed::Write(id));
        }
    }

    /// Whether it accepts one more connection.
    pub(super) fn admits(&self, from: SocketAddr) -> Knock {
        let pending = self.links.iter().filter(|(_, link)| link.tag.is_none() && link.dialled.is_none());
        let pending = pending.map(|(&id, link)| (id, link.remote.ip()));
        if self.stopping { Knock::Refused } else { may_knock(from.ip(), pending, self.links.len()) }
    }

    /// The conductor answered, or could not be asked.
    pub(super) fn on_answer(&mut self, ground: &mut Ground, input: Input, deeds: &mut Vec<Deed>) {
        self.input(ground, input, deeds);
    }

    /// The user, or its own trouble, ends it.
    pub(super) fn stop(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        if !self.stopping {
            self.stopping = true;
            let mute: Vec<LinkId> =
                self.links.iter().filter(|(_, link)| link.tag.is_none()).map(|(&id, _)| id).collect();
            mute.into_iter().for_each(|id| self.cut(ground, id, deeds));
            self.input(ground, Input::Stopped, deeds);
            deeds.push(Deed::Leave);
        }
    }

    pub(super) const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Everything that was stored is on the disk for good.
    pub(super) fn on_synced(&mut self, ground: &mut Ground) {
        self.disk.sync();
        self.finished = true;
        ground.trace.line(ground.now, format_args!("{} finished", self.make.index));
        self.check_whole(ground);
    }

    /// The link ends at once.
    pub(super) fn cut(&mut self, ground: &mut Ground, id: LinkId, deeds: &mut Vec<Deed>) {
        let Some(mut link) = self.links.remove(&id) else { return };
        self.next.extend(self.turns.leave(id));
        self.tell_next(deeds);
        if link.landing.take().is_some() {
            self.buffers += 1;
        }
        self.starving.retain(|&other| other != id);
        deeds.push(Deed::Over(id));
        let mirror = std::mem::take(&mut link.mirror);
        self.works.push_back(Work::Ended {
            id,
            tag: link.tag,
            dialled: link.dialled,
            flow: link.flow,
            mirror,
        });
        self.feed(ground, deeds);
        if !self.working {
            self.go_on_working(ground, deeds);
        }
    }

    fn shelve(&mut self, part: PartIndex) {
        if self.held.insert(part) {
            self.ledger.push(part);
        }
    }

    fn input(&mut self, ground: &mut Ground, input: Input, deeds: &mut Vec<Deed>) {
        let now = self.time(ground);
        if !matches!(input, Input::Flowed(..) | Input::Tick { .. }) {
            ground.trace.line(ground.now, format_args!("{} < {input:?}", self.make.index));
        }
        let mut orders = std::mem::take(&mut self.orders);
        if let Some(stopwatch) = &mut ground.stopwatch {
            stopwatch.begin();
        }
        self.swarm.step(now, input, &mut orders);
        if let Some(stopwatch) = &mut ground.stopwatch {
            stopwatch.end();
        }
        ground.steps += 1;
        if ground.checked {
            self.check_step(ground, &orders);
        }
        for order in orders.drain(..) {
            ground.trace.line(ground.now, format_args!("{} > {order:?}", self.make.index));
            self.obey(ground, order, deeds);
        }
        self.orders = orders;
    }

    fn obey(&mut self, ground: &mut Ground, order: Order, deeds: &mut Vec<Deed>) {
        match order {
            Order::Dial(address) => deeds.push(Deed::Dial(address)),
            Order::Want(id, run) => self.tell(ground, id, Outgoing::Want(run), deeds),
            Order::Cancel(id, run) => self.tell(ground, id, Outgoing::Cancel(run), deeds),
            Order::Publish(id) => {
                if self.links.get_mut(&id).is_some_and(|link| !std::mem::replace(&mut link.poked, true)) {
                    self.tell(ground, id, Outgoing::Publish, deeds);
                }
            }
            Order::Gossip(id, addresses) => self.tell(ground, id, Outgoing::Gossip(addresses), deeds),
            Order::Close(id, reason) => self.close(ground, id, reason, deeds),
            Order::Announce { event, left } => self.announce(event, left, deeds),
            Order::Finish => deeds.push(Deed::Sync),
        }
    }

    fn tell(&mut self, ground: &mut Ground, id: LinkId, outgoing: Outgoing, deeds: &mut Vec<Deed>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.order(outgoing) {
            deeds.push(Deed::Write(id));
        } else {
            deeds.push(Deed::Grace(id, Duration::ZERO));
            self.check_honest_fault(ground, id, &"a link's queue is full");
        }
    }

    fn close(&mut self, ground: &mut Ground, id: LinkId, reason: Reason, deeds: &mut Vec<Deed>) {
        if reason == Reason::Fault {
            self.check_blame(ground, id);
        }
        self.tell(ground, id, Outgoing::Close(reason), deeds);
        if let Some(link) = self.links.get_mut(&id) {
            link.closing = true;
            deeds.push(Deed::Grace(id, CLOSE_GRACE));
        }
    }

    fn announce(&self, event: Occasion, left: u64, deeds: &mut Vec<Deed>) {
        let boasts = self.make.vice == Vice::Boasts;
        let announce = Announce {
            swarm: SWARM,
            port: self.make.address.port(),
            complete: (left == 0 && self.checked) || boasts,
            left,
            event,
        };
        let mut request = Vec::new();
        Request::Announce(announce).append_to(&mut request);
        deeds.push(Deed::Ask(request));
    }
}
