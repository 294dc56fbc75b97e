//! Talks to the conductor: one announce, one answer, one connection.
//!
//! Owns its queue, and knows where to look up what proves who announces; waits on the queue, on a socket with timeouts, and on the director's
//! inbox.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::classic;
use super::context::Context;
use super::director::Event;
use crate::address::HostPort;
use crate::credential::{SessionId, Speaker};
use crate::host::thread::Thread;
use crate::host::{HostError, entropy};
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

/// The conductor, as it is asked in our dialect.
#[derive(Debug)]
pub(super) struct Native {
    pub(super) conductor: HostPort,
    session: SessionSource,
    /// The session that the conductor does not accept.
    refused: Option<SessionId>,
}

/// Where the user's session is looked up, before each announce: the user may log in or out meanwhile, or get another
/// password.
#[derive(Clone)]
pub struct SessionSource(Option<Arc<dyn Fn() -> Option<Speaker> + Send + Sync>>);

impl SessionSource {
    /// Nobody is logged in, ever.
    #[must_use]
    pub const fn nobody() -> SessionSource {
        SessionSource(None)
    }

    /// Looked up like this; quickly, for others wait meanwhile.
    #[must_use]
    pub fn new(look: impl Fn() -> Option<Speaker> + Send + Sync + 'static) -> SessionSource {
        SessionSource(Some(Arc::new(look)))
    }

    fn look(&self) -> Option<Speaker> {
        self.0.as_ref().and_then(|look| look())
    }
}

impl std::fmt::Debug for SessionSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionSource").finish_non_exhaustive()
    }
}

/// Starts the scout; asks go in by the channel, answers to the director.
pub(super) fn start(
    context: &Arc<Context>,
    conductor: HostPort,
    session: SessionSource,
) -> Result<(Sender<Ask>, Thread), HostError> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let seed = entropy::seed()?;
    let native = Native { conductor, session, refused: None };
    let thread = context.spawn("scout", move |context| match &context.classic {
        Some(classic) => classic::scout::run(context, classic, native, seed, &receiver),
        None => run(context, native, &receiver),
    })?;
    Ok((sender, thread))
}

fn run(context: &Context, mut native: Native, asks: &Receiver<Ask>) {
    for ask in asks {
        // Who leaves says goodbye, but waits for nothing else.
        let patience = if ask.announce.event == About::Left { LEAVE_GRACE } else { DESK_TIMEOUT };
        context.report(Event::Scout(native.answer(context, &ask, patience)));
    }
}

impl Native {
    /// What the conductor answers within this time.
    pub(super) fn answer(&mut self, context: &Context, ask: &Ask, patience: Duration) -> Answer {
        let give_up = || context.is_stopping() && ask.announce.event != About::Left;
        let announce = |proof| desk::announce(&self.conductor, ask.announce, proof, patience, give_up);
        let speaker = self.session.look().filter(|speaker| Some(speaker.session) != self.refused);
        if let Some(speaker) = &speaker {
            match announce(Some((speaker, &ask.reports[..]))) {
                Ok(Ok(greeted)) => return Answer::Greeted(greeted),
                Ok(Err(Refusal::LoginFirst)) => {}
                Ok(Err(refusal)) => return Answer::Refused(refusal),
                Err(error) => return Answer::Silent(error),
            }
            log::warn!(
                "the session at {} is over, or it keeps no accounts: going on without",
                self.conductor
            );
        }
        let answer = match announce(None) {
            Ok(Ok(greeted)) => Answer::Roster(greeted.roster),
            Ok(Err(refusal)) => Answer::Refused(refusal),
            Err(error) => return Answer::Silent(error),
        };
        if let Some(speaker) = speaker {
            self.refused = Some(speaker.session);
        }
        answer
    }
}
