//! The receiving thread of a link, after the handshake: records to messages and parts, parts to the disk.

use std::net::SocketAddr;

use crossbeam_channel::Sender;

use super::stream::{Received, SealedReader};
use super::{Fact, LinkEnd, Outgoing, Shared};
use crate::digest;
use crate::host::clock;
use crate::limits::{CLOSE_GRACE, LANDING_BYTES_MIN, LANDING_PATIENCE, SETTLE_BYTES, SETTLE_PARTS};
use crate::logic::giving::{Given, longest_to_give, may_give, tag_of};
use crate::logic::session::{Fault, Reaction, Session};
use crate::logic::swarm::LinkId;
use crate::member::context::Context;
use crate::member::director::Event;
use crate::part::{PartIndex, Run};
use crate::time::Moment;
use crate::wire::member::{Decoder, Denial, Message};

/// Receives until the link ends.
pub(super) fn run(input: &mut SealedReader<'_>, intake: &mut Intake<'_>) -> LinkEnd {
    let mut closed = None;
    loop {
        if intake.shared.is_cut() {
            return LinkEnd::Closed;
        }
        // Parts that are complete are looked at as soon as the socket is dry: they wait for nobody.
        let outcome = match input.next(!intake.has_landed()) {
            Ok(Received::Record(plain)) => intake.take(plain),
            Ok(Received::Piece) => Ok(()),
            Ok(Received::Nothing) => intake.settle(),
            Ok(Received::End) if intake.shared.is_closing() => return LinkEnd::Closed,
            Ok(Received::End) => intake.settle().and(Err(LinkEnd::Gone)),
            Err(end) => Err(end),
        };
        if let Err(end) = outcome {
            // What came whole before the end is kept.
            return intake.settle().err().unwrap_or(end);
        }
        if intake.shared.is_closing() {
            let since = *closed.get_or_insert_with(clock::now);
            if clock::now().since(since) >= CLOSE_GRACE {
                return LinkEnd::Closed;
            }
        } else if intake.is_late() {
            return LinkEnd::Late;
        } else if intake.hoards() {
            return LinkEnd::Slow;
        }
    }
}

/// What the reader knows beside the stream.
pub(super) struct Intake<'s> {
    context: &'s Context,
    shared: &'s Shared,
    id: LinkId,
    remote: SocketAddr,
    queue: Sender<Outgoing>,
    decoder: Decoder,
    session: Session,
    /// Until the far end has said hello and what it holds, it has time until then.
    deadline: Option<Moment>,
    /// Parts whose bytes come after those of the landing.
    coming: Option<Run>,
    /// Where bytes of parts go now.
    landing: Option<Landing>,
    /// Whole parts, not yet verified.
    landed: Vec<Landing>,
}

/// Consecutive parts on their way into one buffer.
struct Landing {
    run: Run,
    buffer: Vec<u8>,
    /// How many bytes the parts have.
    len: usize,
    /// How many of them have come.
    filled: usize,
    /// When the link's pace was last looked at, and how many had come by then.
    paced: (Moment, usize),
}

impl<'s> Intake<'s> {
    pub(super) fn new(
        context: &'s Context,
        shared: &'s Shared,
        id: LinkId,
        remote: SocketAddr,
        queue: Sender<Outgoing>,
        deadline: Moment,
    ) -> Intake<'s> {
        Intake {
            context,
            shared,
            id,
            remote,
            queue,
            decoder: Decoder::default(),
            session: Session::new(context.layout),
            deadline: Some(deadline),
            coming: None,
            landing: None,
            landed: Vec::new(),
        }
    }

    fn has_landed(&self) -> bool {
        !self.landed.is_empty()
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| clock::now() >= deadline)
    }

    /// Whether a part hardly comes on, by no fault of ours, while other links wait for its buffer.
    fn hoards(&mut self) -> bool {
        let Some(landing) = &mut self.landing else { return false };
        let now = clock::now();
        let (since, filled) = landing.paced;
        if now.since(since) < LANDING_PATIENCE {
            return false;
        }
        landing.paced = (now, landing.filled);
        landing.filled - filled < LANDING_BYTES_MIN
            && !self.context.down.is_set()
            && self.context.buffers.are_short()
    }

    /// Takes the plain bytes of one record.
    fn take(&mut self, mut plain: &[u8]) -> Result<(), LinkEnd> {
        while !plain.is_empty() && !self.shared.is_closing() {
            if let Some(landing) = &mut self.landing {
                let len = plain.len().min(landing.len - landing.filled);
                let (bytes, rest) = plain.split_at(len);
                landing.buffer[landing.filled..landing.filled + len].copy_from_slice(bytes);
                landing.filled += len;
                plain = rest;
                self.context.progress.received(len as u64);
                self.shared.got(len as u64);
                self.shared.waiting(|| self.context.down.wait(len, || self.shared.is_closing()));
                self.touch_down()?;
            } else if let Some(message) = self.decoder.next(&mut plain).map_err(fault)? {
                self.react(message)?;
            }
        }
        Ok(())
    }

    fn react(&mut self, message: Message) -> Result<(), LinkEnd> {
        let reaction = self.session.on_message(message, self.shared.owed()).map_err(LinkEnd::Fault)?;
        match reaction {
            Reaction::Introduced(hello) => {
                self.shared.introduce(tag_of(hello.member));
                self.report(Fact::Up { hello, remote: self.remote, queue: self.queue.clone() });
            }
            Reaction::Holds(set) => {
                self.deadline = None;
                self.report(Fact::Holds(set));
            }
            Reaction::HoldsAlso(runs) => self.report(Fact::HoldsAlso(runs)),
            Reaction::Serve(run) => self.serve(run)?,
            Reaction::Withdraw(run) => self.order(Outgoing::Withdraw(run))?,
            Reaction::Receive(run) => self.begin(run)?,
            Reaction::Refused(run, denial) => {
                // Parts that came before this answer are told before it.
                self.settle()?;
                self.report(Fact::Refused(run, denial));
            }
            Reaction::Roster(addresses) => self.report(Fact::Gossip(addresses)),
            Reaction::Ended(reason) => return Err(LinkEnd::Bye(reason)),
        }
        Ok(())
    }

    /// Queues what may be given and refuses the rest.
    fn serve(&mut self, run: Run) -> Result<(), LinkEnd> {
        let (now, to) = (clock::now(), self.shared.far());
        let complete = self.context.store.shelf().is_full();
        let given = &self.context.given;
        let to_give = longest_to_give(run, |part| may_give(now, complete, given.last(part), to));
        let Some(to_give) = to_give else { return self.order(Outgoing::Refuse(run, Denial::Elsewhere)) };
        given.promise(to_give, Given { to, at: now });
        self.shared.owe(self.context.layout.bytes_of(to_give));
        self.order(Outgoing::Serve(to_give))?;
        let rest = run.minus(to_give).into_iter().flatten();
        rest.map(|run| Outgoing::Refuse(run, Denial::Elsewhere)).try_for_each(|order| self.order(order))
    }

    /// Orders the writer; a full queue is a broken window.
    fn order(&self, order: Outgoing) -> Result<(), LinkEnd> {
        self.queue.try_send(order).map_err(|_| LinkEnd::Fault(Fault::WindowOverrun))
    }

    /// The bytes of these parts come next.
    fn begin(&mut self, run: Run) -> Result<(), LinkEnd> {
        self.coming = Some(run);
        self.next_landing()
    }

    fn next_landing(&mut self) -> Result<(), LinkEnd> {
        let Some(run) = self.coming.take() else { return Ok(()) };
        let buffer = self.buffer()?;
        let layout = self.context.layout;
        let fits = u32::try_from(buffer.len()).unwrap_or(u32::MAX) / layout.part_len();
        let (run, rest) = run.split_at(fits);
        self.coming = rest;
        let len = usize::try_from(layout.bytes_of(run)).expect("a buffer holds these parts");
        self.landing = Some(Landing { run, buffer, len, filled: 0, paced: (clock::now(), 0) });
        Ok(())
    }

    /// A part buffer. Before waiting for one, the link gives back those that it can.
    fn buffer(&mut self) -> Result<Vec<u8>, LinkEnd> {
        if let Some(buffer) = self.context.buffers.try_take() {
            return Ok(buffer);
        }
        self.settle()?;
        let taken = self.shared.waiting(|| self.context.buffers.take(|| self.shared.is_closing()));
        taken.ok_or(LinkEnd::Closed)
    }

    /// If the landing is full, its parts wait to be verified, and the next landing begins.
    fn touch_down(&mut self) -> Result<(), LinkEnd> {
        let Some(landing) = self.landing.take_if(|landing| landing.filled == landing.len) else {
            return Ok(());
        };
        self.landed.push(landing);
        let parts: u32 = self.landed.iter().map(|landing| landing.run.count()).sum();
        let bytes: usize = self.landed.iter().map(|landing| landing.len).sum();
        if parts >= SETTLE_PARTS || bytes >= SETTLE_BYTES {
            self.settle()?;
        }
        self.next_landing()
    }

    /// Verifies what has landed and stores what is right.
    fn settle(&mut self) -> Result<(), LinkEnd> {
        if self.landed.is_empty() {
            return Ok(());
        }
        let landed = std::mem::take(&mut self.landed);
        let layout = self.context.layout;
        let parts: Vec<(PartIndex, &[u8])> = landed
            .iter()
            .flat_map(|landing| {
                let pieces = landing.buffer[..landing.len].chunks(layout.part_len() as usize);
                landing.run.parts().zip(pieces)
            })
            .collect();
        let bytes: Vec<&[u8]> = parts.iter().map(|&(_, bytes)| bytes).collect();
        let digests = digest::of_many(&bytes);
        let is_right = |at: usize| digests[at] == self.context.manifest.part_digest(parts[at].0);
        let wrong = (0..parts.len()).find(|&at| !is_right(at)).map(|at| parts[at]);
        let mut outcome = Ok(());
        let mut first = 0;
        for landing in &landed {
            let all = first..first + landing.run.count() as usize;
            first = all.end;
            if outcome.is_ok() && all.clone().all(is_right) {
                outcome = self.store(landing.run, &landing.buffer[..landing.len]);
            } else if outcome.is_ok() {
                let right = all.filter(|&at| is_right(at));
                outcome =
                    right.map(|at| parts[at]).try_for_each(|(part, bytes)| self.store(Run::one(part), bytes));
            }
        }
        if let (Ok(()), Some((part, _))) = (&outcome, wrong) {
            let wasted =
                (0..parts.len()).filter(|&at| !is_right(at)).map(|at| parts[at].1.len() as u64).sum();
            self.context.progress.wasted(wasted);
            self.report(Fact::Corrupt(part));
            outcome = Err(LinkEnd::Fault(Fault::WrongPart(part)));
        }
        landed.into_iter().for_each(|landing| self.context.buffers.give_back(landing.buffer));
        outcome
    }

    /// Writes verified parts, unless all of them are there, and tells the director.
    fn store(&self, run: Run, bytes: &[u8]) -> Result<(), LinkEnd> {
        let shelf = self.context.store.shelf();
        let (parts, new_bytes) = if run.parts().all(|part| shelf.has(part)) {
            (0, 0)
        } else if self.context.store.is_writable() {
            self.context.store.write(run, bytes).map_err(LinkEnd::Store)?
        } else {
            // The file is only shared; nobody was asked for anything.
            (0, 0)
        };
        self.context.flush.wrote(new_bytes);
        self.context.progress.stored(parts, new_bytes, bytes.len() as u64);
        self.report(Fact::Stored(run));
        Ok(())
    }

    fn report(&self, fact: Fact) {
        self.context.report(Event::Link(self.id, fact));
    }
}

impl Drop for Intake<'_> {
    /// Buffers go back whatever happens; bytes of a part that never became whole are wasted.
    fn drop(&mut self) {
        if let Some(landing) = self.landing.take() {
            self.context.progress.wasted(landing.filled as u64);
            self.context.buffers.give_back(landing.buffer);
        }
        for landing in self.landed.drain(..) {
            self.context.progress.wasted(landing.filled as u64);
            self.context.buffers.give_back(landing.buffer);
        }
    }
}

fn fault(error: crate::wire::WireError) -> LinkEnd {
    LinkEnd::Fault(error.into())
}
