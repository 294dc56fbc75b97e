//! What ends a link while its reader waits for more: we close it, its first words are late, or a part hardly comes.

use super::landing::Landings;
use super::{LinkEnd, Shared};
use crate::host::clock;
use crate::limits::CLOSE_GRACE;
use crate::time::Moment;

/// See the module.
pub(super) struct Watch {
    /// Until the far end has told what it holds, it has time until then.
    deadline: Option<Moment>,
    /// When the link was first seen to close.
    closing: Option<Moment>,
}

impl Watch {
    /// The far end has until `deadline` to tell what it holds.
    pub(super) const fn new(deadline: Moment) -> Watch {
        Watch { deadline: Some(deadline), closing: None }
    }

    /// It has told.
    pub(super) const fn told(&mut self) {
        self.deadline = None;
    }

    /// Looks around, between two reads.
    pub(super) fn look(&mut self, shared: &Shared, landings: &mut Landings<'_>) -> Result<(), LinkEnd> {
        if shared.is_cut() {
            return Err(LinkEnd::Closed);
        }
        if shared.is_closing() {
            let now = clock::now();
            let since = *self.closing.get_or_insert(now);
            return if now.since(since) >= CLOSE_GRACE { Err(LinkEnd::Closed) } else { Ok(()) };
        }
        if self.deadline.is_some_and(|deadline| clock::now() >= deadline) {
            return Err(LinkEnd::Late);
        }
        if landings.hoards() { Err(LinkEnd::Slow) } else { Ok(()) }
    }
}

/// How a link ended whose far end says nothing more.
pub(super) fn over(shared: &Shared) -> LinkEnd {
    if shared.is_closing() { LinkEnd::Closed } else { LinkEnd::Gone }
}
