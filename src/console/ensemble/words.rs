//! What people read about a member of an ensemble, in words: the same for a live line and for plain lines.

use super::{About, is_united};
use crate::console::line::Field;
use crate::console::rates::Pace;
use crate::console::words::counted;
use crate::ensemble::Report;
use crate::ensemble::progress::{Moved, Snapshot, Standing};
use crate::text::{Escaped, bytes, rate, span};

/// The first line.
pub(super) fn start(about: &About) -> String {
    format!("{}: listening on {}", Escaped(&about.dir.to_string_lossy()), about.listen)
}

/// What a line about this snapshot begins with.
pub(super) fn head(standing: &Standing) -> String {
    let behind: u64 = standing.members.iter().map(|member| member.behind).sum();
    match standing {
        _ if is_united(standing) => "in unison".to_owned(),
        Standing { behind: 1.., .. } => format!("{} on the way here", standing.behind),
        Standing { busy: true, .. } => "looking at the folder".to_owned(),
        Standing { members, .. } if members.is_empty() => "waiting: nobody else is here".to_owned(),
        _ if behind > 0 => format!("{behind} on the way to others"),
        _ => "comparing".to_owned(),
    }
}

/// What follows, in the order in which it is read.
pub(super) fn fields(snapshot: &Snapshot, pace: Pace) -> Vec<Field> {
    let standing = &snapshot.standing;
    let field = |rank, text| Some(Field { text, rank });
    let some =
        |rank, count: u64, text: &str| (count > 0).then(|| Field { text: format!("{count} {text}"), rank });
    let others = standing.members.len() as u64;
    [
        field(8, format!("{} down", rate(pace.down))),
        field(7, format!("{} up", rate(pace.up))),
        field(6, counted(others, "member")),
        some(9, standing.held, "deletions held back"),
        field(5, counted(standing.totals.files, "file")),
        field(4, bytes(standing.totals.bytes)),
        some(3, standing.conflicts, "in conflict"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The line for the moment at which everything is the same everywhere.
pub(super) fn united(snapshot: &Snapshot) -> String {
    format!("in unison with {}", counted(snapshot.standing.members.len() as u64, "member"))
}

/// A trouble that appeared, or is over.
pub(super) fn trouble(text: &str, is_over: bool) -> String {
    let what = if is_over { "over" } else { "trouble" };
    format!("{what}: {}", Escaped(text))
}

/// The last line.
pub(super) fn left(snapshot: &Snapshot) -> String {
    format!(
        "left after {}: {} received, {} sent",
        span(snapshot.elapsed),
        bytes(snapshot.down_bytes),
        bytes(snapshot.up_bytes)
    )
}

/// What happened, in lines: each file that came, and all in all.
pub(super) fn report(report: &Report, last: &Snapshot) -> String {
    let mut lines: Vec<String> = report.moved.iter().map(moved).collect();
    let untold = report.moved_count.saturating_sub(report.moved.len() as u64);
    if untold > 0 {
        lines.push(format!("and {}", counted(untold, "more file")));
    }
    // Whoever is in unison does not ask who else there might have been.
    if !report.fulfilled {
        lines.extend(report.unreached.iter().map(|text| format!("not reached: {}", Escaped(text))));
    }
    let how = if report.fulfilled { "in unison" } else { "not in unison yet; running it again resumes" };
    lines.push(format!(
        "{how}: {} came in {:.1} s",
        counted(report.moved_count, "file"),
        last.elapsed.as_secs_f64()
    ));
    lines.join("\n")
}

fn moved(moved: &Moved) -> String {
    let from: Vec<String> = moved.from.iter().map(|label| Escaped(label).to_string()).collect();
    let from = if from.is_empty() { "what is here".to_owned() } else { from.join(", ") };
    format!("{}  {}  {}  from {from}", moved.path, bytes(moved.size), moved.content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::progress::Neighbour;

    #[test]
    fn the_line_says_what_is_going_on() {
        let member = |behind| Neighbour { label: "b".to_owned(), address: "[::1]:1".to_owned(), behind };
        let alone = Standing { united: true, ..Standing::default() };
        let together = Standing { members: vec![member(0)], ..alone.clone() };
        for (standing, words) in [
            (alone.clone(), "waiting: nobody else is here"),
            (Standing { busy: true, ..alone }, "looking at the folder"),
            (together.clone(), "in unison"),
            (Standing { behind: 3, ..together.clone() }, "3 on the way here"),
            (
                Standing { united: false, members: vec![member(2)], ..together.clone() },
                "2 on the way to others",
            ),
            (Standing { united: false, ..together }, "comparing"),
        ] {
            assert_eq!(head(&standing), words, "{standing:?}");
        }
    }

    #[test]
    fn names_from_elsewhere_are_escaped() {
        let path = crate::entry::TreePath::parse("a\u{1b}[2J").unwrap();
        let content = crate::entry::ContentHash::of(b"");
        let text = moved(&Moved { path, size: 0, content, from: vec!["x\u{202e}y".to_owned()] });
        assert!(text.starts_with("a\\u{1b}[2J  0 B  ") && text.ends_with("from x\\u{202e}y"), "{text}");
        assert_eq!(trouble("x\ny", true), "over: x\\u{a}y");
    }
}
