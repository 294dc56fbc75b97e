//! What was seen on the disk becomes entries.
//!
//! A look is compared with the rows as it comes, path by path. What differs is read before it is believed, what is
//! missing is looked for once more, and many deletions at once wait for the user.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Keeper, KeeperError};
use crate::ensemble::reading::{self, Found};
use crate::ensemble::scanner::{self, Glimpse, Looked};
use crate::entry::{Attributes, Chunk, Content, Device, Entry, TreePath};
use crate::host::folder::content::Task;
use crate::host::folder::facts::Facts;
use crate::host::folder::index::{Change, Own};
use crate::host::folder::root::Standing;
use crate::host::folder::rules::Rules;
use crate::host::folder::scan::{Look, Seen, What};
use crate::host::folder::watch::Hint;
use crate::host::{clock, entropy};
use crate::limits::{
    AGAIN_MAX, DELETIONS_FEW, DELETIONS_PAUSE, DELETIONS_SPAN, EMPTIED_PATHS, HINTS_MAX, LOOK_AGAIN,
    LOOK_INTERVAL, MOVED_LEN_MIN, READ_BYTES, READ_PATHS, ROOT_INTERVAL, TROUBLES_MAX, WHOLE_LEN_MAX,
};
use crate::logic::sync::absence::brakes;
use crate::logic::sync::observe::{observe, observe_suspect};
use crate::text::chain;
use crate::time::Moment;

/// What is known about looks, and what they found that is not an entry yet.
pub(in crate::ensemble) struct Looking {
    /// Paths to look at, with what is beneath them.
    hinted: BTreeSet<TreePath>,
    /// Everything is to be looked at, from this moment on.
    full_due: Option<Moment>,
    /// Whether everything was looked at and read since the start.
    has_looked: bool,
    walking: Option<Walking>,
    /// What may have changed and is to be read, with its length as far as it is known.
    to_read: BTreeMap<TreePath, u64>,
    /// What is being read; true if something happened to it meanwhile, so that what is read means nothing.
    reading: BTreeMap<TreePath, bool>,
    /// What somebody is writing to: to be looked at again.
    again: Vec<(Moment, TreePath)>,
    /// Rows that a stop without warning left in doubt.
    suspects: BTreeSet<TreePath>,
    /// What is absent and waits for the user's word.
    held: BTreeSet<TreePath>,
    /// Deletions that were believed of late, and how many at a time.
    deletions: VecDeque<(Moment, u64)>,
    /// How many paths the last look at everything missed.
    missed: usize,
    /// What looks saw that is not as it should be, and where.
    troubles: BTreeMap<String, Option<TreePath>>,
    /// The user said that the deletions are meant; the next whole look lets them go.
    approved: bool,
    /// Whether this device got a new name for the sake of what was in doubt.
    renewed: bool,
    rng: fastrand::Rng,
}

/// A look that is under way.
#[derive(Default)]
struct Walking {
    is_full: bool,
    merge: Option<Merge>,
    /// Known, and not seen.
    missing: Vec<(TreePath, bool)>,
    /// Seen, and not known: long enough to be worth the question whether they were moved here.
    fresh: Vec<Seen>,
    /// What is looked at, if it is not everything.
    scopes: Vec<TreePath>,
    /// What is not as it should be.
    troubles: BTreeMap<String, Option<TreePath>>,
    /// What the walks that ended prove.
    proofs: Vec<(Look, Vec<(TreePath, bool)>)>,
    /// Proven by the first look, and looked for once more.
    confirming: bool,
}

/// Rows in the order of paths, beside a walk.
struct Merge {
    scope: Option<TreePath>,
    rows: VecDeque<Own>,
    after: Option<TreePath>,
    ended: bool,
}

impl Looking {
    pub(in crate::ensemble) fn new(suspects: BTreeSet<TreePath>, seed: u64) -> Looking {
        Looking {
            hinted: BTreeSet::new(),
            full_due: Some(clock::now()),
            has_looked: false,
            walking: None,
            to_read: BTreeMap::new(),
            reading: BTreeMap::new(),
            again: Vec::new(),
            suspects,
            held: BTreeSet::new(),
            deletions: VecDeque::new(),
            missed: 0,
            troubles: BTreeMap::new(),
            approved: false,
            renewed: false,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Something changed.
    pub(super) fn hint(&mut self, hint: Hint) {
        match hint {
            Hint::Everything => self.look_at_all(Duration::ZERO),
            Hint::Look(paths) => paths.into_iter().for_each(|path| self.look_at(path)),
        }
    }

    /// This is to be looked at.
    pub(super) fn look_at(&mut self, path: TreePath) {
        if let Some(stale) = self.reading.get_mut(&path) {
            *stale = true;
        }
        if self.hinted.len() < HINTS_MAX {
            self.hinted.insert(path);
        } else {
            self.look_at_all(Duration::ZERO);
        }
    }

    fn look_at_all(&mut self, pause: Duration) {
        let due = clock::now() + pause;
        self.full_due = Some(self.full_due.map_or(due, |earlier| earlier.min(due)));
    }

    fn look_again(&mut self, path: TreePath) {
        if self.again.len() < AGAIN_MAX {
            self.again.push((clock::now() + LOOK_AGAIN, path));
        } else {
            self.look_at_all(LOOK_AGAIN);
        }
    }

    /// The deletions that are held back are meant. How many they are.
    pub(super) fn approve(&mut self) -> u64 {
        let held = self.held();
        if held > 0 {
            self.approved = true;
            self.look_at_all(Duration::ZERO);
        }
        held
    }

    /// How many deletions were believed of late: many small looks must not let go what one would hold.
    fn deleted_of_late(&mut self) -> u64 {
        let now = clock::now();
        while self.deletions.front().is_some_and(|(at, _)| now.since(*at) > DELETIONS_SPAN) {
            self.deletions.pop_front();
        }
        self.deletions.iter().map(|(_, count)| count).sum()
    }

    /// How many deletions wait for the user's word.
    pub(super) fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// Whether it is open what is at this path: nothing may be put there now.
    pub(super) fn is_unsure(&self, path: &TreePath) -> bool {
        self.reading.contains_key(path) || self.to_read.contains_key(path) || self.held.contains(path)
    }

    /// Whether rows are still in doubt.
    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Whether the disk may tell something soon that is not in the rows.
    pub(super) fn is_busy(&self) -> bool {
        let full_is_near = self.full_due.is_some_and(|due| due <= clock::now() + DELETIONS_PAUSE);
        !self.has_looked
            || full_is_near
            || self.walking.is_some()
            || !(self.hinted.is_empty()
                && self.to_read.is_empty()
                && self.reading.is_empty()
                && self.again.is_empty())
    }
}

impl Keeper {
    /// Begins the next look, and the next read.
    pub(super) fn look_on(&mut self, now: Moment) -> Result<(), KeeperError> {
        let looking = &mut self.looking;
        if !looking.again.is_empty() {
            let (due, later) = looking.again.drain(..).partition(|(due, _)| *due <= now);
            looking.again = later;
            let due: Vec<(Moment, TreePath)> = due;
            due.into_iter().for_each(|(_, path)| looking.look_at(path));
        }
        if looking.walking.is_none() && !self.hands.scanner.is_busy() {
            if looking.full_due.is_some_and(|due| due <= now) {
                looking.full_due = None;
                looking.hinted.clear();
                looking.walking = Some(Walking { is_full: true, ..Walking::default() });
                self.hands.scanner.order(scanner::Order::Look(None));
            } else if !looking.hinted.is_empty() {
                let paths = std::mem::take(&mut looking.hinted);
                let paths = outermost(paths);
                log::debug!("looks at {} paths", paths.len());
                looking.walking = Some(Walking::default());
                self.hands.scanner.order(scanner::Order::Look(Some(paths)));
            }
        }
        self.read_on()
    }

    fn read_on(&mut self) -> Result<(), KeeperError> {
        if self.hands.reading.is_busy() || self.looking.to_read.is_empty() {
            return Ok(());
        }
        let (mut tasks, mut bytes) = (Vec::new(), 0);
        while tasks.len() < READ_PATHS && (bytes < READ_BYTES || tasks.is_empty()) {
            let Some((path, len)) = self.looking.to_read.pop_first() else { break };
            bytes += len;
            self.looking.reading.insert(path.clone(), false);
            tasks.push(Task { before: self.chunks_before(&path)?, path });
        }
        log::debug!("reads {} paths", tasks.len());
        self.hands.reading.order(tasks);
        Ok(())
    }

    /// What a file was cut into when it was read last.
    fn chunks_before(&self, path: &TreePath) -> Result<Vec<Chunk>, KeeperError> {
        let list = match self.index.own(path)?.map(|own| own.entry.content) {
            Some(Content::File { hash, size }) if size > WHOLE_LEN_MAX => self.list_of(hash)?,
            _ => None,
        };
        Ok(list.unwrap_or_default())
    }

    /// What a walk sees.
    pub(super) fn glimpsed(&mut self, glimpses: Vec<Glimpse>) -> Result<(), KeeperError> {
        let mut walking = self.looking.walking.take().unwrap_or_default();
        for glimpse in glimpses {
            match glimpse {
                Glimpse::Begin(scope) => {
                    let mut merge =
                        Merge { scope: scope.clone(), rows: VecDeque::new(), after: None, ended: false };
                    if let Some(path) = scope {
                        merge.rows.extend(self.index.own(&path)?);
                        walking.scopes.push(path);
                    }
                    walking.merge = Some(merge);
                }
                Glimpse::Seen(seen) => self.saw(&mut walking, seen)?,
                Glimpse::Trouble(trouble) => {
                    self.look_trouble(&mut walking, trouble.path().cloned(), chain(&trouble));
                }
                Glimpse::End(look) => {
                    while let Some(row) = self.next_row(&mut walking, None)? {
                        self.missed(&mut walking, &row);
                    }
                    walking.merge = None;
                    let missing = std::mem::take(&mut walking.missing);
                    walking.proofs.push((look, missing));
                }
            }
        }
        self.looking.walking = Some(walking);
        Ok(())
    }

    /// The next row before this path, or of all that are left.
    fn next_row(
        &mut self,
        walking: &mut Walking,
        before: Option<&TreePath>,
    ) -> Result<Option<Own>, KeeperError> {
        let Some(merge) = &mut walking.merge else { return Ok(None) };
        if merge.rows.is_empty() && !merge.ended {
            let rows = self.index.own_beneath(merge.scope.as_ref(), merge.after.as_ref())?;
            merge.ended = rows.is_empty();
            merge.after = rows.last().map(|row| row.path.clone());
            merge.rows.extend(rows);
        }
        let is_before = merge.rows.front().is_some_and(|row| before.is_none_or(|before| row.path < *before));
        Ok(if is_before { merge.rows.pop_front() } else { None })
    }

    fn saw(&mut self, walking: &mut Walking, seen: Seen) -> Result<(), KeeperError> {
        while let Some(row) = self.next_row(walking, Some(&seen.path))? {
            self.missed(walking, &row);
        }
        let row = match &mut walking.merge {
            Some(merge) if merge.rows.front().is_some_and(|row| row.path == seen.path) => {
                merge.rows.pop_front()
            }
            _ => None,
        };
        if self.plans.is_active(&seen.path) {
            self.plans.glimpsed(seen.path, seen.facts);
            return Ok(());
        }
        self.looking.held.remove(&seen.path);
        if let What::Other(kind) = seen.what {
            let text = format!("{} is {kind}, which is not carried", seen.path);
            self.look_trouble(walking, Some(seen.path), text);
            return Ok(());
        }
        let is_suspect = self.looking.suspects.contains(&seen.path);
        match row.filter(|row| row.entry.content.is_live()) {
            Some(row) if is_as_known(&row, &seen) && !is_suspect => {}
            None if matches!(seen.what, What::File) && seen.facts.size >= MOVED_LEN_MIN && !is_suspect => {
                walking.fresh.push(seen);
            }
            _ => self.read_later(seen.path, seen.facts.size),
        }
        Ok(())
    }

    fn missed(&self, walking: &mut Walking, row: &Own) {
        if row.entry.content.is_live() {
            walking.missing.push((row.path.clone(), row.entry.content == Content::Folder));
        }
    }

    pub(super) fn read_later(&mut self, path: TreePath, len: u64) {
        if let Some(stale) = self.looking.reading.get_mut(&path) {
            *stale = true;
        } else {
            self.looking.to_read.insert(path, len);
        }
    }

    /// Something is not as it should be, as a look sees it: until a look there does not see it any more.
    fn look_trouble(&mut self, walking: &mut Walking, path: Option<TreePath>, text: String) {
        let about = format!("look: {text}");
        self.trouble(&about, text);
        if self.looking.troubles.len() < TROUBLES_MAX {
            self.looking.troubles.insert(about.clone(), path.clone());
            walking.troubles.insert(about, path);
        }
    }

    /// A look ended.
    pub(super) fn looked(&mut self, looked: Looked) -> Result<(), KeeperError> {
        let walking = self.looking.walking.take().unwrap_or_default();
        match looked {
            Looked::Done(rules) => {
                self.no_trouble("root");
                self.no_trouble("rules");
                self.look_done(walking, &rules)?;
            }
            Looked::Absent(absent) => self.absent(walking, absent)?,
            Looked::Elsewhere(standing) => {
                let text = elsewhere(standing, self.context.root.path());
                self.trouble("root", text);
                self.looking.look_at_all(ROOT_INTERVAL);
            }
            Looked::Failed(error) => {
                self.trouble("root", chain(&error));
                self.looking.look_at_all(ROOT_INTERVAL);
            }
            Looked::NoRules(error) => {
                self.trouble("rules", chain(&error));
                self.looking.look_at_all(ROOT_INTERVAL);
            }
        }
        Ok(())
    }

    fn look_done(&mut self, mut walking: Walking, rules: &Arc<Rules>) -> Result<(), KeeperError> {
        let mut missing = Vec::new();
        for (look, paths) in std::mem::take(&mut walking.proofs) {
            let proven =
                paths.into_iter().filter(|(path, is_folder)| look.proves_absent(rules, path, *is_folder));
            missing.extend(proven);
        }
        // What is on its way there, or away from there, tells itself.
        missing.retain(|(path, _)| !self.plans.is_active(path));
        if walking.is_full {
            let jitter = LOOK_INTERVAL.mul_f64(self.looking.rng.f64() / 4.0);
            self.looking.look_at_all(LOOK_INTERVAL + jitter);
            let known: BTreeSet<&TreePath> = missing.iter().map(|(path, _)| path).collect();
            self.looking.held.retain(|path| known.contains(path));
        }
        if missing.is_empty() {
            return self.end_look(walking);
        }
        let many = missing.len() as u64 + self.looking.deleted_of_late() > DELETIONS_FEW;
        let is_settled = walking.is_full && self.looking.missed == missing.len();
        if many && !is_settled && !self.looking.approved {
            // Whoever deletes that many is perhaps not done; when two looks at everything miss the same, it shows whether
            // that is nearly everything.
            self.looking.missed = if walking.is_full { missing.len() } else { 0 };
            self.looking.look_at_all(DELETIONS_PAUSE);
            return self.end_look(walking);
        }
        walking.confirming = true;
        self.looking.walking = Some(walking);
        self.hands.scanner.order(scanner::Order::Confirm(missing));
        Ok(())
    }

    /// These were not there at a second look either.
    fn absent(&mut self, mut walking: Walking, absent: Vec<TreePath>) -> Result<(), KeeperError> {
        let totals = self.index.totals()?;
        let known = totals.files + totals.folders + totals.links;
        let vanished = absent.len() as u64;
        let before = self.looking.deleted_of_late();
        let emptied = vanished == known && vanished + before > EMPTIED_PATHS;
        if (brakes(vanished + before, known + before) || emptied)
            && !(self.looking.approved && walking.is_full)
        {
            self.looking.held.extend(absent);
            let folder = self.context.root.path().display().to_string();
            let held = self.looking.held();
            let text = format!(
                "{held} of {known} files and folders have vanished at once: nothing is deleted elsewhere; \
                 if that is meant, type `ensemble approve {}`",
                crate::text::Escaped(&folder)
            );
            self.trouble("held", text);
            return self.end_look(walking);
        }
        if walking.is_full {
            self.looking.approved = false;
            self.looking.missed = 0;
            self.looking.held.clear();
            self.no_trouble("held");
        }
        self.looking.deletions.push_back((clock::now(), vanished));
        let author = self.author();
        let mut rows: Vec<(TreePath, Entry, Option<Facts>)> = Vec::new();
        // What was moved is known by its inode, length and time: it is not read again.
        let mut gone: BTreeMap<(u64, u64, i64), (Own, bool)> = BTreeMap::new();
        let mut absent_rows = Vec::new();
        for path in &absent {
            let Some(row) = self.index.own(path)?.filter(|row| row.entry.content.is_live()) else { continue };
            if let (Content::File { .. }, Some(facts)) = (&row.entry.content, row.facts) {
                gone.insert((facts.inode, facts.size, facts.mtime), (row.clone(), false));
            }
            absent_rows.push(row);
        }
        for seen in std::mem::take(&mut walking.fresh) {
            let key = (seen.facts.inode, seen.facts.size, seen.facts.mtime);
            let moved = gone.get_mut(&key).filter(|(_, taken)| !*taken);
            let Some((row, taken)) = moved else {
                self.read_later(seen.path, seen.facts.size);
                continue;
            };
            *taken = true;
            let before = self.index.own(&seen.path)?;
            let attributes = attributes_of(&seen.facts);
            let entry =
                observe(before.as_ref().map(|own| &own.entry), row.entry.content.clone(), attributes, author);
            rows.extend(entry.map(|entry| (seen.path, entry, Some(seen.facts))));
        }
        // From the inside to the outside, so that others can follow.
        absent_rows.sort_by(|a, b| b.path.cmp(&a.path));
        for row in absent_rows {
            let entry = self.gone_entry(&row)?;
            rows.extend(entry.map(|entry| (row.path, entry, None)));
        }
        self.write_own(&rows)?;
        self.end_look(walking)
    }

    fn gone_entry(&mut self, row: &Own) -> Result<Option<Entry>, KeeperError> {
        if self.looking.suspects.remove(&row.path) {
            self.lost()?;
            // What was lost with the machine's memory is nobody's wish: others bring it back.
            return Ok(observe_suspect(&row.entry, Content::Gone, Attributes::default(), self.author()));
        }
        Ok(observe(Some(&row.entry), Content::Gone, Attributes::default(), self.author()))
    }

    fn end_look(&mut self, mut walking: Walking) -> Result<(), KeeperError> {
        for seen in std::mem::take(&mut walking.fresh) {
            self.read_later(seen.path, seen.facts.size);
        }
        let scopes = &walking.scopes;
        let is_there = |path: &TreePath| scopes.iter().any(|scope| path == scope || path.is_beneath(scope));
        let is_over = |(about, path): &(&String, &Option<TreePath>)| {
            let is_seen = walking.is_full || path.as_ref().is_some_and(is_there);
            is_seen && !walking.troubles.contains_key(*about)
        };
        let over: Vec<String> =
            self.looking.troubles.iter().filter(is_over).map(|(about, _)| about.clone()).collect();
        for about in over {
            self.looking.troubles.remove(&about);
            self.no_trouble(&about);
        }
        if walking.is_full {
            self.looking.has_looked = true;
            // A suspect that was neither seen nor proven absent stays one.
            self.plans.retry_blocked();
            self.forget()?;
        }
        Ok(())
    }

    /// Forgets what nobody needs to know any more: deletions of very long ago, and lists of chunks of contents that nobody
    /// has.
    fn forget(&mut self) -> Result<(), KeeperError> {
        let now = self.author().seconds;
        self.write(|keeper| keeper.index.forget_gone(now).map(drop))?;
        self.write(|keeper| keeper.index.forget_chunks().map(drop))
    }

    /// These were read.
    pub(super) fn read(
        &mut self,
        found: BTreeMap<TreePath, Found>,
        unread: Vec<TreePath>,
        outcome: reading::Outcome,
    ) -> Result<(), KeeperError> {
        if let Err(error) = outcome {
            self.trouble("reading", chain(&error));
        }
        for path in unread {
            self.looking.reading.remove(&path);
            self.looking.look_again(path);
        }
        let mut rows = Vec::new();
        let mut looked = Vec::new();
        let mut lists = Vec::new();
        for (path, found) in found {
            let is_stale = self.looking.reading.remove(&path).unwrap_or(false);
            if is_stale {
                self.looking.look_at(path);
                continue;
            }
            let (content, attributes, facts) = match found {
                Found::File(contents) => {
                    let content = Content::File { size: contents.facts.size, hash: contents.hash };
                    let facts = contents.facts;
                    if !contents.chunks.is_empty() {
                        lists.push((contents.hash, contents.chunks));
                    }
                    (content, attributes_of(&facts), facts)
                }
                Found::Folder(facts) => (Content::Folder, Attributes::default(), facts),
                Found::Link(text, facts) => (Content::Link(text), Attributes::default(), facts),
                Found::Changing => {
                    self.looking.look_again(path);
                    continue;
                }
                Found::Nothing => {
                    self.looking.look_at(path);
                    continue;
                }
                Found::Other(kind) => {
                    self.trouble(path.as_str(), format!("{path} is {kind}, which is not carried"));
                    continue;
                }
                Found::TooLong(error) => {
                    self.trouble(path.as_str(), chain(&error));
                    continue;
                }
                Found::Trouble(error) => {
                    self.trouble(path.as_str(), chain(&error));
                    continue;
                }
            };
            self.no_trouble(path.as_str());
            let own = self.index.own(&path)?;
            let entry = own.as_ref().map(|own| &own.entry);
            let new = match entry {
                Some(entry) if self.looking.suspects.remove(&path) && entry.content != content => {
                    let entry = entry.clone();
                    self.lost()?;
                    observe_suspect(&entry, content, attributes, self.author())
                }
                entry => observe(entry, content, attributes, self.author()),
            };
            match new {
                Some(entry) => rows.push((path, entry, Some(facts))),
                None => looked.push((path, facts)),
            }
        }
        self.lists.extend(lists);
        if !looked.is_empty() {
            self.write(|keeper| {
                let looked = looked.iter();
                keeper.index.write(looked.map(|(path, facts)| Change::Looked { path, facts: Some(facts) }))
            })?;
        }
        log::debug!("read: {} changed, {} as they were", rows.len(), looked.len());
        self.write_own(&rows)?;
        // What waited for the read can go on.
        looked.iter().for_each(|(path, _)| self.plans.changed_here(path));
        Ok(())
    }

    /// Something in doubt was lost indeed: what this device said last may be known elsewhere.
    fn lost(&mut self) -> Result<(), KeeperError> {
        if !self.looking.renewed {
            self.looking.renewed = true;
            self.renew_device()?;
        }
        Ok(())
    }

    /// What this device said last may be lost here, and known elsewhere: it goes on under another name.
    pub(super) fn renew_device(&mut self) -> Result<(), KeeperError> {
        let bits = entropy::seed().unwrap_or_else(|_| self.looking.rng.u64(..));
        self.write(|keeper| keeper.index.renew(Device::from_bits(bits)))?;
        log::warn!("this folder goes on as device {}", self.index.device());
        self.context.progress.set_device(self.index.device());
        self.links.close_all(crate::wire::ensemble::Reason::Renew);
        Ok(())
    }
}

/// Whether what is seen is what the row says, as far as it shows without reading.
fn is_as_known(row: &Own, seen: &Seen) -> bool {
    match (&row.entry.content, &seen.what) {
        (Content::Folder, What::Folder) => true,
        (Content::Link(text), What::Link(seen)) => text == seen,
        (Content::File { .. }, What::File) => row.facts == Some(seen.facts),
        _ => false,
    }
}

fn attributes_of(facts: &Facts) -> Attributes {
    Attributes { mtime: facts.mtime, executable: facts.mode & 0o100 != 0 }
}

/// Those that are not beneath another one.
fn outermost(paths: BTreeSet<TreePath>) -> Vec<TreePath> {
    let mut kept: Vec<TreePath> = Vec::new();
    for path in paths {
        if kept.last().is_none_or(|last| !path.is_beneath(last)) {
            kept.push(path);
        }
    }
    kept
}

fn elsewhere(standing: Standing, path: &std::path::Path) -> String {
    let path = path.display().to_string();
    let path = crate::text::Escaped(&path);
    match standing {
        Standing::Missing => format!("{path} is not there: nothing is changed anywhere until it is back"),
        Standing::Another => format!(
            "{path} is another folder than the one that was opened: nothing is changed anywhere until that one is back"
        ),
        Standing::Unmarked | Standing::There { .. } => format!(
            "the marker in {path}/.orchestra is gone: nothing is changed anywhere; stop this program and begin anew"
        ),
    }
}
