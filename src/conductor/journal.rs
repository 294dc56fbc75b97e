//! The conductor's lines in the log: one per event, and few enough that no flood fills a disk.
//!
//! Lines of each kind are rationed per second; what is left out is counted, and the count is a line.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::desk::End;
use crate::identity::SwarmId;
use crate::limits::LOG_LINES_PER_SECOND;
use crate::logic::registry::Ask;
use crate::text::span;
use crate::time::Moment;
use crate::wire::desk::{Event, Refusal, Reply};

const SECOND: Duration = Duration::from_secs(1);

/// Writes what happened at the desks to the log.
#[derive(Debug, Default)]
pub(super) struct Journal {
    answers: Ration,
    refusals: Ration,
    ends: Ration,
    troubles: Ration,
    /// When the second that is being counted is over.
    until: Moment,
}

/// The lines of one kind within one second.
#[derive(Debug, Default)]
struct Ration {
    written: u32,
    left_out: u64,
}

impl Journal {
    /// An announce was answered.
    pub(super) fn answered(&mut self, now: Moment, ask: &Ask, reply: &Reply) {
        self.turn_page(now);
        match reply {
            Reply::Roster(_) if !log::log_enabled!(log::Level::Info) => {}
            Reply::Roster(roster) => {
                if self.answers.take() {
                    let next = span(Duration::from_millis(roster.interval_ms.into()));
                    log::info!(
                        "{}: told {} of {} complete and {} getting, again in {next}",
                        Asked(ask),
                        roster.members.len(),
                        roster.complete,
                        roster.getting,
                    );
                }
            }
            Reply::Refused(refusal) => {
                if self.refusals.take() {
                    log::warn!("{}: refused, {}", Asked(ask), reason(*refusal));
                }
            }
        }
    }

    /// A connection was refused.
    pub(super) fn turned_away(&mut self, now: Moment, from: SocketAddr) {
        self.turn_page(now);
        if self.refusals.take() {
            log::warn!("connection from {from}: refused, {}", reason(Refusal::Busy));
        }
    }

    /// A connection ended.
    pub(super) fn ended(&mut self, now: Moment, from: SocketAddr, end: End) {
        self.turn_page(now);
        if !end.is_harmless() && self.ends.take() {
            log::warn!("connection from {from}: closed, {end}");
        }
    }

    /// The system would not give us another connection.
    pub(super) fn cannot_accept(&mut self, now: Moment, error: &io::Error) {
        self.turn_page(now);
        if self.troubles.take() {
            log::error!("cannot accept a connection: {error}");
        }
    }

    /// Tells what was left out, once its second is over.
    pub(super) fn turn_page(&mut self, now: Moment) {
        if now < self.until {
            return;
        }
        self.until = now + SECOND;
        self.answers.turn_page("announces answered");
        self.refusals.turn_page("refused");
        self.ends.turn_page("connections closed");
        self.troubles.turn_page("connections not accepted");
    }

    /// When to call [`turn_page`](Journal::turn_page) if nothing happens first.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let rations = [&self.answers, &self.refusals, &self.ends, &self.troubles];
        rations.iter().any(|ration| ration.left_out > 0).then_some(self.until)
    }
}

impl Ration {
    /// Whether there is room for one more line; if not, it counts as left out.
    const fn take(&mut self) -> bool {
        let room = self.written < LOG_LINES_PER_SECOND;
        if room {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        room
    }

    fn turn_page(&mut self, kind: &str) {
        if self.left_out > 0 {
            log::warn!("{} more lines left out: {kind}", self.left_out);
        }
        *self = Ration::default();
    }
}

/// What was asked, as the beginning of a line.
struct Asked<'a>(&'a Ask);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ask { from, announce, .. } = self.0;
        let event = match announce.event {
            Event::Started => "started",
            Event::Going => "going",
            Event::Completed => "completed",
            Event::Left => "left",
        };
        let member = SocketAddr::new(from.to_canonical(), announce.port);
        write!(f, "{} {member} {event}", SwarmId::from_bytes(announce.swarm))?;
        if announce.complete {
            f.write_str(", complete")
        } else {
            write!(f, ", lacks {} bytes", announce.left)
        }
    }
}

const fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::SwarmsFull => "as many compositions as fit are kept",
        Refusal::MembersFull => "as many members as fit are kept",
        Refusal::Busy => "too many connections",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_instead_of_written() {
        let (mut journal, start) = (Journal::default(), Moment::START);
        let from: SocketAddr = "10.0.0.1:1".parse().unwrap();
        for _ in 0..LOG_LINES_PER_SECOND {
            journal.ended(start, from, End::Cut);
        }
        assert_eq!(journal.deadline(), None);
        journal.ended(start, from, End::Cut);
        journal.turned_away(start, from);
        assert_eq!((journal.ends.left_out, journal.refusals.left_out), (1, 0));
        assert_eq!(journal.deadline(), Some(start + SECOND));
        journal.turn_page(start + SECOND);
        assert_eq!(journal.deadline(), None);
        assert!(journal.ends.take());
    }

    #[test]
    fn harmless_ends_make_no_line() {
        let (mut journal, start) = (Journal::default(), Moment::START);
        journal.ended(start, "10.0.0.1:1".parse().unwrap(), End::Finished);
        assert_eq!(journal.ends.written, 0);
    }
}
