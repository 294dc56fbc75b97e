//! What happened, as one line for each input, order and fault: hashed, and kept as text on demand.

use std::fmt::{self, Write};

use crate::time::Moment;

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// How much of a run is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    Off,
    /// The hash of all lines.
    Hash,
    /// The lines as well.
    Text,
}

/// The trace of one run.
#[derive(Debug)]
pub(super) struct Trace {
    detail: Detail,
    hash: Fnv,
    text: String,
}

impl Trace {
    pub(super) const fn new(detail: Detail) -> Trace {
        Trace { detail, hash: Fnv(FNV_OFFSET), text: String::new() }
    }

    /// Writes one line.
    pub(super) fn line(&mut self, now: Moment, what: fmt::Arguments<'_>) {
        if self.detail == Detail::Off {
            return;
        }
        let written = writeln!(self.hash, "{now} {what}");
        written.expect("hashing takes everything");
        if self.detail == Detail::Text {
            writeln!(self.text, "{now} {what}").expect("a string takes everything");
        }
    }

    /// The hash of all lines.
    pub(super) const fn hash(&self) -> u64 {
        self.hash.0
    }

    /// The lines.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[derive(Debug)]
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        Ok(())
    }
}
