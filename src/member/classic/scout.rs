//! Talks to the conductor in both dialects.
//!
//! In the classic one first, since whoever speaks it answers at once; an original conductor does not understand ours, and
//! is asked in it seldom. What both tell is one answer to the director.
//! Owns nothing but its queue; waits on it, on a socket with timeouts, and on the director's inbox.

use std::net::SocketAddr;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::Classic;
use crate::host::clock;
use crate::limits::{CLASSIC_ASK_INTERVAL, CLASSIC_LONELY_INTERVAL, DESK_TIMEOUT, LEAVE_GRACE};
use crate::logic::classic::doubt::Doubt;
use crate::logic::classic::sample::merged;
use crate::member::context::Context;
use crate::member::director::Event;
use crate::member::scout::{Answer, Ask, Native};
use crate::stream::classic;
use crate::text::chain;
use crate::wire::desk::{Event as About, Greeted, Roster};

/// What is known of the conductor.
struct Desk<'c> {
    context: &'c Context,
    classic: &'c Classic,
    native: Native,
    /// Others of whom it told in the classic protocol, last time that it answered there.
    told: Vec<SocketAddr>,
    /// Whether it speaks our dialect as well.
    doubt: Doubt,
    /// Chooses of whom to hear if it tells of very many.
    rng: fastrand::Rng,
    /// The log says once that it does not answer in the classic protocol.
    mute: bool,
    /// How many lines of its last answer could not be read: the log says so when it changes.
    unreadable: u64,
}

/// Asks whenever the director says so, and between in the classic protocol, whose leases are short.
pub(in crate::member) fn run(
    context: &Context,
    classic: &Classic,
    native: Native,
    seed: u64,
    asks: &Receiver<Ask>,
) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let doubt = Doubt::new(rng.u64(..));
    let mut desk =
        Desk { context, classic, native, told: Vec::new(), doubt, rng, mute: false, unreadable: 0 };
    loop {
        match asks.recv_timeout(CLASSIC_ASK_INTERVAL) {
            Ok(ask) => context.report(Event::Scout(desk.answer(&ask))),
            Err(RecvTimeoutError::Timeout) => drop(desk.ask_classically()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Desk<'_> {
    /// Asks in both dialects.
    fn answer(&mut self, ask: &Ask) -> Answer {
        if ask.announce.event == About::Left {
            // The classic protocol has no word for it, and nobody waits for this answer for long.
            return match self.doubt.is_due(clock::now()) {
                true => self.native.answer(self.context, ask, LEAVE_GRACE),
                false => self.roster(),
            };
        }
        let is_heard = self.ask_classically();
        if is_heard && !self.doubt.is_due(clock::now()) {
            return self.roster();
        }
        let patience = if is_heard { self.doubt.patience() } else { DESK_TIMEOUT };
        let answer = self.native.answer(self.context, ask, patience);
        match &answer {
            Answer::Roster(_) | Answer::Greeted(_) | Answer::Refused(_) => self.doubt.on_answer(clock::now()),
            Answer::Silent(_) if is_heard => self.doubt.on_silence(clock::now()),
            // It is not there at all, and that is told.
            Answer::Silent(_) => {}
        }
        match answer {
            Answer::Roster(roster) => Answer::Roster(self.with_told(roster)),
            Answer::Greeted(Greeted { roster, reach }) => {
                Answer::Greeted(Greeted { roster: self.with_told(roster), reach })
            }
            Answer::Silent(error) if is_heard => {
                log::info!("the conductor answers only in the classic protocol: {}", chain(&error));
                self.roster()
            }
            Answer::Refused(_) if is_heard && !self.told.is_empty() => self.roster(),
            other => other,
        }
    }

    /// What was told in our dialect, and what was told in the other one.
    fn with_told(&self, mut roster: Roster) -> Roster {
        self.classic.heard_natively(&roster.members);
        self.classic.heard_classically(&self.told);
        roster.members = merged(&roster.members, &self.told);
        roster
    }

    /// Asks in the classic protocol; says whether there was an answer.
    fn ask_classically(&mut self) -> bool {
        let (context, subject) = (self.context, &self.classic.subject);
        let give_up = || context.is_stopping();
        let told = classic::ask(
            &self.native.conductor,
            subject,
            context.port,
            self.rng.u64(..),
            DESK_TIMEOUT,
            give_up,
        );
        match told {
            Ok(told) => {
                let (members, unreadable) = (told.members.len(), told.unreadable);
                log::debug!("the conductor tells of {members} in the classic protocol");
                if std::mem::replace(&mut self.unreadable, unreadable) != unreadable {
                    log::warn!(
                        "the conductor's answer in the classic protocol: {unreadable} lines that are no \
                         addresses were skipped"
                    );
                }
                self.mute = false;
                self.told = told.members;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.mute, true) {
                    log::info!("no answer in the classic protocol: {}", chain(&error));
                }
                self.told.clear();
                false
            }
        }
    }

    /// What a conductor would answer in our dialect that knows only those.
    fn roster(&self) -> Answer {
        self.classic.heard_classically(&self.told);
        let pause = if self.told.is_empty() { CLASSIC_LONELY_INTERVAL } else { CLASSIC_ASK_INTERVAL };
        Answer::Roster(Roster {
            interval_ms: u32::try_from(pause.as_millis()).unwrap_or(u32::MAX),
            complete: 0,
            getting: u32::try_from(self.told.len()).unwrap_or(u32::MAX),
            members: self.told.clone(),
        })
    }
}
