//! The sending thread of a classic link: our questions, and answers to those of the other side.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use super::{Asked, Word};
use crate::host::clock;
use crate::host::patient::write_all;
use crate::limits::{CLASSIC_SLICE, POLL_INTERVAL, WRITE_TIMEOUT};
use crate::logic::classic::duties::{Deed, Duties};
use crate::logic::classic::session::Question;
use crate::logic::serving::Outgoing;
use crate::logic::swarm::LinkId;
use crate::member::classic::subject_of;
use crate::member::context::Context;
use crate::member::director::Event;
use crate::member::link::turn::Turn;
use crate::member::link::{Fact, LinkEnd, Shared};
use crate::part::{PartIndex, Run};
use crate::wire::classic::Subject;
use crate::wire::classic::mask::Mask;
use crate::wire::classic::member::Message;
use crate::wire::member::Denial;

/// Whether the link goes on.
enum Next {
    Goes,
    Ends,
}

/// The thread's state.
pub(super) struct Writer<'s> {
    context: &'s Context,
    shared: &'s Shared,
    id: LinkId,
    stream: &'s TcpStream,
    asked: &'s Asked,
    /// What the director orders, and the line of those who wait for their turn.
    orders: &'s Receiver<Outgoing>,
    /// What the reader tells.
    words: &'s Receiver<Word>,
    ours: Subject,
    duties: Duties,
    /// What was said and not sent.
    out: Vec<u8>,
    turn: Turn<'s>,
}

impl<'s> Writer<'s> {
    pub(super) fn new(
        context: &'s Context,
        shared: &'s Shared,
        id: LinkId,
        stream: &'s TcpStream,
        asked: &'s Asked,
        orders: &'s Receiver<Outgoing>,
        words: &'s Receiver<Word>,
    ) -> Writer<'s> {
        Writer {
            context,
            shared,
            id,
            stream,
            asked,
            orders,
            words,
            ours: subject_of(&context.manifest),
            duties: Duties::new(context.layout),
            out: Vec::new(),
            turn: Turn::new(&context.line, id),
        }
    }

    /// Runs until the link ends.
    pub(super) fn run(mut self) -> Result<(), LinkEnd> {
        loop {
            while let Ok(word) = self.words.try_recv() {
                self.hear(word);
            }
            while let Ok(order) = self.orders.try_recv() {
                if let Next::Ends = self.obey(&order)? {
                    return Ok(());
                }
            }
            if self.shared.is_cut() {
                return Ok(());
            }
            let shelf = self.context.store.shelf();
            if let Some(deed) = self.duties.next(clock::now(), |part| shelf.has(part)) {
                self.act(deed)?;
            } else if let Some(part) = self.next_part() {
                self.give(part)?;
            } else {
                self.flush()?;
                if let Next::Ends = self.wait()? {
                    return Ok(());
                }
            }
        }
    }

    /// Waits for a word, an order, or the next duty.
    fn wait(&mut self) -> Result<Next, LinkEnd> {
        let now = clock::now();
        // What is due and not done waits for something that will be told.
        let deadline =
            self.duties.deadline().map(|deadline| deadline.since(now)).filter(|span| !span.is_zero());
        let patience = deadline.unwrap_or(POLL_INTERVAL).clamp(Duration::from_millis(1), POLL_INTERVAL);
        let (orders, words) = (self.orders, self.words);
        select! {
            recv(words) -> word => match word {
                Ok(word) => self.hear(word),
                Err(_) => return Ok(Next::Ends),
            },
            recv(orders) -> order => match order {
                Ok(order) => return self.obey(&order),
                Err(_) => return Ok(Next::Ends),
            },
            default(patience) => {}
        }
        Ok(Next::Goes)
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Answered { complete } => self.duties.on_answer(clock::now(), complete),
            Word::List(subject) => self.duties.on_list_asked(subject),
            Word::Part(subject, part) => self.duties.on_part_asked(clock::now(), subject, part),
            Word::Other(subject) => self.duties.on_other_asked(subject),
        }
    }

    fn obey(&mut self, order: &Outgoing) -> Result<Next, LinkEnd> {
        match order {
            Outgoing::Want(run) => self.duties.want(*run),
            Outgoing::Cancel(run) => {
                // What was asked for already is answered by the other side.
                for run in self.duties.cancel(*run) {
                    let fact = Fact::Refused(run, Denial::Cancelled);
                    self.context.report(Event::Link(self.id, fact));
                }
            }
            // Parts that were asked for may have come; that is looked at anyway.
            Outgoing::Publish => self.shared.looked(),
            Outgoing::Close(_) => {
                self.shared.close();
                self.flush()?;
                // It may be shut already.
                drop(self.stream.shutdown(Shutdown::Write));
                return Ok(Next::Ends);
            }
            // The line is asked in any case before something is sent.
            // There is no word for asking elsewhere for now, nor for passing on addresses; the rest is what readers of the
            // other dialect order.
            Outgoing::Turn
            | Outgoing::Elsewhere
            | Outgoing::Gossip(_)
            | Outgoing::Serve(_)
            | Outgoing::Refuse(..)
            | Outgoing::Withdraw(_) => {}
        }
        Ok(Next::Goes)
    }

    fn act(&mut self, deed: Deed) -> Result<(), LinkEnd> {
        let message = match deed {
            Deed::Ask(question) => {
                self.asked.set(Some(question));
                match question {
                    Question::List => Message::Down(self.ours.clone()),
                    Question::Part(part) => Message::Part(self.ours.clone(), number_of(part)),
                }
            }
            Deed::TellList(subject) => {
                self.shared.paid_run();
                let set = self.context.store.shelf().snapshot().0;
                let classic = self.context.classic.as_ref();
                Message::Send(
                    subject,
                    classic.map_or_else(|| Mask::of(&set), |classic| classic.written(&set)),
                )
            }
            Deed::Deny(subject, part) => {
                self.shared.paid_run();
                Message::None(subject, number_of(part))
            }
            Deed::Disown(subject) => {
                self.shared.paid_run();
                Message::None(subject, 0)
            }
            Deed::End => return Err(LinkEnd::Mute),
            Deed::GiveUp => return Err(LinkEnd::Unanswered),
        };
        message.append_to(&mut self.out);
        Ok(())
    }

    /// The part to send now, if there is one and it is this link's turn.
    fn next_part(&mut self) -> Option<PartIndex> {
        let shelf = self.context.store.shelf();
        let Some(part) = self.duties.next_part(|part| shelf.has(part)) else {
            self.turn.pass();
            return None;
        };
        self.turn.take(part).then_some(part)
    }

    /// Sends a part.
    fn give(&mut self, part: PartIndex) -> Result<(), LinkEnd> {
        let Some(subject) = self.duties.give(part) else { return Ok(()) };
        // Before its last byte can be read: whoever has read that may ask again at once.
        self.shared.paid_run();
        Message::Start(subject, number_of(part)).append_to(&mut self.out);
        let len = u64::from(self.context.layout.len_of(part));
        let mut offset = 0;
        while offset < len {
            let left = usize::try_from(len - offset).unwrap_or(usize::MAX).min(CLASSIC_SLICE);
            let slice = self.context.up.slice(left);
            let start = self.out.len();
            self.out.resize(start + slice, 0);
            self.context.store.read(part, offset, &mut self.out[start..]).map_err(LinkEnd::Store)?;
            self.flush()?;
            self.shared.gave(slice as u64);
            self.context.progress.gave(slice as u64);
            self.context.up.wait(slice, || self.shared.is_closing());
            offset += slice as u64;
        }
        self.turn.end(Run::one(part));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LinkEnd> {
        let stream = self.shared.socket().counting(self.stream);
        let sent = write_all(stream, &self.out, WRITE_TIMEOUT, || self.shared.is_cut());
        self.out.clear();
        sent.map_err(LinkEnd::Socket)
    }
}

/// The number of a part as the classic protocol counts.
fn number_of(part: PartIndex) -> u64 {
    u64::from(part.get()) + 1
}
