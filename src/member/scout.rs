//! Talks to the conductor: one question, one answer, one connection.
//!
//! Owns nothing but its queue; waits on it, on a socket with timeouts, and on the director's inbox.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::context::Context;
use super::director::Event;
use crate::address::HostPort;
use crate::host::HostError;
use crate::host::thread::Thread;
use crate::limits::{DESK_TIMEOUT, LEAVE_GRACE};
use crate::stream::desk::{self, DeskError};
use crate::wire::desk::{Announce, Event as About, Refusal, Roster};

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
    let thread = context.spawn("scout", move |context| run(context, &conductor, &receiver))?;
    Ok((sender, thread))
}

fn run(context: &Context, conductor: &HostPort, asks: &Receiver<Announce>) {
    for announce in asks {
        let leaves = announce.event == About::Left;
        // Who leaves says goodbye, but waits for nothing else.
        let patience = if leaves { LEAVE_GRACE } else { DESK_TIMEOUT };
        let give_up = || context.is_stopping() && !leaves;
        let answer = match desk::announce(conductor, announce, None, patience, give_up) {
            Ok(Ok(greeted)) => Answer::Roster(greeted.roster),
            Ok(Err(refusal)) => Answer::Refused(refusal),
            Err(error) => Answer::Silent(error),
        };
        context.report(Event::Scout(answer));
    }
}
