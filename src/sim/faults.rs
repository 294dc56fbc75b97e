//! What goes wrong, to whom, and how it ends.

use std::time::Duration;

use super::harm::Harm;
use super::net::WayId;
use super::plan::{Fault, Vice, address_of};
use super::world::{Event, Mend, World};

/// What a member with [`Vice::Drips`] sends, in bytes per second.
pub(super) const DRIP: u64 = 64;
/// After so long a connection to a machine that says nothing is given up by the system.
const KEEPALIVE: Duration = Duration::from_secs(60);

impl World {
    /// The fault with this number happens now.
    pub(super) fn befall(&mut self, number: usize) {
        let (_, fault) = self.plan.faults[number];
        if self.calm {
            return;
        }
        self.ground.trace.line(self.ground.now, format_args!("fault {fault:?}"));
        match fault {
            Fault::Cut { silent } => self.cut_some_way(silent),
            Fault::Stall(span) => {
                if let Some(id) = self.some_way()
                    && let Some(way) = self.net.way_mut(id)
                {
                    way.stalled = true;
                    self.later(span, Mend::Stall(id));
                }
            }
            Fault::Slow(rate) => {
                if let Some(way) = self.some_way() {
                    self.net.set_pace(way, Some(rate));
                }
            }
            Fault::Crash { power, away } => self.end_for(away, power),
            Fault::Leave(away) => self.leave_for(away),
            Fault::Move => self.move_some(),
            Fault::Spoil => {
                if let Some(index) = self.some_member()
                    && let Some(member) = &mut self.seats[index].member
                {
                    member.spoil_next = true;
                }
            }
            Fault::Refuse(span) => {
                let index = self.rng.usize(0..self.seats.len());
                self.seats[index].refuses = true;
                self.later(span, Mend::Refuse(index));
            }
            Fault::ConductorGone(span) => {
                self.conductor.reachable = false;
                self.later(span, Mend::ConductorBack);
            }
            Fault::ConductorEmpty => self.conductor.empty(&mut self.ground),
            Fault::ConductorBusy(span) => {
                self.conductor.busy = true;
                self.later(span, Mend::ConductorIdle);
            }
            Fault::DiskFull(span) => {
                if let Some(index) = self.some_member()
                    && let Some(member) = &mut self.seats[index].member
                {
                    member.disk_mut().full = true;
                    self.later(span, Mend::Room(index));
                }
            }
            Fault::Leap(span) => {
                if let Some(index) = self.some_member()
                    && let Some(member) = &mut self.seats[index].member
                {
                    if !member.links().is_empty() {
                        self.ground.harms.count(Harm::Leap);
                    }
                    member.leap(span);
                }
            }
            Fault::Freeze(span) => {
                if let Some(index) = self.some_member() {
                    self.seats[index].frozen_until = Some(self.ground.now + span);
                    self.later(span, Mend::Freeze(index));
                }
            }
        }
    }

    /// A fault is over.
    pub(super) fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Stall(id) => {
                if let Some(way) = self.net.way_mut(id) {
                    if way.has_come() && way.stalled {
                        self.ground.harms.count(Harm::Stalled);
                    }
                    way.stalled = false;
                    self.hear(id);
                }
            }
            Mend::Refuse(index) => self.seats[index].refuses = false,
            Mend::Freeze(index) => self.thaw(index),
            Mend::Room(index) => self.make_room(index),
            Mend::ConductorBack => self.conductor.reachable = true,
            Mend::ConductorIdle => self.conductor.busy = false,
        }
    }

    /// The faults stop: whatever is broken is mended, who is away comes back, who means no good goes.
    pub(super) fn calm_down(&mut self) {
        self.ground.trace.line(self.ground.now, format_args!("calm"));
        self.calm = true;
        self.conductor.reachable = true;
        self.conductor.busy = false;
        for index in 0..self.seats.len() {
            self.seats[index].refuses = false;
            if self.seats[index].plan.vice == Vice::None {
                self.make_room(index);
            } else {
                self.seats[index].gone = true;
                self.end_process(index, false);
            }
        }
        let ways: Vec<WayId> = self.net.all().collect();
        let stays_slow = self.plan.one_stays_slow.then(|| ways.iter().position(|&way| self.net.is_slow(way)));
        for (number, way) in ways.into_iter().enumerate() {
            if stays_slow != Some(Some(number)) {
                self.net.set_pace(way, None);
            }
            self.mend(Mend::Stall(way));
            self.write(way);
        }
        self.end_if_all_is_well();
    }

    /// Nothing comes out of this way any more, and its far end is not told.
    pub(super) fn silence(&mut self, way: WayId) {
        if let Some(way) = self.net.way_mut(way) {
            way.stalled = true;
        }
        self.queue.at(self.ground.now + KEEPALIVE, Event::Cut(way.back()));
    }

    fn later(&mut self, span: Duration, mend: Mend) {
        self.queue.at(self.ground.now + span, Event::Mend(mend));
    }

    fn some_member(&mut self) -> Option<usize> {
        let up: Vec<usize> =
            (0..self.seats.len()).filter(|&index| self.seats[index].member.is_some()).collect();
        self.rng.choice(up)
    }

    fn some_way(&mut self) -> Option<WayId> {
        let ways: Vec<WayId> = self.net.all().collect();
        self.rng.choice(ways)
    }

    fn cut_some_way(&mut self, silent: bool) {
        let Some(way) = self.some_way() else { return };
        self.ground.harms.count(Harm::Cut);
        if silent {
            self.silence(way);
            self.silence(way.back());
        } else {
            self.queue.at(self.ground.now, Event::Cut(way));
            self.queue.at(self.ground.now, Event::Cut(way.back()));
        }
    }

    fn harm_if_linked(&mut self, index: usize, harm: Harm) {
        if self.seats[index].member.as_ref().is_some_and(|member| !member.links().is_empty()) {
            self.ground.harms.count(harm);
        }
    }

    fn end_for(&mut self, away: Duration, power: bool) {
        if let Some(index) = self.some_member() {
            self.harm_if_linked(index, Harm::Crash);
            self.end_process(index, power);
            self.queue.at(self.ground.now + away, Event::Start(index));
        }
    }

    fn leave_for(&mut self, away: Duration) {
        if let Some(index) = self.some_member() {
            self.harm_if_linked(index, Harm::Leave);
            self.live(index, self.seats[index].life, |member, ground, deeds| member.stop(ground, deeds));
            self.queue.at(self.ground.now + away, Event::Start(index));
        }
    }

    fn move_some(&mut self) {
        if let Some(index) = self.some_member() {
            self.harm_if_linked(index, Harm::Move);
            self.end_process(index, false);
            // Far from the others, so that nobody else is there.
            let there = self.rng.usize(100_000..200_000);
            self.seats[index].plan.address = address_of(there);
            if self.ground.tainted[index] {
                self.ground.taint(index, address_of(there));
            }
            self.queue.at(self.ground.now, Event::Start(index));
        }
    }

    fn thaw(&mut self, index: usize) {
        if self.seats[index].frozen_until.take_if(|until| *until <= self.ground.now).is_none() {
            return;
        }
        let links = self.seats[index].member.as_ref().map_or(Vec::new(), |member| member.links());
        for id in links {
            self.hear(WayId(id.0).back());
            self.write(WayId(id.0));
        }
    }

    /// There is room on the disk again, and whoever left for want of it comes back.
    fn make_room(&mut self, index: usize) {
        let seat = &mut self.seats[index];
        if let Some(disk) = &mut seat.disk {
            disk.full = false;
        }
        if let Some(member) = &mut seat.member {
            member.disk_mut().full = false;
        }
        if seat.life > 0 {
            self.queue.at(self.ground.now, Event::Start(index));
        }
    }
}
