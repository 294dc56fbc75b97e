//! What a member of an ensemble shows while it runs, and what is told of a folder where somebody asks.

mod json;
mod lines;
mod live;
mod told;
mod words;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::told::{archive_text, status_json, status_text, verified_text};
use super::rates::{Pace, Rates};
use super::screen::{Screen, Show, Sight, Watched, keys_for};
use super::{End, View};
use crate::ensemble::Report;
use crate::ensemble::progress::{Snapshot, Standing};
use crate::host::HostError;
use crate::limits::RATE_WINDOW;

/// What does not change while a member runs.
#[derive(Clone, Debug)]
pub struct About {
    /// The program.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The folder.
    pub dir: PathBuf,
    /// Where the member listens.
    pub listen: SocketAddr,
    /// Whether the ensemble began just now.
    pub began: bool,
}

/// Shows a member until it has ended. `report` is asked for what there is to report as soon as it has; nothing, if nobody
/// wants that.
///
/// # Errors
/// Standard output cannot be written, for a reason other than a closed pipe. The member was stopped.
pub fn watch(
    view: View,
    about: &About,
    watched: &Watched<'_, Snapshot>,
    report: impl FnOnce() -> Option<Report>,
) -> Result<End, HostError> {
    let keys = keys_for(view);
    let show: Option<Box<dyn ShowEnsemble>> = match view {
        View::Live => Some(Box::new(live::Live::new(about, keys.is_some()))),
        View::Lines => Some(Box::new(lines::Lines::new(about))),
        View::Json => Some(Box::new(json::Json::new(about))),
        View::Quiet => None,
    };
    let mut screen = Screen::new(show, keys);
    if !screen.watch(watched) {
        return Ok(End::Interrupted);
    }
    let report = report();
    let last = (watched.snapshot)();
    if let Some(report) = report {
        screen.tell(|show| show.report(&report, &last));
    }
    screen.tell(|show| show.left(&last));
    screen.end()
}

/// What each view of an ensemble can show.
trait ShowEnsemble: Show<Snapshot> {
    /// What happened, at the end.
    fn report(&mut self, report: &Report, last: &Snapshot) -> io::Result<()>;
}

impl Sight for Snapshot {
    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn is_done(&self) -> bool {
        is_united(&self.standing)
    }

    fn is_as(&self, other: &Snapshot) -> bool {
        (self.down_bytes, self.up_bytes, &self.standing)
            == (other.down_bytes, other.up_bytes, &other.standing)
    }
}

/// Whether all is in unison, and not only because nobody else is there.
fn is_united(standing: &Standing) -> bool {
    standing.is_in_unison() && !standing.members.is_empty()
}

/// Tells troubles that appeared from those that are over.
#[derive(Debug, Default)]
struct Troubles {
    known: BTreeSet<String>,
}

impl Troubles {
    /// What changed: each trouble, and whether it is over.
    fn news(&mut self, standing: &Standing) -> Vec<(String, bool)> {
        let now = standing.troubles.iter().chain(&standing.unreached);
        let now: BTreeSet<String> = now.cloned().collect();
        let over = self.known.difference(&now).map(|trouble| (trouble.clone(), true));
        let new = now.difference(&self.known).map(|trouble| (trouble.clone(), false));
        let news = over.chain(new).collect();
        self.known = now;
        news
    }
}

/// Turns snapshots into a pace.
#[derive(Debug)]
struct Meter {
    down: Rates,
    up: Rates,
}

impl Meter {
    const fn new() -> Meter {
        Meter { down: Rates::new(RATE_WINDOW), up: Rates::new(RATE_WINDOW) }
    }

    fn pace(&mut self, snapshot: &Snapshot) -> Pace {
        self.down.add(snapshot.elapsed, snapshot.down_bytes);
        self.up.add(snapshot.elapsed, snapshot.up_bytes);
        Pace { down: self.down.per_second(), up: self.up.per_second(), left: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_once_and_its_end_once() {
        let mut troubles = Troubles::default();
        let with = |texts: &[&str]| Standing {
            troubles: texts.iter().map(|&text| text.to_owned()).collect(),
            ..Standing::default()
        };
        assert_eq!(troubles.news(&with(&[])), []);
        assert_eq!(troubles.news(&with(&["a", "b"])), [("a".to_owned(), false), ("b".to_owned(), false)]);
        assert_eq!(troubles.news(&with(&["a", "b"])), []);
        assert_eq!(troubles.news(&with(&["b", "c"])), [("a".to_owned(), true), ("c".to_owned(), false)]);
    }

    #[test]
    fn nobody_is_in_unison_alone() {
        let alone = Standing { united: true, ..Standing::default() };
        assert!(alone.is_in_unison() && !is_united(&alone));
    }
}
