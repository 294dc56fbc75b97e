//! The member's lines in the log about others: one per event, and few enough that no flood fills a disk.
//!
//! Whoever reaches the port can make such events, without the key as well; so lines of each kind are rationed, what
//! is left out is counted, and the count is a line.

use std::net::SocketAddr;

use super::link::LinkEnd;
use crate::identity::MemberId;
use crate::limits::{LINK_LINES_MAX, LINK_LINES_SPAN};
use crate::logic::ration::Rations;
use crate::logic::swarm::LinkId;
use crate::part::PartIndex;
use crate::text::chain;
use crate::time::Moment;
use crate::wire::desk::Roster;

const REFUSALS: usize = 0;
const BEGINNINGS: usize = 1;
const ENDS: usize = 2;
const LIES: usize = 3;
/// What a reader of the log is told that there was more of.
const KINDS: [&str; 4] = ["connections refused", "links that came up", "links that ended", "wrong bytes"];

/// Writes what happened on links to the log.
#[derive(Debug)]
pub(super) struct Journal(Rations<{ KINDS.len() }>);

impl Journal {
    pub(super) const fn new() -> Journal {
        Journal(Rations::new(LINK_LINES_MAX, LINK_LINES_SPAN))
    }

    /// A connection was refused.
    pub(super) fn turned_away(&mut self, now: Moment, from: SocketAddr) {
        if self.takes(now, REFUSALS) {
            log::warn!("refused {from}: too many connections");
        }
    }

    /// The conductor answered.
    pub(super) fn conducted(&self, roster: &Roster) {
        let Roster { complete, getting, interval_ms, .. } = roster;
        log::info!(
            "the conductor knows {complete} complete and {getting} getting members; next in {interval_ms} ms"
        );
    }

    /// A link said hello.
    pub(super) fn came_up(
        &mut self,
        now: Moment,
        link: LinkId,
        with: SocketAddr,
        member: MemberId,
        dialled: bool,
    ) {
        if self.takes(now, BEGINNINGS) {
            let verb = if dialled { "dialled" } else { "accepted" };
            log::info!("{link} with {with} is up ({verb}, member {member})");
        }
    }

    /// A link, or the try to make one, has ended.
    pub(super) fn ended(&mut self, now: Moment, link: LinkId, with: SocketAddr, end: &LinkEnd) {
        // Our own disk's trouble is told elsewhere, and once.
        if matches!(end, LinkEnd::Store(_)) || !self.takes(now, ENDS) {
            return;
        }
        match end {
            LinkEnd::Dial(error) => log::info!("{}", chain(error)),
            end => log::info!("{link} with {with} ended: {}", chain(end)),
        }
    }

    /// Wrong bytes came over a link.
    pub(super) fn lied(&mut self, now: Moment, link: LinkId, from: Option<SocketAddr>, part: PartIndex) {
        if self.takes(now, LIES) {
            let from = from.map(|from| from.to_string()).unwrap_or_default();
            log::warn!("{from} sent wrong bytes for part {part}; it is refused for a while ({link})");
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

    fn takes(&mut self, now: Moment, kind: usize) -> bool {
        self.turn_page(now);
        self.0.take(kind)
    }
}
