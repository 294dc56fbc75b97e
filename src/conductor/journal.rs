//! The conductor's lines in the log: one per event, and few enough that no flood fills a disk.
//!
//! Lines of each kind are rationed; what is left out is counted, and the count is a line.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::desk::End;
use crate::identity::SwarmId;
use crate::limits::{CLASSIC_COMPLAINT_SPAN, DESK_LINES_MAX, DESK_LINES_SPAN};
use crate::logic::ration::Rations;
use crate::logic::registry::Ask;
use crate::text::{Escaped, span};
use crate::time::Moment;
use crate::wire::classic::Subject;
use crate::wire::desk::{Event, Refusal, Roster};

const ANSWERS: usize = 0;
const REFUSALS: usize = 1;
const ENDS: usize = 2;
const TROUBLES: usize = 3;
const ACCOUNTS: usize = 4;
const CHANGES: usize = 5;
/// What a reader of the log is told that there was more of.
const KINDS: [&str; 6] =
    ["announces answered", "refused", "connections closed", "troubles", "logins", "changes of the catalogue"];

/// Writes what happened at the desks to the log.
#[derive(Debug)]
pub(super) struct Journal(Rations<{ KINDS.len() }>);

impl Journal {
    pub(super) const fn new() -> Journal {
        Journal(Rations::new(DESK_LINES_MAX, DESK_LINES_SPAN))
    }

    /// An announce was answered.
    pub(super) fn answered(&mut self, now: Moment, ask: &Ask, answer: &Result<Roster, Refusal>) {
        self.turn_page(now);
        match answer {
            Ok(_) if !log::log_enabled!(log::Level::Info) => {}
            Ok(roster) => {
                if self.0.take(ANSWERS) {
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
            Err(refusal) => {
                if self.0.take(REFUSALS) {
                    log::warn!("{}: refused, {}", Asked(ask), reason(*refusal));
                }
            }
        }
    }

    /// Somebody who speaks the classic protocol was told of so many others.
    pub(super) fn told_classic(
        &mut self,
        now: Moment,
        from: SocketAddr,
        subject: &Subject,
        port: u16,
        members: usize,
    ) {
        self.turn_page(now);
        if log::log_enabled!(log::Level::Info) && self.0.take(ANSWERS) {
            let member = SocketAddr::new(from.ip().to_canonical(), port);
            let (name, sha1) = (Escaped(subject.name()), subject.digits());
            log::info!("classic {name} {sha1} {member}: told {members}");
        }
    }

    /// Several complained about this member: it is not handed out while their complaints count.
    pub(super) fn shunned(&mut self, now: Moment, subject: &Subject, member: SocketAddr) {
        self.turn_page(now);
        if self.0.take(REFUSALS) {
            let (name, sha1) = (Escaped(subject.name()), subject.digits());
            let most = span(CLASSIC_COMPLAINT_SPAN);
            log::warn!(
                "classic {name} {sha1} {member}: several complained, not handed out for at most {most}"
            );
        }
    }

    /// A connection was refused.
    pub(super) fn turned_away(&mut self, now: Moment, from: SocketAddr) {
        self.turn_page(now);
        if self.0.take(REFUSALS) {
            log::warn!("connection from {from}: refused, {}", reason(Refusal::Busy));
        }
    }

    /// A connection ended.
    pub(super) fn ended(&mut self, now: Moment, from: SocketAddr, end: End) {
        if !end.is_harmless() {
            self.closed(now, from, end);
        }
    }

    /// A connection ended in a way that those of honest members do not.
    pub(super) fn closed(&mut self, now: Moment, from: SocketAddr, why: impl fmt::Display) {
        self.turn_page(now);
        if self.0.take(ENDS) {
            log::warn!("connection from {from}: closed, {why}");
        }
    }

    /// Somebody registered, logged in or out, or could not.
    pub(super) fn account(&mut self, now: Moment, from: SocketAddr, what: impl fmt::Display) {
        self.turn_page(now);
        if self.0.take(ACCOUNTS) {
            log::info!("{from}: {what}");
        }
    }

    /// A listing came or went.
    pub(super) fn changed(&mut self, now: Moment, from: SocketAddr, what: impl fmt::Display) {
        self.turn_page(now);
        if self.0.take(CHANGES) {
            log::info!("{from}: {what}");
        }
    }

    /// Something of ours does not work.
    pub(super) fn trouble(&mut self, now: Moment, what: impl fmt::Display) {
        self.turn_page(now);
        if self.0.take(TROUBLES) {
            log::error!("{what}");
        }
    }

    /// The system would not give us another connection.
    pub(super) fn cannot_accept(&mut self, now: Moment, error: &io::Error) {
        self.turn_page(now);
        if self.0.take(TROUBLES) {
            log::error!("cannot accept a connection: {error}");
        }
    }

    /// Tells what was left out, once its span is over.
    pub(super) fn turn_page(&mut self, now: Moment) {
        for (left_out, kind) in self.0.turn_page(now).into_iter().zip(KINDS) {
            if left_out > 0 {
                log::warn!("{left_out} more lines left out: {kind}");
            }
        }
    }

    /// When to call [`turn_page`](Journal::turn_page) if nothing happens first.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.0.deadline()
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
        Refusal::LoginFirst => "it is not logged in",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_instead_of_written() {
        let (mut journal, start) = (Journal::new(), Moment::START);
        let from: SocketAddr = "10.0.0.1:1".parse().unwrap();
        for _ in 0..DESK_LINES_MAX {
            journal.ended(start, from, End::Cut);
        }
        journal.turned_away(start, from);
        assert_eq!(journal.deadline(), None);
        journal.ended(start, from, End::Cut);
        assert_eq!(journal.deadline(), Some(start + DESK_LINES_SPAN));
        journal.turn_page(start + DESK_LINES_SPAN);
        assert_eq!(journal.deadline(), None);
    }

    #[test]
    fn harmless_ends_make_no_line() {
        let mut journal = Journal::new();
        for _ in 0..=DESK_LINES_MAX {
            journal.ended(Moment::START, "10.0.0.1:1".parse().unwrap(), End::Finished);
        }
        assert_eq!(journal.deadline(), None, "nothing is left out");
    }
}
