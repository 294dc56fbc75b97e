//! The receiving thread of a link, after the handshake: records to messages and parts, parts to whoever verifies.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::{Fact, LinkEnd, Shared};
use crate::host::clock;
use crate::limits::CLOSE_GRACE;
use crate::logic::giving::{self, Given, tag_of};
use crate::logic::pace::Pace;
use crate::logic::serving::Outgoing;
use crate::logic::session::{Fault, Reaction, Session};
use crate::logic::swarm::LinkId;
use crate::member::context::Context;
use crate::member::director::Event;
use crate::member::verifier::Landed;
use crate::part::Run;
use crate::stream::{Received, SealedReader};
use crate::time::Moment;
use crate::wire::member::{Decoder, Denial, Message};

/// Receives until the link ends.
pub(super) fn run(input: &mut SealedReader<'_>, intake: &mut Intake<'_>) -> LinkEnd {
    match receive(input, intake) {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

fn receive(input: &mut SealedReader<'_>, intake: &mut Intake<'_>) -> Result<Infallible, LinkEnd> {
    let mut closed = None;
    loop {
        if intake.shared.is_cut() {
            return Err(LinkEnd::Closed);
        }
        match input.next(intake.place()) {
            Ok(Received::Placed(len)) => intake.came(len),
            Ok(Received::Record(plain)) => intake.take(plain),
            Ok(Received::Piece | Received::Nothing) => Ok(()),
            Ok(Received::End) if intake.shared.is_closing() => Err(LinkEnd::Closed),
            Ok(Received::End) => Err(LinkEnd::Gone),
            Err(error) => Err(error.into()),
        }?;
        if intake.shared.is_closing() {
            let since = *closed.get_or_insert_with(clock::now);
            if clock::now().since(since) >= CLOSE_GRACE {
                return Err(LinkEnd::Closed);
            }
        } else if intake.is_late() {
            return Err(LinkEnd::Late);
        } else if intake.hoards() {
            return Err(LinkEnd::Slow);
        }
    }
}

/// What the reader knows beside the stream.
pub(super) struct Intake<'s> {
    context: &'s Context,
    shared: &'s Arc<Shared>,
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
}

/// Consecutive parts on their way into one buffer.
struct Landing {
    run: Run,
    buffer: Vec<u8>,
    /// How many bytes the parts have.
    len: usize,
    /// How many of them have come.
    filled: usize,
    pace: Pace,
}

impl Landing {
    /// The room for what has not come yet.
    fn rest(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..self.len]
    }
}

impl<'s> Intake<'s> {
    pub(super) fn new(
        context: &'s Context,
        shared: &'s Arc<Shared>,
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
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| clock::now() >= deadline)
    }

    /// Whether a part hardly comes on, by no fault of ours, while other links wait for its buffer.
    fn hoards(&mut self) -> bool {
        let Some(landing) = &mut self.landing else { return false };
        landing.pace.hardly_comes(clock::now(), landing.filled as u64)
            && !self.context.down.is_set()
            && self.context.buffers.are_short()
    }

    /// Where the next bytes belong if they are bytes of parts, and nowhere else.
    fn place(&mut self) -> &mut [u8] {
        match &mut self.landing {
            Some(landing) if !self.shared.is_closing() => landing.rest(),
            _ => &mut [],
        }
    }

    /// Takes the plain bytes of one record.
    fn take(&mut self, mut plain: &[u8]) -> Result<(), LinkEnd> {
        while !plain.is_empty() && !self.shared.is_closing() {
            if let Some(landing) = &mut self.landing {
                let len = plain.len().min(landing.len - landing.filled);
                let (bytes, rest) = plain.split_at(len);
                landing.rest()[..len].copy_from_slice(bytes);
                plain = rest;
                self.came(len)?;
            } else if let Some(message) = self.decoder.next(&mut plain).map_err(fault)? {
                self.react(message)?;
            }
        }
        Ok(())
    }

    /// So many more bytes are in the landing.
    fn came(&mut self, len: usize) -> Result<(), LinkEnd> {
        if let Some(landing) = &mut self.landing {
            landing.filled += len;
        }
        self.context.progress.received(len as u64);
        self.shared.got(len as u64);
        self.shared.waiting(|| self.context.down.wait(len, || self.shared.is_closing()));
        self.touch_down()
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
            Reaction::Withdraw(run) => {
                self.context.given.withdraw(run, self.shared.far());
                self.order(Outgoing::Withdraw(run))?;
            }
            Reaction::Receive(run) | Reaction::Refused(run, _) if !self.shared.answer(run) => {
                return Err(LinkEnd::Fault(Fault::NotAsked));
            }
            Reaction::Receive(run) => self.begin(run)?,
            Reaction::Refused(run, denial) => self.report(Fact::Refused(run, denial)),
            Reaction::Roster(addresses) => self.report(Fact::Gossip(addresses)),
            Reaction::Ended(reason) => return Err(LinkEnd::Bye(reason)),
        }
        Ok(())
    }

    /// Queues what may be given and refuses the rest.
    fn serve(&mut self, run: Run) -> Result<(), LinkEnd> {
        let (now, to) = (clock::now(), self.shared.far());
        let complete = self.context.store.shelf().is_full();
        // An incomplete member gives to everybody.
        let busy = complete && self.context.line.is_busy();
        let given = &self.context.given;
        let answer = giving::answer(run, |part| given.entry(part).may_give(now, complete, busy, to));
        if let Some(run) = answer.give {
            given.promise(run, Given { to, at: now });
            self.shared.owe(self.context.layout.bytes_of(run));
            self.order(Outgoing::Serve(run))?;
        }
        let refused = answer.refuse.into_iter().flatten();
        refused.map(|run| Outgoing::Refuse(run, Denial::Elsewhere)).try_for_each(|order| self.order(order))
    }

    /// Orders the writer; a full queue is a broken window.
    fn order(&self, order: Outgoing) -> Result<(), LinkEnd> {
        self.queue.try_send(order).map_err(|_| LinkEnd::Fault(Fault::WindowOverrun))
    }

    /// The bytes of these parts come next.
    fn begin(&mut self, run: Run) -> Result<(), LinkEnd> {
        self.report(Fact::Coming(run));
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
        self.landing = Some(Landing { run, buffer, len, filled: 0, pace: Pace::new(clock::now()) });
        Ok(())
    }

    fn buffer(&self) -> Result<Vec<u8>, LinkEnd> {
        let buffers = &self.context.buffers;
        buffers
            .try_take()
            .or_else(|| self.shared.waiting(|| buffers.take(|| self.shared.is_closing())))
            .ok_or(LinkEnd::Closed)
    }

    /// If the landing is full, its parts are verified elsewhere, and the next landing begins.
    fn touch_down(&mut self) -> Result<(), LinkEnd> {
        let Some(landing) = self.landing.take_if(|landing| landing.filled == landing.len) else {
            return Ok(());
        };
        let (link, shared) = (self.id, Arc::clone(self.shared));
        let Landing { run, buffer, len, .. } = landing;
        self.shared.waiting(|| self.context.verifiers.verify(Landed { link, shared, run, buffer, len }));
        self.next_landing()
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
    }
}

fn fault(error: crate::wire::WireError) -> LinkEnd {
    LinkEnd::Fault(error.into())
}
