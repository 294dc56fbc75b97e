//! Changes the folder as the keeper orders it, many paths at a time.

use std::io;
use std::sync::Arc;

use super::context::Context;
use super::keeper::Event;
use crate::entry::{ContentHash, Entry, TreePath};
use crate::host::folder::apply::{self, New};
use crate::host::folder::facts::Facts;
use crate::host::folder::temp::Whole;
use crate::host::folder::trouble::Action;
use crate::host::folder::{FolderError, Root, Stat, Trouble, Unsettled};

/// What to do next.
#[derive(Debug)]
pub(super) enum Task {
    /// Change these.
    Apply(Vec<Order>),
    /// Bring everything to the disk, whoever wrote it.
    Sync,
}

/// A path to change.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) path: TreePath,
    /// What our entry is afterwards.
    pub(super) entry: Entry,
    /// What is there now; nothing, if it is none.
    pub(super) expected: Option<Stat>,
    /// What is there gets this name first, under which this is its entry.
    pub(super) aside: Option<(TreePath, Entry)>,
    pub(super) work: Work,
}

/// What to do at a path.
#[derive(Debug)]
pub(super) enum Work {
    /// Put this file there.
    File(Whole),
    /// Put an empty file there.
    EmptyFile,
    /// Put a folder there.
    Folder,
    /// Put a symbolic link there.
    Link(String),
    /// Remove what is there.
    Remove,
    /// Set the attributes of the file that is there.
    SetAttributes,
    /// Give the file that is there another path, where nothing is: this one's entry is `Gone` then.
    MoveTo(TreePath, Entry),
}

/// What came of it: what is at each path now that has changed, and its entry; or why it has not.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) path: TreePath,
    /// Other paths that it was about.
    pub(super) others: Vec<TreePath>,
    pub(super) result: Result<Vec<(TreePath, Entry, Option<Facts>)>, FolderError>,
}

/// A path, our entry there from now on, and what the disk tells.
type Row = (TreePath, Entry, Option<Facts>);

/// Carries out a task. When it returns, what was done is on the disk.
///
/// The orders of one task are of paths that have nothing to do with each other, but for folders, which come before
/// what is in them.
pub(super) fn work(context: &Context, task: Task) -> Event {
    match task {
        Task::Apply(orders) => Event::Applied(apply(&context.root, orders)),
        Task::Sync => Event::Synced(context.root.sync()),
    }
}

fn apply(root: &Arc<Root>, orders: Vec<Order>) -> Vec<Outcome> {
    let mut unsettled = Unsettled::default();
    let mut outcomes = Vec::with_capacity(orders.len());
    let (mut files, mut of_files) = (Vec::new(), Vec::new());
    for order in orders {
        let mut outcome =
            Outcome { path: order.path.clone(), others: order.others(), result: Ok(Vec::new()) };
        match begin(root, order, &mut unsettled) {
            Ok(Begun::File(order, entry, rows)) => {
                outcome.result = Ok(rows);
                files.push(*order);
                of_files.push((outcome, entry));
            }
            Ok(Begun::Done(rows)) => {
                outcome.result = Ok(rows);
                outcomes.push(outcome);
            }
            Err(error) => {
                outcome.result = Err(error);
                outcomes.push(outcome);
            }
        }
    }
    if let Err(error) = root.settle(unsettled) {
        let all = outcomes.iter_mut().chain(of_files.iter_mut().map(|(outcome, _)| outcome));
        for outcome in all.filter(|outcome| outcome.result.is_ok()) {
            let again = io::Error::other(error.trouble.to_string());
            outcome.result = Err(Trouble::Io(again).at(error.action, &outcome.path));
        }
    }
    for ((mut outcome, entry), put) in of_files.into_iter().zip(apply::put_together(root, files)) {
        outcome.result = outcome.result.and_then(|mut rows| {
            rows.push((outcome.path.clone(), entry, Some(put?.into())));
            Ok(rows)
        });
        outcomes.push(outcome);
    }
    outcomes
}

/// How far one order got by itself.
enum Begun {
    /// The file is put in place together with others.
    File(Box<apply::Order>, Entry, Vec<Row>),
    /// It is done.
    Done(Vec<Row>),
}

impl Order {
    fn others(&self) -> Vec<TreePath> {
        let moved = match &self.work {
            Work::MoveTo(to, _) => Some(to),
            _ => None,
        };
        self.aside.iter().map(|(name, _)| name).chain(moved).cloned().collect()
    }
}

fn begin(root: &Arc<Root>, order: Order, unsettled: &mut Unsettled) -> Result<Begun, FolderError> {
    let Order { path, entry, mut expected, aside, work } = order;
    let mut rows = Vec::new();
    if let Some((name, its_entry)) = aside {
        let there = expected.take().ok_or_else(|| Trouble::Changed.at(Action::Move, &path))?;
        let stat = apply::move_aside(root, &path, there, &name, unsettled)?;
        rows.push((name, its_entry, Some(stat.into())));
    }
    let there = |action| expected.ok_or_else(|| Trouble::Changed.at(action, &path));
    let mut file = |whole| {
        let attributes = entry.attributes;
        let order = apply::Order { whole, attributes, path: path.clone(), expected };
        Ok(Begun::File(Box::new(order), entry.clone(), std::mem::take(&mut rows)))
    };
    let stat = match work {
        Work::File(whole) => return file(whole),
        Work::EmptyFile => return file(Whole::of_bytes(root, ContentHash::of(&[]), &[])?),
        Work::Folder if expected.is_none() => Some(apply::make_folder(root, &path, unsettled)?),
        Work::Folder => Some(apply::put(root, New::Folder, &path, expected, unsettled)?),
        Work::Link(text) => Some(apply::put(root, New::Link(text), &path, expected, unsettled)?),
        Work::Remove => {
            // What was kept aside is gone from here already.
            if rows.is_empty() {
                apply::remove(root, &path, there(Action::Remove)?, unsettled)?;
            }
            None
        }
        Work::SetAttributes => {
            let there = there(Action::SetAttributes)?;
            Some(apply::set_attributes(root, &path, there, entry.attributes, unsettled)?)
        }
        Work::MoveTo(to, its_entry) => {
            let stat = apply::move_aside(root, &path, there(Action::Move)?, &to, unsettled)?;
            // Of a file that has other names as well, the time stays; the next look makes that known.
            let set = apply::set_attributes(root, &to, stat, its_entry.attributes, unsettled);
            rows.push((to, its_entry, Some(set.unwrap_or(stat).into())));
            None
        }
    };
    rows.push((path, entry, stat.map(Facts::from)));
    Ok(Begun::Done(rows))
}
