//! What is told to others and heard from them: entries, and where each stands.

use std::collections::BTreeSet;

use super::super::{Keeper, KeeperError};
use crate::ensemble::link::{LinkId, Outgoing};
use crate::entry::{Content, ContentHash};
use crate::host::clock;
use crate::host::folder::index::Change;
use crate::limits::{ENTRIES_BYTES, STATE_INTERVAL};
use crate::time::Moment;
use crate::wire::codec;
use crate::wire::ensemble::{Entries, Follow, Message, Row, State};

impl Keeper {
    /// The other side follows our entries from here on.
    pub(super) fn follows(&mut self, id: LinkId, follow: Follow) -> Result<(), KeeperError> {
        // A hello alone does not count: one that has no room for us would be dialled without a pause.
        if let Some(link) = self.links.links.get(&id)
            && let Some(address) = link.dialled.or(link.met.as_ref().and_then(|met| met.listens))
        {
            self.links.addresses.on_useful(clock::now(), address);
        }
        let is_beyond = follow.after > self.index.last_sequence();
        if follow.device == self.index.device() && is_beyond && self.may_renew(clock::now()) {
            log::warn!("others know more of this folder than its index: an older index was put in its place");
            return self.renew_device();
        }
        // If it has heard what we never said, it hears all that we do say.
        let is_us = follow.device == self.index.device() && !is_beyond;
        if let Some(met) = self.links.met_mut(id) {
            met.told = Some(if is_us { follow.after } else { 0 });
        }
        Ok(())
    }

    /// Entries of the other side.
    pub(super) fn heard(&mut self, id: LinkId, entries: Entries) -> Result<(), KeeperError> {
        let Entries { device, rows, through, more } = entries;
        log::debug!("link {}: {} entries, up to {through}", id.0, rows.len());
        self.write(|keeper| {
            let remote = rows.iter().map(|row| Change::Remote {
                device,
                path: &row.path,
                entry: &row.entry,
                sequence: row.sequence,
            });
            keeper.index.write(remote.chain([Change::Through { device, sequence: through }]))
        })?;
        if let Some(met) = self.links.met_mut(id) {
            met.heard = through;
        }
        let contents: BTreeSet<ContentHash> = rows
            .iter()
            .filter_map(|row| match row.entry.content {
                Content::File { hash, .. } => Some(hash),
                _ => None,
            })
            .collect();
        rows.into_iter().for_each(|row| self.plans.heard(row.path));
        self.fetch_also(id, Some(&contents))?;
        contents.iter().for_each(|content| self.plans.retry_content(content));
        if !more {
            self.plans.plan_heard();
        }
        Ok(())
    }

    /// Tells everybody what is new here.
    pub(in crate::ensemble::keeper) fn tell(&mut self, now: Moment) -> Result<(), KeeperError> {
        if self.has_much_to_tell() {
            self.tell_having();
        }
        let last = self.index.last_sequence();
        let (behind, busy) = (self.plans.behind(), self.is_busy());
        for id in self.links.up() {
            let Some(met) = self.links.met(id) else { continue };
            let Some(told) = met.told.filter(|_| !met.telling) else { continue };
            if told < last {
                self.tell_entries(id, told, last)?;
                continue;
            }
            let state = State { heard: met.heard, last, behind, busy };
            let is_news = met.said.is_none_or(|(said, at)| {
                let settles = !busy && said.busy || said.heard != state.heard;
                said != state && (settles || now.since(at) >= STATE_INTERVAL)
            });
            if is_news
                && self.links.say(id, Message::State(state))
                && let Some(met) = self.links.met_mut(id)
            {
                met.said = Some((state, now));
            }
        }
        Ok(())
    }

    fn tell_entries(&mut self, id: LinkId, after: u64, last: u64) -> Result<(), KeeperError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let page = self.index.own_since(after)?;
        let mut through = if page.is_empty() { last } else { after };
        let mut scratch = Vec::new();
        for own in page {
            if bytes >= ENTRIES_BYTES {
                break;
            }
            let row = Row { sequence: own.sequence, path: own.path, entry: own.entry };
            scratch.clear();
            codec::encode(&row, &mut scratch);
            bytes += scratch.len();
            through = row.sequence;
            rows.push(row);
        }
        let more = through < last;
        let message = Message::Entries(Entries { device: self.index.device(), rows, through, more });
        if self.links.send(id, Outgoing::Tell(message))
            && let Some(met) = self.links.met_mut(id)
        {
            met.told = Some(through);
            met.telling = true;
        }
        Ok(())
    }
}
