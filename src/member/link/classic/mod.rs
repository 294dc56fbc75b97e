//! A link with a member that speaks the classic protocol, or that may.
//!
//! It makes the same facts as any other link, and takes the same orders.

mod reader;
mod writer;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use self::reader::Intake;
use self::writer::Writer;
use super::{LinkEnd, Shared, joined, run_native, start_writer};
use crate::limits::{CLASSIC_WORDS, LINK_QUEUE};
use crate::logic::classic::dialects::Dialect;
use crate::logic::classic::session::Question;
use crate::logic::swarm::LinkId;
use crate::member::classic::Classic;
use crate::member::context::Context;
use crate::part::PartIndex;
use crate::stream::Opened;
use crate::time::Moment;
use crate::wire::classic::Subject;
use crate::wire::classic::member::begins;

/// What the reader of a classic link tells its writer.
#[derive(Debug)]
enum Word {
    /// Our question was answered; there is less hope of news if one side holds everything.
    Answered { complete: bool },
    /// The other side asks which parts are here.
    List(Subject),
    /// It asks for this part.
    Part(Subject, PartIndex),
    /// It asks for something that is not shared here.
    Other(Subject),
}

/// The question that waits for its answer: written by the writer before it asks, and by the reader when the answer is
/// whole.
#[derive(Debug, Default)]
struct Asked(Mutex<Option<Question>>);

impl Asked {
    fn set(&self, question: Option<Question>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = question;
    }

    fn get(&self) -> Option<Question> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A link of a member that speaks both dialects: in that which the other side began with, or most likely understands.
pub(super) fn run_either(
    context: &Arc<Context>,
    classic: &Classic,
    shared: &Arc<Shared>,
    id: LinkId,
    mut opened: Opened,
    deadline: Moment,
) -> LinkEnd {
    let give_up = || shared.is_cut() || context.is_stopping();
    let remote = opened.remote;
    if !opened.dialled {
        return match opened.first_bytes(deadline, give_up) {
            Err(error) => error.into(),
            Ok(first) if begins(first) && classic.is_own(remote) => LinkEnd::Oneself,
            Ok(first) if begins(first) => run(context, shared, id, opened, &first, deadline),
            Ok(_) => run_native(context, shared, id, opened, deadline),
        };
    }
    let spoken = classic.dialect_of(remote);
    let end = match spoken {
        Dialect::Native => run_native(context, shared, id, opened, deadline),
        Dialect::Classic => {
            let local = opened.stream.local_addr();
            let _own = local.ok().map(|local| classic.dialled_from(local));
            run(context, shared, id, opened, &[], deadline)
        }
    };
    if shared.is_introduced() {
        if spoken == Dialect::Native {
            classic.heard_natively(&[remote]);
        }
    } else if matches!(end, LinkEnd::Gone | LinkEnd::Late | LinkEnd::Fault(_) | LinkEnd::Socket(_)) {
        classic.misunderstood(remote, spoken);
    }
    end
}

/// A classic link, of which the other side's first bytes were read already.
fn run(
    context: &Arc<Context>,
    shared: &Arc<Shared>,
    id: LinkId,
    opened: Opened,
    first: &[u8],
    deadline: Moment,
) -> LinkEnd {
    let Opened { stream, remote, .. } = opened;
    let (sender, orders) = crossbeam_channel::bounded(LINK_QUEUE);
    let (teller, words) = crossbeam_channel::bounded(CLASSIC_WORDS);
    context.line.enter(id, sender.clone());
    let asked = Arc::new(Asked::default());
    let writer = {
        let (context, its_shared, asked) = (Arc::clone(context), Arc::clone(shared), Arc::clone(&asked));
        start_writer(shared, id, &stream, move |stream| {
            Writer::new(&context, &its_shared, id, stream, &asked, &orders, &words).run()
        })
    };
    let writer = match writer {
        Ok(writer) => writer,
        Err(end) => return end,
    };
    let far = Far { remote, queue: sender, words: teller };
    let mut intake = Intake::new(context, shared, id, far, &asked, deadline);
    let end = reader::run(&stream, first, &mut intake);
    drop(intake);
    joined(shared, writer, end)
}

/// Where the other side is, and the ways to the writer: the director's and the reader's.
struct Far {
    remote: SocketAddr,
    queue: crossbeam_channel::Sender<crate::logic::serving::Outgoing>,
    words: crossbeam_channel::Sender<Word>,
}
