//! Answers to who asks about a folder.

use std::path::Path;

use super::{json, words};
use crate::console::words::counted;
use crate::ensemble::progress::Status;
use crate::ensemble::verify::{Verified, Wrong};
use crate::host::folder::archive::Kept;
use crate::limits::ARCHIVE_DAYS;
use crate::shell;
use crate::text::{Escaped, bytes, span};

/// How a folder stands, in lines.
#[must_use]
pub fn status_text(dir: &Path, status: &Status) -> String {
    let standing = &status.snapshot.standing;
    let folder = Escaped(&dir.to_string_lossy()).to_string();
    let mut lines = vec![match status.listen {
        Some(listen) => format!(
            "{folder}: {}; a member runs since {}, listening on {listen}",
            words::head(standing),
            span(status.snapshot.elapsed)
        ),
        None => format!("{folder}: no member runs; to start one: ensemble {}", shell::word(dir)),
    }];
    let totals = &standing.totals;
    lines.push(format!(
        "  {}, {}, {}; {}",
        counted(totals.files, "file"),
        counted(totals.folders, "folder"),
        counted(totals.links, "link"),
        bytes(totals.bytes)
    ));
    if status.listen.is_some() {
        let (down, up) = (bytes(status.snapshot.down_bytes), bytes(status.snapshot.up_bytes));
        lines.push(format!("  {down} received, {up} sent"));
    }
    if standing.behind > 0 {
        lines.push(format!("  {} on the way here", standing.behind));
    }
    for member in &standing.members {
        let behind = match member.behind {
            0 => String::new(),
            behind => format!(", {behind} on the way there"),
        };
        lines.push(format!("  member {} at {}{behind}", Escaped(&member.label), Escaped(&member.address)));
    }
    if status.listen.is_some() && standing.members.is_empty() {
        lines.push("  no other member is here".to_owned());
    }
    if standing.conflicts > 0 {
        lines.push(format!(
            "  {} in conflict: compare *.conflict-* with its original, and keep what you want",
            counted(standing.conflicts, "file")
        ));
    }
    if standing.held > 0 {
        let command = format!("ensemble approve {}", shell::word(dir));
        lines.push(format!("  {} held back; to let them go: {command}", counted(standing.held, "deletion")));
    }
    let troubles = standing.troubles.iter().chain(&standing.unreached);
    lines.extend(troubles.map(|text| format!("  {}", words::trouble(text, false))));
    lines.join("\n") + "\n"
}

/// The same as one JSON object.
#[must_use]
pub fn status_json(status: &Status) -> String {
    json::status(status) + "\n"
}

/// What was found by reading everything, in lines.
#[must_use]
pub fn verified_text(verified: &Verified) -> String {
    let mut text = String::new();
    for (path, wrong) in &verified.wrong {
        let what = match wrong {
            Wrong::Damaged => "damaged: its bytes changed, and nobody wrote it".to_owned(),
            Wrong::Changed => "changed since the last look".to_owned(),
            Wrong::Missing => "missing".to_owned(),
            Wrong::Unknown(why) => format!("not compared: {}", Escaped(why)),
        };
        text.push_str(&format!("{path}: {what}\n"));
    }
    let right = verified.paths - verified.wrong.len() as u64;
    let all = counted(verified.paths, "path");
    text.push_str(&format!("{right} of {all} as they should be, {} read\n", bytes(verified.bytes)));
    if verified.wrong.values().any(|wrong| *wrong == Wrong::Damaged) {
        text.push_str("Copy a damaged file over from another computer; writing to it, or removing it, would be a new version for all.\n");
    }
    text
}

/// What the archive has, in lines, and what to type.
#[must_use]
pub fn archive_text(dir: &Path, kept: &[Kept]) -> String {
    let Some(first) = kept.first() else {
        return format!(
            "the archive is empty: it keeps for {ARCHIVE_DAYS} days what changes on other computers replace or delete here\n"
        );
    };
    let mut text = String::new();
    let mut number = 0;
    for (at, version) in kept.iter().enumerate() {
        let is_next = at > 0 && kept[at - 1].path == version.path;
        number = if is_next { number + 1 } else { 1 };
        let size = bytes(version.stat.size);
        text.push_str(&format!("{}  {number}  {size:>10}  {}\n", version.when(), version.path));
    }
    let path = shell::word(Path::new(first.path.as_str()));
    text.push_str(&format!("To bring one back: ensemble restore {} {path}\n", shell::word(dir)));
    text
}
