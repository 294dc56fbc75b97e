//! Connects back to members, to see whether others can reach them.
//!
//! Only to addresses that it is given: where a member connected from, with the port that it named. It says nothing, and
//! closes at once. It owns its sockets, and waits for them, for deadlines, and for the conductor's inbox.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{News, Post};
use crate::conductor::Shared;
use crate::host::clock;
use crate::limits::{POLL_INTERVAL, REACH_TIMEOUT, REACH_TRIES_MAX};
use crate::logic::deadlines::Deadlines;
use crate::time::Moment;

/// Woken for a new address, or the end.
pub(super) const WAKER: Token = Token(usize::MAX);

/// See the module.
pub(super) struct Reacher {
    poll: Poll,
    wanted: Receiver<SocketAddr>,
    conductor: Post<News>,
    shared: Arc<Shared>,
    /// As many as the conductor asks for at a time, by slot.
    tries: Vec<Option<Try>>,
    deadlines: Deadlines,
}

struct Try {
    stream: TcpStream,
    address: SocketAddr,
    began: Moment,
}

impl Reacher {
    pub(super) fn new(
        poll: Poll,
        wanted: Receiver<SocketAddr>,
        conductor: Post<News>,
        shared: Arc<Shared>,
    ) -> Reacher {
        let tries = std::iter::repeat_with(|| None).take(REACH_TRIES_MAX).collect();
        Reacher { poll, wanted, conductor, shared, tries, deadlines: Deadlines::new(&[REACH_TIMEOUT]) }
    }

    /// Tries until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(REACH_TRIES_MAX);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let patience = self.deadlines.next().map_or(POLL_INTERVAL, |due| due.since(clock::now()));
            if let Err(error) = self.poll.poll(&mut events, Some(patience.min(POLL_INTERVAL)))
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("members are not connected back to any more: {error}");
                return;
            }
            let now = clock::now();
            for event in &events {
                if event.token() != WAKER {
                    self.look(now, event.token().0);
                }
            }
            while let Some(slot) = self.deadlines.due(now) {
                self.end(now, slot as usize, false);
            }
            while let Some(slot) = self.tries.iter().position(Option::is_none) {
                let Ok(address) = self.wanted.try_recv() else { break };
                self.begin(now, slot, address);
            }
        }
    }

    fn begin(&mut self, now: Moment, slot: usize, address: SocketAddr) {
        let registry = self.poll.registry();
        let stream = TcpStream::connect(address).and_then(|mut stream| {
            registry.register(&mut stream, Token(slot), Interest::WRITABLE).map(|()| stream)
        });
        match stream {
            Ok(stream) => {
                self.tries[slot] = Some(Try { stream, address, began: now });
                self.deadlines.arm(now, u32::try_from(slot).expect("there are few tries"), 0);
            }
            Err(_) => self.conductor.send(News::Tried { address, response: None }),
        }
    }

    /// Whether a connection came about, as far as is known.
    fn look(&mut self, now: Moment, slot: usize) {
        let Some(one) = &self.tries[slot] else { return };
        let outcome = match one.stream.take_error() {
            Ok(None) => one.stream.peer_addr().map(drop),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => self.end(now, slot, true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Err(_) => self.end(now, slot, false),
        }
    }

    fn end(&mut self, now: Moment, slot: usize, is_reached: bool) {
        self.deadlines.disarm(u32::try_from(slot).expect("there are few tries"));
        if let Some(Try { address, began, .. }) = self.tries[slot].take() {
            let response = is_reached.then(|| now.since(began));
            self.conductor.send(News::Tried { address, response });
        }
    }
}
