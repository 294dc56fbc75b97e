//! What somebody slow was asked for is asked of somebody else as well, when nothing else is left to ask for: so the
//! slowest link does not say when a content is whole.

use std::time::Duration;

use super::Keeper;
use super::fetching::State;
use crate::ensemble::link::{Asked, LinkId};
use crate::limits::{FETCH_SLICES_MAX, HEDGE_AFTER, HEDGE_FACTOR, TICK_INTERVAL};
use crate::time::Moment;

impl Keeper {
    /// Asks links that have nothing to do for what others are late with, as much as comes until the next time.
    pub(super) fn ask_elsewhere(&mut self, now: Moment) {
        for id in self.links.idle() {
            let rate = self.links.rate(id);
            let room = u128::from(rate) * TICK_INTERVAL.as_micros() / 1_000_000;
            let (mut asked, mut bytes) = (Vec::new(), 0);
            while asked.len() < FETCH_SLICES_MAX && bytes <= room {
                let Some(late) = self.late(id, rate, now) else { break };
                bytes += u128::from(late.slice.len);
                asked.push(late);
            }
            if !asked.is_empty() {
                log::debug!("link {}: is asked for {} slices that others are late with", id.0, asked.len());
                self.links.ask(id, asked, now);
            }
        }
    }

    /// Something that somebody else is late with, if this link has it. It counts as asked of this one.
    fn late(&mut self, id: LinkId, rate: u64, now: Moment) -> Option<Asked> {
        let device = self.links.device(id)?;
        for (&content, long) in &mut self.arrivals.long {
            let State::Fetching { temp, gather, .. } = &mut long.state else { continue };
            let len = temp.size() / temp.chunks().len().max(1) as u64;
            if let Some(at) = gather.take_over(id.0, now, patience(len, rate)) {
                return Some(Asked::chunk(content, temp, at));
            }
        }
        let (content, short) = self.arrivals.short.iter_mut().find(|(_, short)| {
            let is_late = short.asked.is_some_and(|(other, since)| {
                other != id && now.since(since) >= patience(short.size.into(), rate)
            });
            is_late && short.holders.contains(&device)
        })?;
        short.asked = Some((id, now));
        Some(Asked::short(*content, short.size))
    }
}

/// How long somebody has for so many bytes of which another one sends so many a second, if it is known.
fn patience(len: u64, rate: u64) -> Duration {
    let micros = len.saturating_mul(1_000_000).checked_div(rate).unwrap_or_default();
    (Duration::from_micros(micros) * HEDGE_FACTOR).max(HEDGE_AFTER)
}
