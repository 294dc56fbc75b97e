//! One connection to another member: a reader thread and a writer thread.
//!
//! The reader opens records and receives parts into buffers, which the verifiers take over; the writer sends
//! what the director and the reader order.
//! Neither decides anything: the session judges messages, the swarm (in the director) judges the rest.
//!
//! The reader dials or accepts as its first act, starts its writer after the handshake, and joins it before
//! it reports the end, so the end of a link is one event.

mod classic;
mod landing;
mod reader;
mod shared;
mod turn;
mod watch;
mod writer;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use thiserror::Error;

use self::reader::Intake;
pub(super) use self::shared::Shared;
use self::writer::Writer;
use super::context::Context;
use crate::host::thread::{self, Thread};
use crate::host::{HostError, clock};
use crate::limits::{HANDSHAKE_TIMEOUT, LINK_QUEUE};
use crate::logic::serving::Outgoing;
use crate::logic::session::Fault;
use crate::logic::swarm::LinkId;
use crate::part::{PartIndex, Run};
use crate::part_set::PartSet;
use crate::stream::{self, Established, Opened, Role, SealedReader, StreamError};
use crate::time::Moment;
use crate::wire::member::{Denial, Hello, Reason};

/// What a link tells the director.
#[derive(Debug)]
pub(super) enum Fact {
    /// The far end introduced itself; the writer hears this queue.
    /// `keyed` says whether it proved that it has the manifest.
    Up { hello: Hello, remote: SocketAddr, keyed: bool, queue: Sender<Outgoing> },
    /// The far end holds all these.
    Holds(PartSet),
    /// It holds these as well.
    HoldsAlso(Vec<Run>),
    /// The bytes of these come next.
    Coming(Run),
    /// These came, are right, and are on disk.
    Stored(Run),
    /// These will not come.
    Refused(Run, Denial),
    /// The bytes of this part were wrong.
    Corrupt(PartIndex),
    /// Other members listen there.
    Gossip(Vec<SocketAddr>),
    /// Both threads are done.
    Ended(LinkEnd),
}

/// Why a link ended. It is data, and converts into no other error.
#[derive(Debug, Error)]
pub(super) enum LinkEnd {
    /// We closed it, or stop.
    #[error("closed")]
    Closed,
    /// The other side said goodbye.
    #[error("the other side ended it ({0:?})")]
    Bye(Reason),
    /// The other side is gone without a word.
    #[error("the other side is gone")]
    Gone,
    /// The other side broke the protocol.
    #[error("the other side broke the protocol")]
    Fault(#[source] Fault),
    /// The other side speaks of another composition.
    #[error("the other side wants another composition")]
    OtherSwarm,
    /// It is a classic link that leads from this member to itself.
    #[error("it leads to this member itself")]
    Oneself,
    /// A classic member was refused a part, and asks nothing more on this link.
    #[error("the other side has nothing more to ask on it")]
    Mute,
    /// A classic member did not answer a question in time.
    #[error("a question was not answered in time")]
    Unanswered,
    /// The other side said nothing valid in time.
    #[error("no valid hello in time")]
    Late,
    /// The other side hardly goes on with a part that it began, and other links wait for its buffer.
    #[error("it hardly went on with a part while others waited for room")]
    Slow,
    /// It could not be dialled.
    #[error(transparent)]
    Dial(HostError),
    /// The connection broke.
    #[error("the connection broke")]
    Socket(#[source] io::Error),
    /// Our own disk failed: not the link's matter.
    #[error(transparent)]
    Store(HostError),
    /// A thread of the link could not be started.
    #[error(transparent)]
    Host(HostError),
    /// A thread of the link panicked: a bug of ours.
    #[error("a thread of the link failed")]
    Panicked,
}

impl From<StreamError> for LinkEnd {
    fn from(error: StreamError) -> LinkEnd {
        match error {
            StreamError::Gone => LinkEnd::Gone,
            StreamError::Late => LinkEnd::Late,
            StreamError::OtherKey => LinkEnd::OtherSwarm,
            StreamError::Wire(error) => LinkEnd::Fault(error.into()),
            StreamError::Dial(error) => LinkEnd::Dial(error),
            StreamError::Socket(error) => LinkEnd::Socket(error),
        }
    }
}

/// Starts a link; its first word to the director is [`Fact::Up`] or [`Fact::Ended`].
pub(super) fn start(
    context: &Arc<Context>,
    id: LinkId,
    role: Role,
) -> Result<(Arc<Shared>, Thread), HostError> {
    let shared = Arc::new(Shared::new(context.layout, Arc::clone(&context.awaited)));
    let (context, its_shared) = (Arc::clone(context), Arc::clone(&shared));
    let thread = thread::spawn(&format!("link{}-rd", id.0), move || {
        let mut report = Report { context: &context, shared: &its_shared, id, end: LinkEnd::Panicked };
        report.end = run(&context, &its_shared, id, role);
        its_shared.cut();
    })?;
    Ok((shared, thread))
}

/// Reports the end of the link when the reader's thread ends, by a panic as well.
struct Report<'c> {
    context: &'c Context,
    shared: &'c Shared,
    id: LinkId,
    end: LinkEnd,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        self.shared.ended();
        let end = std::mem::replace(&mut self.end, LinkEnd::Closed);
        self.context.verifiers.ended(self.id, end);
    }
}

/// The reader's thread, from the first byte to the last.
fn run(context: &Arc<Context>, shared: &Arc<Shared>, id: LinkId, role: Role) -> LinkEnd {
    let deadline = clock::now() + HANDSHAKE_TIMEOUT;
    let give_up = || shared.is_cut() || context.is_stopping();
    let opened = match stream::open(shared.socket(), role, give_up) {
        Ok(opened) => opened,
        Err(error) => return error.into(),
    };
    match &context.classic {
        None => run_native(context, shared, id, opened, deadline),
        Some(known) => classic::run_either(context, known, shared, id, opened, deadline),
    }
}

/// A link in our dialect.
fn run_native(
    context: &Arc<Context>,
    shared: &Arc<Shared>,
    id: LinkId,
    opened: Opened,
    deadline: Moment,
) -> LinkEnd {
    let give_up = || shared.is_cut() || context.is_stopping();
    let established = opened.shake(&context.key, deadline, give_up);
    let Established { stream, remote, sealer, opener } = match established {
        Ok(established) => established,
        Err(error) => return error.into(),
    };
    let (sender, receiver) = crossbeam_channel::bounded(LINK_QUEUE);
    context.line.enter(id, sender.clone());
    let writer = {
        let (context, its_shared) = (Arc::clone(context), Arc::clone(shared));
        start_writer(shared, id, &stream, move |stream| {
            Writer::new(&context, &its_shared, id, stream, &receiver, sealer).run()
        })
    };
    let writer = match writer {
        Ok(writer) => writer,
        Err(end) => return end,
    };
    let mut input = SealedReader::new(&stream, opener);
    let mut intake = Intake::new(context, shared, id, remote, sender, deadline);
    let end = reader::run(&mut input, &mut intake);
    drop(intake);
    joined(shared, writer, end)
}

/// How a link ended whose reader ended so.
fn joined(shared: &Shared, writer: WriterThread, end: LinkEnd) -> LinkEnd {
    shared.cut();
    match (writer.join(), end) {
        (Err(thread::Panicked), _) => LinkEnd::Panicked,
        (Ok(Some(end @ LinkEnd::Store(_))), _) => end,
        // The writer's trouble is why the reader saw the connection end.
        (Ok(Some(end)), LinkEnd::Gone | LinkEnd::Closed) => end,
        (Ok(_), end) => end,
    }
}

/// A writer's thread and what it ended with.
struct WriterThread {
    thread: Thread,
    outcome: Receiver<LinkEnd>,
}

impl WriterThread {
    fn join(self) -> Result<Option<LinkEnd>, thread::Panicked> {
        self.thread.join()?;
        Ok(self.outcome.try_recv().ok())
    }
}

/// Starts the writer of a link; `body` writes to the socket until the link ends.
fn start_writer(
    shared: &Arc<Shared>,
    id: LinkId,
    stream: &TcpStream,
    body: impl FnOnce(&TcpStream) -> Result<(), LinkEnd> + Send + 'static,
) -> Result<WriterThread, LinkEnd> {
    let stream = stream.try_clone().map_err(LinkEnd::Socket)?;
    let shared = Arc::clone(shared);
    let (told, outcome) = crossbeam_channel::bounded(1);
    let thread = thread::spawn(&format!("link{}-wr", id.0), move || {
        if let Err(end) = body(&stream) {
            // The reader asks for it after joining; if it is gone, nobody wants to know.
            drop(told.send(end));
            shared.cut();
        }
    })
    .map_err(LinkEnd::Host)?;
    Ok(WriterThread { thread, outcome })
}
