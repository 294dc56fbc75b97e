//! Plain lines, for people who read them later: standard output is a file, a pipe, or a journal.

use std::io;
use std::time::Duration;

use crate::console::notice::Notices;
use crate::console::output::Output;
use crate::console::rates::Meter;
use crate::console::screen::{Due, Show};
use crate::console::{About, words};
use crate::limits::{LINE_INTERVAL, UNCHANGED_INTERVAL};
use crate::member::progress::{Phase, Snapshot};

/// Writes plain lines.
#[derive(Debug)]
pub(super) struct Lines {
    about: About,
    output: Output,
    meter: Meter,
    due: Due<Snapshot>,
    notices: Notices,
}

impl Lines {
    pub(super) fn new(about: &About) -> Lines {
        Lines {
            about: about.clone(),
            output: Output::default(),
            meter: Meter::default(),
            due: Due::default(),
            notices: Notices::default(),
        }
    }
}

impl Show<Snapshot> for Lines {
    fn start(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(words::start(&self.about, snapshot))
    }

    fn progress(&mut self, snapshot: &Snapshot, _leaving: bool) -> io::Result<()> {
        if let Some(notice) = self.notices.next(&self.about, snapshot) {
            self.output.event(notice)?;
        }
        let pace = self.meter.pace(snapshot);
        let (changed, unchanged) = match snapshot.phase {
            Phase::Checking | Phase::Getting => (LINE_INTERVAL, UNCHANGED_INTERVAL),
            // Whoever shares for weeks need not read that nothing happened.
            Phase::Complete => (UNCHANGED_INTERVAL, Duration::MAX),
        };
        if self.due.is(snapshot, changed, unchanged) {
            let fields = words::fields(snapshot, pace).into_iter().map(|field| field.text);
            let line: Vec<String> = std::iter::once(words::head(snapshot)).chain(fields).collect();
            self.output.progress(line.join(", "))?;
        }
        Ok(())
    }

    fn done(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(words::complete(snapshot))
    }

    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(words::left(snapshot))?;
        self.output.finish()
    }
}
