//! Who is there, and what is told to whom.

mod telling;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};

use super::{Keeper, KeeperError};
use crate::ensemble::link::{self, Asked, Fact, LinkEnd, LinkId, Outgoing, Shared};
use crate::ensemble::progress::Neighbour;
use crate::entry::{ContentHash, Device};
use crate::host::clock;
use crate::host::thread::Thread;
use crate::limits::{
    ADDRESSES_MAX, DIALS_MAX, FETCH_SLICES_MAX, LINKS_PER_MEMBER_MAX, RENEW_PAUSE, ROSTER_MAX,
    ROSTER_NEWS_MAX, ROSTER_NEWS_SPAN, SLICES_OWED_MAX,
};
use crate::logic::addresses::{Addresses, Source, source_of};
use crate::logic::named::{Cause, Named};
use crate::logic::ration::Rations;
use crate::logic::remembered::Remembered;
use crate::logic::swarm::{self, Knock, Room, Seat};
use crate::logic::window::Window;
use crate::stream::{Role, StreamError};
use crate::text::{Escaped, chain};
use crate::time::Moment;
use crate::wire::ensemble::{Follow, Having, Hello, Message, Reason, State};

/// All links, and where others may be.
pub(in crate::ensemble) struct Links {
    links: BTreeMap<LinkId, Link>,
    next: u64,
    addresses: Addresses,
    remembered: Remembered,
    named: Named,
    /// What was told of it last.
    told: Vec<String>,
    /// Members that said before they left that all was in unison, by device.
    satisfied: BTreeMap<Device, State>,
    /// When our device was renewed last because of what another member said.
    renewed: Option<Moment>,
}

struct Link {
    shared: Arc<Shared>,
    thread: Thread,
    dialled: Option<SocketAddr>,
    remote: SocketAddr,
    /// Since its hello.
    met: Option<Met>,
}

/// What is known of a link after its hello.
struct Met {
    hello: Hello,
    queue: Sender<Outgoing>,
    /// Where the other side listens.
    listens: Option<SocketAddr>,
    /// Up to which sequence number it was told our entries; none before it asked.
    told: Option<u64>,
    /// A batch of entries is on its way to the socket.
    telling: bool,
    /// Up to which sequence number we heard its entries.
    heard: u64,
    state: Option<State>,
    said: Option<(State, Moment)>,
    window: Window,
    asked: VecDeque<(Moment, u32)>,
    asked_bytes: u64,
    having: BTreeMap<ContentHash, Vec<(u32, u32)>>,
    /// How many addresses that we did not know it may tell of.
    news: Rations<1>,
}

impl Links {
    pub(in crate::ensemble) fn new(seed: u64, remembered: Remembered) -> Links {
        let mut addresses = Addresses::new(fastrand::Rng::with_seed(seed));
        for address in remembered.addresses() {
            addresses.learn(clock::now(), address, Source::Remembered, Duration::ZERO);
        }
        Links {
            links: BTreeMap::new(),
            next: 0,
            addresses,
            remembered,
            named: Named::default(),
            told: Vec::new(),
            satisfied: BTreeMap::new(),
            renewed: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    pub(super) fn learn(&mut self, address: SocketAddr, source: Source) {
        self.addresses.learn(clock::now(), address, source, Duration::ZERO);
    }

    /// What the user named is there, or nobody knows where.
    pub(super) fn named(&mut self, name: &str, found: Result<Vec<SocketAddr>, String>) {
        match found {
            Ok(addresses) => {
                let was_reached = addresses.iter().any(|&address| self.remembered.is_known(address));
                self.named.found(name, &addresses, was_reached);
                addresses.into_iter().for_each(|address| self.learn(address, Source::User));
            }
            Err(why) => self.named.is_wrong(clock::now(), name, why),
        }
    }

    /// What of that cannot be reached, as far as the user should know while the member runs.
    pub(super) fn told_of_named(&mut self, now: Moment) -> Vec<String> {
        let told = self.named.told(now);
        told.iter().filter(|text| !self.told.contains(text)).for_each(|text| log::warn!("{text}"));
        self.told.clone_from(&told);
        told
    }

    /// All of it that is not reached.
    pub(super) fn unreached(&self) -> Vec<String> {
        self.named.unreached()
    }

    /// A member says that others listen there. Most of it we know; for what is new we dial, so that is rationed.
    fn told_of(&mut self, id: LinkId, addresses: Vec<SocketAddr>, now: Moment) {
        let Some(met) = self.links.get_mut(&id).and_then(|link| link.met.as_mut()) else { return };
        met.news.turn_page(now);
        for address in addresses {
            if !self.addresses.is_known(address) {
                let was_enough = met.news.deadline().is_some();
                if !met.news.take(0) {
                    if !was_enough {
                        log::info!("link {} tells of too many addresses; no more are looked at now", id.0);
                    }
                    continue;
                }
            }
            self.addresses.learn(now, address, Source::Member, Duration::ZERO);
        }
    }

    fn met(&self, id: LinkId) -> Option<&Met> {
        self.links.get(&id)?.met.as_ref()
    }

    fn met_mut(&mut self, id: LinkId) -> Option<&mut Met> {
        self.links.get_mut(&id)?.met.as_mut()
    }

    /// All links that said hello.
    pub(super) fn up(&self) -> Vec<LinkId> {
        let met = self.links.iter().filter(|(_, link)| link.met.is_some());
        met.map(|(&id, _)| id).collect()
    }

    pub(super) fn device(&self, id: LinkId) -> Option<Device> {
        self.met(id).map(|met| met.hello.device)
    }

    /// All links that said hello and are not on their way out. Of those of one source, the latest gives way first.
    fn seats(&self) -> Vec<Seat<LinkId, Reverse<LinkId>>> {
        let lasting = self.links.iter().filter(|(_, link)| link.met.is_some() && !link.shared.is_closing());
        let seat = |(&id, link): (&LinkId, &Link)| Seat {
            id,
            dialled: link.dialled.is_some(),
            keyed: true,
            source: source_of(link.remote.ip()),
            worth: Reverse(id),
        };
        lasting.map(seat).collect()
    }

    /// Whom to dial next.
    fn next_due(&mut self, now: Moment) -> Option<SocketAddr> {
        let here: BTreeSet<Device> = self.up().into_iter().filter_map(|id| self.device(id)).collect();
        let is_here = |device| here.contains(&device);
        let remembered = &self.remembered;
        self.addresses.next_due_of(now, |address| !remembered.is_needless(address, now, is_here))
    }

    /// Where others were reached, if that is to be written down.
    pub(super) fn news_of_places(&mut self, now: Moment) -> Option<String> {
        let wall = clock::wall();
        for link in self.links.values() {
            if let (Some(address), Some(met)) = (link.dialled, &link.met) {
                self.remembered.reached(address, met.hello.device, now, wall);
            }
        }
        self.remembered.news()
    }

    /// How people call whoever is at the other end.
    pub(super) fn label(&self, id: LinkId) -> String {
        self.met(id).map(|met| met.hello.label.clone()).unwrap_or_default()
    }

    pub(super) fn one_of(&self, devices: &[Device]) -> Option<LinkId> {
        self.up().into_iter().find(|&id| self.device(id).is_some_and(|device| devices.contains(&device)))
    }

    pub(super) fn any_of(&self, devices: &[Device]) -> bool {
        self.one_of(devices).is_some()
    }

    /// Those that were asked for nothing that has not come.
    pub(super) fn idle(&self) -> Vec<LinkId> {
        let is_idle = |id: &LinkId| self.met(*id).is_some_and(|met| met.asked.is_empty());
        self.up().into_iter().filter(is_idle).collect()
    }

    /// How many bytes a second a link brought of late; 0 if that is not known.
    pub(super) fn rate(&self, id: LinkId) -> u64 {
        self.met(id).map_or(0, |met| met.window.rate())
    }

    /// How many bytes more may be asked of a link now.
    pub(super) fn room(&self, id: LinkId) -> Option<u64> {
        let met = self.met(id)?;
        let has_room = met.asked.len() + FETCH_SLICES_MAX <= SLICES_OWED_MAX;
        met.window.bytes().checked_sub(met.asked_bytes).filter(|&room| room > 0 && has_room)
    }

    pub(super) fn ask(&mut self, id: LinkId, asked: Vec<Asked>, now: Moment) -> bool {
        let Some(met) = self.met_mut(id) else { return false };
        if met.asked.is_empty() {
            met.window.resumed(now);
        }
        for asked in &asked {
            met.asked.push_back((now, asked.slice.len));
            met.asked_bytes += u64::from(asked.slice.len);
        }
        self.send(id, Outgoing::Ask(asked))
    }

    /// The next thing that was asked of a link came, or will not.
    pub(super) fn answered(&mut self, id: LinkId, now: Moment) {
        let Some(met) = self.met_mut(id) else { return };
        let Some((at, len)) = met.asked.pop_front() else { return };
        met.asked_bytes = met.asked_bytes.saturating_sub(len.into());
        met.window.answered(now, len.into(), now.since(at));
    }

    pub(super) fn say(&mut self, id: LinkId, message: Message) -> bool {
        self.send(id, Outgoing::Say(message))
    }

    /// Gives a link's writer an order. A full queue means that the other side asked for more than it reads.
    fn send(&mut self, id: LinkId, order: Outgoing) -> bool {
        let Some(link) = self.links.get(&id) else { return false };
        let Some(met) = &link.met else { return false };
        match met.queue.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                link.shared.cut();
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    pub(super) fn having(&self, id: LinkId, content: ContentHash) -> &[(u32, u32)] {
        self.met(id).and_then(|met| met.having.get(&content)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn note_having(&mut self, id: LinkId, having: Having, most: usize) {
        let Some(met) = self.met_mut(id) else { return };
        while met.having.len() >= most && !met.having.contains_key(&having.content) {
            met.having.pop_first();
        }
        let runs = met.having.entry(having.content).or_default();
        runs.extend(having.runs);
        // Many small additions: what is left out is asked of somebody else.
        runs.truncate(crate::limits::HAVE_RUNS_MAX);
    }

    /// Who is there, for people.
    pub(super) fn neighbours(&self) -> Vec<Neighbour> {
        let met = self.links.values().filter_map(|link| Some((link.met.as_ref()?, link.remote)));
        met.map(|(met, remote)| Neighbour {
            label: met.hello.label.clone(),
            address: met.listens.unwrap_or(remote).to_string(),
            behind: met.state.map_or(0, |state| state.behind),
        })
        .collect()
    }

    /// Whether everybody who is there has heard all of ours, we theirs, and they have nothing to do.
    pub(super) fn are_united(&self, last: u64) -> bool {
        self.links.values().filter_map(|link| link.met.as_ref()).all(|met| met.is_united(last))
    }

    /// Whether so many others are there, or left when all was in unison.
    pub(super) fn has_met(&self, expected: usize) -> bool {
        let here: BTreeSet<Device> =
            self.links.values().filter_map(|link| Some(link.met.as_ref()?.hello.device)).collect();
        let left = self.satisfied.keys().filter(|device| !here.contains(device)).count();
        here.len() + left >= expected
    }

    pub(super) fn close_all(&mut self, reason: Reason) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.close(id, reason);
        }
    }

    fn close(&mut self, id: LinkId, reason: Reason) {
        let Some(link) = self.links.get(&id) else { return };
        link.shared.close();
        if link.met.is_none() || !self.send(id, Outgoing::Close(reason)) {
            self.links[&id].shared.cut();
        }
    }

    /// Ends all links at once.
    pub(super) fn cut_all(&mut self) -> Vec<Thread> {
        let links = std::mem::take(&mut self.links);
        links.values().for_each(|link| link.shared.cut());
        links.into_values().map(|link| link.thread).collect()
    }
}

/// Why nobody was reached at an address that was dialled, and what to do; nothing if we gave up.
fn why_not_reached(address: SocketAddr, end: &LinkEnd) -> Option<(Cause, String)> {
    use std::io::ErrorKind;
    let reason = match end {
        LinkEnd::Stream(StreamError::Dial(error)) => {
            let what_to_do = match error.io().kind() {
                ErrorKind::Interrupted => return None,
                ErrorKind::ConnectionRefused => "is `ensemble` running there, on this port?",
                _ => "is it on, and does its firewall let this port through?",
            };
            return Some((Cause::Away, format!("{}; {what_to_do}", chain(error))));
        }
        // Whoever has another key is told nothing, not even that.
        LinkEnd::Stream(StreamError::Gone | StreamError::Socket(_)) => {
            "hung up: it has another key, or is no ensemble; compare `ensemble key` on both computers, and the port"
        }
        LinkEnd::Stream(StreamError::Wire(_) | StreamError::OtherKey | StreamError::Late)
        | LinkEnd::Late
        | LinkEnd::Fault(_) => "is no ensemble; check the port",
        LinkEnd::Bye(_) => return Some((Cause::Refused, format!("{address} wants no link now"))),
        _ => return None,
    };
    Some((Cause::Stranger, format!("{address} {reason}")))
}

impl Met {
    fn is_united(&self, last: u64) -> bool {
        let has_said =
            |(said, _): (State, Moment)| said.last == last && said.heard == self.heard && said.is_done();
        self.told == Some(last)
            && self.said.is_some_and(has_said)
            && self
                .state
                .is_some_and(|state| state.heard == last && state.last == self.heard && state.is_done())
    }
}

impl Keeper {
    /// Somebody dials us.
    pub(super) fn knocked(&mut self, stream: TcpStream, remote: SocketAddr) {
        let waits = |link: &Link| link.met.is_none() && link.dialled.is_none() && !link.shared.is_cut();
        let pending = self.links.links.iter().filter(|(_, link)| waits(link));
        let pending = pending.map(|(id, link)| (swarm::LinkId(id.0), link.remote.ip()));
        match swarm::may_knock(remote.ip(), pending, self.links.links.len()) {
            Knock::Welcome => {}
            Knock::InsteadOf(id) => self.links.links[&LinkId(id.0)].shared.cut(),
            Knock::Refused => return,
        }
        self.start_link(Role::Accept(stream, remote), None);
    }

    /// Dials who is due.
    pub(super) fn dial(&mut self, now: Moment) {
        let seats = self.links.seats();
        let (links, dialled) = (seats.len(), seats.iter().filter(|seat| seat.dialled).count());
        loop {
            let dials = self.links.addresses.dials();
            if dials >= DIALS_MAX || !swarm::has_room_to_dial(links, dialled, dials) {
                break;
            }
            let Some(address) = self.links.next_due(now) else { break };
            self.links.addresses.on_dial(address);
            self.start_link(Role::Dial(address), Some(address));
        }
    }

    fn start_link(&mut self, role: Role, dialled: Option<SocketAddr>) {
        let id = LinkId(self.links.next);
        self.links.next += 1;
        let remote = match &role {
            Role::Accept(_, remote) => *remote,
            Role::Dial(address) => *address,
        };
        match link::start(&self.context, id, role) {
            Ok((shared, thread)) => {
                drop(self.links.links.insert(id, Link { shared, thread, dialled, remote, met: None }));
            }
            Err(error) => {
                log::warn!("{}", chain(&error));
                if let Some(address) = dialled {
                    self.links.addresses.on_dial_failed(clock::now(), address);
                }
            }
        }
    }

    /// Something happened on a link.
    pub(super) fn on_link(&mut self, id: LinkId, fact: Fact) -> Result<(), KeeperError> {
        let now = clock::now();
        match fact {
            Fact::Ended(end) => self.ended(id, &end),
            Fact::Up { hello, remote, queue } => self.met(id, hello, remote, queue, now)?,
            Fact::Landed(landed) => self.landed(id, landed, now)?,
            // What a link said that is closed by now does not count.
            _ if self
                .links
                .links
                .get(&id)
                .is_none_or(|link| link.met.is_none() || link.shared.is_closing()) => {}
            Fact::Follows(follow) => self.follows(id, follow)?,
            Fact::Entries(entries) => self.heard(id, entries)?,
            Fact::State(state) => {
                if let Some(met) = self.links.met_mut(id) {
                    met.state = Some(state);
                }
            }
            Fact::Describe(describe) => {
                let page = self.describe(describe)?;
                self.links.say(id, page);
            }
            Fact::Chunks(page) => self.page_came(id, &page)?,
            Fact::Wants(slices) => {
                let gifts = self.gifts(slices)?;
                self.links.send(id, Outgoing::Give(gifts));
            }
            Fact::Lacking(asked) => self.lacking(id, &asked, now),
            Fact::Trouble(error, asked) => self.not_stored(id, &error, &asked, now),
            Fact::Having(having) => self.others_have(id, having),
            Fact::Roster(addresses) => self.links.told_of(id, addresses, now),
            Fact::Told => {
                if let Some(met) = self.links.met_mut(id) {
                    met.telling = false;
                }
            }
            Fact::Stale(path) => self.looking.look_at(path),
        }
        Ok(())
    }

    fn met(
        &mut self,
        id: LinkId,
        hello: Hello,
        remote: SocketAddr,
        queue: Sender<Outgoing>,
        now: Moment,
    ) -> Result<(), KeeperError> {
        let device = hello.device;
        let listens = (hello.port != 0).then(|| SocketAddr::new(remote.ip(), hello.port));
        let member = hello.member;
        let Some(link) = self.links.links.get_mut(&id) else { return Ok(()) };
        let dialled = link.dialled;
        let label = hello.label.clone();
        link.remote = remote;
        link.met = Some(Met {
            hello,
            queue,
            listens,
            told: None,
            telling: false,
            heard: 0,
            state: None,
            said: None,
            window: Window::new(now),
            asked: VecDeque::new(),
            asked_bytes: 0,
            having: BTreeMap::new(),
            news: Rations::new(ROSTER_NEWS_MAX, ROSTER_NEWS_SPAN),
        });
        let listens = dialled.or(listens);
        if let Some(address) = listens {
            if member == self.context.me {
                self.links.addresses.on_oneself(address);
            } else if dialled.is_none() {
                self.links.learn(address, Source::Conductor);
            }
            self.links.addresses.on_link(address, member, dialled.is_some());
        }
        if let Some(address) = dialled {
            self.links.addresses.on_dial_done(address);
        }
        listens.into_iter().for_each(|address| self.links.named.reached(address));
        if member == self.context.me {
            self.links.close(id, Reason::Oneself);
            return Ok(());
        }
        if device == self.index.device() {
            if self.may_renew(now) {
                log::warn!("{remote} has a copy of this folder, with its index");
                return self.renew_device();
            }
            self.links.close(id, Reason::Fault);
            return Ok(());
        }
        if let Some(address) = dialled {
            self.links.remembered.reached(address, device, now, clock::wall());
        }
        if !self.is_the_one(id, member, dialled.is_some()) {
            return Ok(());
        }
        if !self.makes_room(id, device, remote, dialled.is_some()) {
            self.links.close(id, Reason::TooMany);
            return Ok(());
        }
        log::info!("link {} with {} at {remote} is up, device {device}", id.0, Escaped(&label));
        let heard =
            self.index.devices()?.into_iter().find(|(known, _)| *known == device).map_or(0, |(_, at)| at);
        if let Some(met) = self.links.met_mut(id) {
            met.heard = heard;
        }
        self.links.satisfied.remove(&device);
        self.links.say(id, Message::Follow(Follow { device, after: heard }));
        let roster = self.links.addresses.sample_to_pass_on(ROSTER_MAX);
        self.links.say(id, Message::Roster(roster));
        if let Some(address) = listens {
            for other in self.links.up().into_iter().filter(|&other| other != id) {
                self.links.say(other, Message::Roster(vec![address]));
            }
        }
        self.fetch_also(id, None)?;
        self.plans.retry_unheld();
        Ok(())
    }

    /// Whether there is room for this link; others of somebody who has many may give way to it.
    fn makes_room(&mut self, id: LinkId, device: Device, remote: SocketAddr, dialled: bool) -> bool {
        // By host as well: whoever borrows the name of another device must not use up its links.
        let host = remote.ip().to_canonical();
        let same = self.links.links.values().filter(|link| {
            let is_same = |met: &Met| met.hello.device == device;
            !link.shared.is_closing()
                && link.remote.ip().to_canonical() == host
                && link.met.as_ref().is_some_and(is_same)
        });
        if same.count() > LINKS_PER_MEMBER_MAX {
            return false;
        }
        let mut seats = self.links.seats();
        seats.retain(|seat| seat.id != id);
        match swarm::room_for(source_of(remote.ip()), dialled, true, &seats) {
            Room::Free => true,
            Room::InsteadOf(other) => {
                self.links.close(other, Reason::TooMany);
                self.fetch_elsewhere(other);
                true
            }
            Room::Full => false,
        }
    }

    /// Whether it may be true again that our device is somebody else's: with each such word all links begin anew, and who
    /// says so over and over must not keep all others away.
    fn may_renew(&mut self, now: Moment) -> bool {
        let may = self.links.renewed.is_none_or(|at| now.since(at) >= RENEW_PAUSE);
        if may {
            self.links.renewed = Some(now);
        }
        may
    }

    /// Of two links between the same two, both sides keep the one that the lesser member dialled.
    fn is_the_one(&mut self, id: LinkId, member: crate::identity::MemberId, dialled: bool) -> bool {
        let is_other = |(other, link): &(&LinkId, &Link)| {
            **other != id
                && !link.shared.is_closing()
                && link.met.as_ref().is_some_and(|met| met.hello.member == member)
        };
        let Some((&other, link)) = self.links.links.iter().find(is_other) else { return true };
        let ours_is_right = self.context.me < member;
        let loser =
            if dialled == ours_is_right && link.dialled.is_some() != ours_is_right { other } else { id };
        self.links.close(loser, Reason::Twice);
        if loser == other {
            self.fetch_elsewhere(other);
        }
        loser != id
    }

    fn ended(&mut self, id: LinkId, end: &LinkEnd) {
        let now = clock::now();
        let Some(link) = self.links.links.remove(&id) else { return };
        let stopping = self.stopping.is_some();
        match (&link.met, end) {
            (None, LinkEnd::Stream(StreamError::Dial(error))) => log::debug!("{}", chain(error)),
            _ if stopping => {}
            (Some(met), end) => {
                log::info!("link {} with {} ended: {}", id.0, Escaped(&met.hello.label), chain(end));
            }
            (None, end) => log::info!("link {} ended: {}", id.0, chain(end)),
        }
        let Some(met) = link.met else {
            if let Some(address) = link.dialled {
                self.links.addresses.on_dial_failed(now, address);
                if let Some((cause, why)) = why_not_reached(address, end) {
                    self.links.named.failed(now, address, cause, &why);
                }
            }
            return;
        };
        let last = self.index.last_sequence();
        if matches!(end, LinkEnd::Bye(Reason::Leaving))
            && let Some(state) = met.state
            && met.is_united(last)
        {
            if self.links.satisfied.len() >= ADDRESSES_MAX {
                self.links.satisfied.pop_first();
            }
            self.links.satisfied.insert(met.hello.device, state);
        }
        if let Some(address) = link.dialled.or(met.listens) {
            let again = match end {
                LinkEnd::Bye(Reason::TooMany | Reason::Fault) | LinkEnd::Fault(_) => None,
                _ => Some(crate::limits::REDIAL_MIN),
            };
            self.links.addresses.on_link_gone(now, address, again);
        }
        self.fetch_elsewhere(id);
    }
}
