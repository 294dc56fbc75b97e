//! The progress of work whose end is known, such as composing a file.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::host::clock;
use crate::text::{rate, span};
use crate::time::Moment;

/// Shorter work shows no progress.
pub const QUIET_AT_FIRST: Duration = Duration::from_secs(1);

/// The progress bar of long work; it shows itself only on a terminal.
#[derive(Debug)]
pub struct WorkBar {
    started: Moment,
    shown: Option<ProgressBar>,
}

impl WorkBar {
    /// The bar of work that begins now.
    #[must_use]
    pub fn new() -> WorkBar {
        WorkBar { started: clock::now(), shown: None }
    }

    /// So many bytes of so many are done.
    pub fn show(&mut self, done: u64, all: u64) {
        let elapsed = clock::now().since(self.started);
        if elapsed < QUIET_AT_FIRST {
            return;
        }
        let bar = self.shown.get_or_insert_with(|| {
            let template = "{percent:>3}% ({binary_bytes} of {binary_total_bytes}) |{bar:24}| {msg}";
            let style = ProgressStyle::with_template(template).expect("the template is well-formed");
            ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr())
                .with_style(style.progress_chars("## "))
        });
        bar.set_position(done);
        // Over all the time so far: the bar itself would count from when it was first shown.
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let per_milli = (done / millis).max(1);
        let left = Duration::from_millis((all - done) / per_milli);
        bar.set_message(format!("{}, {} left", rate(per_milli.saturating_mul(1_000)), span(left)));
    }

    /// The work is done, or nobody wants to see it.
    pub fn clear(&self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Default for WorkBar {
    fn default() -> WorkBar {
        WorkBar::new()
    }
}
