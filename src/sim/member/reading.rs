//! What the readers of links do, and the verifiers.

use std::time::Duration;

use super::link::Landing;
use super::{Deed, Member, Work};
use crate::limits::RUN_BYTES_U32;
use crate::logic::giving::{self, Given, tag_of};
use crate::logic::pace::Pace;
use crate::logic::serving::Outgoing;
use crate::logic::session::{Fault, Reaction};
use crate::logic::swarm::{Flow, Input, LinkId};
use crate::part::{PartIndex, Run};
use crate::sim::disk::Content;
use crate::sim::ground::Ground;
use crate::sim::harm::Harm;
use crate::sim::net::{Chunk, Slice};
use crate::sim::plan::Vice;
use crate::wire::member::{Denial, Message};

impl Member {
    /// Whether the link's reader would take something from its socket now.
    pub(in crate::sim) fn may_hear(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.open && !link.starving)
    }

    /// Something came over a link.
    pub(in crate::sim) fn hear(
        &mut self,
        ground: &mut Ground,
        id: LinkId,
        chunk: Chunk,
        deeds: &mut Vec<Deed>,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match chunk {
            Chunk::End => self.cut(ground, id, deeds),
            _ if link.closing => {}
            Chunk::Words(words) => self.read(ground, id, &words, deeds),
            Chunk::Slice(slice) => self.land(ground, id, slice, deeds),
        }
    }

    fn read(&mut self, ground: &mut Ground, id: LinkId, mut words: &[u8], deeds: &mut Vec<Deed>) {
        while let Some(link) = self.links.get_mut(&id).filter(|link| !link.closing) {
            if words.is_empty() {
                return;
            }
            if link.landing.is_some() || link.coming.is_some() {
                // Only a member that means no good puts words where bytes of parts belong.
                self.check_honest_fault(ground, id, &"words among the bytes of parts");
                self.cut(ground, id, deeds);
                return;
            }
            match link.decoder.next(&mut words) {
                Ok(Some(message)) => {
                    if let Err(fault) = self.react(ground, id, message, deeds) {
                        ground.trace.line(ground.now, format_args!("{} {id}: {fault}", self.make.index));
                        self.check_honest_fault(ground, id, &fault);
                        self.cut(ground, id, deeds);
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.check_honest_fault(ground, id, &error);
                    self.cut(ground, id, deeds);
                    return;
                }
            }
        }
    }

    fn react(
        &mut self,
        ground: &mut Ground,
        id: LinkId,
        message: Message,
        deeds: &mut Vec<Deed>,
    ) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match link.session.on_message(message, link.owed)? {
            Reaction::Introduced(hello) => {
                link.tag = Some(tag_of(hello.member));
                let (remote, dialled) = (link.remote, link.dialled);
                self.input(ground, Input::LinkUp { link: id, hello, remote, dialled, keyed: true }, deeds);
            }
            Reaction::Holds(set) => {
                link.deadline = None;
                link.mirror.claimed = ground.checked.then(|| set.clone());
                self.input(ground, Input::Holds(id, set), deeds);
            }
            Reaction::HoldsAlso(runs) => {
                if let Some(claimed) = &mut link.mirror.claimed {
                    for part in runs.iter().flat_map(|run| run.parts()) {
                        claimed.insert(part);
                    }
                }
                self.input(ground, Input::HoldsAlso(id, runs), deeds);
                self.thin_out_the_line(ground, deeds);
            }
            Reaction::Serve(run) if self.make.vice == Vice::Mute => {
                ground.harms.count(Harm::Mute);
                self.serve(ground, id, run, deeds)?;
            }
            Reaction::Serve(run) => self.serve(ground, id, run, deeds)?,
            Reaction::Withdraw(run) => self.order(id, Outgoing::Withdraw(run), deeds)?,
            Reaction::Receive(run) | Reaction::Refused(run, _) if !link.asked.answer(run) => {
                return Err(Fault::NotAsked);
            }
            Reaction::Receive(run) => {
                link.coming = Some(run);
                self.coming(id, run);
                self.input(ground, Input::Coming(id, run), deeds);
                self.next_landing(ground, id);
            }
            Reaction::Refused(run, denial) => {
                if denial == Denial::NotHeld {
                    ground.harms.count(Harm::Boasted);
                }
                self.answered(id, run);
                self.input(ground, Input::Refused(id, run, denial), deeds);
            }
            Reaction::Roster(addresses) => self.input(ground, Input::Gossip(id, addresses), deeds),
            Reaction::Ended(_) => self.cut(ground, id, deeds),
        }
        Ok(())
    }

    fn serve(&mut self, ground: &Ground, id: LinkId, run: Run, deeds: &mut Vec<Deed>) -> Result<(), Fault> {
        let now = self.time(ground);
        let complete = self.held.is_full();
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let to = link.tag.unwrap_or_default();
        let busy = self.turns.are_short();
        let answer = giving::answer(run, |part| self.given[part.at()].may_give(now, complete, busy, to));
        if let Some(give) = answer.give {
            for part in give.parts() {
                let entry = &mut self.given[part.at()];
                *entry = entry.promised(Given { to, at: now }).unwrap_or(*entry);
            }
            link.owed.bytes += ground.layout.bytes_of(give);
            link.owed.runs += 1;
            self.order(id, Outgoing::Serve(give), deeds)?;
        }
        let refused = answer.refuse.into_iter().flatten();
        refused
            .map(|run| Outgoing::Refuse(run, Denial::Elsewhere))
            .try_for_each(|order| self.order(id, order, deeds))
    }

    fn order(&mut self, id: LinkId, order: Outgoing, deeds: &mut Vec<Deed>) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        deeds.push(Deed::Write(id));
        if link.order(order) { Ok(()) } else { Err(Fault::WindowOverrun) }
    }

    /// The bytes of the next parts need a buffer; the reader waits for one.
    fn next_landing(&mut self, ground: &Ground, id: LinkId) {
        let now = self.time(ground);
        let Some(link) = self.links.get_mut(&id).filter(|link| link.coming.is_some()) else { return };
        if self.buffers == 0 {
            if !std::mem::replace(&mut link.starving, true) {
                link.flow.waits = true;
                self.starving.push_back(id);
            }
            return;
        }
        let Some(run) = link.coming.take() else { return };
        self.buffers -= 1;
        let part_len = ground.layout.part_len();
        let (run, rest) = run.split_at(part_len.max(RUN_BYTES_U32) / part_len);
        link.coming = rest;
        let len = ground.layout.bytes_of(run);
        link.landing = Some(Landing { run, len, filled: 0, wrong: Vec::new(), pace: Pace::new(now) });
    }

    /// Gives free buffers to those who wait.
    pub(super) fn feed(&mut self, ground: &Ground, deeds: &mut Vec<Deed>) {
        while self.buffers > 0
            && let Some(id) = self.starving.pop_front()
        {
            if let Some(link) = self.links.get_mut(&id) {
                link.starving = false;
                link.flow.waits = false;
                self.next_landing(ground, id);
                deeds.push(Deed::Hear(id));
            }
        }
    }

    fn land(&mut self, ground: &mut Ground, id: LinkId, slice: Slice, deeds: &mut Vec<Deed>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(landing) = &mut link.landing else {
            ground.violated(format_args!("bytes of part {} came without a word", slice.part));
            return;
        };
        landing.filled += u64::from(slice.bytes);
        link.flow.received += u64::from(slice.bytes);
        if !slice.right && landing.wrong.last() != Some(&slice.part) {
            landing.wrong.push(slice.part);
        }
        if landing.filled < landing.len {
            return;
        }
        if let Some(Landing { run, wrong, .. }) = link.landing.take() {
            self.works.push_back(Work::Landed { id, run, wrong });
        }
        self.next_landing(ground, id);
        if !self.working {
            self.go_on_working(ground, deeds);
        }
    }

    /// The disk begins with what waits for it.
    pub(super) fn go_on_working(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        while let Some(work) = self.works.front() {
            if let Work::Landed { run, .. } = work {
                let micros =
                    ground.layout.bytes_of(*run).saturating_mul(1_000_000) / self.make.disk_rate.max(1);
                self.working = true;
                deeds.push(Deed::Work(self.make.disk_delay + Duration::from_micros(micros)));
                return;
            }
            if let Some(Work::Ended { id, tag, dialled, flow, .. }) = self.works.pop_front() {
                self.on_ended(ground, id, tag, dialled, flow, deeds);
            }
        }
    }

    fn on_ended(
        &mut self,
        ground: &mut Ground,
        id: LinkId,
        tag: Option<u32>,
        dialled: Option<std::net::SocketAddr>,
        flow: Flow,
        deeds: &mut Vec<Deed>,
    ) {
        if let Some(tag) = tag {
            if self.links.values().all(|other| other.tag != Some(tag)) {
                self.given.iter_mut().for_each(|entry| *entry = entry.left(tag).unwrap_or(*entry));
            }
            self.input(ground, Input::Flowed(id, flow), deeds);
            self.input(ground, Input::LinkDown(id), deeds);
        } else if let Some(address) = dialled {
            self.input(ground, Input::DialFailed(address), deeds);
        }
    }

    /// What was on its way to the disk is there.
    pub(in crate::sim) fn on_worked(&mut self, ground: &mut Ground, deeds: &mut Vec<Deed>) {
        self.working = false;
        if let Some(Work::Landed { id, run, wrong }) = self.works.pop_front() {
            self.buffers += 1;
            let right: Vec<bool> = run.parts().map(|part| !wrong.contains(&part)).collect();
            for (run, right) in run.cut_by(&right) {
                if right {
                    self.store(ground, id, run, deeds);
                }
            }
            if let Some(&part) = wrong.first() {
                self.blame(ground, id, part, deeds);
            }
            self.feed(ground, deeds);
        }
        self.go_on_working(ground, deeds);
    }

    fn store(&mut self, ground: &mut Ground, id: LinkId, run: Run, deeds: &mut Vec<Deed>) {
        let there = run.parts().all(|part| self.held.contains(part));
        if self.failed {
            return;
        }
        if !there && run.parts().any(|part| self.disk.write(part).is_err()) {
            self.failed = true;
            ground.harms.count(Harm::DiskFull);
            ground.trace.line(ground.now, format_args!("{} disk full", self.make.index));
            self.stop(ground, deeds);
            return;
        }
        for part in run.parts() {
            if self.disk.read(part) != Content::Right {
                ground.violated(format_args!("{}: part {part} is shelved and not on disk", self.make.index));
            }
            self.shelve(part);
        }
        self.answered(id, run);
        self.input(ground, Input::Stored(id, run), deeds);
    }

    fn blame(&mut self, ground: &mut Ground, id: LinkId, part: PartIndex, deeds: &mut Vec<Deed>) {
        if let Some(link) = self.links.get_mut(&id).filter(|link| !link.blamed) {
            link.blamed = true;
            link.closing = true;
            ground.blames += 1;
            let lied = self.links.get(&id).is_some_and(|link| ground.liars[link.far]);
            ground.harms.count(if lied { Harm::Lied } else { Harm::Spoilt });
            self.input(ground, Input::Corrupt(id, part), deeds);
        }
    }
}
