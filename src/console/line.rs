//! One line on a terminal that is drawn again and again, as wide as the terminal is.
//!
//! It is drawn on standard error, and only while the program is in the foreground: in the background the
//! terminal belongs to somebody else.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::UnicodeWidthChar;

use crate::host::terminal;

/// The width of a terminal that does not say how wide it is.
const COLUMNS_DEFAULT: usize = 80;
/// A bar of fewer columns says nothing; where there are more, words say it better.
const BAR_COLUMNS: RangeInclusive<usize> = 10..=40;
/// A name of fewer columns than this says nothing, unless it is that short.
const NAME_COLUMNS_MIN: usize = 12;
/// What goes first where the line is too short; the views say the ranks between.
pub(super) const NAME_RANK: u8 = 1;
const HINT_RANK: u8 = 2;
const BAR_RANK: u8 = 6;
const LEAVING_RANK: u8 = 10;
/// Between the fields of a line.
const GAP: &str = "  ";

/// A few words that belong together in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// Where the line is too short, fields of the lowest rank go first.
    pub(super) rank: u8,
}

/// What a line consists of.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// What it begins with, and keeps.
    pub(super) head: String,
    /// How much of how much is done.
    pub(super) bar: Option<(u32, u32)>,
    /// What follows, in the order in which it is read.
    pub(super) fields: Vec<Field>,
}

/// The line.
#[derive(Debug)]
pub(super) struct LiveLine {
    bar: ProgressBar,
    name: String,
    /// What to press to leave, where keys are read.
    hint: Option<&'static str>,
}

impl LiveLine {
    /// A line that ends with this name, which is escaped.
    pub(super) fn new(name: String, has_keys: bool) -> LiveLine {
        let style = ProgressStyle::with_template("{msg}").expect("the template is a single known key");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
        LiveLine { bar, name, hint: has_keys.then_some("q quits") }
    }

    /// What to say of keys at the end of the first line.
    pub(super) fn hint(&self) -> String {
        self.hint.map(|hint| format!("; {hint}")).unwrap_or_default()
    }

    /// Puts a line above the live one, if that is there.
    pub(super) fn print(&self, line: &str) {
        // A terminal that is gone has no reader either.
        let print = || drop(writeln!(io::stderr(), "{line}"));
        if is_ours() { self.bar.suspend(print) } else { print() }
    }

    /// Draws it anew.
    pub(super) fn draw(&self, mut parts: Parts, leaving: bool) {
        if is_ours() {
            let columns = terminal::columns().unwrap_or(COLUMNS_DEFAULT);
            parts.fields.extend(match (leaving, self.hint) {
                (true, _) => Some(Field { text: "leaving".to_owned(), rank: LEAVING_RANK }),
                (false, hint) => hint.map(|hint| Field { text: hint.to_owned(), rank: HINT_RANK }),
            });
            parts.fields.push(Field { text: self.name.clone(), rank: NAME_RANK });
            self.bar.set_message(fitted(parts, columns));
        }
    }

    /// Takes the live line away, but never a line of somebody else.
    pub(super) fn clear(&self) {
        if !is_ours() {
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        self.bar.finish_and_clear();
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Whether the live line may be drawn now.
fn is_ours() -> bool {
    terminal::is_foreground(io::stderr())
}

/// The line: at most `columns` columns, whatever is in it.
pub(super) fn fitted(parts: Parts, columns: usize) -> String {
    // A character in the last column makes some terminals wrap.
    let columns = columns.saturating_sub(1);
    let Parts { head, bar: mut done, mut fields } = parts;
    loop {
        let bar = if done.is_some() { " |".len() + BAR_COLUMNS.start() + "|".len() } else { 0 };
        let words: usize = fields.iter().map(|field| GAP.len() + width(&field.text)).sum();
        let room = columns.checked_sub(width(&head) + bar + words);
        let least = (0..fields.len()).min_by_key(|&at| fields[at].rank);
        match (room, least) {
            (Some(room), _) => {
                let columns = (BAR_COLUMNS.start() + room).min(*BAR_COLUMNS.end());
                return joined(head, done.map(|(done, all)| bar_of(done, all, columns)), &fields);
            }
            (None, Some(at)) if fields[at].rank == NAME_RANK => {
                let others = width(&head) + bar + words - width(&fields[at].text);
                match columns.checked_sub(others).filter(|&room| room >= NAME_COLUMNS_MIN) {
                    Some(room) => fields[at].text = format!("{}…", truncated(&fields[at].text, room - 1)),
                    None => drop(fields.remove(at)),
                }
            }
            (None, Some(at)) if done.is_none() || fields[at].rank < BAR_RANK => drop(fields.remove(at)),
            (None, _) if done.is_some() => done = None,
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
fn bar_of(done: u32, all: u32, columns: usize) -> String {
    let full = (columns * done as usize).checked_div(all as usize).unwrap_or(columns);
    let full = full.min(columns);
    format!(" |{}{}|", "#".repeat(full), " ".repeat(columns - full))
}

/// The columns that a text without control characters takes.
pub(super) fn width(text: &str) -> usize {
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

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(truncated("日本語", 5), "日本");
        assert_eq!(truncated("日本語", 6), "日本語");
        assert_eq!(truncated("e\u{301}e\u{301}", 1), "e\u{301}");
        assert_eq!(truncated("abc", 0), "");
    }

    #[test]
    fn a_full_bar_means_all() {
        assert_eq!(bar_of(1505, 1506, 10), " |######### |");
        assert_eq!(bar_of(1506, 1506, 10), " |##########|");
        assert_eq!(bar_of(0, 0, 4), " |####|");
    }
}
