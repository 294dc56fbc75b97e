//! What people read about a member, in words: the same for a live line and for plain lines.

use crate::console::About;
use crate::console::line::Field;
use crate::console::rates::Pace;
use crate::member::progress::{Phase, Snapshot};
use crate::text::{Escaped, bytes, rate, span};

/// How far it is: `43% (651 of 1506)`. 100% is only said when all is there.
pub(super) fn share(done: u32, total: u32) -> String {
    let percent = (u64::from(done) * 100).checked_div(total.into()).unwrap_or(100);
    format!("{percent}% ({done} of {total})")
}

/// What a line about this snapshot begins with.
pub(super) fn head(snapshot: &Snapshot) -> String {
    match snapshot.phase {
        Phase::Checking => format!("checking {}", share(snapshot.checked_parts, snapshot.parts_total)),
        Phase::Getting => share(snapshot.parts, snapshot.parts_total),
        Phase::Complete => "complete, sharing".to_owned(),
    }
}

/// What follows, in the order in which it is read.
pub(super) fn fields(snapshot: &Snapshot, pace: Pace) -> Vec<Field> {
    let field = |rank, text| Field { text, rank };
    let up = field(5, format!("{} up", rate(pace.up)));
    let members = field(4, counted(snapshot.members, "member"));
    let left = pace.left.map(|left| field(7, format!("{} left", span(left))));
    match (snapshot.phase, snapshot.waiting) {
        (Phase::Checking, _) => left.into_iter().collect(),
        (Phase::Getting, Some(waiting)) => vec![field(9, waiting.to_string()), up, members],
        (Phase::Getting, None) => {
            let down = field(8, format!("{} down", rate(pace.down)));
            let got = field(3, format!("{} of {}", bytes(snapshot.bytes), bytes(snapshot.bytes_total)));
            [down, up, members].into_iter().chain(left).chain([got]).collect()
        }
        (Phase::Complete, _) => vec![up, members, field(3, format!("{} sent", bytes(snapshot.up_bytes)))],
    }
}

/// `1 part`, `2 parts`.
pub(super) fn counted(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The first line.
pub(super) fn start(about: &About, snapshot: &Snapshot) -> String {
    let classic = if about.classic { ", classic (neither sealed nor authenticated)" } else { "" };
    format!(
        "{}: {} in {}, listening on {}{classic}",
        Escaped(&about.name),
        bytes(snapshot.bytes_total),
        counted(snapshot.parts_total, "part"),
        about.listen
    )
}

/// The line for the moment at which everything is there.
pub(super) fn complete(snapshot: &Snapshot) -> String {
    format!(
        "complete: {} after {}, {} received",
        bytes(snapshot.bytes_total),
        span(snapshot.elapsed),
        bytes(snapshot.down_bytes)
    )
}

/// The last line.
pub(super) fn left(snapshot: &Snapshot) -> String {
    let (after, sent) = (span(snapshot.elapsed), bytes(snapshot.up_bytes));
    match snapshot.phase {
        Phase::Complete => format!("left after {after}: complete, {sent} sent"),
        Phase::Checking => format!("left after {after}, before what is there was checked"),
        Phase::Getting => {
            let share = share(snapshot.parts, snapshot.parts_total);
            format!("left after {after} at {share}, {sent} sent; running it again resumes")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_percent_means_all() {
        assert_eq!(share(651, 1506), "43% (651 of 1506)");
        assert_eq!(share(999, 1000), "99% (999 of 1000)");
        assert_eq!(share(1000, 1000), "100% (1000 of 1000)");
        assert_eq!(share(0, 0), "100% (0 of 0)");
        assert_eq!(share(u32::MAX, u32::MAX), format!("100% ({0} of {0})", u32::MAX));
    }
}
