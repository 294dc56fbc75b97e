//! The network: members with an uplink and a downlink, and connections between them.
//!
//! A connection is two ways. A way is a stream: what goes in first comes out first, or nothing does any more.
//! Bytes of parts travel in slices: a member's uplink sends one at a time, in turn for all ways that have one,
//! and its downlink takes one at a time, so both are shared fairly and never idle while there is work.
//! A way holds back when as much is under way as the path and a little queue can hold, like TCP.
//! Words cost the uplink their bytes, but are not held up by slices of other ways, as packets are not.
//!
//! It does not know messages, links or members.

use std::collections::VecDeque;
use std::time::Duration;

use super::queue::Queue;
use super::world::Event;
use crate::part::PartIndex;
use crate::time::Moment;

/// One direction of a connection. The way back differs in the last bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WayId(pub(super) u64);

impl WayId {
    pub(super) const fn back(self) -> WayId {
        WayId(self.0 ^ 1)
    }

    fn at(self) -> usize {
        usize::try_from(self.0).expect("ways fit memory")
    }
}

/// What travels on a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Frames.
    Words(Vec<u8>),
    /// Bytes of one part.
    Slice(Slice),
    /// Nothing follows.
    End,
}

/// Consecutive bytes of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) part: PartIndex,
    pub(super) bytes: u32,
    /// These are the part's last bytes.
    pub(super) last: bool,
    /// They are those of the composition.
    pub(super) right: bool,
}

/// Something in the network is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Beat {
    /// A slice has left this member's uplink.
    Left(usize),
    /// The next chunk on this way has come to the far end's downlink.
    Came(WayId),
    /// A slice has passed this member's downlink.
    Taken(usize),
    /// A slow way may send again.
    Paced(WayId),
}

/// How slices pass.
#[derive(Debug)]
struct Host {
    up: u64,
    down: u64,
    /// Bytes of parts that were sent.
    sent: u64,
    /// Bytes of parts that were received.
    received: u64,
    /// Bytes of words that the uplink owes time for.
    debt: u64,
    leaving: Option<(WayId, Slice)>,
    in_line: VecDeque<WayId>,
    taking: bool,
    arrivals: VecDeque<WayId>,
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) from: usize,
    pub(super) to: usize,
    latency: Duration,
    /// Sent and not come yet.
    flying: VecDeque<Chunk>,
    /// Come and not heard yet; whether the downlink is through with it.
    come: VecDeque<(Chunk, bool)>,
    /// Bytes sent and not heard.
    under_way: u64,
    leaving: bool,
    in_line: bool,
    /// Nothing comes out until this ends.
    pub(super) stalled: bool,
    /// Bytes per second, if the way is slower than the members.
    pace: Option<u64>,
    paced_until: Moment,
    /// When something was last heard, or the first of what is under way was sent.
    moved: Moment,
}

/// All members' pipes and all connections.
#[derive(Debug)]
pub(super) struct Net {
    hosts: Vec<Host>,
    /// Ways that are gone leave their place: the ids of links are never used again.
    ways: Vec<Option<Box<Way>>>,
    /// Who sends on each way, for ever.
    senders: Vec<u32>,
    slice: u32,
}

/// A slow way carries what it carries in such pieces of a second.
const PIECES_PER_SECOND: u64 = 4;
/// The bytes that may be under way beyond what the path itself holds, in slices.
const QUEUE_SLICES: u64 = 2;

impl Net {
    /// A network in which bytes of parts travel `slice` at a time.
    pub(super) const fn new(slice: u32) -> Net {
        Net { hosts: Vec::new(), ways: Vec::new(), senders: Vec::new(), slice }
    }

    /// One more member; rates in bytes per second.
    pub(super) fn join(&mut self, up: u64, down: u64) {
        self.hosts.push(Host {
            up: up.max(1),
            down: down.max(1),
            sent: 0,
            received: 0,
            debt: 0,
            leaving: None,
            in_line: VecDeque::new(),
            taking: false,
            arrivals: VecDeque::new(),
        });
    }

    /// Bytes of parts that a member sent and received.
    pub(super) fn traffic(&self, host: usize) -> (u64, u64) {
        (self.hosts[host].sent, self.hosts[host].received)
    }

    /// How many bytes of parts go on this way at a time.
    pub(super) fn slice(&self, id: WayId) -> u32 {
        let pace = self.way(id).and_then(|way| way.pace);
        pace.map_or(self.slice, |pace| {
            let piece = u32::try_from(pace / PIECES_PER_SECOND).unwrap_or(u32::MAX);
            piece.clamp(1, self.slice)
        })
    }

    /// Who sends on this way, or did.
    pub(super) fn sender(&self, id: WayId) -> usize {
        self.senders[id.at()] as usize
    }

    /// A connection between two members; returns the way from the first to the second.
    pub(super) fn connect(&mut self, now: Moment, from: usize, to: usize, latency: Duration) -> WayId {
        let id = WayId(self.ways.len() as u64);
        for (from, to) in [(from, to), (to, from)] {
            self.senders.push(u32::try_from(from).expect("members are few"));
            self.ways.push(Some(Box::new(Way {
                from,
                to,
                latency,
                flying: VecDeque::new(),
                come: VecDeque::new(),
                under_way: 0,
                leaving: false,
                in_line: false,
                stalled: false,
                pace: None,
                paced_until: now,
                moved: now,
            })));
        }
        id
    }

    pub(super) fn way(&self, id: WayId) -> Option<&Way> {
        self.ways.get(id.at())?.as_deref()
    }

    pub(super) fn way_mut(&mut self, id: WayId) -> Option<&mut Way> {
        self.ways.get_mut(id.at())?.as_deref_mut()
    }

    /// Every way there is.
    pub(super) fn all(&self) -> impl Iterator<Item = WayId> + '_ {
        let there = self.ways.iter().zip(0..).filter(|(way, _)| way.is_some());
        there.map(|(_, number)| WayId(number))
    }

    /// The way is gone, and with it all that was on it.
    pub(super) fn drop_way(&mut self, id: WayId) {
        if let Some(way) = self.ways.get_mut(id.at()) {
            *way = None;
        }
    }

    /// Whether the sender may put something on the way now.
    pub(super) fn may_send(&self, now: Moment, id: WayId) -> bool {
        self.way(id)
            .is_some_and(|way| !way.leaving && way.paced_until <= now && way.under_way < self.room(way))
    }

    /// Since when the sender waits for the far end.
    pub(super) fn stuck_since(&self, id: WayId) -> Option<Moment> {
        self.way(id).filter(|way| way.under_way >= self.room(way)).map(|way| way.moved)
    }

    /// What may be under way: what the path holds, and a little queue.
    fn room(&self, way: &Way) -> u64 {
        let rate = self.hosts[way.from].up.min(self.hosts[way.to].down);
        let path = u128::from(rate) * (way.latency * 2).as_micros() / 1_000_000;
        u64::try_from(path).unwrap_or(u64::MAX).saturating_add(QUEUE_SLICES * u64::from(self.slice))
    }

    /// Sends words, or the end of the stream.
    pub(super) fn say(&mut self, now: Moment, id: WayId, chunk: Chunk, queue: &mut Queue<Event>) {
        let Some(way) = self.ways.get_mut(id.at()).and_then(Option::as_deref_mut) else { return };
        let bytes = if let Chunk::Words(words) = &chunk { words.len() as u64 } else { 0 };
        self.hosts[way.from].debt += bytes;
        way.send(now, bytes, chunk);
        queue.at(now + way.latency, Event::Net(Beat::Came(id)));
    }

    /// The way has slices to send.
    pub(super) fn line_up(&mut self, id: WayId) {
        if let Some(way) = self.ways.get_mut(id.at()).and_then(Option::as_deref_mut)
            && !way.in_line
        {
            way.in_line = true;
            self.hosts[way.from].in_line.push_back(id);
        }
    }

    /// The way whose turn it is, if the member's uplink is free.
    pub(super) fn next_in_line(&mut self, host: usize) -> Option<WayId> {
        if self.hosts[host].leaving.is_some() {
            return None;
        }
        loop {
            let id = self.hosts[host].in_line.pop_front()?;
            if let Some(way) = self.way_mut(id) {
                way.in_line = false;
                return Some(id);
            }
        }
    }

    /// A slice goes on the uplink, which is free.
    pub(super) fn send(&mut self, now: Moment, id: WayId, slice: Slice, queue: &mut Queue<Event>) {
        let Some(way) = self.ways.get_mut(id.at()).and_then(Option::as_deref_mut) else { return };
        let host = &mut self.hosts[way.from];
        let bytes = u64::from(slice.bytes);
        let done = now + time_for(bytes + std::mem::take(&mut host.debt), host.up);
        way.leaving = true;
        host.sent += bytes;
        if let Some(pace) = way.pace {
            way.paced_until = now + time_for(bytes, pace);
            queue.at(way.paced_until.max(done), Event::Net(Beat::Paced(id)));
        }
        host.leaving = Some((id, slice));
        queue.at(done, Event::Net(Beat::Left(way.from)));
    }

    /// The slice on the uplink is out; returns its way.
    pub(super) fn left(&mut self, now: Moment, host: usize, queue: &mut Queue<Event>) -> Option<WayId> {
        let (id, slice) = self.hosts[host].leaving.take()?;
        let way = self.way_mut(id)?;
        way.leaving = false;
        way.send(now, u64::from(slice.bytes), Chunk::Slice(slice));
        queue.at(now + way.latency, Event::Net(Beat::Came(id)));
        Some(id)
    }

    /// The next chunk has come.
    pub(super) fn came(&mut self, now: Moment, id: WayId, queue: &mut Queue<Event>) {
        let Some(way) = self.way_mut(id) else { return };
        let Some(chunk) = way.flying.pop_front() else { return };
        let is_slice = matches!(chunk, Chunk::Slice(_));
        way.come.push_back((chunk, !is_slice));
        if is_slice {
            let to = way.to;
            self.hosts[to].arrivals.push_back(id);
            self.take(now, to, queue);
        }
    }

    /// The downlink takes the next slice, if it is free.
    fn take(&mut self, now: Moment, host: usize, queue: &mut Queue<Event>) {
        while !self.hosts[host].taking {
            let Some(&id) = self.hosts[host].arrivals.front() else { return };
            if let Some(bytes) = self.way(id).and_then(Way::next_slice) {
                let rate = self.hosts[host].down;
                self.hosts[host].taking = true;
                self.hosts[host].received += u64::from(bytes);
                queue.at(now + time_for(u64::from(bytes), rate), Event::Net(Beat::Taken(host)));
            } else {
                self.hosts[host].arrivals.pop_front();
            }
        }
    }

    /// A slice has passed the downlink; returns its way.
    pub(super) fn taken(&mut self, now: Moment, host: usize, queue: &mut Queue<Event>) -> Option<WayId> {
        self.hosts[host].taking = false;
        let id = self.hosts[host].arrivals.pop_front();
        if let Some(way) = id.and_then(|id| self.way_mut(id))
            && let Some((_, passed)) = way.come.iter_mut().find(|(_, passed)| !passed)
        {
            *passed = true;
        }
        self.take(now, host, queue);
        id
    }

    /// What the far end hears next, if anything is there.
    pub(super) fn hear(&mut self, now: Moment, id: WayId) -> Option<Chunk> {
        let way = self.way_mut(id)?;
        if way.stalled || !way.come.front()?.1 {
            return None;
        }
        let (chunk, _) = way.come.pop_front()?;
        way.under_way -= chunk.bytes();
        way.moved = now;
        Some(chunk)
    }

    /// Whether the way is slower than its members.
    pub(super) fn is_slow(&self, id: WayId) -> bool {
        self.way(id).is_some_and(|way| way.pace.is_some())
    }

    /// From now on the way is as slow as that, or no longer.
    pub(super) fn set_pace(&mut self, id: WayId, pace: Option<u64>) {
        if let Some(way) = self.way_mut(id) {
            way.pace = pace;
            way.paced_until = Moment::START;
        }
    }
}

impl Chunk {
    const fn bytes(&self) -> u64 {
        match self {
            Chunk::Words(words) => words.len() as u64,
            Chunk::Slice(slice) => slice.bytes as u64,
            Chunk::End => 0,
        }
    }
}

impl Way {
    fn send(&mut self, now: Moment, bytes: u64, chunk: Chunk) {
        if self.under_way == 0 {
            self.moved = now;
        }
        self.under_way += bytes;
        self.flying.push_back(chunk);
    }

    /// Whether anything waits to be heard.
    pub(super) fn has_come(&self) -> bool {
        !self.come.is_empty()
    }

    /// The bytes of the first slice that has not passed the downlink.
    fn next_slice(&self) -> Option<u32> {
        self.come.iter().find_map(|(chunk, passed)| match chunk {
            Chunk::Slice(slice) if !passed => Some(slice.bytes),
            _ => None,
        })
    }
}

fn time_for(bytes: u64, rate: u64) -> Duration {
    let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
