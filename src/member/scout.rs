//! Talks to the conductor: one announce, one answer, one connection.
//!
//! Owns its queue and what proves who announces; waits on the queue, on a socket with timeouts, and on the director's
//! inbox.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::context::Context;
use super::director::Event;
use crate::address::HostPort;
use crate::credential::Speaker;
use crate::host::HostError;
use crate::host::thread::Thread;
use crate::limits::{DESK_TIMEOUT, LEAVE_GRACE};
use crate::stream::desk::{self, DeskError};
use crate::wire::desk::{Announce, Event as About, Greeted, Refusal, Report, Roster};

/// What the conductor is told.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) announce: Announce,
    /// How it went with other members; only who is logged in is asked that.
    pub(super) reports: Vec<Report>,
}

/// What the conductor answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// The other members.
    Roster(Roster),
    /// The other members, to one who is logged in.
    Greeted(Greeted),
    /// Not now.
    Refused(Refusal),
    /// It could not be asked.
    Silent(DeskError),
}

/// Starts the scout; asks go in by the channel, answers to the director.
pub(super) fn start(
    context: &Arc<Context>,
    conductor: HostPort,
    speaker: Option<Speaker>,
) -> Result<(Sender<Ask>, Thread), HostError> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let thread = context.spawn("scout", move |context| run(context, &conductor, speaker, &receiver))?;
    Ok((sender, thread))
}

fn run(context: &Context, conductor: &HostPort, mut speaker: Option<Speaker>, asks: &Receiver<Ask>) {
    for Ask { announce, reports } in asks {
        let leaves = announce.event == About::Left;
        // Who leaves says goodbye, but waits for nothing else.
        let patience = if leaves { LEAVE_GRACE } else { DESK_TIMEOUT };
        let give_up = || context.is_stopping() && !leaves;
        let proven = speaker
            .as_ref()
            .map(|speaker| desk::announce(conductor, announce, Some((speaker, &reports)), patience, give_up));
        let answer = match proven {
            Some(Ok(Err(Refusal::LoginFirst))) => {
                log::warn!("the session at {conductor} is over, or it keeps no accounts: going on without");
                speaker = None;
                None
            }
            Some(Ok(Ok(greeted))) => Some(Answer::Greeted(greeted)),
            Some(Ok(Err(refusal))) => Some(Answer::Refused(refusal)),
            Some(Err(error)) => Some(Answer::Silent(error)),
            None => None,
        };
        let answer =
            answer.unwrap_or_else(|| match desk::announce(conductor, announce, None, patience, give_up) {
                Ok(Ok(greeted)) => Answer::Roster(greeted.roster),
                Ok(Err(refusal)) => Answer::Refused(refusal),
                Err(error) => Answer::Silent(error),
            });
        context.report(Event::Scout(answer));
    }
}
