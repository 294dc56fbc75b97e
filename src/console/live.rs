//! One live line on a terminal.
//!
//! `43% (651 of 1506) |######    | 12.1 MiB/s down  3.0 MiB/s up  4 members  1 min 20 s left`
//!
//! It is drawn on standard error, and only while the program is in the foreground: in the background the
//! terminal belongs to somebody else.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::UnicodeWidthChar;

use crate::console::rates::{Meter, Pace};
use crate::console::words::{self, Field};
use crate::console::{About, Show};
use crate::host::terminal;
use crate::member::progress::{Phase, Snapshot};
use crate::text::Escaped;

/// The width of a terminal that does not say how wide it is.
const COLUMNS_DEFAULT: usize = 80;
/// A bar of fewer columns says nothing; where there are more, words say it better.
const BAR_COLUMNS: RangeInclusive<usize> = 10..=40;
/// A name of fewer columns than this says nothing, unless it is that short.
const NAME_COLUMNS_MIN: usize = 12;
/// What goes first where the line is too short; see [`words::fields`] for the ranks between.
const NAME_RANK: u8 = 1;
const HINT_RANK: u8 = 2;
const BAR_RANK: u8 = 6;
const LEAVING_RANK: u8 = 10;
/// Between the fields of a line.
const GAP: &str = "  ";

/// Draws the live line.
#[derive(Debug)]
pub(super) struct Live {
    bar: ProgressBar,
    meter: Meter,
    name: String,
    /// What to press to leave, where keys are read.
    hint: Option<&'static str>,
}

impl Live {
    pub(super) fn new(about: &About, has_keys: bool) -> Live {
        let style = ProgressStyle::with_template("{msg}").expect("the template is a single known key");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
        let hint = has_keys.then_some("q quits");
        Live { bar, meter: Meter::default(), name: Escaped(&about.name).to_string(), hint }
    }

    /// Puts a line above the live one, if that is there.
    fn print(&self, line: &str) {
        // A terminal that is gone has no reader either.
        let print = || drop(writeln!(io::stderr(), "{line}"));
        if is_ours() { self.bar.suspend(print) } else { print() }
    }

    /// Takes the live line away, but never a line of somebody else.
    fn clear(&self) {
        if !is_ours() {
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        self.bar.finish_and_clear();
    }
}

impl Show for Live {
    fn start(&mut self, about: &About, snapshot: &Snapshot) -> io::Result<()> {
        let hint = self.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        self.print(&format!("{}{hint}", words::start(about, snapshot)));
        Ok(())
    }

    fn progress(&mut self, snapshot: &Snapshot, leaving: bool) -> io::Result<()> {
        let pace = self.meter.pace(snapshot);
        if is_ours() {
            let columns = terminal::columns().unwrap_or(COLUMNS_DEFAULT);
            let hint = match (leaving, self.hint) {
                (true, _) => Some(Field { text: "leaving".to_owned(), rank: LEAVING_RANK }),
                (false, hint) => hint.map(|hint| Field { text: hint.to_owned(), rank: HINT_RANK }),
            };
            self.bar.set_message(line(snapshot, pace, &self.name, hint, columns));
        }
        Ok(())
    }

    fn complete(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.print(&words::complete(snapshot));
        Ok(())
    }

    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.clear();
        self.print(&words::left(snapshot));
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Whether the live line may be drawn now.
fn is_ours() -> bool {
    terminal::is_foreground(io::stderr())
}

/// The live line: at most `columns` columns, whatever the name.
fn line(snapshot: &Snapshot, pace: Pace, name: &str, hint: Option<Field>, columns: usize) -> String {
    // A character in the last column makes some terminals wrap.
    let columns = columns.saturating_sub(1);
    let head = words::head(snapshot);
    let mut fields = words::fields(snapshot, pace);
    fields.extend(hint);
    fields.push(Field { text: name.to_owned(), rank: NAME_RANK });
    let mut has_bar = snapshot.phase != Phase::Complete && snapshot.waiting.is_none();
    loop {
        let bar = if has_bar { " |".len() + BAR_COLUMNS.start() + "|".len() } else { 0 };
        let words: usize = fields.iter().map(|field| GAP.len() + width(&field.text)).sum();
        let room = columns.checked_sub(width(&head) + bar + words);
        let least = (0..fields.len()).min_by_key(|&at| fields[at].rank);
        match (room, least) {
            (Some(room), _) => {
                let bar =
                    has_bar.then(|| bar_of(snapshot, (BAR_COLUMNS.start() + room).min(*BAR_COLUMNS.end())));
                return joined(head, bar, &fields);
            }
            (None, Some(at)) if fields[at].rank == NAME_RANK => {
                let others = width(&head) + bar + words - width(&fields[at].text);
                match columns.checked_sub(others).filter(|&room| room >= NAME_COLUMNS_MIN) {
                    Some(room) => fields[at].text = format!("{}…", truncated(name, room - 1)),
                    None => drop(fields.remove(at)),
                }
            }
            (None, Some(at)) if !has_bar || fields[at].rank < BAR_RANK => drop(fields.remove(at)),
            (None, _) if has_bar => has_bar = false,
            (None, _) => return truncated(&head, columns).to_owned(),
        }
    }
}

fn joined(mut line: String, bar: Option<String>, fields: &[Field]) -> String {
    line.extend(bar);
    for field in fields {
        line.push_str(GAP);
        line.push_str(&field.text);
    }
    line
}

/// A bar that is full only when all is there.
fn bar_of(snapshot: &Snapshot, columns: usize) -> String {
    let done = match snapshot.phase {
        Phase::Checking => snapshot.checked_parts,
        Phase::Getting | Phase::Complete => snapshot.parts,
    };
    let full = (columns * done as usize).checked_div(snapshot.parts_total as usize).unwrap_or(columns);
    let full = full.min(columns);
    format!(" |{}{}|", "#".repeat(full), " ".repeat(columns - full))
}

/// The columns that a text without control characters takes.
fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(letter: char) -> usize {
    letter.width().unwrap_or(0)
}

/// As much of the text as fits into so many columns.
fn truncated(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|&(_, letter)| {
        taken += columns_of(letter);
        taken > columns
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::progress::Waiting;
    use std::time::Duration;

    const PACE: Pace = Pace { down: 12_687_770, up: 3 << 20, left: Some(Duration::from_secs(80)) };

    fn quits() -> Field {
        Field { text: "q quits".to_owned(), rank: HINT_RANK }
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
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(truncated("日本語", 5), "日本");
        assert_eq!(truncated("日本語", 6), "日本語");
        assert_eq!(truncated("e\u{301}e\u{301}", 1), "e\u{301}");
        assert_eq!(truncated("abc", 0), "");
        let complete = Snapshot { phase: Phase::Complete, ..getting() };
        let line = line(&complete, PACE, &"日".repeat(50), None, 80);
        assert_eq!(
            line,
            format!("complete, sharing  3.0 MiB/s up  4 members  0 B sent  {}…", "日".repeat(12))
        );
    }

    #[test]
    fn a_full_bar_means_all() {
        assert_eq!(bar_of(&Snapshot { parts: 1505, ..getting() }, 10), " |######### |");
        assert_eq!(bar_of(&Snapshot { parts: 1506, ..getting() }, 10), " |##########|");
        assert_eq!(bar_of(&Snapshot { phase: Phase::Getting, ..Snapshot::default() }, 4), " |####|");
    }
}
