//! Room on the disk: what happens while the index finds none, and when versions in the archive give way for it.
//!
//! A write waits where it is until there is room, so nobody ever sees a state that is not in the index: nothing is
//! announced, looked at, planned or put in place meanwhile. What needs no write goes on: others get what is here, and
//! whoever asks hears how it stands. All else is put off, in its order.

use std::time::Duration;

use super::{Event, Keeper, KeeperError};
use crate::ensemble::archivist::{Done, Order};
use crate::ensemble::link::Fact;
use crate::host::folder::archive::{Given, when};
use crate::host::folder::index::IndexError;
use crate::host::folder::{FolderError, Trouble};
use crate::host::{clock, thread};
use crate::limits::{
    ARCHIVE_SPACE_INTERVAL, ARCHIVE_TOLD_SPAN, INDEX_ROOM_ONCE, INDEX_ROOM_PAUSE_MAX, INDEX_ROOM_PAUSE_MIN,
    POLL_INTERVAL, PUT_OFF_MAX, RETRY_PAUSE, TICK_INTERVAL,
};
use crate::text::{Escaped, bytes, chain};
use crate::time::Moment;

/// What a full disk is told under; no path begins like this.
pub(super) const ABOUT: &str = "/index";
/// What gave way is told under this, and what keeps the archive from being tidied under the other.
const GIVEN: &str = "/archive/given";
const UNTIDY: &str = "/archive/untidy";

/// What is known of the room on the disk.
#[derive(Default)]
pub(super) struct Room {
    /// When the archivist is asked again to look.
    due: Option<Moment>,
    /// When it was asked last to make room.
    asked: Option<Moment>,
    /// What gave way since it was told last that all is well.
    given: Given,
    gave_at: Option<Moment>,
}

impl Keeper {
    /// Writes to the index; if it has no room, tries again until it has. A write that fails has changed nothing.
    ///
    /// # Errors
    /// Anything but a lack of room; or that, once the member is to leave or has waited long enough to unite once.
    pub(super) fn write(
        &mut self,
        mut write: impl FnMut(&mut Keeper) -> Result<(), IndexError>,
    ) -> Result<(), KeeperError> {
        let mut pause = INDEX_ROOM_PAUSE_MIN;
        let since = clock::now();
        loop {
            let error = match write(self) {
                Err(error) if error.is_full() => error,
                result => {
                    self.no_trouble(ABOUT);
                    return Ok(result?);
                }
            };
            self.no_room(&error);
            let in_vain = self.purpose.once.is_some() && clock::now().since(since) >= INDEX_ROOM_ONCE;
            if self.stopping.is_some() || in_vain {
                return Err(error.into());
            }
            self.rest(pause)?;
            pause = (2 * pause).min(INDEX_ROOM_PAUSE_MAX);
        }
    }

    /// Says once that there is no room.
    pub(super) fn no_room(&mut self, error: &IndexError) {
        log::debug!("{error}");
        self.united_since = None;
        self.make_room();
        let mount = self.context.root.mount_point().display().to_string();
        let text = format!(
            "the disk at {} is full, or the quota used up: nothing is changed or announced here until there is room; \
             free some space there",
            Escaped(&mount)
        );
        self.trouble(ABOUT, text);
    }

    /// Does what needs no write, until it is time to try again or the member is to leave.
    fn rest(&mut self, pause: Duration) -> Result<(), KeeperError> {
        let until = clock::now() + pause;
        let mut next_tick = clock::now();
        loop {
            let now = clock::now();
            if now >= next_tick {
                next_tick = now + TICK_INTERVAL;
                let mut standing = self.standing(now)?;
                // What was seen and not written yet is not in unison with anybody.
                standing.busy = true;
                if self.context.progress.publish(standing) {
                    let _unread = self.news.try_send(());
                }
            }
            // Whoever asks us to leave waits for a place in the inbox, perhaps.
            if self.context.is_stopping() && self.stopping.is_none() {
                self.stop();
            }
            if self.stopping.is_some() || now >= until {
                return Ok(());
            }
            let wait = until.since(now).min(next_tick.since(now)).min(POLL_INTERVAL);
            if self.put_off.len() >= PUT_OFF_MAX {
                thread::pause(wait, POLL_INTERVAL, || self.context.is_stopping());
            } else if let Ok(event) = self.inbox.recv_timeout(wait) {
                self.hear_meanwhile(event)?;
            }
        }
    }

    /// Hears what leads to no write; the rest is put off.
    fn hear_meanwhile(&mut self, event: Event) -> Result<(), KeeperError> {
        let is_met = |id| self.links.device(id).is_some();
        let can_be_heard = match &event {
            Event::Stop
            | Event::Panicked
            | Event::Hint(_)
            | Event::Approve(_)
            | Event::Rows(..)
            | Event::Address(..)
            | Event::Tidied(_) => true,
            Event::Link(id, fact) => {
                let writes_nothing = matches!(
                    fact,
                    Fact::Wants(_)
                        | Fact::Describe(_)
                        | Fact::State(_)
                        | Fact::Having(_)
                        | Fact::Roster(_)
                        | Fact::Told
                        | Fact::Stale(_)
                );
                // Of a link that is put off itself everything waits.
                writes_nothing && is_met(*id)
            }
            _ => false,
        };
        if can_be_heard {
            return self.hear(event);
        }
        self.put_off.push_back(event);
        Ok(())
    }

    /// Has the archive looked after, now and then.
    pub(super) fn tidy(&mut self, now: Moment) {
        if self.room.due.is_none_or(|due| due <= now) && !self.hands.archivist.is_busy() {
            self.room.due = Some(now + ARCHIVE_SPACE_INTERVAL);
            self.hands.archivist.order(Order::Tidy);
        }
    }

    /// The folder found no room for something, if it was that.
    pub(super) fn make_room_for(&mut self, error: &FolderError) {
        if matches!(error.trouble, Trouble::Full) {
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        let now = clock::now();
        let is_due = self.room.asked.is_none_or(|at| now.since(at) >= RETRY_PAUSE);
        if is_due && !self.hands.archivist.is_busy() {
            self.room.asked = Some(now);
            self.hands.archivist.order(Order::MakeRoom);
        }
    }

    /// What kept something from being done: not that something gave way so that it could be.
    pub(super) fn hindrances(&self) -> Vec<String> {
        self.troubles.iter().filter(|(about, _)| *about != GIVEN).map(|(_, text)| text.clone()).collect()
    }

    /// The archivist is done.
    pub(super) fn tidied(&mut self, done: Done) {
        let now = clock::now();
        match done.trouble {
            Some(error) => self.trouble(UNTIDY, chain(&error)),
            None => self.no_trouble(UNTIDY),
        }
        if done.given.versions > 0 {
            self.room.given.add(done.given);
            self.room.gave_at = Some(now);
            let Given { versions, bytes: size, until } = self.room.given;
            let noun = if versions == 1 { "version" } else { "versions" };
            let mount = self.context.root.mount_point().display().to_string();
            let text = format!(
                "the disk at {} is short of space: {versions} {noun} in the archive, {}, replaced or deleted through \
                 {}, gave way; free some space there",
                Escaped(&mount),
                bytes(size),
                when(until)
            );
            self.trouble(GIVEN, text);
        } else if self.room.gave_at.is_some_and(|at| now.since(at) >= ARCHIVE_TOLD_SPAN) {
            (self.room.given, self.room.gave_at) = (Given::default(), None);
            self.no_trouble(GIVEN);
        }
    }
}
