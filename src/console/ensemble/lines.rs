//! Plain lines, for people who read them later.

use std::io;
use std::time::Duration;

use super::{About, Meter, ShowEnsemble, Troubles, words};
use crate::console::output::Output;
use crate::console::screen::{Due, Show};
use crate::ensemble::Report;
use crate::ensemble::progress::Snapshot;
use crate::limits::LINE_INTERVAL;

/// Writes plain lines.
#[derive(Debug)]
pub(super) struct Lines {
    about: About,
    output: Output,
    meter: Meter,
    due: Due<Snapshot>,
    troubles: Troubles,
}

impl Lines {
    pub(super) fn new(about: &About) -> Lines {
        Lines {
            about: about.clone(),
            output: Output::default(),
            meter: Meter::new(),
            due: Due::default(),
            troubles: Troubles::default(),
        }
    }
}

impl Show<Snapshot> for Lines {
    fn start(&mut self, _snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(words::start(&self.about))
    }

    fn progress(&mut self, snapshot: &Snapshot, _leaving: bool) -> io::Result<()> {
        for (trouble, is_over) in self.troubles.news(&snapshot.standing) {
            self.output.event(words::trouble(&trouble, is_over))?;
        }
        let pace = self.meter.pace(snapshot);
        // Whoever keeps a folder for weeks need not read that nothing happened.
        if self.due.is(snapshot, LINE_INTERVAL, Duration::MAX) {
            let fields = words::fields(snapshot, pace).into_iter().map(|field| field.text);
            let line: Vec<String> = std::iter::once(words::head(&snapshot.standing)).chain(fields).collect();
            self.output.progress(line.join(", "))?;
        }
        Ok(())
    }

    fn done(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(words::united(snapshot))
    }

    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(words::left(snapshot))?;
        self.output.finish()
    }
}

impl ShowEnsemble for Lines {
    fn report(&mut self, report: &Report, last: &Snapshot) -> io::Result<()> {
        self.output.event(words::report(report, last))
    }
}
