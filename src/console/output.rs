//! Lines on standard output, without ever waiting for a slow reader.
//!
//! Whoever reads a pipe may pause; the program must still hear ^C meanwhile. So a line is written only when
//! the pipe has room; until then what happened is kept, and of progress only the newest line.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use crate::host::terminal;
use crate::limits::{OUTPUT_EVENTS_MAX, OUTPUT_GRACE};

/// Standard output, line by line.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// What happened, oldest first: at most [`OUTPUT_EVENTS_MAX`].
    events: VecDeque<String>,
    /// How it stands; replaced by what comes later.
    progress: Option<String>,
}

impl Output {
    /// Writes a line that must not be lost, unless nobody reads for very long.
    ///
    /// # Errors
    /// Standard output cannot be written; a closed pipe as well.
    pub(super) fn event(&mut self, line: String) -> io::Result<()> {
        // It is older than the event and would come after it.
        self.progress = None;
        if self.events.len() >= OUTPUT_EVENTS_MAX
            && let Some(lost) = self.events.pop_front()
        {
            log::warn!("nobody reads standard output; this was not told: {lost}");
        }
        self.events.push_back(line);
        self.flush(Duration::ZERO)
    }

    /// Writes a line that the next one makes superfluous.
    ///
    /// # Errors
    /// As [`Output::event`].
    pub(super) fn progress(&mut self, line: String) -> io::Result<()> {
        self.progress = Some(line);
        self.flush(Duration::ZERO)
    }

    /// Writes what is still kept, but waits for a slow reader only for a moment.
    ///
    /// # Errors
    /// As [`Output::event`].
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.flush(OUTPUT_GRACE)
    }

    /// Writes what is kept, for as long as there is room within `grace` for each line.
    fn flush(&mut self, grace: Duration) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        while (!self.events.is_empty() || self.progress.is_some()) && terminal::wait_for_output(grace) {
            let line = self.events.pop_front().or_else(|| self.progress.take());
            line.map_or(Ok(()), |line| writeln!(stdout, "{line}"))?;
            stdout.flush()?;
        }
        Ok(())
    }
}
