//! The receiving thread of a classic link: lines to facts, bytes of parts to whoever verifies.

use std::convert::Infallible;
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;

use super::{Asked, Far, Word};
use crate::host::patient::is_pause;
use crate::identity::MemberId;
use crate::limits::CLASSIC_READ;
use crate::logic::classic::session::{Question, Reaction, Session};
use crate::logic::giving::tag_of;
use crate::logic::session::Fault;
use crate::logic::swarm::LinkId;
use crate::member::context::Context;
use crate::member::director::Event;
use crate::member::link::landing::Landings;
use crate::member::link::watch::{self, Watch};
use crate::member::link::{Fact, LinkEnd, Shared};
use crate::part::Run;
use crate::time::Moment;
use crate::wire::WireError;
use crate::wire::classic::member::{Decoder, Message};
use crate::wire::member::{Denial, Hello};

/// Receives until the link ends; the other side's `first` bytes were read already.
pub(super) fn run(stream: &TcpStream, first: &[u8], intake: &mut Intake<'_>) -> LinkEnd {
    match intake.take(first).and_then(|()| receive(stream, intake)) {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

fn receive(mut stream: &TcpStream, intake: &mut Intake<'_>) -> Result<Infallible, LinkEnd> {
    let mut buffer = vec![0; CLASSIC_READ].into_boxed_slice();
    loop {
        intake.watch.look(intake.shared, &mut intake.landings)?;
        let place = intake.landings.place();
        let is_placed = !place.is_empty();
        match stream.read(if is_placed { place } else { &mut buffer }) {
            Ok(0) => return Err(watch::over(intake.shared)),
            Ok(len) if is_placed => intake.came(len)?,
            Ok(len) => intake.take(&buffer[..len])?,
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(LinkEnd::Socket(error)),
        }
    }
}

/// What the reader knows beside the stream.
pub(super) struct Intake<'s> {
    context: &'s Context,
    shared: &'s Arc<Shared>,
    id: LinkId,
    far: Far,
    asked: &'s Asked,
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
        far: Far,
        asked: &'s Asked,
        deadline: Moment,
    ) -> Intake<'s> {
        let manifest = &context.manifest;
        Intake {
            context,
            shared,
            id,
            far,
            asked,
            decoder: Decoder::new(context.layout),
            session: Session::new(context.layout, manifest.name().clone(), manifest.digest()),
            watch: Watch::new(deadline),
            landings: Landings::new(context, shared, id),
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), LinkEnd> {
        while !bytes.is_empty() && !self.shared.is_closing() {
            if self.landings.are_open() {
                self.landings.take(&mut bytes)?;
                self.landed()?;
            } else if let Some(message) = self.decoder.next(&mut bytes).map_err(fault)? {
                self.react(message)?;
            }
        }
        Ok(())
    }

    /// So many bytes of the part that comes are in their place.
    fn came(&mut self, len: usize) -> Result<(), LinkEnd> {
        self.landings.came(len)?;
        self.landed()
    }

    /// If the part is whole, our question is answered.
    fn landed(&mut self) -> Result<(), LinkEnd> {
        if self.landings.are_open() { Ok(()) } else { self.answered() }
    }

    fn react(&mut self, message: Message) -> Result<(), LinkEnd> {
        let give_up = || self.shared.is_cut() || self.shared.is_closing();
        if let (Message::Send(_, mask), Some(classic)) = (&message, &self.context.classic)
            && self.asked.get() == Some(Question::List)
            && !classic.wait_to_read_set(mask, give_up)
        {
            return Ok(());
        }
        let reaction = self.session.on_message(message, self.asked.get(), self.shared.owed().runs);
        match reaction.map_err(LinkEnd::Fault)? {
            Reaction::ListAsked(subject) => {
                self.introduce();
                self.owe(Word::List(subject))?;
            }
            Reaction::PartAsked(subject, part) => {
                self.introduce();
                self.owe(Word::Part(subject, part))?;
            }
            Reaction::OtherAsked(subject) => self.owe(Word::Other(subject))?,
            Reaction::Holds(set) => {
                self.introduce();
                self.watch.told();
                self.report(Fact::Holds(set));
                self.answered()?;
            }
            Reaction::HoldsAlso(runs) => {
                if !runs.is_empty() {
                    self.report(Fact::HoldsAlso(runs));
                }
                self.answered()?;
            }
            Reaction::Receive(part) => self.landings.begin(Run::one(part))?,
            Reaction::Refused(part) => {
                self.report(Fact::Refused(Run::one(part), Denial::NotHeld));
                self.answered()?;
            }
            Reaction::Disowned => return Err(LinkEnd::OtherSwarm),
        }
        Ok(())
    }

    /// The other side knows the composition: that is all that it says about itself.
    fn introduce(&self) {
        if !self.shared.is_introduced() {
            let member = MemberId::of_classic(self.far.remote.ip());
            self.shared.introduce(tag_of(member));
            let hello = Hello { member, port: 0, abilities: 0 };
            let Far { remote, queue, .. } = &self.far;
            self.report(Fact::Up { hello, remote: *remote, keyed: false, queue: queue.clone() });
        }
    }

    /// The other side asked something, which the writer answers.
    fn owe(&self, word: Word) -> Result<(), LinkEnd> {
        self.shared.owe_run();
        self.tell(word)
    }

    fn answered(&self) -> Result<(), LinkEnd> {
        self.asked.set(None);
        let complete = self.session.is_theirs_complete() || self.context.store.shelf().is_full();
        self.tell(Word::Answered { complete })
    }

    /// Tells the writer; a full queue would be more questions than the session lets through.
    fn tell(&self, word: Word) -> Result<(), LinkEnd> {
        self.far.words.try_send(word).map_err(|_| LinkEnd::Fault(Fault::WindowOverrun))
    }

    fn report(&self, fact: Fact) {
        self.context.report(Event::Link(self.id, fact));
    }
}

fn fault(error: crate::wire::classic::LineError) -> LinkEnd {
    LinkEnd::Fault(WireError::from(error).into())
}
