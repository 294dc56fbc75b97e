//! Entries of others become orders for the disk.
//!
//! What is to be done at a path follows from the entries there, at any time anew; what is remembered here is only
//! which paths are worth a look: because something changed there, or because what they waited for did.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::waiting::Waiting;
use super::{Keeper, KeeperError};
use crate::ensemble::applier::{self, Order, Outcome, Work};
use crate::ensemble::progress::Moved;
use crate::entry::{Content, ContentHash, Device, Entry, TreePath};
use crate::host::clock;
use crate::host::folder::facts::Facts;
use crate::host::folder::index::Own;
use crate::host::folder::temp::Whole;
use crate::host::folder::{FolderError, Kind, Stat, Trouble};
use crate::limits::{
    ACTIVE_MAX, APPLY_MAX, DIRTY_MAX, HEARD_MAX, PLAN_PATHS, RETRY_PAUSE, WAITING_SEARCH_PAUSE, WHOLE_LEN_MAX,
};
use crate::logic::sync::aside::{Aside, aside};
use crate::logic::sync::{Around, Parent, Step, plan};
use crate::text::chain;
use crate::time::Moment;

/// Which paths are to be planned, and which are being changed.
#[derive(Default)]
pub(super) struct Plans {
    /// Others have something new there.
    heard: BTreeSet<TreePath>,
    /// To be planned.
    dirty: BTreeSet<TreePath>,
    /// To be planned from the inside to the outside, when nothing else is: something goes there, or may not.
    going: BTreeSet<TreePath>,
    /// They wait for something else here.
    blocked: Waiting,
    /// Nobody who is there has what belongs there.
    unheld: Waiting,
    /// The disk would not.
    refused: Waiting,
    retry_at: Option<Moment>,
    /// When those that wait, and have no name here, were looked for last.
    searched: Option<Moment>,
    /// What is under way.
    active: BTreeMap<TreePath, Active>,
    /// What a look saw there meanwhile: it was perhaps what we put there, and perhaps not.
    glimpsed: BTreeMap<TreePath, Facts>,
    /// The folder that was asked for last, where something can be put.
    parent: Option<TreePath>,
    /// For the applier.
    ready: Vec<Order>,
    /// All paths that others have later versions of are to be planned, those after this one.
    sweep: Option<Option<TreePath>>,
}

/// What is under way at a path.
#[derive(Debug)]
enum Active {
    /// Its content is on its way.
    Wanted(Box<Goal>),
    /// It is ordered: whether that is a folder, and from whom the content came.
    Ordered { folder: bool, from: Vec<String> },
}

/// What to do at a path when its content is here. It holds as long as the path is not planned anew.
#[derive(Debug)]
struct Goal {
    content: ContentHash,
    own: Option<Own>,
    entry: Entry,
    beside: bool,
}

impl Plans {
    /// Everything is to be planned.
    pub(super) fn sweep(&mut self) {
        self.sweep = Some(None);
    }

    /// Something is new at this path.
    pub(super) fn changed(&mut self, path: &TreePath) {
        if self.dirty.len() < DIRTY_MAX {
            self.dirty.insert(path.clone());
        } else {
            self.sweep();
        }
    }

    /// Our own entry is new: what waited for it, or is in it, may go on.
    pub(super) fn changed_here(&mut self, path: &TreePath) {
        self.changed(path);
        for path in self.blocked.beneath(path) {
            self.blocked.remove(&path);
            self.changed(&path);
        }
        let mut parent = path.parent();
        while let Some(path) = parent {
            if self.blocked.remove(&path) {
                self.changed(&path);
            }
            parent = path.parent();
        }
    }

    /// Others have something new at this path; it is planned when what belongs to it was heard as well.
    pub(super) fn heard(&mut self, path: TreePath) {
        self.heard.insert(path);
        if self.heard.len() >= HEARD_MAX {
            self.plan_heard();
        }
    }

    /// What was heard is all that there is for now.
    pub(super) fn plan_heard(&mut self) {
        let heard = std::mem::take(&mut self.heard);
        heard.iter().for_each(|path| self.changed(path));
    }

    /// What is under way at this path is not: it is planned anew.
    pub(super) fn release(&mut self, path: &TreePath) {
        self.active.remove(path);
        self.changed(path);
    }

    /// What waited for something here is planned again.
    pub(super) fn retry_blocked(&mut self) {
        let blocked = self.blocked.take();
        self.retry_all(blocked);
    }

    /// What nobody had is planned again: there is somebody new.
    pub(super) fn retry_unheld(&mut self) {
        let unheld = self.unheld.take();
        self.retry_all(unheld);
    }

    /// What nobody had and wants this content is planned again: somebody has it.
    pub(super) fn retry_content(&mut self, content: &ContentHash) {
        self.unheld.take_content(content).iter().for_each(|path| self.changed(path));
    }

    fn retry_all(&mut self, (paths, has_more): (Vec<TreePath>, bool)) {
        paths.iter().for_each(|path| self.changed(path));
        // One that is under way goes on: whoever waits after where it is is found, and the others by the next one.
        if has_more && self.sweep.is_none() {
            self.sweep();
        } else if has_more {
            self.blocked.note_more();
        }
    }

    /// Those that wait and have no name here are looked for now and then: what they waited for may have come.
    fn search(&mut self, now: Moment) {
        let waiting = [&mut self.blocked, &mut self.unheld, &mut self.refused];
        let is_due = self.searched.is_none_or(|at| now.since(at) >= WAITING_SEARCH_PAUSE);
        if self.sweep.is_none() && is_due && waiting.iter().any(|waiting| waiting.has_more()) {
            self.searched = Some(now);
            waiting.into_iter().for_each(Waiting::forget_more);
            self.sweep();
        }
    }

    /// A look saw this at a path at which something is under way.
    pub(super) fn glimpsed(&mut self, path: TreePath, facts: Facts) {
        self.glimpsed.insert(path, facts);
    }

    pub(super) fn is_active(&self, path: &TreePath) -> bool {
        self.active.contains_key(path)
    }

    /// Whether the next turn has something to plan.
    pub(super) fn has_work(&self) -> bool {
        let has_room = self.active.len() < ACTIVE_MAX;
        has_room && (!self.dirty.is_empty() || self.sweep.is_some() || !self.going.is_empty())
    }

    /// Whether anything changes here soon.
    pub(super) fn is_busy(&self) -> bool {
        let idle = [&self.heard, &self.dirty, &self.going].into_iter().all(BTreeSet::is_empty);
        !idle || !self.active.is_empty() || self.sweep.is_some()
    }

    /// How many paths are not as they should be, as far as it is known.
    pub(super) fn behind(&self) -> u64 {
        let waiting = self.blocked.count() + self.unheld.count() + self.refused.count();
        let planned = self.heard.len() + self.dirty.len() + self.going.len() + self.active.len();
        (planned + waiting) as u64
    }

    /// Whether something is to be done in this folder that was not tried yet.
    fn is_pending_beneath(&self, folder: &TreePath) -> bool {
        let waiting = [&self.blocked, &self.unheld, &self.refused];
        let sets = [&self.heard, &self.dirty, &self.going];
        self.sweep.is_some()
            || waiting.into_iter().any(|waiting| waiting.may_be_beneath(folder))
            || sets.into_iter().any(|set| beneath(set, folder).next().is_some())
            || after(folder, &self.active).next().is_some_and(|path| path.is_beneath(folder))
    }
}

/// What of a set is in this folder.
fn beneath<'s>(
    set: &'s BTreeSet<TreePath>,
    folder: &TreePath,
) -> impl Iterator<Item = &'s TreePath> + use<'s> {
    let folder = folder.clone();
    set.range((Bound::Excluded(folder.clone()), Bound::Unbounded))
        .take_while(move |path| path.is_beneath(&folder))
}

fn after<'m, T>(
    path: &TreePath,
    map: &'m BTreeMap<TreePath, T>,
) -> impl Iterator<Item = &'m TreePath> + use<'m, T> {
    map.range((Bound::Excluded(path.clone()), Bound::Unbounded)).map(|(path, _)| path)
}

impl Keeper {
    /// Plans some of the paths that are to be planned.
    pub(super) fn plan_some(&mut self) -> Result<(), KeeperError> {
        let mut rows = Vec::new();
        self.plans.parent = None;
        for _ in 0..PLAN_PATHS {
            if self.plans.active.len() >= ACTIVE_MAX {
                break;
            }
            if let Some(path) = self.plans.dirty.pop_first() {
                self.plan_at(path, false, &mut rows)?;
            } else if let Some(after) = self.plans.sweep.take() {
                let page = self.index.behind(after.as_ref())?;
                self.plans.sweep = page.last().cloned().map(Some);
                let idle = page.into_iter().filter(|path| !self.plans.active.contains_key(path));
                self.plans.dirty.extend(idle);
            } else {
                // What goes is looked at when everything else has come, and its rows are written.
                if !rows.is_empty() {
                    break;
                }
                let Some(path) = self.plans.going.pop_last() else { break };
                self.plan_at(path, true, &mut rows)?;
                if !rows.is_empty() {
                    break;
                }
            }
        }
        self.write_own(&rows)
    }

    /// Plans a path; `backward` if what is in it was planned before.
    fn plan_at(
        &mut self,
        path: TreePath,
        backward: bool,
        rows: &mut Vec<(TreePath, Entry, Option<Facts>)>,
    ) -> Result<(), KeeperError> {
        let coming = match self.plans.active.get(&path) {
            Some(Active::Ordered { .. }) => return Ok(()),
            Some(Active::Wanted(goal)) => goal.content,
            None => return self.plan_idle(path, None, backward, rows),
        };
        self.plans.active.remove(&path);
        self.plan_idle(path.clone(), Some(coming), backward, rows)?;
        // What is on its way may not be what belongs there by now.
        let is_wanted =
            matches!(self.plans.active.get(&path), Some(Active::Wanted(goal)) if goal.content == coming);
        if !is_wanted {
            self.arrivals.unwant(coming, &path);
            self.look_if_glimpsed(&path);
        }
        Ok(())
    }

    /// Plans a path at which nothing is under way, but perhaps this content on its way to it.
    fn plan_idle(
        &mut self,
        path: TreePath,
        coming: Option<ContentHash>,
        backward: bool,
        rows: &mut Vec<(TreePath, Entry, Option<Facts>)>,
    ) -> Result<(), KeeperError> {
        self.plans.unheld.remove(&path);
        self.plans.refused.remove(&path);
        if self.looking.is_unsure(&path) {
            self.plans.blocked.insert(path, None);
            return Ok(());
        }
        self.plans.blocked.remove(&path);
        let own = self.index.own(&path)?;
        let others = self.index.remote(&path)?;
        let step = self.step_at(&path, own.as_ref(), &others)?;
        let goes = match &step {
            Step::Note(_) | Step::Rest | Step::Wait => false,
            Step::Take(entry) | Step::TakeBeside(entry) => !entry.content.is_live(),
            Step::Reassert(_) => true,
        };
        if goes && !backward {
            self.plans.going.insert(path);
            return Ok(());
        }
        match step {
            Step::Rest => {}
            Step::Wait => {
                self.plans.blocked.insert(path, None);
            }
            Step::Note(entry) => self.note(path, own, entry, rows),
            Step::Reassert(_) if self.plans.is_pending_beneath(&path) => {
                self.plans.blocked.insert(path, None);
            }
            Step::Reassert(entry) => rows.push((path, entry, own.and_then(|own| own.facts))),
            Step::Take(entry) => self.take(path, own, entry, false, coming, &others)?,
            Step::TakeBeside(entry) => self.take(path, own, entry, true, coming, &others)?,
        }
        Ok(())
    }

    fn step_at(
        &mut self,
        path: &TreePath,
        own: Option<&Own>,
        others: &[(Device, Entry)],
    ) -> Result<Step, KeeperError> {
        let is_placed = match path.parent() {
            Some(parent) => self.is_folder(parent)?,
            None => true,
        };
        let parent = if is_placed { Parent::Folder } else { Parent::Missing };
        let is_folder = own.is_some_and(|own| own.entry.content == Content::Folder);
        let stays = others.iter().all(|(_, entry)| entry.content == Content::Folder);
        let inhabited = is_folder && !stays && self.index.has_live_beneath(path)?;
        let around = Around { parent, inhabited };
        let others = others.iter().map(|(_, entry)| entry);
        Ok(plan(own.map(|own| &own.entry), others, around, self.author()))
    }

    /// Whether a folder is there, or is made before anything that is ordered from now on.
    fn is_folder(&mut self, path: TreePath) -> Result<bool, KeeperError> {
        if self.plans.parent.as_ref() == Some(&path) {
            return Ok(true);
        }
        let is_ordered = matches!(self.plans.active.get(&path), Some(Active::Ordered { folder: true, .. }));
        let is_folder =
            is_ordered || self.index.own(&path)?.is_some_and(|own| own.entry.content == Content::Folder);
        self.plans.parent = is_folder.then_some(path);
        Ok(is_folder)
    }

    /// The content is there already.
    fn note(
        &mut self,
        path: TreePath,
        own: Option<Own>,
        entry: Entry,
        rows: &mut Vec<(TreePath, Entry, Option<Facts>)>,
    ) {
        let changes_file = matches!(entry.content, Content::File { .. })
            && own.as_ref().is_some_and(|own| own.entry.attributes != entry.attributes);
        match own {
            Some(own) if changes_file => match self.expected(&own) {
                Some(expected) => {
                    let work = Work::SetAttributes;
                    self.order(
                        Order { path, entry, expected: Some(expected), aside: None, work },
                        Vec::new(),
                    );
                }
                None => self.look_first(path),
            },
            own => rows.push((path, entry, own.and_then(|own| own.facts))),
        }
    }

    /// Brings what the entry says to the path, as soon as its content is here; `beside` what is there, if that is to
    /// be kept. It may be the one that is `coming`.
    fn take(
        &mut self,
        path: TreePath,
        own: Option<Own>,
        entry: Entry,
        beside: bool,
        coming: Option<ContentHash>,
        others: &[(Device, Entry)],
    ) -> Result<(), KeeperError> {
        let own = own.filter(|own| own.entry.content.is_live());
        let (size, content) = match &entry.content {
            Content::Gone if own.is_none() => return self.write_own(&[(path, entry, None)]),
            Content::Gone | Content::Folder | Content::Link(_) | Content::File { size: 0, .. } => {
                return self.put(path, own, entry, beside, None, Vec::new());
            }
            Content::File { size, hash } => (*size, *hash),
        };
        if own.is_none() && self.move_here(&path, &entry, content)? {
            return Ok(());
        }
        let base = own.as_ref().and_then(|own| match own.entry.content {
            Content::File { size, hash } if size > WHOLE_LEN_MAX => Some(hash),
            _ => None,
        });
        let holders = others.iter().filter(|(_, other)| other.content == entry.content);
        let holders = holders.map(|(device, _)| *device).collect();
        if coming == Some(content) || self.want(&path, content, size, base, holders)? {
            let goal = Goal { content, own, entry, beside };
            self.plans.active.insert(path, Active::Wanted(Box::new(goal)));
        } else {
            self.plans.unheld.insert(path, Some(content));
        }
        Ok(())
    }

    /// Orders what needs no content from elsewhere, or has it.
    fn put(
        &mut self,
        path: TreePath,
        own: Option<Own>,
        entry: Entry,
        beside: bool,
        whole: Option<Whole>,
        from: Vec<String>,
    ) -> Result<(), KeeperError> {
        let expected = match &own {
            None => None,
            Some(own) => match self.expected(own) {
                Some(expected) => Some(expected),
                None => {
                    self.look_first(path);
                    return Ok(());
                }
            },
        };
        let mut kept = None;
        if let Some(own) = own.filter(|_| beside) {
            match self.aside_at(&path, &own.entry)? {
                Aside::Known => {}
                Aside::There(name, its_entry) => {
                    let facts = self.index.own(&name)?.and_then(|own| own.facts);
                    self.write_own(&[(name, its_entry, facts)])?;
                }
                Aside::Kept(name, _) if self.plans.is_active(&name) || self.looking.is_unsure(&name) => {
                    self.plans.blocked.insert(path, None);
                    return Ok(());
                }
                Aside::Kept(name, its_entry) => {
                    self.plans
                        .active
                        .insert(name.clone(), Active::Ordered { folder: false, from: Vec::new() });
                    kept = Some((name, its_entry));
                }
                Aside::Nowhere => {
                    let text = format!(
                        "every name that the other version of {path} could be kept under is taken; move one of them away"
                    );
                    self.trouble(path.as_str(), text);
                    self.refuse(path);
                    return Ok(());
                }
            }
        }
        let work = match (&entry.content, whole) {
            (Content::File { .. }, Some(whole)) => Work::File(whole),
            (Content::File { .. }, None) => Work::EmptyFile,
            (Content::Folder, _) => Work::Folder,
            (Content::Link(text), _) => Work::Link(text.clone()),
            (Content::Gone, _) => Work::Remove,
        };
        self.order(Order { path, entry, expected, aside: kept, work }, from);
        Ok(())
    }

    /// If a file of ours with this content is about to go, it goes here.
    fn move_here(
        &mut self,
        path: &TreePath,
        entry: &Entry,
        content: ContentHash,
    ) -> Result<bool, KeeperError> {
        for own in self.index.own_with(content)? {
            if self.plans.is_active(&own.path) || self.looking.is_unsure(&own.path) {
                continue;
            }
            let Some(expected) = self.expected(&own) else { continue };
            let others = self.index.remote(&own.path)?;
            if let Step::Take(gone) = self.step_at(&own.path, Some(&own), &others)?
                && gone.content == Content::Gone
            {
                let from = own.path.clone();
                self.plans.dirty.remove(&from);
                self.plans.going.remove(&from);
                self.plans.active.insert(path.clone(), Active::Ordered { folder: false, from: Vec::new() });
                let work = Work::MoveTo(path.clone(), entry.clone());
                self.order(
                    Order { path: from, entry: gone, expected: Some(expected), aside: None, work },
                    Vec::new(),
                );
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A content has arrived, for these paths.
    pub(super) fn deliver(
        &mut self,
        paths: Vec<TreePath>,
        whole: Whole,
        from: &[String],
    ) -> Result<(), KeeperError> {
        let mut whole = Some(whole);
        for path in paths {
            let Some(Active::Wanted(goal)) = self.plans.active.remove(&path) else { continue };
            let Goal { own, entry, beside, .. } = *goal;
            if self.plans.dirty.contains(&path) || self.looking.is_unsure(&path) {
                self.plans.changed(&path);
            } else if let Some(whole) = whole.take() {
                self.put(path, own, entry, beside, Some(whole), from.to_vec())?;
            } else {
                // It finds the content here in a moment.
                self.plans.blocked.insert(path, None);
            }
        }
        Ok(())
    }

    /// A content will not come for now: these paths wait.
    pub(super) fn undeliver(&mut self, paths: Vec<TreePath>, refused: bool) {
        for path in paths {
            self.plans.active.remove(&path);
            self.look_if_glimpsed(&path);
            if refused {
                self.refuse(path);
            } else {
                // Somebody else may have it, under another path.
                self.plans.changed(&path);
            }
        }
    }

    fn refuse(&mut self, path: TreePath) {
        self.plans.refused.insert(path, None);
        self.plans.retry_at.get_or_insert(clock::now() + RETRY_PAUSE);
    }

    /// Others wait until what is there is known again.
    fn look_first(&mut self, path: TreePath) {
        self.looking.look_at(path.clone());
        self.plans.blocked.insert(path, None);
    }

    /// What the disk told last of what is there.
    fn expected(&self, own: &Own) -> Option<Stat> {
        let facts = own.facts?;
        let kind = match own.entry.content {
            Content::Gone => return None,
            Content::Folder => Kind::Folder,
            Content::File { .. } => Kind::File,
            Content::Link(_) => Kind::Link,
        };
        let Facts { size, mtime, ctime, inode, mode } = facts;
        let device = self.context.root.beneath().device();
        Some(Stat { kind, size, mtime, ctime, inode, device, mode, links: 1 })
    }

    fn order(&mut self, order: Order, from: Vec<String>) {
        let folder = matches!(order.work, Work::Folder);
        self.plans.active.insert(order.path.clone(), Active::Ordered { folder, from });
        self.plans.ready.push(order);
    }

    /// Gives the applier what is ready.
    pub(super) fn apply_some(&mut self) {
        if self.plans.ready.is_empty() || self.hands.applier.is_busy() {
            return;
        }
        let rest = self.plans.ready.split_off(self.plans.ready.len().min(APPLY_MAX));
        let orders = std::mem::replace(&mut self.plans.ready, rest);
        log::debug!("changes {} paths", orders.len());
        self.hands.applier.order(applier::Task::Apply(orders));
    }

    /// The applier is done with these.
    pub(super) fn applied(&mut self, outcomes: Vec<Outcome>) -> Result<(), KeeperError> {
        log::debug!("changed {} paths", outcomes.len());
        let mut rows = Vec::new();
        for Outcome { path, others, result } in outcomes {
            let active = self.plans.active.remove(&path);
            others.iter().for_each(|path| drop(self.plans.active.remove(path)));
            match result {
                Ok(changed) => {
                    self.no_trouble(path.as_str());
                    for (path, entry, _) in &changed {
                        if let Content::File { size, hash } = entry.content {
                            let from = match &active {
                                Some(Active::Ordered { from, .. }) => from.clone(),
                                _ => Vec::new(),
                            };
                            self.report(Moved { path: path.clone(), size, content: hash, from });
                        }
                    }
                    for (path, _, facts) in &changed {
                        let glimpsed = self.plans.glimpsed.remove(path);
                        if glimpsed.is_some_and(|glimpsed| Some(glimpsed) != *facts) {
                            self.looking.look_at(path.clone());
                        }
                    }
                    rows.extend(changed);
                }
                Err(error) => {
                    others.into_iter().for_each(|path| self.look_first(path));
                    self.not_applied(path, &error);
                }
            }
        }
        self.write_own(&rows)?;
        // A folder may be empty by now, and a content be here that others wait for.
        self.plans.retry_blocked();
        Ok(())
    }

    fn not_applied(&mut self, path: TreePath, error: &FolderError) {
        self.look_if_glimpsed(&path);
        log::info!("{}", chain(error));
        match error.trouble {
            // Somebody was faster: what is there is looked at, and then it shows what is to be done.
            Trouble::Changed
            | Trouble::Missing
            | Trouble::Way
            | Trouble::Occupied
            | Trouble::NotEmpty
            | Trouble::Is(_)
            | Trouble::Mounted
            | Trouble::Busy => self.look_first(path),
            _ => {
                self.make_room_for(error);
                self.trouble(path.as_str(), chain(error));
                self.refuse(path);
            }
        }
    }

    /// What the disk would not do is tried again now and then.
    pub(super) fn retry(&mut self, now: Moment) {
        if self.plans.retry_at.take_if(|at| *at <= now).is_some() {
            let refused = self.plans.refused.take();
            self.plans.retry_all(refused);
        }
        if self.arrivals.forgets_lacking(now) {
            self.plans.retry_unheld();
        }
        self.plans.search(now);
    }

    /// What is under way at a path is not any more: what a look saw there meanwhile is looked at.
    pub(super) fn look_if_glimpsed(&mut self, path: &TreePath) {
        if self.plans.glimpsed.remove(path).is_some() {
            self.looking.look_at(path.clone());
        }
    }

    /// Where the loser of a conflict at this path goes, if there is one now.
    fn aside_at(&self, path: &TreePath, loser: &Entry) -> Result<Aside, KeeperError> {
        let failed = RefCell::new(None);
        let found = aside(path, loser, self.author(), |path| match self.index.own(path) {
            Ok(own) => own.map(|own| own.entry),
            Err(error) => {
                failed.replace(Some(error));
                None
            }
        });
        failed.into_inner().map_or(Ok(found), |error| Err(error.into()))
    }
}
