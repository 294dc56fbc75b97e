//! What a member of an ensemble shows: counters, and where the keeper last stood.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::context::Context;
use crate::entry::{ContentHash, Device, TreePath};
use crate::host::clock;
use crate::host::folder::index::Totals;
use crate::time::Moment;
use crate::wire::ensemble::Hello;

/// What views look at while the member works.
#[derive(Debug)]
pub(super) struct Progress {
    began: Moment,
    received: AtomicU64,
    given: AtomicU64,
    device: AtomicU64,
    standing: Mutex<Standing>,
}

/// Where the keeper stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The other members that are there, as people call them, and where.
    pub members: Vec<Neighbour>,
    /// What is in the folder.
    pub totals: Totals,
    /// Paths that are to change here because they changed elsewhere.
    pub behind: u64,
    /// Whether anything is under way: a look, a read, a change.
    pub busy: bool,
    /// Whether all other members say that they have everything of ours as well, and nothing else to do.
    pub united: bool,
    /// Conflict copies that are in the folder.
    pub conflicts: u64,
    /// Deletions that wait for the user's word.
    pub held: u64,
    /// What hinders, in words for the user.
    pub troubles: Vec<String>,
    /// What the user named and cannot be reached, and what to do; that hinders only if nobody else has what is needed.
    #[serde(default)]
    pub unreached: Vec<String>,
}

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// How people call its computer. It is that member's own word: escape it.
    pub label: String,
    /// Where it is.
    pub address: String,
    /// Paths that are to change there, as it says.
    pub behind: u64,
}

/// A look at a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Since it began.
    pub elapsed: Duration,
    /// Bytes of contents that came.
    pub down_bytes: u64,
    /// Bytes of contents that were given.
    pub up_bytes: u64,
    /// Where the keeper stands.
    pub standing: Standing,
}

impl Standing {
    /// Whether everything here is everywhere among those who are there, and the other way round.
    #[must_use]
    pub const fn is_in_unison(&self) -> bool {
        self.united && self.behind == 0 && !self.busy
    }
}

/// How a member stands, or what the index says where none runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where the member listens; none if no member runs.
    pub listen: Option<SocketAddr>,
    /// How it stands.
    pub snapshot: Snapshot,
}

/// A file that came, or was moved or copied here because it was elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it is now.
    pub path: TreePath,
    /// Its length in bytes.
    pub size: u64,
    /// The name of its content.
    pub content: ContentHash,
    /// From whom: members as people call them; nobody if it was here already.
    pub from: Vec<String>,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress {
            began: clock::now(),
            received: AtomicU64::new(0),
            given: AtomicU64::new(0),
            device: AtomicU64::new(0),
            standing: Mutex::new(Standing::default()),
        }
    }

    pub(super) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn gave(&self, bytes: u64) {
        self.given.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whose entries are told from now on.
    pub(super) fn set_device(&self, device: Device) {
        self.device.store(device.bits(), Ordering::Relaxed);
    }

    /// How this member introduces itself.
    pub(super) fn hello(&self, context: &Context) -> Hello {
        Hello {
            member: context.me,
            device: Device::from_bits(self.device.load(Ordering::Relaxed)),
            port: context.port,
            label: context.label.clone(),
            abilities: 0,
        }
    }

    /// The keeper stands here. Says whether that is news.
    pub(super) fn publish(&self, standing: Standing) -> bool {
        let mut last = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *last != standing;
        *last = standing;
        is_news
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            elapsed: clock::now().since(self.began),
            down_bytes: self.received.load(Ordering::Relaxed),
            up_bytes: self.given.load(Ordering::Relaxed),
            standing: self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
