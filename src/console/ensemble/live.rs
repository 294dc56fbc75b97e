//! One live line on a terminal.
//!
//! `in unison  0 B/s down  0 B/s up  2 members  1200 files  3.4 GiB  q quits  notes`

use std::io;

use super::{About, Meter, ShowEnsemble, Troubles, words};
use crate::console::line::{LiveLine, Parts};
use crate::console::screen::Show;
use crate::ensemble::Report;
use crate::ensemble::progress::Snapshot;
use crate::text::Escaped;

/// Draws the live line.
#[derive(Debug)]
pub(super) struct Live {
    line: LiveLine,
    meter: Meter,
    troubles: Troubles,
    about: About,
}

impl Live {
    pub(super) fn new(about: &About, has_keys: bool) -> Live {
        let name = about.dir.file_name().unwrap_or(about.dir.as_os_str()).to_string_lossy();
        let line = LiveLine::new(Escaped(&name).to_string(), has_keys);
        Live { line, meter: Meter::new(), troubles: Troubles::default(), about: about.clone() }
    }
}

impl Show<Snapshot> for Live {
    fn start(&mut self, _snapshot: &Snapshot) -> io::Result<()> {
        self.line.print(&format!("{}{}", words::start(&self.about), self.line.hint()));
        Ok(())
    }

    fn progress(&mut self, snapshot: &Snapshot, leaving: bool) -> io::Result<()> {
        for (trouble, is_over) in self.troubles.news(&snapshot.standing) {
            self.line.print(&words::trouble(&trouble, is_over));
        }
        let fields = words::fields(snapshot, self.meter.pace(snapshot));
        self.line.draw(Parts { head: words::head(&snapshot.standing), bar: None, fields }, leaving);
        Ok(())
    }

    fn done(&mut self, _snapshot: &Snapshot) -> io::Result<()> {
        // The line itself says so.
        Ok(())
    }

    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.line.clear();
        self.line.print(&words::left(snapshot));
        Ok(())
    }
}

impl ShowEnsemble for Live {
    fn report(&mut self, report: &Report, last: &Snapshot) -> io::Result<()> {
        self.line.clear();
        self.line.print(&words::report(report, last));
        Ok(())
    }
}
