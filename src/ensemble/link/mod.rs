//! One connection to another member of the ensemble: a reader thread and a writer thread.
//!
//! The reader opens records, verifies what they bring and writes it to where contents are on their way; the writer
//! reads slices of files and sends them. Neither decides anything: the keeper does.

mod reader;
mod shared;
mod writer;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender};
use thiserror::Error;

pub(super) use self::shared::{Asked, Place, Shared};
use self::writer::Writer;
use super::context::Context;
use super::keeper::Event;
use crate::entry::{ContentHash, TreePath};
use crate::host::folder::FolderError;
use crate::host::folder::facts::Facts;
use crate::host::folder::temp::{Temp, Whole};
use crate::host::thread::{self, Thread};
use crate::host::{HostError, clock};
use crate::limits::{ENSEMBLE_LINK_QUEUE, HANDSHAKE_TIMEOUT};
use crate::logic::sync::exchange::Fault;
use crate::stream::{self, Established, Role, SealedReader, StreamError};
use crate::wire::ensemble::{
    ChunkPage, Describe, Entries, Follow, Having, Hello, Message, Reason, Slice, State,
};
use crate::wire::seal::Sealer;

/// Which link, among all of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LinkId(pub(super) u64);

/// What a link tells the keeper.
#[derive(Debug)]
pub(super) enum Fact {
    /// The far end introduced itself; the writer hears this queue.
    Up { hello: Hello, remote: SocketAddr, queue: Sender<Outgoing> },
    /// It follows our entries from here on.
    Follows(Follow),
    /// Its entries.
    Entries(Entries),
    /// Where it stands.
    State(State),
    /// It wants a list of chunks.
    Describe(Describe),
    /// A page of a list.
    Chunks(ChunkPage),
    /// It wants slices, in this order.
    Wants(Vec<Slice>),
    /// These came, and are right.
    Landed(Vec<Landed>),
    /// This was asked for, and did not come.
    Lacking(Asked),
    /// It has these chunks of what it still fetches.
    Having(Having),
    /// Other members listen there.
    Roster(Vec<SocketAddr>),
    /// The last batch of entries was sent.
    Told,
    /// A file that was to be given is not what the index says.
    Stale(TreePath),
    /// What came could not be written.
    Trouble(FolderError, Asked),
    /// Both threads are done.
    Ended(LinkEnd),
}

/// What came over a link.
#[derive(Debug)]
pub(super) enum Landed {
    /// A whole content.
    Short(ContentHash, Whole),
    /// A chunk of one, by its place.
    Chunk(ContentHash, usize),
}

/// What the keeper and the reader tell the writer.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Say this.
    Say(Message),
    /// Say this, and report [`Fact::Told`].
    Tell(Message),
    /// Ask for these.
    Ask(Vec<Asked>),
    /// Answer for these, in this order.
    Give(Vec<Gift>),
    /// Say goodbye.
    Close(Reason),
}

/// A slice to give, and where it is.
#[derive(Debug)]
pub(super) struct Gift {
    pub(super) slice: Slice,
    pub(super) from: GiftFrom,
}

/// Where a slice is that was asked for.
#[derive(Clone, Debug)]
pub(super) enum GiftFrom {
    /// In a file, if the file still is as it was.
    File(Arc<(TreePath, Facts)>),
    /// In what is on its way here as well.
    Arriving(Weak<Temp>, usize),
    /// Nowhere.
    Nowhere,
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
    /// The connection did not come about, or broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The other side broke the protocol.
    #[error("the other side broke the protocol")]
    Fault(#[source] Fault),
    /// The other side said nothing valid in time.
    #[error("no valid hello in time")]
    Late,
    /// The other side has said nothing for too long.
    #[error("the other side fell silent")]
    Silent,
    /// The other side has not answered for too long.
    #[error("the other side does not answer")]
    Stalled,
    /// The key of the link is nearly used up.
    #[error("the key of the link is used up; a new link follows")]
    Worn,
    /// A thread of the link could not be started.
    #[error(transparent)]
    Host(HostError),
    /// A thread of the link panicked: a bug of ours.
    #[error("a thread of the link failed")]
    Panicked,
}

/// Starts a link; its first word to the keeper is [`Fact::Up`] or [`Fact::Ended`].
pub(super) fn start(
    context: &Arc<Context>,
    id: LinkId,
    role: Role,
) -> Result<(Arc<Shared>, Thread), HostError> {
    let shared = Arc::new(Shared::default());
    let (context, its_shared) = (Arc::clone(context), Arc::clone(&shared));
    let thread = thread::spawn(&format!("link{}-rd", id.0), move || {
        let mut report = Report { context: &context, id, end: LinkEnd::Panicked };
        report.end = run(&context, &its_shared, id, role);
        its_shared.cut();
    })?;
    Ok((shared, thread))
}

/// Reports the end of the link when the reader's thread ends, by a panic as well.
struct Report<'c> {
    context: &'c Context,
    id: LinkId,
    end: LinkEnd,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, LinkEnd::Closed);
        self.context.report(Event::Link(self.id, Fact::Ended(end)));
    }
}

/// The reader's thread, from the first byte to the last.
fn run(context: &Arc<Context>, shared: &Arc<Shared>, id: LinkId, role: Role) -> LinkEnd {
    let deadline = clock::now() + HANDSHAKE_TIMEOUT;
    let give_up = || shared.is_cut() || context.is_stopping();
    let established = match stream::establish(&context.key, shared.socket(), role, deadline, give_up) {
        Ok(established) => established,
        Err(error) => return error.into(),
    };
    let (sender, queue) = crossbeam_channel::bounded(ENSEMBLE_LINK_QUEUE);
    let (goes_on, ended) = crossbeam_channel::bounded(0);
    let Established { stream, remote, sealer, opener } = established;
    let (writer, outcome) = match start_writer(context, shared, id, &stream, (queue, ended), sealer) {
        Ok(writer) => writer,
        Err(end) => return end,
    };
    let mut input = SealedReader::new(&stream, opener);
    let end = reader::run(&mut input, reader::Intake::new(context, shared, id, remote, sender, deadline));
    shared.cut();
    drop(goes_on);
    match (writer.join(), end) {
        (Err(thread::Panicked), _) => LinkEnd::Panicked,
        // The writer's trouble is why the reader saw the connection end.
        (Ok(()), end @ (LinkEnd::Closed | LinkEnd::Stream(StreamError::Gone))) => {
            outcome.try_recv().unwrap_or(end)
        }
        (Ok(()), end) => end,
    }
}

fn start_writer(
    context: &Arc<Context>,
    shared: &Arc<Shared>,
    id: LinkId,
    stream: &TcpStream,
    (queue, ended): (Receiver<Outgoing>, Receiver<Infallible>),
    sealer: Sealer,
) -> Result<(Thread, Receiver<LinkEnd>), LinkEnd> {
    let stream = stream.try_clone().map_err(StreamError::Socket)?;
    let (context, shared) = (Arc::clone(context), Arc::clone(shared));
    let (told, outcome) = crossbeam_channel::bounded(1);
    let thread = thread::spawn(&format!("link{}-wr", id.0), move || {
        if let Err(end) = Writer::new(&context, &shared, id, &stream, (&queue, &ended), sealer).run() {
            // The reader asks for it after joining; if it is gone, nobody wants to know.
            drop(told.send(end));
            shared.cut();
        }
    });
    Ok((thread.map_err(LinkEnd::Host)?, outcome))
}
