//! What the same user on the same computer may ask a running member: how it stands, and a few wishes.
//!
//! One line of JSON asks; one line answers, or for rows several and a last one. Both ends are this program.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::keeper::Event;
use super::progress::Status;
use crate::entry::{Content, TreePath};
use crate::host::control::{Door, Talk};
use crate::host::folder::archive::Kept;
use crate::host::folder::facts::Facts;
use crate::host::folder::index::Own;
use crate::host::folder::watch::Hint;
use crate::host::folder::{FolderError, Root, Unsettled, apply};
use crate::host::thread::{self, Thread};
use crate::host::{HostError, clock};
use crate::limits::{
    ACCEPT_PAUSE, CONTROL_ANSWER_PATIENCE, CONTROL_PATIENCE, CONTROL_QUESTION_MAX, POLL_INTERVAL,
};
use crate::text::chain;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub(super) enum Question {
    /// How it stands.
    Status,
    /// The deletions that were held back are meant.
    Approve,
    /// A page of what should be in the folder, after this path.
    Rows { after: Option<TreePath> },
    /// Bring this version back from the archive.
    Restore { path: TreePath, at: Duration },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub(super) enum Answer {
    /// How it stands.
    Status { status: Box<Status> },
    /// So many deletions go ahead.
    Approved { count: u64 },
    /// What should be at a path; more lines follow.
    Row { row: Row },
    /// The end of a page. The next one begins after this path; none if this was the last.
    Page { next: Option<TreePath> },
    /// It is back.
    Restored,
    /// Why not.
    Failed { why: String },
}

/// What should be at a path.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) path: TreePath,
    pub(super) content: Content,
    pub(super) facts: Option<Facts>,
}

/// What should be there of these rows, and after which path the next page begins.
pub(super) fn page_of(rows: Vec<Own>) -> (Vec<Row>, Option<TreePath>) {
    let next = rows.last().map(|row| row.path.clone());
    let live = rows.into_iter().filter(|row| row.entry.content.is_live());
    (live.map(|own| Row { path: own.path, content: own.entry.content, facts: own.facts }).collect(), next)
}

/// Starts to answer. A member works without this, so trouble with the socket is only logged.
pub(super) fn start(context: &Arc<Context>, listen: SocketAddr) -> Result<Option<Thread>, HostError> {
    match Door::open(context.root.own(), context.root.path()) {
        Ok(door) => context.spawn("control", move |context| attend(context, &door, listen)).map(Some),
        Err(error) => {
            log::warn!("{}; `ensemble status` and the like will not reach this program", chain(&error));
            Ok(None)
        }
    }
}

fn attend(context: &Arc<Context>, door: &Door, listen: SocketAddr) {
    while !context.is_stopping() {
        let met = match door.wait() {
            Ok(None) => continue,
            Ok(Some(talk)) => answer(context, talk, listen),
            Err(error) => Err(error),
        };
        if let Err(error) = met {
            log::warn!("somebody on this computer asked in vain: {error}");
            thread::pause(ACCEPT_PAUSE, POLL_INTERVAL, || context.is_stopping());
        }
    }
}

fn answer(context: &Context, mut talk: Talk, listen: SocketAddr) -> io::Result<()> {
    let give_up = || context.is_stopping();
    let Some(line) = talk.hear(CONTROL_QUESTION_MAX, CONTROL_PATIENCE, give_up)? else { return Ok(()) };
    let question: Question = serde_json::from_str(&line)?;
    log::debug!("asked: {question:?}");
    let answers = match question {
        Question::Status => {
            let status = Status { listen: Some(listen), snapshot: context.progress.snapshot() };
            vec![Answer::Status { status: Box::new(status) }]
        }
        Question::Approve => vec![Answer::Approved { count: super::approve(context) }],
        Question::Rows { after } => rows(context, after),
        Question::Restore { path, at } => vec![match restore_at(&context.root, &path, at) {
            Ok(true) => {
                context.report(Event::Hint(Hint::Look(vec![path])));
                Answer::Restored
            }
            Ok(false) => Answer::Failed { why: "it is not in the archive any more".to_owned() },
            Err(error) => Answer::Failed { why: chain(&error) },
        }],
    };
    let mut lines = String::new();
    for answer in answers {
        lines.push_str(&serde_json::to_string(&answer)?);
        lines.push('\n');
    }
    talk.say(&lines, CONTROL_PATIENCE, give_up)
}

fn rows(context: &Context, after: Option<TreePath>) -> Vec<Answer> {
    let (answer, answered) = crossbeam_channel::bounded(1);
    context.report(Event::Rows(after, answer));
    let Ok(rows) = answered.recv_timeout(CONTROL_ANSWER_PATIENCE) else {
        return vec![Answer::Failed { why: "the member is about to leave".to_owned() }];
    };
    let (rows, next) = page_of(rows);
    rows.into_iter().map(|row| Answer::Row { row }).chain([Answer::Page { next }]).collect()
}

/// Brings back the version that came to the archive at this moment; whether there is one.
fn restore_at(root: &Arc<Root>, path: &TreePath, at: Duration) -> Result<bool, FolderError> {
    let versions = root.archive().versions(path)?;
    let Some(kept) = versions.iter().find(|kept| kept.at == at) else { return Ok(false) };
    restore(root, kept)?;
    Ok(true)
}

/// Brings a version back to where it was, with the folders that it was in; what is there now goes to the archive.
pub(super) fn restore(root: &Arc<Root>, kept: &Kept) -> Result<(), FolderError> {
    let mut unsettled = Unsettled::default();
    let mut missing = Vec::new();
    let mut parent = kept.path.parent();
    while let Some(folder) = parent
        && root.stat(&folder)?.is_none()
    {
        parent = folder.parent();
        missing.push(folder);
    }
    for folder in missing.iter().rev() {
        apply::make_folder(root, folder, &mut unsettled)?;
    }
    let expected = root.stat(&kept.path)?;
    let began = clock::now();
    apply::restore(root, kept, &kept.path, expected, &mut unsettled)?;
    root.settle(unsettled)?;
    log::info!("{} of {} is back after {:?}", kept.path, kept.when(), clock::now().since(began));
    Ok(())
}
