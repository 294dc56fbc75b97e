//! `--json`: one object a line on standard output, for programs.
//!
//! Scripts rely on these names: fields and events may be added, none is renamed or taken away.

use std::io;

use serde::Serialize;

use crate::console::About;
use crate::console::output::Output;
use crate::console::screen::{Due, Show};
use crate::limits::{JSON_INTERVAL, UNCHANGED_INTERVAL};
use crate::member::progress::{Phase, Snapshot};

/// Writes JSON.
#[derive(Debug)]
pub(super) struct Json {
    about: About,
    output: Output,
    due: Due<Snapshot>,
}

impl Json {
    pub(super) fn new(about: &About) -> Json {
        Json { about: about.clone(), output: Output::default(), due: Due::default() }
    }
}

impl Show<Snapshot> for Json {
    fn start(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let about = Subject::from(&self.about);
        self.output.event(render(&Event::Start { about, state: State::from(snapshot) }))
    }

    fn progress(&mut self, snapshot: &Snapshot, _leaving: bool) -> io::Result<()> {
        if self.due.is(snapshot, JSON_INTERVAL, UNCHANGED_INTERVAL) {
            let waiting = snapshot.waiting.map(|waiting| waiting.to_string());
            self.output.progress(render(&Event::Progress { state: State::from(snapshot), waiting }))?;
        }
        Ok(())
    }

    fn done(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(render(&Event::Complete { state: State::from(snapshot) }))
    }

    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.output.event(render(&Event::Left { state: State::from(snapshot) }))?;
        self.output.finish()
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    /// The member listens.
    Start {
        #[serde(flatten)]
        about: Subject<'a>,
        #[serde(flatten)]
        state: State,
    },
    /// How it stands: every second if something changed, else every half a minute.
    Progress {
        #[serde(flatten)]
        state: State,
        /// Why nothing moves, in words; absent when something does.
        #[serde(skip_serializing_if = "Option::is_none")]
        waiting: Option<String>,
    },
    /// Every part is there.
    Complete {
        #[serde(flatten)]
        state: State,
    },
    /// The last object: the member has ended.
    Left {
        #[serde(flatten)]
        state: State,
    },
}

/// What is shared, and by whom.
#[derive(Serialize)]
struct Subject<'a> {
    program: &'a str,
    version: &'a str,
    /// As the manifest has it, not escaped.
    name: &'a str,
    /// Where its manifest is.
    manifest: String,
    /// Where it is, or will be, on disk.
    file: String,
    listen: String,
    port: u16,
    /// All 64 hex digits.
    swarm: String,
    /// Whether the member speaks the classic protocol as well; absent if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    classic: Option<bool>,
}

/// How it stands.
#[derive(Serialize)]
struct State {
    phase: &'static str,
    parts: u32,
    parts_total: u32,
    bytes: u64,
    bytes_total: u64,
    checked_parts: u32,
    down_bytes: u64,
    up_bytes: u64,
    wasted_bytes: u64,
    members: u32,
    /// Whether others can connect, where the conductor has tried; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    reachable: Option<bool>,
    elapsed_s: f64,
    /// When the first byte of a part came; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_s: Option<f64>,
    /// When every part was verified and written; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_s: Option<f64>,
}

impl<'a> From<&'a About> for Subject<'a> {
    fn from(about: &'a About) -> Subject<'a> {
        Subject {
            program: about.program,
            version: about.version,
            name: &about.name,
            manifest: about.manifest.to_string_lossy().into_owned(),
            file: about.file.to_string_lossy().into_owned(),
            listen: about.listen.to_string(),
            port: about.listen.port(),
            swarm: about.swarm.digits(),
            classic: about.classic.then_some(true),
        }
    }
}

impl From<&Snapshot> for State {
    fn from(snapshot: &Snapshot) -> State {
        State {
            phase: match snapshot.phase {
                Phase::Checking => "checking",
                Phase::Getting => "getting",
                Phase::Complete => "complete",
            },
            parts: snapshot.parts,
            parts_total: snapshot.parts_total,
            bytes: snapshot.bytes,
            bytes_total: snapshot.bytes_total,
            checked_parts: snapshot.checked_parts,
            down_bytes: snapshot.down_bytes,
            up_bytes: snapshot.up_bytes,
            wasted_bytes: snapshot.wasted_bytes,
            members: snapshot.members,
            reachable: snapshot.is_reachable,
            elapsed_s: snapshot.elapsed.as_secs_f64(),
            first_byte_s: snapshot.first_byte.map(|span| span.as_secs_f64()),
            verified_s: snapshot.verified.map(|span| span.as_secs_f64()),
        }
    }
}

fn render(event: &Event<'_>) -> String {
    serde_json::to_string(event).expect("numbers, texts and finite fractions are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SwarmId;
    use crate::member::progress::Waiting;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn snapshot() -> Snapshot {
        Snapshot {
            phase: Phase::Getting,
            parts: 2,
            parts_total: 9,
            bytes: 32_768,
            bytes_total: 142_044,
            checked_parts: 9,
            down_bytes: 40_000,
            up_bytes: 16_384,
            wasted_bytes: 7_232,
            members: 3,
            waiting: None,
            is_reachable: None,
            elapsed: Duration::from_millis(1500),
            first_byte: Some(Duration::from_millis(250)),
            verified: None,
        }
    }

    fn parsed(event: &Event<'_>) -> Value {
        let line = render(event);
        assert!(!line.contains('\n'));
        serde_json::from_str(&line).unwrap()
    }

    /// The fields of every event.
    fn with_state(mut fields: Value) -> Value {
        let state = json!({
            "phase": "getting", "parts": 2, "parts_total": 9, "bytes": 32_768, "bytes_total": 142_044,
            "checked_parts": 9, "down_bytes": 40_000, "up_bytes": 16_384, "wasted_bytes": 7_232, "members": 3,
            "elapsed_s": 1.5, "first_byte_s": 0.25
        });
        fields.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        fields
    }

    #[test]
    fn the_names_that_scripts_rely_on() {
        let about = About {
            program: "member",
            version: "0.1.0",
            name: "a\n\"b\".jpg".to_owned(),
            manifest: "/tmp/a.jpg.orch".into(),
            file: "/tmp/a.jpg".into(),
            listen: "[::]:10001".parse().unwrap(),
            swarm: SwarmId::from_bytes([0xab; 32]),
            classic: false,
        };
        let start = Event::Start { about: Subject::from(&about), state: State::from(&snapshot()) };
        let expected = json!({
            "event": "start", "program": "member", "version": "0.1.0", "name": "a\n\"b\".jpg",
            "manifest": "/tmp/a.jpg.orch", "file": "/tmp/a.jpg", "listen": "[::]:10001", "port": 10001, "swarm": "ab".repeat(32)
        });
        assert_eq!(parsed(&start), with_state(expected));

        let state = || State::from(&snapshot());
        let progress = Event::Progress { state: state(), waiting: None };
        assert_eq!(parsed(&progress), with_state(json!({"event": "progress"})));
        let waiting = Some(Waiting::NobodyElse.to_string());
        let expected = json!({"event": "progress", "waiting": "waiting: nobody else shares this yet"});
        assert_eq!(parsed(&Event::Progress { state: state(), waiting }), with_state(expected));
        assert_eq!(parsed(&Event::Complete { state: state() }), with_state(json!({"event": "complete"})));
        assert_eq!(parsed(&Event::Left { state: state() }), with_state(json!({"event": "left"})));
    }
}
