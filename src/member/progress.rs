//! What a member's terminal reads: counters that only grow, and the state it is in.
//!
//! Link threads count bytes here without waiting for anybody; the director publishes the rest.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::host::clock;
use crate::part::Layout;
use crate::time::Moment;

/// Counters shared by all threads of a member. All orderings are relaxed: each number stands for itself.
#[derive(Debug, Default)]
pub struct Progress {
    /// Parts that are on disk and verified.
    pub parts: AtomicU32,
    /// Bytes in those parts.
    pub bytes: AtomicU64,
    /// Parts that were looked at while verifying what was on disk at the start.
    pub checked_parts: AtomicU32,
    /// Part bytes received from other members, wasted ones included.
    pub down_bytes: AtomicU64,
    /// Part bytes sent to other members.
    pub up_bytes: AtomicU64,
    /// Part bytes received and thrown away.
    pub wasted_bytes: AtomicU64,
    /// When the first byte of a part came, in microseconds; 0 until then.
    first_byte: AtomicU64,
    /// When the last part was verified and written, in microseconds; 0 until then.
    verified: AtomicU64,
    published: Mutex<Published>,
}

/// What only the director knows.
#[derive(Clone, Copy, Debug, Default)]
struct Published {
    phase: Phase,
    members: u32,
    waiting: Option<Waiting>,
    is_reachable: Option<bool>,
}

/// What a member is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Verifies what is on disk.
    #[default]
    Checking,
    /// Gets what is missing.
    Getting,
    /// Holds everything and shares it.
    Complete,
}

/// Why nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The conductor cannot be reached, and no other member is known.
    ConductorUnreachable,
    /// The conductor refused, and no other member is known.
    ConductorRefused,
    /// The conductor wants to know who asks, and no other member is known.
    LoginFirst,
    /// The conductor knows nobody else.
    NobodyElse,
    /// Members are known but none can be reached.
    NoneReachable {
        /// How many addresses were tried.
        known: u32,
    },
    /// No member at hand holds this part (counted from 1).
    NoHolder {
        /// The first such part, counted from 1.
        part: u32,
        /// How many parts have no holder.
        parts: u32,
    },
    /// The members at hand were asked and have not answered yet.
    Asked,
    /// `--down` holds the transfer back.
    RateLimit,
}

/// Everything a view shows, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What the member is doing.
    pub phase: Phase,
    /// Parts on disk and verified.
    pub parts: u32,
    /// Parts in all.
    pub parts_total: u32,
    /// Bytes on disk and verified.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_total: u64,
    /// Parts looked at so far while checking what was on disk at the start.
    pub checked_parts: u32,
    /// Part bytes received.
    pub down_bytes: u64,
    /// Part bytes sent.
    pub up_bytes: u64,
    /// Part bytes received and thrown away.
    pub wasted_bytes: u64,
    /// Other members with a live link.
    pub members: u32,
    /// Why nothing moves, if nothing moves.
    pub waiting: Option<Waiting>,
    /// Whether others can connect to this member, where the conductor has tried.
    pub is_reachable: Option<bool>,
    /// Time since the member started.
    pub elapsed: Duration,
    /// How long after the start the first byte of a part came.
    pub first_byte: Option<Duration>,
    /// How long after the start every part was verified and written; bringing them safely to the disk, and the
    /// final name, come after that.
    pub verified: Option<Duration>,
}

impl Progress {
    /// Tells the views what the director knows; says whether the member has gone on to another phase.
    pub(super) fn publish(&self, phase: Phase, members: u32, waiting: Option<Waiting>) -> bool {
        let mut published = self.published();
        let is_reachable = published.is_reachable;
        let before = std::mem::replace(&mut *published, Published { phase, members, waiting, is_reachable });
        before.phase != phase
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().expect("no thread panics while it holds this lock")
    }

    /// Tells the views whether others can connect, and says whether that is new.
    pub(super) fn reachable(&self, is_reachable: bool) -> bool {
        let before = self.published().is_reachable.replace(is_reachable);
        before != Some(is_reachable)
    }

    /// Parts were looked at on disk; so many of them, with so many bytes, turned out to be right.
    pub(super) fn checked(&self, parts: u32, held_parts: u32, held_bytes: u64) {
        self.checked_parts.fetch_add(parts, Ordering::Relaxed);
        self.parts.fetch_add(held_parts, Ordering::Relaxed);
        self.bytes.fetch_add(held_bytes, Ordering::Relaxed);
    }

    /// Part bytes came in.
    pub(super) fn received(&self, bytes: u64) {
        if self.first_byte.load(Ordering::Relaxed) == 0 {
            self.first_byte.fetch_max(clock::now().as_micros(), Ordering::Relaxed);
        }
        self.down_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Every part is verified and written.
    pub(super) fn all_verified(&self) {
        self.verified.fetch_max(clock::now().as_micros(), Ordering::Relaxed);
    }

    /// Right parts came in: so many are new on disk, of so many bytes; the rest was there already.
    pub(super) fn stored(&self, new_parts: u32, new_bytes: u64, came_bytes: u64) {
        self.parts.fetch_add(new_parts, Ordering::Relaxed);
        self.bytes.fetch_add(new_bytes, Ordering::Relaxed);
        self.wasted(came_bytes.saturating_sub(new_bytes));
    }

    /// Bytes of parts sent so far.
    pub(super) fn given(&self) -> u64 {
        self.up_bytes.load(Ordering::Relaxed)
    }

    /// Part bytes went out.
    pub(super) fn gave(&self, bytes: u64) {
        self.up_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Part bytes were thrown away.
    pub(super) fn wasted(&self, bytes: u64) {
        self.wasted_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counters now, for a member that began at `began`.
    #[must_use]
    pub fn snapshot(&self, layout: Layout, began: Moment) -> Snapshot {
        let since_began = |micros: &AtomicU64| {
            let moment = Moment::from_micros(micros.load(Ordering::Relaxed));
            (moment != Moment::START).then(|| moment.since(began))
        };
        let published = *self.published();
        Snapshot {
            phase: published.phase,
            parts: self.parts.load(Ordering::Relaxed),
            parts_total: layout.parts(),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: layout.size(),
            checked_parts: self.checked_parts.load(Ordering::Relaxed),
            down_bytes: self.down_bytes.load(Ordering::Relaxed),
            up_bytes: self.up_bytes.load(Ordering::Relaxed),
            wasted_bytes: self.wasted_bytes.load(Ordering::Relaxed),
            members: published.members,
            waiting: published.waiting,
            is_reachable: published.is_reachable,
            elapsed: clock::now().since(began),
            first_byte: since_began(&self.first_byte),
            verified: since_began(&self.verified),
        }
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Waiting::ConductorUnreachable => f.write_str("waiting: the conductor cannot be reached"),
            Waiting::ConductorRefused => f.write_str("waiting: the conductor is full"),
            Waiting::LoginFirst => {
                f.write_str("waiting: the conductor wants to know who asks: log in with `member login`")
            }
            Waiting::NobodyElse => f.write_str("waiting: nobody else shares this yet"),
            Waiting::NoneReachable { known: 1 } => {
                f.write_str("waiting: the one known member cannot be reached")
            }
            Waiting::NoneReachable { known } => {
                write!(f, "waiting: none of {known} known members can be reached")
            }
            Waiting::NoHolder { part, parts: 1 } => write!(f, "waiting: nobody here holds part {part}"),
            Waiting::NoHolder { part, parts } => {
                write!(f, "waiting: nobody here holds part {part} and {} more", parts - 1)
            }
            Waiting::Asked => f.write_str("waiting: asked, no answer yet"),
            Waiting::RateLimit => f.write_str("held back by --down"),
        }
    }
}
