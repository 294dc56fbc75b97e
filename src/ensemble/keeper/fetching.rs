//! Contents come from others, or from what is here already.
//!
//! Short contents are asked for many at a time, wherever they are. A longer one first gets its list of chunks, then
//! what other files here have of it, and the rest from all who have it, also from those who are still fetching it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::{Keeper, KeeperError};
use crate::ensemble::link::{Asked, Landed, LinkId, Place};
use crate::ensemble::preparer::{self, Prepared};
use crate::entry::chunk::makes_content;
use crate::entry::{Chunk, ContentHash, Device, TreePath};
use crate::host::clock;
use crate::host::folder::content::chunks_max;
use crate::host::folder::facts::Facts;
use crate::host::folder::index::Change;
use crate::host::folder::reuse::Local;
use crate::host::folder::temp::Temp;
use crate::host::folder::{FolderError, Trouble};
use crate::limits::{
    FETCH_SLICES_MAX, HAVINGS_MAX, LACKED_MAX, LACKED_SPAN, LONG_MAX, SHORT_LOOK, WHOLE_LEN_MAX,
};
use crate::logic::sync::difference;
use crate::logic::sync::gather::Gather;
use crate::text::chain;
use crate::time::Moment;
use crate::wire::ensemble::{ChunkPage, Describe, Having, Message};

/// What is on its way.
pub(super) struct Arrivals {
    pub(super) short: BTreeMap<ContentHash, Short>,
    /// Short ones that nobody was asked for yet.
    queue: VecDeque<ContentHash>,
    pub(super) long: BTreeMap<ContentHash, Long>,
    /// Paths of long ones that wait until others are done.
    later: BTreeSet<TreePath>,
    jobs: VecDeque<preparer::Order>,
    /// Who was asked for a content in vain, or for its list, since it said last that it has it.
    lacked: BTreeMap<ContentHash, BTreeSet<Device>>,
    /// Since when one of them is remembered.
    lacked_since: Option<Moment>,
    seed: u64,
}

/// A content that is one chunk.
pub(super) struct Short {
    pub(super) size: u32,
    paths: Vec<TreePath>,
    /// Who has it, and was not asked in vain.
    pub(super) holders: Vec<Device>,
    /// Of whom, and when.
    pub(super) asked: Option<(LinkId, Moment)>,
}

/// A content of many chunks.
pub(super) struct Long {
    size: u64,
    paths: Vec<TreePath>,
    /// What is at its path now, and its list, if it has one.
    base: Option<(ContentHash, Vec<Chunk>)>,
    pub(super) holders: Vec<Device>,
    /// What of the list has come.
    list: Vec<Chunk>,
    pub(super) state: State,
    /// Members that sent some of it, as people call them.
    from: BTreeSet<String>,
}

pub(super) enum State {
    /// The list is on its way, or nobody who is there has it.
    Listing(Option<LinkId>),
    /// What is here is gathered.
    Preparing,
    /// The rest is on its way.
    Fetching {
        temp: Arc<Temp>,
        gather: Gather,
        /// Chunks that came and that others were not told of.
        news: Vec<usize>,
    },
    /// Everything came.
    Finishing,
}

impl Arrivals {
    pub(super) fn new(seed: u64) -> Arrivals {
        Arrivals {
            short: BTreeMap::new(),
            queue: VecDeque::new(),
            long: BTreeMap::new(),
            later: BTreeSet::new(),
            jobs: VecDeque::new(),
            lacked: BTreeMap::new(),
            lacked_since: None,
            seed,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !(self.short.is_empty() && self.long.is_empty() && self.later.is_empty() && self.jobs.is_empty())
    }

    /// This device was asked for a content in vain.
    fn lacks(&mut self, content: ContentHash, device: Option<Device>) {
        self.lacked_since.get_or_insert_with(clock::now);
        if self.lacked.len() >= LACKED_MAX {
            self.lacked.pop_first();
        }
        self.lacked.entry(content).or_default().extend(device);
    }

    /// Whether it was time to forget who was asked in vain: perhaps they could not read it just then.
    pub(super) fn forgets_lacking(&mut self, now: Moment) -> bool {
        let is_due = self.lacked_since.take_if(|since| now.since(*since) >= LACKED_SPAN).is_some();
        if is_due {
            self.lacked.clear();
        }
        is_due
    }

    /// Those of the devices that were not asked for this content in vain.
    fn not_lacking(&self, content: ContentHash, mut devices: Vec<Device>) -> Vec<Device> {
        if let Some(lacking) = self.lacked.get(&content) {
            devices.retain(|device| !lacking.contains(device));
        }
        devices
    }

    /// A path does not need this content any more.
    pub(super) fn unwant(&mut self, content: ContentHash, path: &TreePath) {
        self.later.remove(path);
        if let Some(short) = self.short.get_mut(&content) {
            short.paths.retain(|other| other != path);
        }
        if let Some(long) = self.long.get_mut(&content) {
            long.paths.retain(|other| other != path);
            // What came stays on the disk, for the next one that needs it.
            if long.paths.is_empty() && !matches!(long.state, State::Preparing | State::Finishing) {
                self.long.remove(&content);
            }
        }
    }
}

impl Keeper {
    /// A path needs this content. False if nobody who is there has it.
    pub(super) fn want(
        &mut self,
        path: &TreePath,
        content: ContentHash,
        size: u64,
        base: Option<ContentHash>,
        mut holders: Vec<Device>,
    ) -> Result<bool, KeeperError> {
        if let Some(short) = self.arrivals.short.get_mut(&content) {
            short.paths.push(path.clone());
            return Ok(true);
        }
        if let Some(long) = self.arrivals.long.get_mut(&content) {
            long.paths.push(path.clone());
            return Ok(true);
        }
        let local =
            self.index.own_with(content)?.into_iter().find(|own| own.facts.is_some()).map(|own| own.path);
        holders = self.arrivals.not_lacking(content, holders);
        if !self.links.any_of(&holders) {
            // Under another path, perhaps.
            holders = self.arrivals.not_lacking(content, self.index.holders(content)?);
        }
        let is_held = self.links.any_of(&holders);
        if local.is_none() && !is_held {
            return Ok(false);
        }
        let paths = vec![path.clone()];
        if size <= WHOLE_LEN_MAX {
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            let short = Short { size, paths, holders, asked: None };
            self.arrivals.short.insert(content, short);
            match local {
                Some(path) => {
                    self.arrivals.jobs.push_back(preparer::Order::Copy { content, size: size.into(), path });
                }
                None => self.arrivals.queue.push_back(content),
            }
            return Ok(true);
        }
        if self.arrivals.long.len() >= LONG_MAX {
            self.arrivals.later.insert(path.clone());
            return Ok(true);
        }
        // Only of a list that is here can others tell the difference.
        let base = match base {
            Some(base) => self.list_of(base)?.map(|list| (base, list)),
            None => None,
        };
        let list = self.list_of(content)?;
        let known = list.is_some();
        let state = State::Listing(None);
        let list = list.unwrap_or_default();
        self.arrivals
            .long
            .insert(content, Long { size, paths, base, holders, list, state, from: BTreeSet::new() });
        if known {
            self.listed(content)?;
        }
        Ok(true)
    }

    /// Asks for what is to be fetched, as much as each link takes.
    pub(super) fn fetch(&mut self, now: Moment) -> Result<(), KeeperError> {
        while let Some(job) = self.arrivals.jobs.pop_front() {
            if self.hands.preparer.is_busy() {
                self.arrivals.jobs.push_front(job);
                break;
            }
            self.hands.preparer.order(job);
        }
        if self.arrivals.long.len() < LONG_MAX {
            let free = LONG_MAX - self.arrivals.long.len();
            for _ in 0..free {
                let Some(path) = self.arrivals.later.pop_first() else { break };
                self.plans.release(&path);
                self.look_if_glimpsed(&path);
            }
        }
        self.ask_for_lists();
        for id in self.links.up() {
            while let Some(room) = self.links.room(id) {
                let asked = self.choose(id, room, now);
                if asked.is_empty() || !self.links.ask(id, asked, now) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What to ask of a link next, about so many bytes.
    fn choose(&mut self, id: LinkId, room: u64, now: Moment) -> Vec<Asked> {
        let Some(device) = self.links.device(id) else { return Vec::new() };
        let mut asked = Vec::new();
        let mut bytes = 0;
        let arrivals = &mut self.arrivals;
        let mut looks = arrivals.queue.len().min(SHORT_LOOK);
        while looks > 0 && asked.len() < FETCH_SLICES_MAX && bytes < room {
            looks -= 1;
            let Some(content) = arrivals.queue.pop_front() else { break };
            // It may be in the queue from before it was given up.
            let short = arrivals.short.get_mut(&content).filter(|short| short.asked.is_none());
            let Some(short) = short else { continue };
            if !short.holders.contains(&device) {
                arrivals.queue.push_back(content);
                continue;
            }
            short.asked = Some((id, now));
            bytes += u64::from(short.size);
            asked.push(Asked::short(content, short.size));
        }
        for (&content, long) in &mut arrivals.long {
            let State::Fetching { temp, gather, .. } = &mut long.state else { continue };
            while asked.len() < FETCH_SLICES_MAX && bytes < room {
                let Some(at) = gather.next(id.0, now) else { break };
                bytes += u64::from(temp.chunks()[at].len);
                asked.push(Asked::chunk(content, temp, at));
            }
        }
        asked
    }

    fn ask_for_lists(&mut self) {
        for (&content, long) in &mut self.arrivals.long {
            let State::Listing(link @ None) = &mut long.state else { continue };
            let Some(id) = self.links.one_of(&long.holders) else { continue };
            let from = u32::try_from(long.list.len()).unwrap_or(u32::MAX);
            let base = long.base.as_ref().map(|(base, _)| *base);
            let describe = Describe { content, base, from };
            if self.links.say(id, Message::Describe(describe)) {
                *link = Some(id);
            }
        }
    }

    /// A page of a list came.
    pub(super) fn page_came(&mut self, id: LinkId, page: &ChunkPage) -> Result<(), KeeperError> {
        let Some(long) = self.arrivals.long.get_mut(&page.content) else { return Ok(()) };
        if !matches!(&long.state, State::Listing(Some(link)) if *link == id)
            || page.from as usize != long.list.len()
        {
            return Ok(());
        }
        let base = long.base.as_ref().map_or(&[][..], |(_, list)| list);
        let total = page.total as usize;
        let rest = total.checked_sub(long.list.len()).filter(|_| total <= chunks_max(long.size));
        let chunks = rest.and_then(|rest| difference::chunks(&page.pieces, base, rest)).unwrap_or_default();
        let is_lie = chunks.is_empty();
        long.list.extend(chunks);
        let is_whole = !is_lie && long.list.len() == total;
        if is_lie || is_whole && !makes_content(&long.list, page.content, long.size) {
            // It does not have it any more, or says what is not so.
            long.list.clear();
            let device = self.links.device(id);
            long.holders.retain(|holder| Some(*holder) != device);
            long.state = State::Listing(None);
            self.arrivals.lacks(page.content, device);
            self.give_up_unheld(page.content);
        } else if is_whole {
            self.listed(page.content)?;
        } else {
            long.state = State::Listing(None);
        }
        Ok(())
    }

    /// The list of a content is here: what we have of it is gathered.
    fn listed(&mut self, content: ContentHash) -> Result<(), KeeperError> {
        let Some(long) = self.arrivals.long.get_mut(&content) else { return Ok(()) };
        long.state = State::Preparing;
        let (size, list, base) = (long.size, long.list.clone(), long.base.take());
        self.lists.insert(content, list.clone());
        // What is read from a file of which it is known what is in it is not compared; of what is only said to be there
        // nothing is sure.
        let mut sources: HashMap<ContentHash, (TreePath, Option<Facts>, u64)> = HashMap::new();
        let base = base.as_ref().map(|(base, list)| (*base, list));
        for (known, chunks) in [Some((content, &list)), base].into_iter().flatten() {
            let Some(own) = self.index.own_with(known)?.into_iter().find(|own| own.facts.is_some()) else {
                continue;
            };
            let mut offset = 0;
            for chunk in chunks {
                sources.entry(chunk.hash).or_insert_with(|| (own.path.clone(), own.facts, offset));
                offset += u64::from(chunk.len);
            }
        }
        let mut local: Vec<Local> = Vec::new();
        let mut lens = 0;
        for (at, chunk) in list.iter().enumerate() {
            let place = match sources.get(&chunk.hash) {
                Some(place) => Some(place.clone()),
                None => {
                    self.index.places(chunk.hash, 1)?.into_iter().next().map(|(path, at)| (path, None, at))
                }
            };
            let Some((path, facts, offset)) = place else { continue };
            match local.last_mut() {
                Some(last) if last.chunks.end == at && last.path == path && last.offset + lens == offset => {
                    last.chunks.end += 1;
                    lens += u64::from(chunk.len);
                }
                _ => {
                    local.push(Local { chunks: at..at + 1, path, facts, offset });
                    lens = chunk.len.into();
                }
            }
        }
        log::debug!("content {content}: {} chunks, {} runs of them may be here", list.len(), local.len());
        self.arrivals.jobs.push_back(preparer::Order::Begin { content, size, chunks: list, local });
        Ok(())
    }

    /// The preparer is done with a content.
    pub(super) fn prepared(&mut self, content: ContentHash, prepared: Prepared) -> Result<(), KeeperError> {
        match prepared {
            Prepared::Begun(temp) => self.begun(content, temp)?,
            Prepared::Whole(whole) => {
                let (paths, from) =
                    match (self.arrivals.short.remove(&content), self.arrivals.long.remove(&content)) {
                        (Some(short), _) => (short.paths, BTreeSet::new()),
                        (None, Some(long)) => (long.paths, long.from),
                        (None, None) => return Ok(()),
                    };
                let from: Vec<String> = from.into_iter().collect();
                self.deliver(paths, whole, &from)?;
            }
            Prepared::NotThere => {
                if self.arrivals.short.contains_key(&content) {
                    self.arrivals.queue.push_back(content);
                    self.give_up_unheld(content);
                }
            }
            Prepared::Trouble(error) => self.not_prepared(content, &error),
        }
        Ok(())
    }

    fn begun(&mut self, content: ContentHash, temp: Arc<Temp>) -> Result<(), KeeperError> {
        let Some(long) = self.arrivals.long.get_mut(&content) else { return Ok(()) };
        if long.paths.is_empty() {
            self.arrivals.long.remove(&content);
            return Ok(());
        }
        let seed = self.arrivals.seed;
        let mut gather = Gather::new(temp.chunks().len(), |at| temp.has(at), seed);
        if gather.missing() == 0 {
            long.state = State::Finishing;
            self.arrivals.jobs.push_back(preparer::Order::Finish { content, temp });
            return Ok(());
        }
        for id in self.links.up() {
            if self.links.device(id).is_some_and(|device| long.holders.contains(&device)) {
                gather.holds_all(id.0);
            }
            for &(first, count) in self.links.having(id, content) {
                gather.holds(id.0, first as usize, count as usize);
            }
        }
        log::debug!("content {content}: {} chunks are to be fetched", gather.missing());
        let news = (0..temp.chunks().len()).filter(|&at| temp.has(at)).collect();
        long.state = State::Fetching { temp, gather, news };
        Ok(())
    }

    fn not_prepared(&mut self, content: ContentHash, error: &FolderError) {
        self.make_room_for(error);
        let short = self.arrivals.short.remove(&content).map(|short| short.paths);
        let paths =
            short.or_else(|| self.arrivals.long.remove(&content).map(|long| long.paths)).unwrap_or_default();
        for path in &paths {
            self.trouble(path.as_str(), format!("{path}: {}", chain(error)));
        }
        self.undeliver(paths, true);
    }

    /// These came over a link.
    pub(super) fn landed(&mut self, id: LinkId, landed: Vec<Landed>, now: Moment) -> Result<(), KeeperError> {
        let label = self.links.label(id);
        for landed in landed {
            self.links.answered(id, now);
            match landed {
                Landed::Short(content, whole) => {
                    let Some(short) = self.arrivals.short.remove(&content) else { continue };
                    self.deliver(short.paths, whole, std::slice::from_ref(&label))?;
                }
                Landed::Chunk(content, at) => {
                    let Some(long) = self.arrivals.long.get_mut(&content) else { continue };
                    let State::Fetching { gather, news, .. } = &mut long.state else { continue };
                    gather.came(at);
                    news.push(at);
                    if !long.from.contains(&label) {
                        long.from.insert(label.clone());
                    }
                    if gather.missing() == 0 {
                        self.finish(content);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, content: ContentHash) {
        let Some(long) = self.arrivals.long.get_mut(&content) else { return };
        if let State::Fetching { temp, .. } = std::mem::replace(&mut long.state, State::Finishing) {
            self.arrivals.jobs.push_back(preparer::Order::Finish { content, temp });
        }
    }

    /// This was asked of a link, and is not to be had there.
    pub(super) fn lacking(&mut self, id: LinkId, asked: &Asked, now: Moment) {
        self.links.answered(id, now);
        let content = asked.slice.content;
        let device = self.links.device(id);
        self.arrivals.lacks(content, device);
        match &asked.place {
            Place::Short => {
                let Some(short) = self.arrivals.short.get_mut(&content) else { return };
                short.holders.retain(|holder| Some(*holder) != device);
                // Somebody else may have been asked meanwhile.
                if short.asked.take_if(|(asked, _)| *asked == id).is_some() {
                    self.arrivals.queue.push_back(content);
                }
                self.give_up_unheld(content);
            }
            Place::Chunk(_, at) => {
                let Some(long) = self.arrivals.long.get_mut(&content) else { return };
                if let State::Fetching { gather, .. } = &mut long.state {
                    gather.lacking(id.0, *at);
                }
                self.give_up_unheld(content);
            }
        }
    }

    /// What came could not be written.
    pub(super) fn not_stored(&mut self, id: LinkId, error: &FolderError, asked: &Asked, now: Moment) {
        self.links.answered(id, now);
        let content = asked.slice.content;
        if let Some(short) = self.arrivals.short.get_mut(&content) {
            short.asked = None;
        }
        if matches!(error.trouble, Trouble::Full) {
            self.trouble("disk", chain(error));
        }
        self.not_prepared(content, error);
    }

    /// Whether anybody who is there has it still; if not, its paths wait.
    fn give_up_unheld(&mut self, content: ContentHash) {
        if let Some(short) = self.arrivals.short.get(&content)
            && short.asked.is_none()
            && !self.links.any_of(&short.holders)
        {
            let paths = self.arrivals.short.remove(&content).map(|short| short.paths).unwrap_or_default();
            self.undeliver(paths, false);
        }
        if let Some(long) = self.arrivals.long.get(&content) {
            let is_held = match &long.state {
                State::Listing(link) => link.is_some() || self.links.any_of(&long.holders),
                State::Fetching { gather, .. } => gather.has_sources(),
                State::Preparing | State::Finishing => true,
            };
            if !is_held {
                let paths = self.arrivals.long.remove(&content).map(|long| long.paths).unwrap_or_default();
                self.undeliver(paths, false);
            }
        }
    }

    /// A link is gone, and what was asked there will not come.
    pub(super) fn fetch_elsewhere(&mut self, id: LinkId) {
        let mut contents = Vec::new();
        for (&content, short) in &mut self.arrivals.short {
            if short.asked.is_some_and(|(asked, _)| asked == id) {
                short.asked = None;
                self.arrivals.queue.push_back(content);
            }
            contents.push(content);
        }
        for (&content, long) in &mut self.arrivals.long {
            match &mut long.state {
                State::Listing(link) if *link == Some(id) => {
                    long.list.clear();
                    *link = None;
                }
                State::Fetching { gather, .. } => gather.gone(id.0),
                _ => {}
            }
            contents.push(content);
        }
        contents.into_iter().for_each(|content| self.give_up_unheld(content));
    }

    /// A link is up, or its device has something new: it can be asked.
    pub(super) fn fetch_also(
        &mut self,
        id: LinkId,
        contents: Option<&BTreeSet<ContentHash>>,
    ) -> Result<(), KeeperError> {
        let Some(device) = self.links.device(id) else { return Ok(()) };
        for (_, lacking) in self
            .arrivals
            .lacked
            .iter_mut()
            .filter(|(content, _)| contents.is_none_or(|told| told.contains(content)))
        {
            lacking.remove(&device);
        }
        let is_meant = |content: &ContentHash| contents.is_none_or(|contents| contents.contains(content));
        let on_the_way: Vec<ContentHash> =
            self.arrivals.long.keys().chain(self.arrivals.short.keys()).copied().filter(is_meant).collect();
        for content in on_the_way {
            if !self.index.holders(content)?.contains(&device) {
                continue;
            }
            if let Some(short) = self.arrivals.short.get_mut(&content)
                && !short.holders.contains(&device)
            {
                short.holders.push(device);
            }
            if let Some(long) = self.arrivals.long.get_mut(&content) {
                if !long.holders.contains(&device) {
                    long.holders.push(device);
                }
                if let State::Fetching { gather, .. } = &mut long.state {
                    gather.holds_all(id.0);
                }
            }
        }
        Ok(())
    }

    /// Somebody who is still fetching it has these chunks.
    pub(super) fn others_have(&mut self, id: LinkId, having: Having) {
        if let Some(long) = self.arrivals.long.get_mut(&having.content)
            && let State::Fetching { gather, .. } = &mut long.state
        {
            having.runs.iter().for_each(|&(first, count)| gather.holds(id.0, first as usize, count as usize));
        }
        self.links.note_having(id, having, HAVINGS_MAX);
    }

    /// The chunks of a content, if they are known.
    pub(super) fn list_of(&self, content: ContentHash) -> Result<Option<Vec<Chunk>>, KeeperError> {
        match self.lists.get(&content) {
            Some(list) => Ok(Some(list.clone())),
            None => Ok(self.index.chunks(content)?),
        }
    }

    /// Writes the lists that are not in the index yet: before the first row of their contents, and when there is time.
    pub(super) fn write_lists(&mut self) -> Result<(), KeeperError> {
        if !self.lists.is_empty() {
            self.write(|keeper| {
                let lists = &keeper.lists;
                keeper.index.write(lists.iter().map(|(&content, chunks)| Change::Chunks { content, chunks }))
            })?;
            self.lists.clear();
        }
        Ok(())
    }
}
