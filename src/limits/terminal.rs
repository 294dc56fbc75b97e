//! Signals, and the terminal.

use std::time::Duration;

/// Signals that wait to be read. The first says it all; a few more tell that nobody reads.
pub const SIGNALS_INBOX: usize = 4;
/// After a second ^C, how long the program has to clean up its terminal before it is ended.
pub const STOP_NOW_GRACE: Duration = Duration::from_millis(200);

/// Keys that wait to be read, like [`SIGNALS_INBOX`].
pub const KEYS_INBOX: usize = 4;
/// How often a view looks at a member: often enough to seem live, seldom enough to cost nothing.
pub const VIEW_BEAT: Duration = Duration::from_millis(250);
/// How often a view writes a plain line, if something changed.
pub const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// How often a view writes a JSON object, if something changed.
pub const JSON_INTERVAL: Duration = Duration::from_secs(1);
/// How often a view writes even if nothing changed, so that its reader sees that it lives.
pub const UNCHANGED_INTERVAL: Duration = Duration::from_secs(30);
/// Events that are kept for a reader of standard output that pauses: days of what usually happens, and a few megabytes.
pub const OUTPUT_EVENTS_MAX: usize = 10_000;
/// How long a view waits at the end for a reader of its output that is slow.
pub const OUTPUT_GRACE: Duration = Duration::from_secs(1);
/// The span over which a rate is measured: long enough to be readable, short enough to be true.
pub const RATE_WINDOW: Duration = Duration::from_secs(5);
/// The span over which the time left is reckoned: steadier than the rate, because people plan by it.
pub const LEFT_WINDOW: Duration = Duration::from_secs(15);
/// The most moments that a rate remembers: one for each beat in the longest span, and the ends.
pub const RATE_SAMPLES_MAX: usize = 64;
