//! Parts on their way from a link's socket into buffers, which the verifiers take over.

use std::sync::Arc;

use super::{Fact, LinkEnd, Shared};
use crate::host::clock;
use crate::logic::pace::Pace;
use crate::logic::swarm::LinkId;
use crate::member::context::Context;
use crate::member::director::Event;
use crate::member::verifier::Landed;
use crate::part::Run;

/// Where the bytes of parts go that come over one link.
pub(super) struct Landings<'s> {
    context: &'s Context,
    shared: &'s Arc<Shared>,
    id: LinkId,
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

impl<'s> Landings<'s> {
    /// No part comes.
    pub(super) const fn new(context: &'s Context, shared: &'s Arc<Shared>, id: LinkId) -> Landings<'s> {
        Landings { context, shared, id, coming: None, landing: None }
    }

    /// Whether the next bytes are those of a part.
    pub(super) const fn are_open(&self) -> bool {
        self.landing.is_some()
    }

    /// Whether a part hardly comes on, by no fault of ours, while other links wait for its buffer.
    pub(super) fn hoards(&mut self) -> bool {
        let Some(landing) = &mut self.landing else { return false };
        landing.pace.hardly_comes(clock::now(), landing.filled as u64) && self.context.buffers.are_short()
    }

    /// Where the next bytes belong if they are bytes of parts, and nowhere else.
    pub(super) fn place(&mut self) -> &mut [u8] {
        match &mut self.landing {
            Some(landing) if !self.shared.is_closing() => landing.rest(),
            _ => &mut [],
        }
    }

    /// Takes the bytes of parts from the front of `plain`.
    pub(super) fn take(&mut self, plain: &mut &[u8]) -> Result<(), LinkEnd> {
        let Some(landing) = &mut self.landing else { return Ok(()) };
        let len = plain.len().min(landing.len - landing.filled);
        let (bytes, rest) = plain.split_at(len);
        landing.rest()[..len].copy_from_slice(bytes);
        *plain = rest;
        self.came(len)
    }

    /// So many more bytes are in the landing.
    pub(super) fn came(&mut self, len: usize) -> Result<(), LinkEnd> {
        self.context.progress.received(len as u64);
        self.shared.got(len as u64);
        let before = clock::now();
        self.shared.waiting(|| self.context.down.wait(len, || self.shared.is_closing()));
        if let Some(landing) = &mut self.landing {
            landing.filled += len;
            landing.pace.excuse(clock::now().since(before));
        }
        self.touch_down()
    }

    /// The bytes of these parts come next.
    pub(super) fn begin(&mut self, run: Run) -> Result<(), LinkEnd> {
        self.context.report(Event::Link(self.id, Fact::Coming(run)));
        self.coming = Some(run);
        self.next()
    }

    fn next(&mut self) -> Result<(), LinkEnd> {
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
        self.next()
    }
}

impl Drop for Landings<'_> {
    /// Buffers go back whatever happens; bytes of a part that never became whole are wasted.
    fn drop(&mut self) {
        if let Some(landing) = self.landing.take() {
            self.context.progress.wasted(landing.filled as u64);
            self.context.buffers.give_back(landing.buffer);
        }
    }
}
