//! The world of one run: its clock, its members, and what happens in which order.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use super::conductor::Conductor;
use super::disk::{Content, Disk};
use super::ground::{Ground, Stopwatch};
use super::harm::{Harm, Harms};
use super::member::{Deed, Make, Member};
use super::net::{Beat, Chunk, Net, WayId};
use super::plan::{MemberPlan, Plan, Share, Vice};
use super::queue::Queue;
use crate::limits::{LEAVE_GRACE, WRITE_TIMEOUT};
use crate::logic::swarm::{Input, LinkId};
use crate::time::Moment;
use crate::wire::desk::Reply;
use crate::wire::dialogue::Decoder;

/// Something happens. A member's `life` says in which of its runs; what concerns an earlier one is void.
#[derive(Debug)]
pub(super) enum Event {
    Net(Beat),
    Start(usize),
    Check(usize, u32),
    Tick(usize, u32),
    Worked(usize, u32),
    Synced(usize, u32),
    /// A member that leaves is gone.
    Left(usize, u32),
    /// A connection is asked for.
    Knock {
        from: usize,
        life: u32,
        to: SocketAddr,
    },
    DialFailed {
        member: usize,
        life: u32,
        address: SocketAddr,
    },
    /// The handshake is through at the end that sends on this way.
    Shaken(WayId),
    /// The end that sends on this way gives the connection up.
    Cut(WayId),
    Ask {
        member: usize,
        life: u32,
        request: Vec<u8>,
    },
    Answer {
        member: usize,
        life: u32,
        input: Box<Input>,
    },
    Fault(usize),
    Mend(Mend),
    Calm,
    /// Nobody may need longer.
    Deadline,
}

/// The end of a fault.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mend {
    Stall(WayId),
    Refuse(usize),
    Freeze(usize),
    Room(usize),
    ConductorBack,
    ConductorIdle,
}

/// A place in the world: what stays when a member's process ends.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) plan: MemberPlan,
    pub(super) member: Option<Box<Member>>,
    pub(super) disk: Option<Disk>,
    pub(super) skew: Duration,
    pub(super) life: u32,
    pub(super) frozen_until: Option<Moment>,
    pub(super) refuses: bool,
    /// Nobody is at home, and nobody says so.
    pub(super) dark: bool,
    /// It will not be started again.
    pub(super) gone: bool,
    finished: Option<Moment>,
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// What must not be, if something was; and when, since the start.
    pub wrong: Option<String>,
    /// How long it took, in its own time.
    pub took: Duration,
    /// The hash of everything that happened.
    pub hash: u64,
    /// Everything that happened, one line each, if it was to be kept.
    pub text: String,
    /// Events in all.
    pub events: u64,
    /// Steps of the members' swarms.
    pub steps: u64,
    /// When each member was finished, since the start.
    pub finished: Vec<Option<Duration>>,
    /// Bytes of parts that each member sent.
    pub sent: Vec<u64>,
    /// Bytes of parts that each member received.
    pub received: Vec<u64>,
    /// Links that were ended because of wrong bytes or a broken protocol.
    pub blames: u64,
    /// What really went wrong, and how often.
    pub harms: Harms,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub(super) plan: Plan,
    pub(super) ground: Ground,
    pub(super) queue: Queue<Event>,
    pub(super) net: Net,
    pub(super) seats: Vec<Seat>,
    pub(super) conductor: Conductor,
    pub(super) rng: Rng,
    pub(super) calm: bool,
    began: Moment,
    unfinished: usize,
    over: bool,
}

impl World {
    /// The world of this plan, before anything happened.
    #[must_use]
    pub fn new(plan: Plan) -> World {
        let mut rng = Rng::with_seed(!plan.seed);
        let ground = Ground::new(plan.layout, plan.detail, plan.checked);
        let mut world = World {
            net: Net::new(plan.slice),
            conductor: Conductor::new(rng.u64(..), plan.ranked),
            queue: Queue::new(),
            seats: Vec::new(),
            calm: plan.faults.is_empty(),
            began: ground.now,
            unfinished: 0,
            over: false,
            ground,
            rng,
            plan,
        };
        for member in world.plan.members.clone() {
            world.seat(member);
        }
        for (number, &(when, _)) in world.plan.faults.iter().enumerate() {
            world.queue.at(world.began + when, Event::Fault(number));
        }
        world.queue.at(world.began + world.plan.calm, Event::Calm);
        world.queue.at(world.began + world.plan.calm + world.plan.patience, Event::Deadline);
        world
    }

    /// Has every step of a swarm measured.
    pub fn measure(&mut self, stopwatch: Box<dyn Stopwatch>) {
        self.ground.stopwatch = Some(stopwatch);
    }

    /// Runs until everybody is finished, something is wrong, or time is up.
    #[must_use]
    pub fn run(mut self) -> Report {
        let mut events: u64 = 0;
        while !self.over
            && self.ground.wrong.is_none()
            && let Some((when, event)) = self.queue.pop()
        {
            self.ground.now = self.ground.now.max(when);
            events += 1;
            if events > self.plan.events_max {
                self.ground.violated(format_args!("more than {events} events: somebody spins"));
            }
            self.happen(event);
        }
        let took = self.ground.now.since(self.began);
        if self.ground.wrong.is_none() {
            self.conductor.outlive(&mut self.ground);
        }
        let since = |moment: Moment| moment.since(self.began);
        Report {
            seed: self.plan.seed,
            wrong: self.ground.wrong,
            took,
            hash: self.ground.trace.hash(),
            text: self.ground.trace.into_text(),
            events,
            steps: self.ground.steps,
            finished: self.seats.iter().map(|seat| seat.finished.map(since)).collect(),
            sent: (0..self.seats.len()).map(|host| self.net.traffic(host).0).collect(),
            received: (0..self.seats.len()).map(|host| self.net.traffic(host).1).collect(),
            blames: self.ground.blames,
            harms: self.ground.harms,
        }
    }

    fn seat(&mut self, plan: MemberPlan) {
        let mut disk = Disk::new(self.plan.layout);
        for part in self.plan.layout.all() {
            let held = match plan.held {
                Share::All => true,
                Share::Percent(percent) => self.rng.u8(0..100) < percent,
            };
            if held {
                disk.plant(part, Content::Right);
            }
        }
        let index = self.seats.len();
        self.net.join(plan.up, plan.down);
        let honest = plan.vice == Vice::None;
        self.ground.tainted.push(false);
        self.ground.liars.push(plan.vice == Vice::Lies);
        if honest {
            self.unfinished += 1;
        } else {
            self.ground.taint(index, plan.address);
        }
        self.queue.at(self.began + plan.starts, Event::Start(index));
        self.seats.push(Seat {
            plan,
            member: None,
            disk: Some(disk),
            skew: Duration::ZERO,
            life: 0,
            frozen_until: None,
            refuses: false,
            dark: false,
            gone: false,
            finished: None,
        });
    }

    fn happen(&mut self, event: Event) {
        if let Some(until) = self.frozen_until(&event) {
            self.ground.harms.count(Harm::Frozen);
            self.queue.at(until, event);
            return;
        }
        match event {
            Event::Net(beat) => self.beat(beat),
            Event::Start(index) => self.start(index),
            Event::Check(index, life) => self.live(index, life, Member::check),
            Event::Tick(index, life) => self.tick(index, life),
            Event::Worked(index, life) => self.live(index, life, Member::on_worked),
            Event::Synced(index, life) => self.synced(index, life),
            Event::Left(index, life) if self.seats[index].life == life => self.end_process(index, false),
            Event::Left(..) => {}
            Event::Knock { from, life, to } => self.knock(from, life, to),
            Event::DialFailed { member, life, address } => {
                self.live(member, life, |member, ground, deeds| {
                    member.on_dial_failed(ground, address, deeds);
                });
            }
            Event::Shaken(way) => {
                self.with_link(way, |member, ground, deeds| member.on_shaken(ground, LinkId(way.0), deeds));
                self.hear(way.back());
            }
            Event::Cut(way) => {
                self.with_link(way, |member, ground, deeds| member.cut(ground, LinkId(way.0), deeds));
            }
            Event::Ask { member, life, request } => self.ask(member, life, &request),
            Event::Answer { member, life, input } => {
                self.live(member, life, |member, ground, deeds| member.on_answer(ground, *input, deeds));
            }
            Event::Fault(number) => self.befall(number),
            Event::Mend(mend) => self.mend(mend),
            Event::Calm => self.calm_down(),
            Event::Deadline => self.time_is_up(),
        }
    }

    /// Until when the member that this event concerns does nothing.
    fn frozen_until(&self, event: &Event) -> Option<Moment> {
        let index = match *event {
            Event::Check(index, _)
            | Event::Tick(index, _)
            | Event::Worked(index, _)
            | Event::Synced(index, _)
            | Event::Left(index, _)
            | Event::DialFailed { member: index, .. }
            | Event::Answer { member: index, .. } => index,
            Event::Shaken(way) | Event::Cut(way) => self.net.sender(way),
            _ => return None,
        };
        self.seats[index].frozen_until.filter(|&until| until > self.ground.now)
    }

    /// Lets a member do something, if it is still in that run, and carries out what follows.
    pub(super) fn live(
        &mut self,
        index: usize,
        life: u32,
        act: impl FnOnce(&mut Member, &mut Ground, &mut Vec<Deed>),
    ) {
        if self.seats[index].life != life {
            return;
        }
        let Some(member) = &mut self.seats[index].member else { return };
        let mut deeds = Vec::new();
        act(member, &mut self.ground, &mut deeds);
        for deed in deeds {
            self.carry_out(index, deed);
        }
    }

    /// The same for the member that sends on this way.
    fn with_link(&mut self, way: WayId, act: impl FnOnce(&mut Member, &mut Ground, &mut Vec<Deed>)) {
        let index = self.net.sender(way);
        self.live(index, self.seats[index].life, act);
    }

    fn carry_out(&mut self, index: usize, deed: Deed) {
        let (now, life) = (self.ground.now, self.seats[index].life);
        match deed {
            Deed::Write(id) => self.write(WayId(id.0)),
            Deed::Hear(id) => self.hear(WayId(id.0).back()),
            Deed::Dial(to) => {
                let travels = self.seats[index].plan.latency * 2;
                self.queue.at(now + travels, Event::Knock { from: index, life, to });
            }
            Deed::Ask(request) => {
                let travels = self.seats[index].plan.latency * 3;
                self.queue.at(now + travels, Event::Ask { member: index, life, request });
            }
            Deed::Work(span) => self.queue.at(now + span, Event::Worked(index, life)),
            Deed::Sync => {
                let span = self.seats[index].plan.disk_delay * 8;
                self.queue.at(now + span, Event::Synced(index, life));
            }
            Deed::Over(id) => {
                // What was sent still arrives; what comes is not heard any more.
                self.net.say(now, WayId(id.0), Chunk::End, &mut self.queue);
                self.net.drop_way(WayId(id.0).back());
            }
            Deed::Grace(id, span) => self.queue.at(now + span, Event::Cut(WayId(id.0))),
            Deed::Leave => self.queue.at(now + LEAVE_GRACE * 2, Event::Left(index, life)),
        }
    }

    pub(super) fn is_frozen(&self, index: usize) -> bool {
        self.seats[index].frozen_until.is_some_and(|until| until > self.ground.now)
    }

    pub(super) fn start(&mut self, index: usize) {
        let seat = &mut self.seats[index];
        if seat.member.as_ref().is_some_and(|member| member.is_stopping()) {
            self.queue.at(self.ground.now + LEAVE_GRACE, Event::Start(index));
            return;
        }
        if seat.member.is_some() || seat.gone {
            return;
        }
        let Some(disk) = seat.disk.take() else { return };
        seat.life += 1;
        seat.dark = false;
        let make = Make {
            index,
            address: seat.plan.address,
            links_per_member: self.plan.links_per_member,
            conductor: self.plan.conductor,
            disk_rate: seat.plan.disk_rate,
            disk_delay: seat.plan.disk_delay,
            vice: seat.plan.vice,
            seed: self.rng.u64(..),
        };
        self.ground.trace.line(self.ground.now, format_args!("{index} starts at {}", make.address));
        let (life, named, skew) = (seat.life, seat.plan.named.clone(), seat.skew);
        seat.member = Some(Box::new(Member::new(make, &self.ground, disk, skew)));
        self.live(index, life, Member::start);
        for address in named {
            self.live(index, life, |member, ground, deeds| member.on_named(ground, address, deeds));
        }
        // Looking at the disk takes its time; links may come up meanwhile.
        let looks = self.seats[index].plan.disk_delay * self.rng.u32(0..64);
        self.queue.at(self.ground.now + looks, Event::Check(index, life));
        self.tick_later(index);
    }

    fn tick_later(&mut self, index: usize) {
        let seat = &self.seats[index];
        if let Some(member) = &seat.member {
            self.queue.at(member.deadline(&self.ground), Event::Tick(index, seat.life));
        }
    }

    fn tick(&mut self, index: usize, life: u32) {
        if self.seats[index].life != life {
            return;
        }
        let now = self.ground.now;
        let stuck_since = |id: LinkId, net: &Net| net.stuck_since(WayId(id.0));
        let stuck: Vec<LinkId> = self.seats[index].member.as_ref().map_or(Vec::new(), |member| {
            let is_stuck = |id: &LinkId| {
                stuck_since(*id, &self.net).is_some_and(|since| now.since(since) >= WRITE_TIMEOUT)
            };
            member.links().into_iter().filter(is_stuck).collect()
        });
        self.live(index, life, |member, ground, deeds| {
            member.tick(ground, |id| stuck.contains(&id), deeds);
        });
        self.tick_later(index);
    }

    fn synced(&mut self, index: usize, life: u32) {
        self.live(index, life, |member, ground, _| member.on_synced(ground));
        let (now, seat) = (self.ground.now, &mut self.seats[index]);
        let is_finished = seat.member.as_ref().is_some_and(|member| member.is_finished());
        if is_finished && seat.life == life && seat.finished.is_none() {
            seat.finished = Some(now);
            self.unfinished -= usize::from(seat.plan.vice == Vice::None);
        }
        self.end_if_all_is_well();
    }

    pub(super) fn end_if_all_is_well(&mut self) {
        self.over |= self.calm && self.unfinished == 0;
    }

    /// The process of a member is over; `power` if its machine is as well.
    pub(super) fn end_process(&mut self, index: usize, power: bool) {
        let Some(member) = self.seats[index].member.take() else { return };
        self.ground.trace.line(self.ground.now, format_args!("{index} ends, power {power}"));
        for id in member.links() {
            let way = WayId(id.0);
            self.net.drop_way(way.back());
            if power {
                self.silence(way);
            } else {
                self.net.say(self.ground.now, way, Chunk::End, &mut self.queue);
            }
        }
        let seat = &mut self.seats[index];
        seat.skew = member.skew();
        seat.life += 1;
        seat.dark = power;
        let mut disk = member.into_disk();
        if power && disk.crash(&mut self.rng) {
            self.ground.harms.count(Harm::Lost);
        }
        seat.disk = Some(disk);
    }

    fn ask(&mut self, index: usize, life: u32, request: &[u8]) {
        let from = self.seats[index].plan.address.ip();
        let reply = self.conductor.answer(&mut self.ground, from, request);
        let input = match reply.map(|reply| Decoder::<Reply>::new().next(&mut reply.as_slice())) {
            Some(Ok(Some(Reply::Roster(roster)))) => Input::Conducted(roster),
            Some(Ok(Some(Reply::Greeted(greeted)))) => Input::Greeted(greeted.roster),
            Some(Ok(Some(Reply::Refused(_)))) => Input::ConductorRefused,
            None => Input::ConductorSilent,
            Some(_) => {
                self.ground.violated(format_args!("the conductor's reply is none"));
                Input::ConductorSilent
            }
        };
        let travels = self.seats[index].plan.latency * 3;
        let answer = Event::Answer { member: index, life, input: Box::new(input) };
        self.queue.at(self.ground.now + travels, answer);
    }

    fn time_is_up(&mut self) {
        let late = self.seats.iter().position(|seat| seat.finished.is_none() && seat.plan.vice == Vice::None);
        if let Some(index) = late {
            let seat = &self.seats[index];
            let held = seat.member.as_ref().map_or(0, |member| member.held().count());
            let quiet = seat.member.as_ref().and_then(|member| member.quiet(&self.ground));
            let parts = self.plan.layout.parts();
            self.ground
                .violated(format_args!("{index} has {held} of {parts} parts when time is up ({quiet:?})"));
        }
        self.over = true;
    }
}
