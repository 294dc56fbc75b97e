//! Talks to the conductor: one question, one answer, one connection.
//!
//! Owns nothing but its queue; waits on it, on a socket with timeouts, and on the director's inbox.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::classic;
use super::context::Context;
use super::director::Event;
use crate::address::HostPort;
use crate::host::thread::Thread;
use crate::host::{HostError, entropy};
use crate::limits::{DESK_TIMEOUT, LEAVE_GRACE};
use crate::stream::desk::{DeskError, ask};
use crate::wire::desk::{self, Announce, Refusal, Reply, Roster};

/// What the conductor answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// The other members.
    Roster(Roster),
    /// Not now.
    Refused(Refusal),
    /// It could not be asked.
    Silent(DeskError),
}

/// Starts the scout; asks go in by the channel, answers to the director.
pub(super) fn start(
    context: &Arc<Context>,
    conductor: HostPort,
) -> Result<(Sender<Announce>, Thread), HostError> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let seed = entropy::seed()?;
    let thread = context.spawn("scout", move |context| match &context.classic {
        Some(classic) => classic::scout::run(context, classic, &conductor, seed, &receiver),
        None => run(context, &conductor, &receiver),
    })?;
    Ok((sender, thread))
}

fn run(context: &Context, conductor: &HostPort, asks: &Receiver<Announce>) {
    for announce in asks {
        let leaves = announce.event == desk::Event::Left;
        // Who leaves says goodbye, but waits for nothing else.
        let patience = if leaves { LEAVE_GRACE } else { DESK_TIMEOUT };
        context.report(Event::Scout(answer(context, conductor, announce, patience)));
    }
}

/// What the conductor answers within this time.
pub(super) fn answer(
    context: &Context,
    conductor: &HostPort,
    announce: Announce,
    patience: Duration,
) -> Answer {
    let give_up = || context.is_stopping() && announce.event != desk::Event::Left;
    match ask(conductor, announce, patience, give_up) {
        Ok(Reply::Roster(roster)) => Answer::Roster(roster),
        Ok(Reply::Refused(refusal)) => Answer::Refused(refusal),
        Err(error) => Answer::Silent(error),
    }
}
