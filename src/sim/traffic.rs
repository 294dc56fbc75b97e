//! Connections between members, and what travels on them.

use std::net::SocketAddr;

use super::harm::Harm;
use super::net::{Beat, Chunk, WayId};
use super::plan::Vice;
use super::world::{Event, World};
use crate::limits::CONNECT_TIMEOUT;
use crate::logic::swarm::{Knock, LinkId};

impl World {
    pub(super) fn knock(&mut self, from: usize, life: u32, to: SocketAddr) {
        if self.seats[from].life != life || self.seats[from].member.is_none() {
            return;
        }
        let (now, latency) = (self.ground.now, self.seats[from].plan.latency);
        let there = self.seats.iter().position(|seat| {
            seat.plan.address == to && (seat.member.is_some() || seat.disk.is_some() && !seat.dark)
        });
        let remote = SocketAddr::new(self.seats[from].plan.address.ip(), 50_000);
        if there.is_some_and(|index| self.seats[index].refuses) {
            self.ground.harms.count(Harm::Refused);
        }
        let host = there.and_then(|index| Some((index, self.admits(index, remote)?)));
        let Some((index, gives_way)) = host else {
            let pause = if there.is_some() { latency * 2 } else { CONNECT_TIMEOUT };
            self.queue.at(now + pause, Event::DialFailed { member: from, life, address: to });
            return;
        };
        if let Some(id) = gives_way {
            self.live(index, self.seats[index].life, |member, ground, deeds| member.cut(ground, id, deeds));
        }
        let latency = latency + self.seats[index].plan.latency;
        let way = self.net.connect(now, from, index, latency);
        for member in [from, index] {
            if self.seats[member].plan.vice == Vice::Drips {
                let out = if member == from { way } else { way.back() };
                self.net.set_pace(out, Some(super::faults::DRIP));
            }
        }
        self.live(index, self.seats[index].life, |member, ground, _| {
            member.on_connected(ground, way.back(), from, remote, None);
        });
        self.live(from, life, |member, ground, _| member.on_connected(ground, way, index, to, Some(to)));
        self.queue.at(now + latency * 2, Event::Shaken(way.back()));
        self.queue.at(now + latency * 3, Event::Shaken(way));
    }

    /// Whether this member accepts one more connection, and which one gives way to it.
    fn admits(&self, index: usize, from: SocketAddr) -> Option<Option<LinkId>> {
        let seat = &self.seats[index];
        match seat.member.as_ref().filter(|_| !seat.refuses)?.admits(from) {
            Knock::Welcome => Some(None),
            Knock::InsteadOf(id) => Some(Some(id)),
            Knock::Refused => None,
        }
    }

    pub(super) fn beat(&mut self, beat: Beat) {
        let now = self.ground.now;
        match beat {
            Beat::Left(host) => {
                if let Some(way) = self.net.left(now, host, &mut self.queue) {
                    self.write(way);
                }
                self.pump(host);
            }
            Beat::Came(way) => {
                self.net.came(now, way, &mut self.queue);
                self.hear(way);
            }
            Beat::Taken(host) => {
                if let Some(way) = self.net.taken(now, host, &mut self.queue) {
                    self.hear(way);
                }
            }
            Beat::Paced(way) => self.write(way),
        }
    }

    /// The writer of a link sends what it can.
    pub(super) fn write(&mut self, way: WayId) {
        let now = self.ground.now;
        let Some(index) = self.net.way(way).map(|way| way.from) else { return };
        if !self.net.may_send(now, way) || self.is_frozen(index) {
            return;
        }
        let Some(member) = &mut self.seats[index].member else { return };
        let (words, last) = member.words(&self.ground, LinkId(way.0));
        if !words.is_empty() {
            self.net.say(now, way, Chunk::Words(words), &mut self.queue);
        }
        if last {
            self.net.say(now, way, Chunk::End, &mut self.queue);
        } else if !member.has_bulk(LinkId(way.0)) {
            let next = member.pass_turn(LinkId(way.0));
            self.begin_turns(next);
        } else if member.has_turn(&self.ground, LinkId(way.0)) {
            self.net.line_up(way);
            self.pump(index);
        }
    }

    /// The uplink takes the next slice.
    fn pump(&mut self, index: usize) {
        let now = self.ground.now;
        if self.is_frozen(index) {
            return;
        }
        while let Some(way) = self.net.next_in_line(index) {
            if !self.net.may_send(now, way) {
                continue;
            }
            let Some(member) = &mut self.seats[index].member else { return };
            if !member.has_bulk(LinkId(way.0)) {
                let next = member.pass_turn(LinkId(way.0));
                self.begin_turns(next);
                continue;
            }
            if !member.has_turn(&self.ground, LinkId(way.0)) {
                continue;
            }
            let (words, slice) = member.slice(&mut self.ground, LinkId(way.0), self.net.slice(way));
            if !words.is_empty() {
                self.net.say(now, way, Chunk::Words(words), &mut self.queue);
            }
            if let Some(slice) = slice {
                if self.seats[index].plan.vice == Vice::Drips {
                    self.ground.harms.count(Harm::Dripped);
                } else if self.net.is_slow(way) {
                    self.ground.harms.count(Harm::Slow);
                }
                self.net.send(now, way, slice, &mut self.queue);
            }
            if let Some(member) = &mut self.seats[index].member {
                let next = member.pass_turn(LinkId(way.0));
                self.begin_turns(next);
            }
        }
    }

    fn begin_turns(&mut self, next: Vec<LinkId>) {
        next.into_iter().for_each(|id| self.write(WayId(id.0)));
    }

    /// The reader at the end of this way takes what has come.
    pub(super) fn hear(&mut self, way: WayId) {
        loop {
            let Some(index) = self.net.way(way).map(|way| way.to) else { return };
            let (id, life) = (LinkId(way.back().0), self.seats[index].life);
            let listens = self.seats[index].member.as_ref().is_some_and(|member| member.may_hear(id));
            if !listens || self.is_frozen(index) {
                return;
            }
            let Some(chunk) = self.net.hear(self.ground.now, way) else { return };
            self.live(index, life, |member, ground, deeds| member.hear(ground, id, chunk, deeds));
            // There is room on the way again.
            self.write(way);
        }
    }
}
