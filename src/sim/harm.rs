//! What really went wrong in a run: a fault that finds nobody, or a liar whom nobody asks, shows nothing.

use std::fmt;

/// Something that went wrong, and that somebody could notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// A connection was cut.
    Cut,
    /// Something came on a connection that carried nothing for a while.
    Stalled,
    /// Bytes of a part went on a slow connection.
    Slow,
    /// A process was killed, with links.
    Crash,
    /// What was not synced was lost.
    Lost,
    /// A member left, with links.
    Leave,
    /// A member moved.
    Move,
    /// A part of an honest member arrived spoilt.
    Spoilt,
    /// A connection was refused.
    Refused,
    /// The conductor did not answer.
    ConductorSilent,
    /// The conductor forgot somebody.
    ConductorEmpty,
    /// The conductor refused.
    ConductorBusy,
    /// A write found no room.
    DiskFull,
    /// A clock leapt while there were links.
    Leap,
    /// Something had to wait because its member was frozen.
    Frozen,
    /// A boaster refused what it had claimed.
    Boasted,
    /// A lie arrived.
    Lied,
    /// A mute member was asked.
    Mute,
    /// Bytes of a part dripped.
    Dripped,
    /// A flood went out on a link.
    Flooded,
    /// A connection came on which nothing is said.
    Silent,
}

/// How often each harm was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harms([u64; Harms::ALL.len()]);

impl Harms {
    /// Every harm there is, in the order of their numbers.
    pub const ALL: [Harm; 21] = [
        Harm::Cut,
        Harm::Stalled,
        Harm::Slow,
        Harm::Crash,
        Harm::Lost,
        Harm::Leave,
        Harm::Move,
        Harm::Spoilt,
        Harm::Refused,
        Harm::ConductorSilent,
        Harm::ConductorEmpty,
        Harm::ConductorBusy,
        Harm::DiskFull,
        Harm::Leap,
        Harm::Frozen,
        Harm::Boasted,
        Harm::Lied,
        Harm::Mute,
        Harm::Dripped,
        Harm::Flooded,
        Harm::Silent,
    ];

    /// This was done once more.
    pub const fn count(&mut self, harm: Harm) {
        self.0[harm as usize] += 1;
    }

    /// How often this was done.
    #[must_use]
    pub const fn of(&self, harm: Harm) -> u64 {
        self.0[harm as usize]
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Harms) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}

impl fmt::Display for Harms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("harm:")?;
        Harms::ALL.into_iter().try_for_each(|harm| write!(f, " {harm:?} {}", self.of(harm)))
    }
}
