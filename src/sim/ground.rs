//! What everybody in a world stands on: the time, the layout, the trace, and the first thing that was wrong.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use super::harm::Harms;
use super::trace::{Detail, Trace};
use crate::part::Layout;
use crate::time::Moment;

/// The identity of the composition that all worlds are about; nobody in them looks behind it.
pub(super) const SWARM: [u8; 32] = [7; 32];

/// Measures single steps of the machines, from outside.
pub trait Stopwatch {
    /// A step begins.
    fn begin(&mut self);
    /// It is over.
    fn end(&mut self);
}

/// See the module.
pub(super) struct Ground {
    pub(super) now: Moment,
    pub(super) layout: Layout,
    pub(super) trace: Trace,
    /// The first thing that must not be.
    pub(super) wrong: Option<String>,
    /// Whether everything is looked at after each step.
    pub(super) checked: bool,
    /// Steps of the members' swarms.
    pub(super) steps: u64,
    pub(super) stopwatch: Option<Box<dyn Stopwatch>>,
    /// Members that mean no good, or whose bytes went wrong: blaming them is right.
    pub(super) tainted: Vec<bool>,
    /// Members that send wrong parts by themselves.
    pub(super) liars: Vec<bool>,
    /// Where they are heard to be.
    pub(super) tainted_addresses: BTreeSet<SocketAddr>,
    /// Links that were ended because of wrong bytes or a broken protocol.
    pub(super) blames: u64,
    pub(super) harms: Harms,
}

impl Ground {
    pub(super) fn new(layout: Layout, detail: Detail, checked: bool) -> Ground {
        Ground {
            // Not the beginning of time: moments may lie before.
            now: Moment::from_micros(1_000_000),
            layout,
            trace: Trace::new(detail),
            wrong: None,
            checked,
            steps: 0,
            stopwatch: None,
            tainted: Vec::new(),
            liars: Vec::new(),
            tainted_addresses: BTreeSet::new(),
            blames: 0,
            harms: Harms::default(),
        }
    }

    /// Something that must not be; the first one stays.
    pub(super) fn violated(&mut self, what: fmt::Arguments<'_>) {
        if self.wrong.is_none() {
            self.trace.line(self.now, format_args!("WRONG: {what}"));
            self.wrong = Some(what.to_string());
        }
    }

    /// Blaming this member is right from now on.
    pub(super) fn taint(&mut self, member: usize, address: SocketAddr) {
        self.tainted[member] = true;
        self.tainted_addresses.insert(address);
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("now", &self.now).field("wrong", &self.wrong).finish_non_exhaustive()
    }
}
