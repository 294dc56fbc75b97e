//! Keeps the archive within bounds: thins it out now and then, and lets the oldest versions give way when space is short.

use super::context::Context;
use super::keeper::Event;
use crate::host::clock;
use crate::host::folder::archive::Given;
use crate::host::folder::{FolderError, Root, Space};
use crate::limits::{ARCHIVE_MARK_LEN_MAX, ARCHIVE_ROOM_MAX, ARCHIVE_ROOM_SHARE, ARCHIVE_THIN_INTERVAL};
use crate::text::chain;
use crate::time::Moment;

/// The file beside the archive that says through which day it was thinned out for good: days since 1970.
const MARK: &str = "thinned";

/// What to do next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Look whether space is short, and thin out what is due.
    Tidy,
    /// A write found no room: make some, whatever the file system says of its space.
    MakeRoom,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    /// What gave way.
    pub(super) given: Given,
    /// What kept it from doing so, or from thinning out.
    pub(super) trouble: Option<FolderError>,
}

/// What the thread remembers.
#[derive(Debug, Default)]
pub(super) struct Archivist {
    thinned: Option<Moment>,
}

impl Archivist {
    pub(super) fn work(&mut self, context: &Context, order: Order) -> Event {
        let (mut given, mut trouble) = (Given::default(), None);
        match make_room(context, order) {
            Ok(gave) => given = gave,
            Err(error) => trouble = Some(error),
        }
        let now = clock::now();
        if matches!(order, Order::Tidy)
            && self.thinned.is_none_or(|at| now.since(at) >= ARCHIVE_THIN_INTERVAL)
        {
            self.thinned = Some(now);
            trouble = thin(context).err().or(trouble);
        }
        Event::Tidied(Done { given, trouble })
    }
}

/// How many bytes of this file system should be free.
fn enough_of(space: Space) -> u64 {
    (space.all / ARCHIVE_ROOM_SHARE).min(ARCHIVE_ROOM_MAX)
}

fn make_room(context: &Context, order: Order) -> Result<Given, FolderError> {
    let root = &context.root;
    let space = root.space()?;
    let enough = enough_of(space);
    let wanted = match order {
        Order::Tidy => enough.saturating_sub(space.free),
        // With a quota, the file system's own numbers say nothing: as much is won with each try.
        Order::MakeRoom => enough,
    };
    if wanted == 0 {
        return Ok(Given::default());
    }
    let is_enough = || {
        let has_room =
            matches!(order, Order::Tidy) && root.space().is_ok_and(|space| space.free >= enough_of(space));
        has_room || context.is_stopping()
    };
    root.archive().give_way(clock::wall(), wanted, is_enough)
}

fn thin(context: &Context) -> Result<(), FolderError> {
    let root = &context.root;
    let through = mark_of(root);
    let tidied = root.archive().tidy(clock::wall(), through, || context.is_stopping())?;
    if tidied.old + tidied.surplus > 0 {
        log::info!(
            "the archive lets go {} versions that are too old, and {} of many of the same day",
            tidied.old,
            tidied.surplus
        );
    }
    if tidied.through != through
        && let Err(error) = root.write_own(MARK, tidied.through.to_string().as_bytes())
    {
        // Without it the same days are looked at again.
        log::debug!("{}", chain(&error));
    }
    Ok(())
}

/// What is no number is no mark.
fn mark_of(root: &Root) -> u64 {
    let bytes = root.read_own(MARK, ARCHIVE_MARK_LEN_MAX).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_disk_is_kept_free_and_of_a_large_one_a_few_gigabytes() {
        let of = |all| enough_of(Space { free: 0, all });
        assert_eq!((of(0), of(8 << 20), of(1 << 50)), (0, (8 << 20) / 20, 4 << 30));
    }
}
