//! `--json`: one object a line on standard output, for programs.
//!
//! Scripts rely on these names: fields and events may be added, none is renamed or taken away.

use std::io;

use serde::Serialize;

use super::{About, ShowEnsemble, Troubles, is_united};
use crate::console::output::Output;
use crate::console::screen::{Due, Show};
use crate::ensemble::Report;
use crate::ensemble::progress::{Snapshot, Status};
use crate::limits::{JSON_INTERVAL, UNCHANGED_INTERVAL};

/// Writes JSON.
#[derive(Debug)]
pub(super) struct Json {
    about: About,
    output: Output,
    due: Due<Snapshot>,
    troubles: Troubles,
}

impl Json {
    pub(super) fn new(about: &About) -> Json {
        Json {
            about: about.clone(),
            output: Output::default(),
            due: Due::default(),
            troubles: Troubles::default(),
        }
    }
}

impl Show<Snapshot> for Json {
    fn start(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let about = &self.about;
        self.output.event(render(&Event::Start {
            program: about.program,
            version: about.version,
            dir: about.dir.to_string_lossy().into_owned(),
            listen: about.listen.to_string(),
            port: about.listen.port(),
            new: about.began,
            state: State::from(snapshot),
        }))
    }

    fn progress(&mut self, snapshot: &Snapshot, _leaving: bool) -> io::Result<()> {
        for (trouble, over) in self.troubles.news(&snapshot.standing) {
            self.output.event(render(&Event::Trouble { trouble, over, state: State::from(snapshot) }))?;
        }
        if self.due.is(snapshot, JSON_INTERVAL, UNCHANGED_INTERVAL) {
            self.output.progress(render(&Event::Progress { state: State::from(snapshot) }))?;
        }
        Ok(())
    }

    fn done(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(render(&Event::United { state: State::from(snapshot) }))
    }

    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(render(&Event::Left { state: State::from(snapshot) }))?;
        self.output.finish()
    }
}

impl ShowEnsemble for Json {
    fn report(&mut self, report: &Report, last: &Snapshot) -> io::Result<()> {
        let moved = report.moved.iter().map(|moved| File {
            path: moved.path.as_str(),
            size: moved.size,
            digest: moved.content.to_string(),
            from: &moved.from,
        });
        self.output.event(render(&Event::Report {
            moved: moved.collect(),
            moved_total: report.moved_count,
            in_unison: report.fulfilled,
            troubles: &report.troubles,
            unreached: &report.unreached,
            state: State::from(last),
        }))
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    /// The member listens.
    Start {
        program: &'a str,
        version: &'a str,
        dir: String,
        listen: String,
        port: u16,
        /// Whether the ensemble began just now.
        new: bool,
        #[serde(flatten)]
        state: State,
    },
    /// How it stands: every second if something changed, else every half a minute.
    Progress {
        #[serde(flatten)]
        state: State,
    },
    /// Something hinders, or does no longer.
    Trouble {
        trouble: String,
        over: bool,
        #[serde(flatten)]
        state: State,
    },
    /// Everything is the same everywhere; each time when that becomes so.
    United {
        #[serde(flatten)]
        state: State,
    },
    /// What `--once` did.
    Report {
        moved: Vec<File<'a>>,
        /// How many files came; `moved` names the first of them if they are very many.
        moved_total: u64,
        in_unison: bool,
        troubles: &'a [String],
        /// What was named and was not reached at the end, and why.
        unreached: &'a [String],
        #[serde(flatten)]
        state: State,
    },
    /// The last object: the member has ended.
    Left {
        #[serde(flatten)]
        state: State,
    },
}

/// A file that came.
#[derive(Serialize)]
struct File<'a> {
    /// As it is on disk, not escaped.
    path: &'a str,
    size: u64,
    digest: String,
    /// Whose chunks it is made of; nobody's if all were here.
    from: &'a [String],
}

/// How it stands.
#[derive(Serialize)]
struct State {
    files: u64,
    folders: u64,
    links: u64,
    bytes: u64,
    /// Paths that are to change here.
    behind: u64,
    busy: bool,
    united: bool,
    conflicts: u64,
    held: u64,
    members: u64,
    down_bytes: u64,
    up_bytes: u64,
    elapsed_s: f64,
}

impl From<&Snapshot> for State {
    fn from(snapshot: &Snapshot) -> State {
        let standing = &snapshot.standing;
        State {
            files: standing.totals.files,
            folders: standing.totals.folders,
            links: standing.totals.links,
            bytes: standing.totals.bytes,
            behind: standing.behind,
            busy: standing.busy,
            united: is_united(standing),
            conflicts: standing.conflicts,
            held: standing.held,
            members: standing.members.len() as u64,
            down_bytes: snapshot.down_bytes,
            up_bytes: snapshot.up_bytes,
            elapsed_s: snapshot.elapsed.as_secs_f64(),
        }
    }
}

/// One object for `ensemble status --json`.
#[derive(Serialize)]
struct StatusObject<'a> {
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    neighbours: Vec<Other<'a>>,
    troubles: &'a [String],
    /// What was named and cannot be reached, and why.
    unreached: &'a [String],
    #[serde(flatten)]
    state: State,
}

/// Another member.
#[derive(Serialize)]
struct Other<'a> {
    label: &'a str,
    address: &'a str,
    behind: u64,
}

/// How a folder stands, as one object.
pub(super) fn status(status: &Status) -> String {
    let standing = &status.snapshot.standing;
    render(&StatusObject {
        running: status.listen.is_some(),
        listen: status.listen.map(|listen| listen.to_string()),
        neighbours: standing
            .members
            .iter()
            .map(|member| Other { label: &member.label, address: &member.address, behind: member.behind })
            .collect(),
        troubles: &standing.troubles,
        unreached: &standing.unreached,
        state: State::from(&status.snapshot),
    })
}

fn render(object: &impl Serialize) -> String {
    serde_json::to_string(object).expect("numbers, texts and finite fractions are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::progress::Moved;
    use crate::entry::{ContentHash, TreePath};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn with_state(mut fields: Value) -> Value {
        let state = json!({
            "files": 0, "folders": 0, "links": 0, "bytes": 0, "behind": 0, "busy": false, "united": false,
            "conflicts": 0, "held": 0, "members": 0, "down_bytes": 7, "up_bytes": 8, "elapsed_s": 1.5
        });
        fields.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        fields
    }

    fn snapshot() -> Snapshot {
        let elapsed = Duration::from_millis(1500);
        Snapshot { elapsed, down_bytes: 7, up_bytes: 8, ..Snapshot::default() }
    }

    #[track_caller]
    fn assert_is(object: &impl Serialize, expected: Value) {
        let line = render(object);
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), with_state(expected));
    }

    #[test]
    fn the_names_that_scripts_rely_on() {
        let state = || State::from(&snapshot());
        let start = Event::Start {
            program: "ensemble",
            version: "0",
            dir: "a\nb".to_owned(),
            listen: "[::]:1".to_owned(),
            port: 1,
            new: true,
            state: state(),
        };
        assert_is(
            &start,
            json!({"event": "start", "program": "ensemble", "version": "0", "dir": "a\nb", "listen": "[::]:1", "port": 1, "new": true}),
        );
        assert_is(&Event::Progress { state: state() }, json!({"event": "progress"}));
        assert_is(&Event::United { state: state() }, json!({"event": "united"}));
        assert_is(&Event::Left { state: state() }, json!({"event": "left"}));
        let trouble = Event::Trouble { trouble: "x".to_owned(), over: true, state: state() };
        assert_is(&trouble, json!({"event": "trouble", "trouble": "x", "over": true}));
        let path = TreePath::parse("d/a").unwrap();
        let moved =
            Moved { path, size: 3, content: ContentHash::from_bytes([0xab; 32]), from: vec!["b".to_owned()] };
        let report = Event::Report {
            moved: vec![File {
                path: moved.path.as_str(),
                size: moved.size,
                digest: moved.content.to_string(),
                from: &moved.from,
            }],
            moved_total: 1,
            in_unison: true,
            troubles: &[],
            unreached: &["y".to_owned()],
            state: state(),
        };
        let file = json!({"path": "d/a", "size": 3, "digest": "ab".repeat(32), "from": ["b"]});
        assert_is(
            &report,
            json!({"event": "report", "moved": [file], "moved_total": 1, "in_unison": true, "troubles": [], "unreached": ["y"]}),
        );
    }
}
