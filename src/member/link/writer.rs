//! The sending thread of a link: orders and parts, control before bulk.

use std::net::TcpStream;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::LinkEnd;
use super::shared::Shared;
use super::turn::Turn;
use crate::host::clock;
use crate::limits::{HAVE_RUNS_MAX, POLL_INTERVAL};
use crate::logic::classic::dialects::Dialect;
use crate::logic::giving::Given;
use crate::logic::serving::{Outgoing, Serving};
use crate::logic::session::full_set_of;
use crate::logic::swarm::LinkId;
use crate::logic::turns::InVain;
use crate::member::context::Context;
use crate::part::{PartIndex, Run};
use crate::stream::SealedWriter;
use crate::wire::member::{Denial, Have, Hello, Message, Reason, Span};
use crate::wire::seal::Sealer;

/// Whether the link goes on.
enum Next {
    Goes,
    Ends,
}

/// The thread's state.
pub(super) struct Writer<'s> {
    context: &'s Context,
    shared: &'s Shared,
    queue: &'s Receiver<Outgoing>,
    out: SealedWriter<'s>,
    serving: Serving,
    turn: Turn<'s>,
    /// Up to which place of the ledger the other side was told.
    told: usize,
}

impl<'s> Writer<'s> {
    pub(super) fn new(
        context: &'s Context,
        shared: &'s Shared,
        id: LinkId,
        stream: &'s TcpStream,
        queue: &'s Receiver<Outgoing>,
        sealer: Sealer,
    ) -> Writer<'s> {
        Writer {
            context,
            shared,
            queue,
            out: SealedWriter::new(shared.socket(), stream, sealer),
            serving: Serving::new(),
            turn: Turn::new(&context.line, id),
            told: 0,
        }
    }

    /// Runs until the link ends.
    pub(super) fn run(mut self) -> Result<(), LinkEnd> {
        self.introduce()?;
        loop {
            self.mind_the_line()?;
            let next = if self.serving.is_empty() || self.turn.waits() {
                // Nothing else to do: what is in the buffer must not wait for company.
                match self.queue.try_recv() {
                    Err(TryRecvError::Empty) => {
                        self.out.flush()?;
                        self.queue.recv_timeout(POLL_INTERVAL)
                    }
                    other => other.map_err(|_| RecvTimeoutError::Disconnected),
                }
            } else {
                self.queue.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                })
            };
            match next {
                Ok(order) => {
                    if let Next::Ends = self.obey(order)? {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.shared.is_cut() => return Ok(()),
                Err(RecvTimeoutError::Timeout) if self.out.is_worn() => {
                    return self.obey(Outgoing::Close(Reason::Renew)).map(drop);
                }
                Err(RecvTimeoutError::Timeout) => self.serve_some()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// The first words: who this is, and everything it holds.
    fn introduce(&mut self) -> Result<(), LinkEnd> {
        let hello = Hello { member: self.context.me, port: self.context.port, abilities: 0 };
        self.say(&Message::Hello(hello))?;
        let (held, told) = self.context.store.shelf().snapshot();
        self.told = told;
        self.say(&Message::Have(full_set_of(&held)))?;
        Ok(self.out.flush()?)
    }

    fn obey(&mut self, order: Outgoing) -> Result<Next, LinkEnd> {
        match order {
            Outgoing::Want(run) => {
                self.shared.ask(run);
                self.say(&Message::Want(run.into()))?;
            }
            Outgoing::Cancel(run) => self.say(&Message::Cancel(run.into()))?,
            Outgoing::Serve(run) => self.serving.push(run),
            Outgoing::Refuse(run, denial) => self.say(&Message::Refuse(run.into(), denial))?,
            Outgoing::Withdraw(run) => self.withdraw(run)?,
            // The line is asked after each order, while the link stands in it.
            Outgoing::Turn | Outgoing::Elsewhere => {}
            Outgoing::Publish => self.publish()?,
            Outgoing::Gossip(mut addresses) => {
                if let Some(classic) = &self.context.classic {
                    // Whoever hears of them would dial them in our dialect.
                    addresses.retain(|&address| classic.dialect_of(address) == Dialect::Native);
                }
                self.say(&Message::Roster(addresses))?;
            }
            Outgoing::Close(reason) => {
                self.shared.close();
                self.say(&Message::Bye(reason))?;
                self.out.end()?;
                return Ok(Next::Ends);
            }
        }
        Ok(Next::Goes)
    }

    fn say(&mut self, message: &Message) -> Result<(), LinkEnd> {
        Ok(self.out.say(|out| message.append_to(out))?)
    }

    fn publish(&mut self) -> Result<(), LinkEnd> {
        self.shared.looked();
        loop {
            let (runs, told) = self.context.store.shelf().news(self.told, HAVE_RUNS_MAX);
            if runs.is_empty() {
                return Ok(());
            }
            self.told = told;
            self.say(&Message::Have(Have::Runs(runs.into_iter().map(Span::from).collect())))?;
        }
    }

    /// Takes what is still owed of `run` out of the queue; each piece is answered.
    fn withdraw(&mut self, run: Run) -> Result<(), LinkEnd> {
        let before = self.serving.runs();
        let withdrawn = self.serving.withdraw(run);
        let after = self.serving.runs();
        (after..before).for_each(|_| self.shared.paid_run());
        (before..after).for_each(|_| self.shared.owe_run());
        withdrawn.into_iter().try_for_each(|run| self.refuse(run, Denial::Cancelled))
    }

    /// Stands in line for what is owed first, if it does at all. What the link waits for in vain is refused: the other side
    /// should ask elsewhere.
    fn mind_the_line(&mut self) -> Result<(), LinkEnd> {
        while let Some(first) = self.serving.first() {
            if !self.turn.waits() || self.turn.take(first.first()) {
                return Ok(());
            }
            let in_vain: Vec<Run> = match self.turn.give_up() {
                None => return Ok(()),
                Some(InVain::Part) => self.serving.take_first().into_iter().collect(),
                Some(InVain::Everything) => self.serving.take().collect(),
            };
            for run in in_vain {
                self.shared.paid_run();
                self.refuse(run, Denial::Elsewhere)?;
            }
        }
        self.turn.pass();
        Ok(())
    }

    /// Says that what was owed of `run` will not come.
    fn refuse(&mut self, run: Run, denial: Denial) -> Result<(), LinkEnd> {
        self.context.given.withdraw(run, self.shared.far());
        self.shared.paid_bytes(self.context.layout.bytes_of(run));
        self.say(&Message::Refuse(run.into(), denial))
    }

    /// Sends the head of the oldest run, if it is this link's turn.
    fn serve_some(&mut self) -> Result<(), LinkEnd> {
        let Some(first) = self.serving.first() else { return Ok(()) };
        if !self.turn.take(first.first()) {
            return Ok(());
        }
        let before = self.serving.runs();
        let Some(head) = self.serving.next(self.context.layout) else { return Ok(()) };
        if self.serving.runs() < before {
            self.shared.paid_run();
        }
        let shelf = self.context.store.shelf();
        if head.parts().all(|part| shelf.has(part)) {
            self.send_parts(head)?;
        } else {
            // Asked for what was never claimed: each part gets its own answer.
            self.serve_one_by_one(head)?;
        }
        self.turn.end(head);
        Ok(())
    }

    fn serve_one_by_one(&mut self, run: Run) -> Result<(), LinkEnd> {
        for part in run.parts() {
            if self.context.store.shelf().has(part) {
                self.send_parts(Run::one(part))?;
            } else {
                self.shared.paid_bytes(u64::from(self.context.layout.len_of(part)));
                self.say(&Message::Refuse(Run::one(part).into(), Denial::NotHeld))?;
            }
        }
        Ok(())
    }

    fn send_parts(&mut self, run: Run) -> Result<(), LinkEnd> {
        self.say(&Message::Parts(run.into()))?;
        for part in run.parts() {
            self.send_part(part)?;
        }
        self.context.given.sent(run, Given { to: self.shared.far(), at: clock::now() });
        Ok(())
    }

    fn send_part(&mut self, part: PartIndex) -> Result<(), LinkEnd> {
        let len = u64::from(self.context.layout.len_of(part));
        let mut offset = 0;
        while offset < len {
            let left = usize::try_from(len - offset).unwrap_or(usize::MAX);
            let slice = self.context.up.slice(left);
            let room = self.out.room();
            let slice = slice.min(room.len());
            self.context.store.read(part, offset, &mut room[..slice]).map_err(LinkEnd::Store)?;
            self.out.filled(slice)?;
            self.shared.gave(slice as u64);
            self.context.progress.gave(slice as u64);
            if self.context.up.is_set() {
                // What was paid for goes out now, so that a slow rate is a steady one.
                self.out.flush()?;
                self.context.up.wait(slice, || self.shared.is_closing());
            }
            offset += slice as u64;
        }
        self.shared.paid_bytes(len);
        Ok(())
    }
}
