//! The receiving thread of a link, after the handshake: records to messages and parts, parts to whoever verifies.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::landing::Landings;
use super::watch::{self, Watch};
use super::{Fact, LinkEnd, Shared};
use crate::host::clock;
use crate::logic::giving::{self, Given, tag_of};
use crate::logic::serving::Outgoing;
use crate::logic::session::{Fault, Reaction, Session};
use crate::logic::swarm::LinkId;
use crate::member::context::Context;
use crate::member::director::Event;
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
    loop {
        intake.watch.look(intake.shared, &mut intake.landings)?;
        match input.next(intake.landings.place()) {
            Ok(Received::Placed(len)) => intake.landings.came(len),
            Ok(Received::Record(plain)) => intake.take(plain),
            Ok(Received::Piece | Received::Nothing) => Ok(()),
            Ok(Received::End) => Err(watch::over(intake.shared)),
            Err(error) => Err(error.into()),
        }?;
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
    watch: Watch,
    landings: Landings<'s>,
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
            watch: Watch::new(deadline),
            landings: Landings::new(context, shared, id),
        }
    }

    /// Takes the plain bytes of one record.
    fn take(&mut self, mut plain: &[u8]) -> Result<(), LinkEnd> {
        while !plain.is_empty() && !self.shared.is_closing() {
            if self.landings.are_open() {
                self.landings.take(&mut plain)?;
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
                if let Some(classic) = self.context.classic.as_ref().filter(|_| hello.port != 0) {
                    classic.heard_natively(&[SocketAddr::new(self.remote.ip(), hello.port)]);
                }
                self.report(Fact::Up { hello, remote: self.remote, keyed: true, queue: self.queue.clone() });
            }
            Reaction::Holds(set) => {
                self.watch.told();
                self.report(Fact::Holds(set));
            }
            Reaction::HoldsAlso(runs) => self.report(Fact::HoldsAlso(runs)),
            Reaction::Serve(run) => self.serve(run)?,
            Reaction::Withdraw(run) => self.order(Outgoing::Withdraw(run))?,
            Reaction::Receive(run) | Reaction::Refused(run, _) if !self.shared.answer(run) => {
                return Err(LinkEnd::Fault(Fault::NotAsked));
            }
            Reaction::Receive(run) => self.landings.begin(run)?,
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

    fn report(&self, fact: Fact) {
        self.context.report(Event::Link(self.id, fact));
    }
}

fn fault(error: crate::wire::WireError) -> LinkEnd {
    LinkEnd::Fault(error.into())
}
