//! The sending thread of a link: words, and slices of files.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpStream;
use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError, select};

use super::{Fact, Gift, GiftFrom, LinkEnd, LinkId, Outgoing, Shared};
use crate::ensemble::context::Context;
use crate::ensemble::keeper::Event;
use crate::ensemble::packing::{Method, Packer};
use crate::entry::TreePath;
use crate::host::clock;
use crate::host::folder::facts::Facts;
use crate::host::folder::lending::Lent;
use crate::limits::{ALIVE_INTERVAL, POLL_INTERVAL};
use crate::stream::SealedWriter;
use crate::wire::ensemble::{Message, Packed, Slice};
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
    id: LinkId,
    queue: &'s Receiver<Outgoing>,
    /// Is closed when the reader is done: the keeper hears of the end only when this thread is, and holds the queue open
    /// until then.
    ended: &'s Receiver<Infallible>,
    out: SealedWriter<'s>,
    gifts: VecDeque<Gift>,
    /// The file that was read last, which most likely is the next one as well.
    open: Option<(Arc<(TreePath, Facts)>, Lent)>,
    buffer: Vec<u8>,
    packer: Packer,
}

impl<'s> Writer<'s> {
    pub(super) fn new(
        context: &'s Context,
        shared: &'s Shared,
        id: LinkId,
        stream: &'s TcpStream,
        (queue, ended): (&'s Receiver<Outgoing>, &'s Receiver<Infallible>),
        sealer: Sealer,
    ) -> Writer<'s> {
        Writer {
            context,
            shared,
            id,
            queue,
            ended,
            out: SealedWriter::new(shared.socket(), stream, sealer),
            gifts: VecDeque::new(),
            open: None,
            buffer: Vec::new(),
            packer: Packer::default(),
        }
    }

    /// Runs until the link ends.
    pub(super) fn run(mut self) -> Result<(), LinkEnd> {
        let hello = self.context.progress.hello(self.context);
        self.say(&Message::Hello(hello))?;
        self.out.flush()?;
        loop {
            let order = if self.gifts.is_empty() {
                self.next_order()?
            } else {
                match self.queue.try_recv() {
                    Ok(order) => Some(order),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            };
            match order {
                Some(order) => {
                    if let Next::Ends = self.obey(order)? {
                        return Ok(());
                    }
                }
                None => {
                    if let Some(gift) = self.gifts.pop_front() {
                        self.give(&gift)?;
                    }
                }
            }
            if self.out.is_worn() {
                return Err(LinkEnd::Worn);
            }
        }
    }

    /// Nothing is left to send: waits for an order, and says now and then that we live.
    fn next_order(&mut self) -> Result<Option<Outgoing>, LinkEnd> {
        if let Ok(order) = self.queue.try_recv() {
            return Ok(Some(order));
        }
        // What is in the buffer must not wait for company.
        self.out.flush()?;
        let wait = if self.open.is_some() { POLL_INTERVAL } else { ALIVE_INTERVAL };
        select! {
            recv(self.queue) -> order => order.map(Some).map_err(|_| LinkEnd::Closed),
            recv(self.ended) -> _ => Err(LinkEnd::Closed),
            default(wait) => {
                // What is open may be removed meanwhile, and would keep its room.
                if self.open.take().is_some() {
                    return Ok(None);
                }
                self.say(&Message::Alive)?;
                self.out.flush()?;
                Ok(None)
            }
        }
    }

    fn obey(&mut self, order: Outgoing) -> Result<Next, LinkEnd> {
        match order {
            Outgoing::Say(message) => {
                match &message {
                    Message::Chunks(_) => self.shared.paid_list(),
                    Message::Describe(describe) => self.shared.describe(describe.content, describe.from),
                    _ => {}
                }
                self.say(&message)?;
            }
            Outgoing::Tell(message) => {
                self.say(&message)?;
                self.context.report(Event::Link(self.id, Fact::Told));
            }
            Outgoing::Ask(asked) => {
                self.shared.ask(&asked);
                self.say(&Message::Fetch(asked.iter().map(|asked| asked.slice).collect()))?;
            }
            Outgoing::Give(gifts) => self.gifts.extend(gifts),
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

    fn give(&mut self, gift: &Gift) -> Result<(), LinkEnd> {
        let len = gift.slice.len as usize;
        self.buffer.resize(self.buffer.len().max(len), 0);
        let is_there = match &gift.from {
            // Nobody who knows the content asks for that; it says nothing about the file.
            GiftFrom::File(file) if gift.slice.offset + u64::from(gift.slice.len) > file.1.size => false,
            GiftFrom::File(file) => {
                let is_there = self.read(file, gift.slice);
                if !is_there {
                    self.open = None;
                    self.context.report(Event::Link(self.id, Fact::Stale(file.0.clone())));
                }
                is_there
            }
            GiftFrom::Arriving(temp, at) => {
                let temp = temp.upgrade();
                temp.is_some_and(|temp| temp.read(*at, gift.slice.offset, &mut self.buffer[..len]).is_ok())
            }
            GiftFrom::Nowhere => false,
        };
        if is_there {
            self.send(gift.slice)?;
        } else {
            self.say(&Message::Lacking)?;
        }
        self.shared.paid(1);
        Ok(())
    }

    /// Reads a slice of a file into the buffer; false if the file is not what it was when its content was read.
    fn read(&mut self, source: &Arc<(TreePath, Facts)>, slice: Slice) -> bool {
        if self.open.as_ref().is_none_or(|(open, _)| open != source) {
            let folder = self.context.root.beneath();
            let Some(file) = Lent::open(folder, &source.0, source.1) else { return false };
            self.open = Some((Arc::clone(source), file));
        }
        let Some((_, file)) = &self.open else { return false };
        file.read(&mut self.buffer[..slice.len as usize], slice.offset)
    }

    /// Sends what is in the buffer.
    fn send(&mut self, slice: Slice) -> Result<(), LinkEnd> {
        let len = slice.len as usize;
        let begun = clock::now();
        let packed = self.packer.pack(&self.buffer[..len]);
        let (header, bytes) = match packed {
            Some((method, packed)) => {
                let len = u32::try_from(packed.len()).unwrap_or(u32::MAX);
                let header = match method {
                    Method::Thorough => Packed::Zstd(len),
                    Method::Fast => Packed::Lz4(len),
                };
                (header, packed)
            }
            None => (Packed::Plain, &self.buffer[..len]),
        };
        let packed_at = clock::now();
        self.out.say(|out| Message::Bytes(header).append_to(out))?;
        let mut left = bytes;
        while !left.is_empty() {
            let (now, later) = left.split_at(self.context.up.slice(left.len()).clamp(1, left.len()));
            self.out.put(now)?;
            self.context.progress.gave(now.len() as u64);
            if self.context.up.is_set() {
                // What was paid for goes out now, so that a slow rate is a steady one.
                self.out.flush()?;
                self.context.up.wait(now.len(), || self.shared.is_closing());
            }
            left = later;
        }
        self.packer.took(len, packed_at.since(begun), clock::now().since(packed_at));
        Ok(())
    }
}
