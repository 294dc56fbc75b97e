//! One live line on a terminal.
//!
//! `43% (651 of 1506) |######    | 12.1 MiB/s down  3.0 MiB/s up  4 members  1 min 20 s left`

use std::io;

use crate::console::line::{LiveLine, Parts};
use crate::console::notice::Notices;
use crate::console::rates::{Meter, Pace};
use crate::console::screen::Show;
use crate::console::{About, words};
use crate::member::progress::{Phase, Snapshot};
use crate::text::Escaped;

/// Draws the live line.
#[derive(Debug)]
pub(super) struct Live {
    line: LiveLine,
    meter: Meter,
    about: About,
    notices: Notices,
}

impl Live {
    pub(super) fn new(about: &About, has_keys: bool) -> Live {
        let line = LiveLine::new(Escaped(&about.name).to_string(), has_keys);
        Live { line, meter: Meter::default(), about: about.clone(), notices: Notices::default() }
    }
}

impl Show<Snapshot> for Live {
    fn start(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.line.print(&format!("{}{}", words::start(&self.about, snapshot), self.line.hint()));
        Ok(())
    }

    fn progress(&mut self, snapshot: &Snapshot, leaving: bool) -> io::Result<()> {
        if let Some(notice) = self.notices.next(&self.about, snapshot) {
            self.line.print(&notice);
        }
        let pace = self.meter.pace(snapshot);
        self.line.draw(parts(snapshot, pace), leaving);
        Ok(())
    }

    fn done(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.line.print(&words::complete(snapshot));
        Ok(())
    }

    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.line.clear();
        self.line.print(&words::left(snapshot));
        Ok(())
    }
}

/// What the live line says.
fn parts(snapshot: &Snapshot, pace: Pace) -> Parts {
    let done = match snapshot.phase {
        Phase::Checking if snapshot.waiting.is_none() => Some(snapshot.checked_parts),
        Phase::Getting if snapshot.waiting.is_none() => Some(snapshot.parts),
        _ => None,
    };
    Parts {
        head: words::head(snapshot),
        bar: done.map(|done| (done, snapshot.parts_total)),
        fields: words::fields(snapshot, pace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::line::{Field, NAME_RANK, fitted, width};
    use crate::member::progress::Waiting;
    use std::time::Duration;

    const PACE: Pace = Pace { down: 12_687_770, up: 3 << 20, left: Some(Duration::from_secs(80)) };

    fn quits() -> Field {
        Field { text: "q quits".to_owned(), rank: NAME_RANK + 1 }
    }

    fn line(snapshot: &Snapshot, pace: Pace, name: &str, hint: Option<Field>, columns: usize) -> String {
        let mut parts = parts(snapshot, pace);
        parts.fields.extend(hint);
        parts.fields.push(Field { text: name.to_owned(), rank: NAME_RANK });
        fitted(parts, columns)
    }

    fn getting() -> Snapshot {
        Snapshot {
            phase: Phase::Getting,
            parts: 651,
            parts_total: 1506,
            bytes: 651 << 20,
            bytes_total: 1506 << 20,
            members: 4,
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_line_people_see() {
        let line = |columns| line(&getting(), PACE, "a.flac", Some(quits()), columns);
        assert_eq!(
            line(80),
            "43% (651 of 1506) |####       |  12.1 MiB/s down  3.0 MiB/s up  1 min 20 s left"
        );
        assert_eq!(
            line(130),
            "43% (651 of 1506) |####       |  12.1 MiB/s down  3.0 MiB/s up  4 members  1 min 20 s left  \
             651.0 MiB of 1.4 GiB  q quits  a.flac"
        );
        assert_eq!(line(60), "43% (651 of 1506)  12.1 MiB/s down  1 min 20 s left");
        assert_eq!(line(40), "43% (651 of 1506)  12.1 MiB/s down");
        assert_eq!(line(20), "43% (651 of 1506)");
        assert_eq!(line(8), "43% (65");
        assert_eq!(line(0), "");
    }

    #[test]
    fn no_line_is_too_wide() {
        let snapshots = [
            Snapshot { phase: Phase::Checking, checked_parts: 700, ..getting() },
            getting(),
            Snapshot { waiting: Some(Waiting::NoHolder { part: 7, parts: 12 }), ..getting() },
            Snapshot { phase: Phase::Complete, parts: 1506, ..getting() },
            Snapshot { phase: Phase::Getting, ..Snapshot::default() },
        ];
        let names = [
            "",
            "a.flac",
            "日本語のとても長い名前のファイル.flac",
            "e\u{301}e\u{301}e\u{301}",
            &"x".repeat(255),
        ];
        for (snapshot, name) in snapshots.iter().flat_map(|one| names.map(|name| (one, name))) {
            for columns in 0..200 {
                let line = line(snapshot, PACE, name, Some(quits()), columns);
                assert!(width(&line) <= columns.saturating_sub(1), "{columns}: {line}");
            }
        }
    }

    #[test]
    fn the_reason_for_waiting_outlasts_everything_else() {
        let waiting = Snapshot { waiting: Some(Waiting::NobodyElse), ..getting() };
        let line = line(&waiting, PACE, "a.flac", None, 58);
        assert_eq!(line, "43% (651 of 1506)  waiting: nobody else shares this yet");
    }

    #[test]
    fn a_long_name_is_cut() {
        let complete = Snapshot { phase: Phase::Complete, ..getting() };
        let line = line(&complete, PACE, &"日".repeat(50), None, 80);
        assert_eq!(
            line,
            format!("complete, sharing  3.0 MiB/s up  4 members  0 B sent  {}…", "日".repeat(12))
        );
    }
}
