//! The classic protocol at a conductor: its questions, asked of the same registry.
//!
//! A composition is known there by its name and checksum, so it stands in the registry under an id of its own that follows
//! from these two: the leases, bounds and rosters are those of everybody. Members that speak both dialects announce in
//! both.

use std::net::SocketAddr;

use super::desk::Question;
use super::journal::Journal;
use crate::identity::SwarmId;
use crate::logic::classic::complaints::Complaints;
use crate::logic::registry::{Ask, Registry};
use crate::time::Moment;
use crate::wire::classic::Subject;
use crate::wire::classic::desk::{Reply, Request};
use crate::wire::desk::{Announce, Event};

/// What the classic protocol needs beside the registry.
#[derive(Debug, Default)]
pub(super) struct Classic {
    complaints: Complaints,
}

impl Classic {
    /// Answers a question that came in the classic protocol. Only the one for others has an answer.
    pub(super) fn answer(
        &mut self,
        now: Moment,
        registry: &mut Registry,
        journal: &mut Journal,
        question: &Question,
        request: &Request,
        out: &mut Vec<u8>,
    ) {
        match request {
            Request::Down(subject, port) => {
                let members = self.members(now, registry, question, subject, *port);
                journal.told_classic(now, question.from, subject, *port, members.len());
                let reply = if members.is_empty() {
                    Reply::Nobody(subject.clone())
                } else {
                    Reply::Members(subject.clone(), members)
                };
                reply.append_to(out);
            }
            Request::Upload(subject, port) => {
                // It is registered, or there is no room for it; it would not read which.
                let _unread = registry.answer(now, &ask(question, subject, *port, true));
                self.heard(now, question, subject, *port);
                journal.told_classic(now, question.from, subject, *port, 0);
            }
            Request::Complain(subject, member) => {
                let (swarm, from) = (id_of(subject), question.from.ip());
                let has_lease = |who| registry.knows(swarm, who);
                if self.complaints.complain(now, swarm, *member, from, has_lease) {
                    journal.shunned(now, subject, *member);
                }
            }
        }
    }

    /// The asker takes part, and may complain about others who do.
    fn heard(&mut self, now: Moment, question: &Question, subject: &Subject, port: u16) {
        self.complaints.asked(now, id_of(subject), SocketAddr::new(question.from.ip(), port));
    }

    /// Those whom the asker is told of.
    fn members(
        &mut self,
        now: Moment,
        registry: &mut Registry,
        question: &Question,
        subject: &Subject,
        port: u16,
    ) -> Vec<SocketAddr> {
        let Ok(roster) = registry.answer(now, &ask(question, subject, port, false)) else {
            return Vec::new();
        };
        self.heard(now, question, subject, port);
        // The original members know no other addresses than those of IPv4.
        let is_understood =
            |member: &SocketAddr| member.is_ipv4() || question.from.ip().to_canonical().is_ipv6();
        let mut members = roster.members;
        members.retain(is_understood);
        self.complaints.sift(now, id_of(subject), &mut members);
        members
    }
}

fn ask(question: &Question, subject: &Subject, port: u16, complete: bool) -> Ask {
    let swarm = *id_of(subject).as_bytes();
    let announce = Announce { swarm, port, complete, left: u64::from(!complete), event: Event::Going };
    Ask { from: question.from.ip(), reached_on: question.reached_on, announce }
}

fn id_of(subject: &Subject) -> SwarmId {
    SwarmId::of_classic(subject.name(), &subject.digits())
}
