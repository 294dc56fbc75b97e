//! The verifying threads: what has landed in a buffer is hashed, written, and told to the director.
//!
//! What several links receive waits in one queue, and the thread that verifies takes all that waits there, up to a
//! bound: several digests at a time are faster than in turn (see [`digest::of_many`]), and readers that wrote
//! themselves would fight over the file's lock.
//! Parts that are too few for that wait for [`Company`], unless they are the last.
//!
//! The end of a link takes the same way, so whatever it brought is told before.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::context::Context;
use super::director::Event;
use super::link::{Fact, LinkEnd, Shared};
use crate::digest;
use crate::host::thread::{self, Thread};
use crate::host::{HostError, clock};
use crate::limits::{VERIFIERS_MAX, VERIFY_BYTES, VERIFY_QUEUE};
use crate::logic::company::Company;
use crate::logic::swarm::LinkId;
use crate::part::Run;
use crate::time::Moment;

/// The ways to the verifying threads.
#[derive(Debug)]
pub(super) struct Verifiers {
    /// One for each thread. A link keeps to one of them, so its facts stay in order.
    queues: Vec<Sender<Work>>,
}

/// What a verifying thread takes off its queue.
#[derive(Debug)]
pub(super) enum Work {
    /// Parts are to be verified.
    Landed(Landed),
    /// A link has ended.
    Ended(LinkId, LinkEnd),
    /// The member has ended.
    Leave,
}

/// Consecutive parts that have come whole.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) link: LinkId,
    pub(super) shared: Arc<Shared>,
    pub(super) run: Run,
    /// Their bytes, and room to spare.
    pub(super) buffer: Vec<u8>,
    /// How many bytes they have.
    pub(super) len: usize,
}

impl Verifiers {
    /// As many queues as this machine should have verifying threads, and where they are heard.
    ///
    /// Half of the cores: receiving and opening records costs about as much as verifying and writing.
    pub(super) fn new() -> (Verifiers, Vec<Receiver<Work>>) {
        let threads = (thread::cores() / 2).clamp(1, VERIFIERS_MAX);
        let (queues, heard) = (0..threads).map(|_| crossbeam_channel::bounded(VERIFY_QUEUE)).unzip();
        (Verifiers { queues }, heard)
    }

    /// These parts are verified next; waits if too much waits already.
    pub(super) fn verify(&self, landed: Landed) {
        self.send(landed.link, Work::Landed(landed));
    }

    /// The director hears of the link's end after all that it brought.
    pub(super) fn ended(&self, link: LinkId, end: LinkEnd) {
        self.send(link, Work::Ended(link, end));
    }

    /// Ends the threads, now that nobody sends any more.
    pub(super) fn leave(&self, deadline: Moment) {
        for queue in &self.queues {
            // Still full then: the thread sits in a system call and is left behind.
            let _stuck = queue.send_timeout(Work::Leave, deadline.since(clock::now()));
        }
    }

    fn send(&self, link: LinkId, work: Work) {
        let count = self.queues.len() as u64;
        let number = usize::try_from(link.0 % count).expect("there are few threads");
        // The thread is gone only after a panic, which the director hears of.
        drop(self.queues[number].send(work));
    }
}

impl Landed {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// What is verified together.
#[derive(Debug)]
struct Batch {
    landed: Vec<Landed>,
    parts: u32,
    bytes: usize,
}

impl Batch {
    fn new(landed: Landed) -> Batch {
        Batch { parts: landed.run.count(), bytes: landed.len, landed: vec![landed] }
    }

    /// Takes what has landed; anything else is given back.
    fn take(&mut self, work: Work) -> Option<Work> {
        let Work::Landed(landed) = work else { return Some(work) };
        self.parts += landed.run.count();
        self.bytes += landed.len;
        self.landed.push(landed);
        None
    }
}

/// Starts one verifying thread for each queue.
pub(super) fn start(context: &Arc<Context>, queues: Vec<Receiver<Work>>) -> Result<Vec<Thread>, HostError> {
    let start = |(number, queue)| {
        context.spawn(&format!("verify{number}"), move |context| {
            Verifier { context, queue, company: Company::new(clock::now()), failed: false }.run();
        })
    };
    (1..).zip(queues).map(start).collect()
}

/// The thread's state.
struct Verifier<'c> {
    context: &'c Context,
    queue: Receiver<Work>,
    company: Company,
    /// A write failed: the member is about to leave, and the disk is left alone.
    failed: bool,
}

impl Verifier<'_> {
    fn run(mut self) {
        let mut next = self.queue.recv().ok();
        while let Some(work) = next.take() {
            match work {
                Work::Landed(landed) => {
                    let mut batch = Batch::new(landed);
                    next = self.gather(&mut batch);
                    self.settle(batch.landed);
                }
                Work::Ended(link, end) => self.context.report(Event::Link(link, Fact::Ended(end))),
                Work::Leave => return,
            }
            next = next.or_else(|| self.queue.recv().ok());
        }
    }

    /// Takes what else has landed, and what lands soon; returns what came instead and is to be done after it.
    fn gather(&mut self, batch: &mut Batch) -> Option<Work> {
        let mut other = None;
        while other.is_none()
            && batch.bytes < VERIFY_BYTES
            && let Ok(work) = self.queue.try_recv()
        {
            other = batch.take(work);
        }
        let patience = self.company.patience(self.missing(batch));
        if other.is_none() && self.may_grow(batch) && !patience.is_zero() {
            let (until, parts) = (clock::now() + patience, batch.parts);
            while other.is_none()
                && self.may_grow(batch)
                && let Ok(work) = self.queue.recv_timeout(until.since(clock::now()))
            {
                other = batch.take(work);
            }
            self.company.waited(batch.parts > parts);
        }
        self.company.met(clock::now(), batch.parts);
        other
    }

    /// Whether more would be verified side by side with these, and something is still to come.
    fn may_grow(&self, batch: &Batch) -> bool {
        self.missing(batch) > 0 && self.context.expects_parts(batch.landed.len())
    }

    /// How many more parts could come and be verified side by side with these.
    fn missing(&self, batch: &Batch) -> u32 {
        let layout = self.context.layout;
        let to_come = layout.parts().saturating_sub(self.context.store.shelf().count());
        let together = digest::LANES.min(VERIFY_BYTES / layout.part_len() as usize);
        to_come.min(u32::try_from(together).expect("there are few lanes")).saturating_sub(batch.parts)
    }

    /// Verifies what has landed and stores what is right.
    fn settle(&mut self, batch: Vec<Landed>) {
        let part_len = self.context.layout.part_len() as usize;
        let bytes: Vec<&[u8]> = batch.iter().flat_map(|landed| landed.bytes().chunks(part_len)).collect();
        let mut digests = digest::of_many(&bytes).into_iter();
        for landed in batch {
            let right: Vec<bool> = landed
                .run
                .parts()
                .zip(&mut digests)
                .map(|(part, digest)| digest == self.context.manifest.part_digest(part))
                .collect();
            self.sort(&landed, &right);
            self.context.buffers.give_back(landed.buffer);
        }
    }

    /// Stores the parts that are right, and tells who sent the others.
    fn sort(&mut self, landed: &Landed, right: &[bool]) {
        let mut rest = landed.bytes();
        let mut wrong = None;
        for (run, is_right) in landed.run.cut_by(right) {
            let len = usize::try_from(self.context.layout.bytes_of(run)).expect("a buffer holds these parts");
            let (bytes, after) = rest.split_at(len);
            rest = after;
            if is_right {
                self.store(landed.link, run, bytes);
            } else {
                self.context.progress.wasted(len as u64);
                wrong.get_or_insert(run.first());
            }
        }
        if let Some(part) = wrong
            && landed.shared.blame()
        {
            self.context.report(Event::Link(landed.link, Fact::Corrupt(part)));
        }
    }

    /// Writes verified parts, unless all of them are there, and tells the director.
    fn store(&mut self, link: LinkId, run: Run, bytes: &[u8]) {
        let store = &self.context.store;
        // A file that is only shared is not written to; nobody was asked for anything.
        let is_wanted = store.is_writable() && !self.failed;
        let written = if is_wanted { store.write(run, bytes) } else { Ok((0, 0)) };
        match written {
            Ok((parts, new_bytes)) => {
                self.context.flush.wrote(new_bytes);
                self.context.progress.stored(parts, new_bytes, bytes.len() as u64);
                if !self.failed {
                    self.context.report(Event::Link(link, Fact::Stored(run)));
                }
            }
            Err(error) => {
                self.failed = true;
                self.context.report(Event::StoreFailed(error));
            }
        }
    }
}
