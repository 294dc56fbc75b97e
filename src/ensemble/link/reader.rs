//! The receiving thread of a link: records to messages and slices, slices to where they belong.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::{Asked, Fact, Landed, LinkEnd, LinkId, Outgoing, Place, Shared};
use crate::ensemble::context::Context;
use crate::ensemble::keeper::Event;
use crate::ensemble::packing::{Method, NotPacked, Unpacker};
use crate::host::clock;
use crate::host::folder::temp::Whole;
use crate::host::folder::{FolderError, Trouble};
use crate::limits::{ANSWER_MAX, CLOSE_GRACE, LANDED_BYTES_MAX, LANDED_MAX, LANDED_PAUSE, SILENCE_MAX};
use crate::logic::sync::exchange::{Exchange, Fault, Owed};
use crate::stream::{Received, SealedReader, StreamError};
use crate::time::Moment;
use crate::wire::ensemble::{Decoder, Message, Packed, packed_max};

/// Receives until the link ends.
pub(super) fn run(input: &mut SealedReader<'_>, mut intake: Intake<'_>) -> LinkEnd {
    match receive(input, &mut intake) {
        Ok(never) => match never {},
        Err(end) => {
            intake.tell_landed();
            end
        }
    }
}

fn receive(input: &mut SealedReader<'_>, intake: &mut Intake<'_>) -> Result<Infallible, LinkEnd> {
    let mut closed = None;
    loop {
        if intake.shared.is_cut() {
            return Err(LinkEnd::Closed);
        }
        if input.is_dry() && intake.is_to_tell() {
            // The keeper asks for more by what it hears.
            intake.tell_landed();
        }
        match input.next(intake.place())? {
            Received::Placed(len) => intake.came(len)?,
            Received::Record(plain) => {
                intake.heard = clock::now();
                intake.take(plain)?;
            }
            Received::Piece => intake.heard = clock::now(),
            Received::Nothing => {}
            Received::End if intake.shared.is_closing() => return Err(LinkEnd::Closed),
            Received::End => return Err(StreamError::Gone.into()),
        }
        if intake.shared.is_closing() {
            let since = *closed.get_or_insert_with(clock::now);
            if clock::now().since(since) >= CLOSE_GRACE {
                return Err(LinkEnd::Closed);
            }
        } else if intake.deadline.is_some_and(|deadline| clock::now() >= deadline) {
            return Err(LinkEnd::Late);
        } else if clock::now().since(intake.heard) >= SILENCE_MAX {
            return Err(LinkEnd::Silent);
        } else if intake.waits_in_vain() {
            return Err(LinkEnd::Stalled);
        }
    }
}

/// What the reader knows beside the stream.
pub(super) struct Intake<'s> {
    context: &'s Context,
    shared: &'s Shared,
    id: LinkId,
    remote: SocketAddr,
    /// Given to the keeper with the hello.
    queue: Option<Sender<Outgoing>>,
    decoder: Decoder,
    exchange: Exchange,
    /// Until the far end has said hello, it has time until then.
    deadline: Option<Moment>,
    /// When something came last.
    heard: Moment,
    /// When something came last that was asked for, or nothing was asked for.
    answered: Moment,
    /// What bytes of slices go into; kept for the next one.
    buffer: Vec<u8>,
    /// What compressed ones become.
    unpacked: Vec<u8>,
    unpacker: Unpacker,
    landing: Option<Landing>,
    /// What came and was not told yet, and how many bytes that is.
    landed: Vec<Landed>,
    landed_bytes: u64,
    /// When that was told last.
    told: Moment,
}

/// A slice whose bytes come now.
struct Landing {
    asked: Asked,
    /// How many bytes come.
    len: usize,
    /// How many have come.
    filled: usize,
    packed: Option<Method>,
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
            queue: Some(queue),
            decoder: Decoder::default(),
            exchange: Exchange::default(),
            deadline: Some(deadline),
            heard: clock::now(),
            answered: clock::now(),
            buffer: Vec::new(),
            unpacked: Vec::new(),
            unpacker: Unpacker::default(),
            landing: None,
            landed: Vec::new(),
            landed_bytes: 0,
            told: clock::now(),
        }
    }

    /// Where the next bytes belong if they are bytes of a slice, and nowhere else.
    fn place(&mut self) -> &mut [u8] {
        match &self.landing {
            Some(landing) if !self.shared.is_closing() => &mut self.buffer[landing.filled..landing.len],
            _ => &mut [],
        }
    }

    /// Takes the plain bytes of one record.
    fn take(&mut self, mut plain: &[u8]) -> Result<(), LinkEnd> {
        while !plain.is_empty() && !self.shared.is_closing() {
            if let Some(landing) = &self.landing {
                let filled = landing.filled;
                let (bytes, rest) = plain.split_at(plain.len().min(landing.len - filled));
                self.buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
                plain = rest;
                self.came(bytes.len())?;
            } else if let Some(message) =
                self.decoder.next(&mut plain).map_err(|error| fault(error.into()))?
            {
                self.react(message)?;
            }
        }
        Ok(())
    }

    /// Whether the other side has not answered for so long that it most likely never does.
    fn waits_in_vain(&mut self) -> bool {
        if self.landing.is_none() && !self.shared.is_owing() {
            self.answered = clock::now();
        }
        clock::now().since(self.answered) >= ANSWER_MAX
    }

    /// So many more bytes of the slice are there.
    fn came(&mut self, len: usize) -> Result<(), LinkEnd> {
        self.context.progress.received(len as u64);
        self.context.down.wait(len, || self.shared.is_closing());
        self.heard = clock::now();
        self.answered = self.heard;
        let Some(landing) = &mut self.landing else { return Ok(()) };
        landing.filled += len;
        match self.landing.take_if(|landing| landing.filled == landing.len) {
            Some(landing) => self.touch_down(landing),
            None => Ok(()),
        }
    }

    fn react(&mut self, message: Message) -> Result<(), LinkEnd> {
        self.exchange.check(&message).map_err(fault)?;
        let fact = match message {
            Message::Hello(hello) => {
                self.deadline = None;
                // There is one hello.
                let Some(queue) = self.queue.take() else { return Err(fault(Fault::SecondHello)) };
                Fact::Up { hello, remote: self.remote, queue }
            }
            Message::Follow(follow) => Fact::Follows(follow),
            Message::Entries(entries) => Fact::Entries(entries),
            Message::State(state) => Fact::State(state),
            Message::Describe(describe) => {
                Owed { lists: self.shared.owe_list(), slices: 0 }.check().map_err(fault)?;
                Fact::Describe(describe)
            }
            Message::Chunks(page) => {
                if !self.shared.is_page(page.content, page.from) {
                    return Err(fault(Fault::NotAsked));
                }
                self.answered = clock::now();
                Fact::Chunks(page)
            }
            Message::Fetch(slices) => {
                Owed { slices: self.shared.owe(slices.len()), lists: 0 }.check().map_err(fault)?;
                Fact::Wants(slices)
            }
            Message::Bytes(packed) => return self.begin(packed),
            Message::Lacking => {
                let asked = self.shared.answer().ok_or(fault(Fault::NotAsked))?;
                self.answered = clock::now();
                Fact::Lacking(asked)
            }
            Message::Having(having) => Fact::Having(having),
            Message::Roster(addresses) => Fact::Roster(addresses),
            Message::Alive => return Ok(()),
            Message::Bye(reason) => return Err(LinkEnd::Bye(reason)),
        };
        self.report(fact);
        Ok(())
    }

    /// The bytes of the next slice follow.
    fn begin(&mut self, packed: Packed) -> Result<(), LinkEnd> {
        let asked = self.shared.answer().ok_or(fault(Fault::NotAsked))?;
        let (len, packed) = match packed {
            Packed::Plain => (asked.slice.len, None),
            Packed::Zstd(len) => (len, Some(Method::Thorough)),
            Packed::Lz4(len) => (len, Some(Method::Fast)),
        };
        if packed.is_some() && len as usize > packed_max(asked.slice.len as usize) {
            return Err(fault(Fault::Packing));
        }
        let landing = Landing { asked, len: len as usize, filled: 0, packed };
        if self.buffer.len() < landing.len {
            self.buffer.resize(landing.len, 0);
        }
        self.landing = Some(landing);
        self.came(0)
    }

    /// All of a slice is there: it goes where it belongs, if it is right.
    fn touch_down(&mut self, landing: Landing) -> Result<(), LinkEnd> {
        let Landing { asked, len, packed, .. } = landing;
        let bytes = if let Some(method) = packed {
            let whole = asked.slice.len as usize;
            self.unpacked.resize(self.unpacked.len().max(whole + 1), 0);
            let unpacked = self.unpacker.unpack(method, &self.buffer[..len], &mut self.unpacked[..=whole]);
            unpacked.map_err(|NotPacked| fault(Fault::Packing))?;
            &self.unpacked[..whole]
        } else {
            &self.buffer[..len]
        };
        let root = &self.context.root;
        let stored = match &asked.place {
            Place::Short => {
                let content = asked.slice.content;
                Whole::of_bytes(root, content, bytes).map(|whole| Landed::Short(content, whole))
            }
            Place::Chunk(temp, at) => {
                let put = temp.upgrade().map_or(Ok(()), |temp| {
                    temp.put(*at, bytes).inspect(|()| self.context.flusher.wrote(&temp))
                });
                put.map(|()| Landed::Chunk(asked.slice.content, *at))
            }
        };
        match stored {
            Ok(landed) => {
                self.landed.push(landed);
                self.landed_bytes += u64::from(asked.slice.len);
                if self.landed.len() >= LANDED_MAX || self.landed_bytes >= LANDED_BYTES_MAX {
                    self.tell_landed();
                }
            }
            // The file changed there meanwhile; its entry will, too.
            Err(FolderError { trouble: Trouble::Wrong, .. }) => self.report(Fact::Lacking(asked)),
            Err(error) => self.report(Fact::Trouble(error, asked)),
        }
        Ok(())
    }

    /// Whether what landed is to be told although more is on its way.
    fn is_to_tell(&self) -> bool {
        !self.landed.is_empty() && (clock::now().since(self.told) >= LANDED_PAUSE || !self.shared.is_owing())
    }

    fn tell_landed(&mut self) {
        if !self.landed.is_empty() {
            let landed = std::mem::take(&mut self.landed);
            self.landed_bytes = 0;
            self.told = clock::now();
            self.context.report(Event::Link(self.id, Fact::Landed(landed)));
        }
    }

    fn report(&mut self, fact: Fact) {
        self.tell_landed();
        self.context.report(Event::Link(self.id, fact));
    }
}

fn fault(fault: Fault) -> LinkEnd {
    LinkEnd::Fault(fault)
}
