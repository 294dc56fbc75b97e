//! The hub: owns the swarm, turns events into its inputs and its orders into deeds.
//!
//! The director waits on its inbox until the machine's deadline, and on nothing else: whoever sends to
//! it may wait, it sends to others without waiting. Every input and order is logged here and nowhere else.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use thiserror::Error;

use super::context::Context;
use super::journal::Journal;
use super::link::{self, Fact, LinkEnd, Shared};
use super::progress::{Phase, Waiting};
use super::scout::{Answer, Ask};
use super::{Outcome, files};
use crate::host::thread::Thread;
use crate::host::{HostError, clock};
use crate::limits::{LEAVE_GRACE, POLL_INTERVAL};
use crate::logic::addresses::normalised;
use crate::logic::reports::Reports;
use crate::logic::serving::Outgoing;
use crate::logic::swarm::{self, Input, Knock, LinkId, Order, Quiet, Swarm};
use crate::part::{PartIndex, Run};
use crate::part_set::PartSet;
use crate::stream::Role;
use crate::text::{Escaped, chain};
use crate::time::Moment;
use crate::wire::desk::{Announce, Event as DeskEvent, Greeted, Reach, Refusal};
use crate::wire::member::Reason;

/// What the director hears.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody connected.
    Knock(TcpStream, SocketAddr),
    /// A link's word.
    Link(LinkId, Fact),
    /// The scout's word.
    Scout(Answer),
    /// A user-named member was looked up.
    Named(SocketAddr),
    /// Parts were looked at on disk: all of them are held, or none.
    Checked { run: Run, held: bool },
    /// Every part was looked at.
    CheckEnded(Result<(), HostError>),
    /// The whole file has its name, or why not.
    Finished(Result<(), files::FinishError>),
    /// What was written before is on the disk.
    Flushed,
    /// What was written could not be brought to the disk.
    StoreFailed(HostError),
    /// A thread of the member panicked: a bug of ours.
    Panicked,
    /// The user wants to leave.
    Stop,
}

/// Why a member cannot go on: its own machine's trouble, or a file that is not the composition.
#[derive(Debug, Error)]
pub enum MemberError {
    /// The disk or the system failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The file under the final name differs from the manifest.
    #[error(
        "{name} is there and differs from the manifest in {wrong} of {parts} parts; it was not touched; \
        --repair fetches them in place, or move it away"
    )]
    Differs {
        /// The composition's name, escaped.
        name: String,
        /// How many parts are wrong.
        wrong: u32,
        /// How many parts there are.
        parts: u32,
    },
    /// Every part is right, but the whole has another digest.
    #[error(
        "every part of {name} is right, but not the digest of the whole: the manifest contradicts itself; \
        whoever made it has to compose the file again"
    )]
    Contradiction {
        /// The composition's name, escaped.
        name: String,
    },
    /// A bug of ours.
    #[error("a thread failed; the log says more")]
    Panicked,
}

/// What the director is made of.
pub(super) struct Director {
    pub(super) context: Arc<Context>,
    pub(super) swarm: Swarm,
    pub(super) inbox: Receiver<Event>,
    /// Wakes the view when there is something that it should not show a beat later.
    pub(super) news: Sender<()>,
    /// The way to the conductor, unless there is none.
    pub(super) scout: Option<Sender<Ask>>,
    /// How it went with others, for the conductor.
    pub(super) reports: Reports,
    /// Leave as soon as everything is there.
    pub(super) leave: bool,
    pub(super) check_digest: bool,
}

/// A link's handle.
struct Handle {
    shared: Arc<Shared>,
    thread: Thread,
    /// From its hello on.
    queue: Option<Sender<Outgoing>>,
    remote: SocketAddr,
    dialled: Option<SocketAddr>,
    /// Where it can be dialled, as far as is known.
    listens: Option<SocketAddr>,
}

/// The loop's state.
struct Actor {
    director: Director,
    links: BTreeMap<LinkId, Handle>,
    journal: Journal,
    next_link: u64,
    orders: Vec<Order>,
    /// When the stop began.
    stopping: Option<Moment>,
    /// Questions to the conductor without an answer yet.
    asks: u32,
    finishing: Option<Thread>,
    /// Every part on disk was looked at.
    checked: bool,
    finished: bool,
    /// The conductor wants to know who asks.
    login_first: bool,
    /// What memory was told to forget.
    forgotten: PartSet,
    trouble: Option<MemberError>,
}

/// Runs a member until it stops; returns how it ended.
pub(super) fn run(director: Director) -> Result<Outcome, MemberError> {
    let forgotten = PartSet::empty(director.context.layout);
    let mut actor = Actor {
        director,
        links: BTreeMap::new(),
        journal: Journal::new(),
        next_link: 1,
        orders: Vec::new(),
        stopping: None,
        asks: 0,
        finishing: None,
        checked: false,
        finished: false,
        login_first: false,
        forgotten,
        trouble: None,
    };
    actor.input(Input::Started);
    while !actor.is_done() {
        actor.turn();
    }
    actor.end()
}

impl Actor {
    /// Waits for one event, or for the machine's deadline.
    fn turn(&mut self) {
        let deadline = self.director.swarm.deadline();
        let wait = deadline.since(clock::now());
        let event = if wait.is_zero() {
            self.tick();
            self.director.inbox.try_recv().map_err(|_| RecvTimeoutError::Timeout)
        } else {
            self.director.inbox.recv_timeout(wait.min(POLL_INTERVAL))
        };
        if let Ok(event) = event {
            self.on_event(event);
        }
        if self.stopping.is_some_and(|since| clock::now().since(since) >= LEAVE_GRACE) {
            self.links.values().for_each(|handle| handle.shared.cut());
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Knock(stream, remote) => self.on_knock(stream, normalised(remote)),
            Event::Link(link, fact) => self.on_fact(link, fact),
            Event::Scout(answer) => self.on_answer(answer),
            Event::Named(address) => self.input(Input::Named(address)),
            Event::Checked { run, held } => self.input(Input::Checked { run, held }),
            Event::CheckEnded(outcome) => self.on_check_ended(outcome),
            Event::Finished(outcome) => self.on_finished(outcome),
            Event::Flushed => self.forget_spread(),
            Event::StoreFailed(error) => self.fail(error.into()),
            Event::Panicked => self.fail(MemberError::Panicked),
            Event::Stop => self.stop(),
        }
    }

    fn input(&mut self, input: Input) {
        log::trace!("input {input:?}");
        let mut orders = std::mem::take(&mut self.orders);
        self.director.swarm.step(clock::now(), input, &mut orders);
        for order in orders.drain(..) {
            log::trace!("order {order:?}");
            self.obey(order);
        }
        self.orders = orders;
    }

    fn tick(&mut self) {
        self.journal.turn_page(clock::now());
        let flows: Vec<_> = self.links.iter().map(|(&id, handle)| (id, handle.shared.flow())).collect();
        for (id, flow) in flows {
            self.input(Input::Flowed(id, flow));
        }
        let context = &self.director.context;
        let sent_to = |id| self.links.get(&id).map_or(0, |handle| handle.shared.written());
        context.line.adapt(context.progress.given(), sent_to);
        self.thin_out_the_line();
        let held_back = self.director.context.down.took_hold();
        self.input(Input::Tick { held_back });
        self.publish();
    }

    /// Sends those elsewhere who wait here for what others can send as well.
    fn thin_out_the_line(&self) {
        self.director.context.line.thin_out(self.director.swarm.supply());
    }

    fn publish(&self) {
        let swarm = &self.director.swarm;
        let phase = match (self.checked, self.finished) {
            (false, _) => Phase::Checking,
            (true, true) => Phase::Complete,
            (true, false) => Phase::Getting,
        };
        let members = u32::try_from(swarm.members()).unwrap_or(u32::MAX);
        let waiting = swarm.quiet(clock::now()).map(|quiet| waiting(quiet, self.login_first));
        if self.director.context.progress.publish(phase, members, waiting) {
            // Full: the view has not looked yet, and will see this as well.
            let _known = self.director.news.try_send(());
        }
    }

    fn on_knock(&mut self, stream: TcpStream, remote: SocketAddr) {
        let waits =
            |handle: &Handle| handle.queue.is_none() && handle.dialled.is_none() && !handle.shared.is_cut();
        let pending = self.links.iter().filter(|(_, handle)| waits(handle));
        let pending = pending.map(|(&id, handle)| (id, handle.remote.ip()));
        match swarm::may_knock(remote.ip(), pending, self.links.len()) {
            _ if self.stopping.is_some() => return,
            Knock::Welcome => {}
            Knock::InsteadOf(id) => self.links[&id].shared.cut(),
            Knock::Refused => {
                self.journal.turned_away(clock::now(), remote);
                return;
            }
        }
        self.start_link(Role::Accept(stream, remote), remote, None);
    }

    fn start_link(&mut self, role: Role, remote: SocketAddr, dialled: Option<SocketAddr>) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        match link::start(&self.director.context, id, role) {
            Ok((shared, thread)) => {
                self.links
                    .insert(id, Handle { shared, thread, queue: None, remote, dialled, listens: dialled });
            }
            Err(error) => {
                log::error!("{}", chain(&error));
                if let Some(address) = dialled {
                    self.input(Input::DialFailed(address));
                }
            }
        }
    }

    fn on_fact(&mut self, id: LinkId, fact: Fact) {
        match fact {
            Fact::Up { hello, remote, keyed, queue } => {
                let Some(handle) = self.links.get_mut(&id) else { return };
                handle.queue = Some(queue);
                let dialled = handle.dialled;
                handle.listens = dialled.or(Some(SocketAddr::new(remote.ip(), hello.port)));
                self.journal.came_up(clock::now(), id, remote, hello.member, dialled.is_some());
                self.input(Input::LinkUp { link: id, hello, remote, dialled, keyed });
            }
            Fact::Holds(set) => {
                log::debug!("{id} holds {} parts", set.count());
                self.input(Input::Holds(id, set));
            }
            Fact::HoldsAlso(runs) => {
                self.input(Input::HoldsAlso(id, runs));
                self.thin_out_the_line();
            }
            Fact::Coming(run) => self.input(Input::Coming(id, run)),
            Fact::Stored(run) => {
                if let Some(member) = self.listens(id) {
                    let bytes = self.director.context.layout.bytes_of(run);
                    self.director.reports.came(clock::now(), member, bytes);
                }
                self.input(Input::Stored(id, run));
            }
            Fact::Refused(run, denial) => self.input(Input::Refused(id, run, denial)),
            Fact::Corrupt(part) => {
                let from = self.links.get(&id).map(|handle| handle.remote);
                self.journal.lied(clock::now(), id, from, part);
                if let Some(member) = self.listens(id) {
                    self.director.reports.failed(member);
                }
                self.input(Input::Corrupt(id, part));
            }
            Fact::Gossip(addresses) => self.input(Input::Gossip(id, addresses)),
            Fact::Ended(end) => self.on_ended(id, end),
        }
    }

    fn on_ended(&mut self, id: LinkId, end: LinkEnd) {
        let Some(handle) = self.links.remove(&id) else { return };
        if handle.thread.join().is_err() {
            log::error!("{id}: a thread failed");
        }
        self.director.context.line.leave(id);
        let is_stranger = handle.queue.is_none() && handle.dialled.is_none();
        if is_stranger && matches!(end, LinkEnd::Gone) {
            // So does a conductor that looks whether we can be reached.
            log::debug!("{id} with {} ended without a word", handle.remote);
        } else {
            self.journal.ended(clock::now(), id, handle.remote, &end);
        }
        if handle.queue.is_some() {
            let far = handle.shared.far();
            if self.links.values().all(|other| other.shared.far() != far) {
                self.director.context.given.leave(far);
            }
            // The machine judges what it began and did not end.
            self.input(Input::Flowed(id, handle.shared.flow()));
            self.input(Input::LinkDown(id));
        } else if let Some(address) = handle.dialled {
            if self.stopping.is_none() {
                self.director.reports.failed(address);
            }
            self.input(Input::DialFailed(address));
        }
        if let LinkEnd::Store(error) = end {
            self.fail(error.into());
        }
    }

    fn on_answer(&mut self, answer: Answer) {
        self.asks = self.asks.saturating_sub(1);
        match answer {
            Answer::Roster(roster) => {
                self.journal.conducted(&roster);
                self.input(Input::Conducted(roster));
            }
            Answer::Greeted(Greeted { roster, reach }) => {
                self.journal.conducted(&roster);
                self.on_reach(reach);
                self.director.reports.heard();
                self.director.reports.named(&roster.members);
                self.input(Input::Greeted(roster));
            }
            Answer::Refused(refusal) => {
                log::warn!("the conductor refused: {refusal:?}");
                self.login_first = refusal == Refusal::LoginFirst;
                self.input(Input::ConductorRefused);
            }
            Answer::Silent(error) => {
                log::warn!("{}", chain(&error));
                self.input(Input::ConductorSilent);
            }
        }
    }

    fn on_reach(&mut self, reach: Reach) {
        let is_reachable = match reach {
            Reach::Unknown => return,
            Reach::Reached { .. } => true,
            Reach::Unreachable => false,
        };
        let context = &self.director.context;
        if context.progress.reachable(is_reachable) {
            let how = if is_reachable { "can" } else { "cannot" };
            log::info!("the conductor {how} connect to us at port {}", context.port);
            // Full: the view has not looked yet, and will see this as well.
            let _known = self.director.news.try_send(());
        }
    }

    /// Where the other side of this link can be dialled, as far as is known.
    fn listens(&self, id: LinkId) -> Option<SocketAddr> {
        self.links.get(&id).and_then(|handle| handle.listens)
    }

    /// What everybody has by now is read by nobody: its place in memory is better used for what comes.
    fn forget_spread(&mut self) {
        let parts: Vec<PartIndex> =
            self.director.swarm.spread().filter(|&part| !self.forgotten.contains(part)).collect();
        for &part in &parts {
            self.forgotten.insert(part);
        }
        self.director.context.flush.forget(Run::gather(parts, usize::MAX).0);
    }

    fn on_check_ended(&mut self, outcome: Result<(), HostError>) {
        if let Err(error) = outcome {
            self.fail(error.into());
            return;
        }
        self.checked = true;
        let context = &self.director.context;
        let held = context.store.shelf().count();
        let parts = context.layout.parts();
        log::info!("every part on disk was looked at; {held} of {parts} are held");
        if held < parts && !context.store.is_writable() {
            let name = context.manifest.name().to_string();
            self.fail(MemberError::Differs { name, wrong: parts - held, parts });
            return;
        }
        self.input(Input::CheckEnded);
        self.publish();
    }

    fn on_finished(&mut self, outcome: Result<(), files::FinishError>) {
        if let Some(thread) = self.finishing.take() {
            // Its outcome is here; a panic would have left none.
            let _panicked = thread.join();
        }
        match outcome {
            Ok(()) => {
                log::info!(
                    "complete: {}",
                    Escaped(&self.director.context.store.final_path().to_string_lossy())
                );
                self.finished = true;
                self.publish();
                if self.director.leave {
                    self.stop();
                }
            }
            // What was fetched stays as it is; running again resumes.
            Err(files::FinishError::Stopped) => {}
            Err(files::FinishError::Host(error)) => self.fail(error.into()),
            Err(files::FinishError::Contradiction) => {
                let name = self.director.context.manifest.name().to_string();
                self.fail(MemberError::Contradiction { name });
            }
        }
    }

    /// Our own machine's trouble: the member leaves and says why.
    fn fail(&mut self, error: MemberError) {
        log::error!("{}", chain(&error));
        self.trouble.get_or_insert(error);
        self.stop();
    }

    fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let sum = self.director.context.progress.snapshot(self.director.context.layout, Moment::START);
        log::info!(
            "leaving: received {} bytes ({} of them wasted), sent {}",
            sum.down_bytes,
            sum.wasted_bytes,
            sum.up_bytes
        );
        self.stopping = Some(clock::now());
        self.director.context.stopping.store(true, Ordering::Relaxed);
        // Links that have not said hello have nothing to say goodbye to.
        self.links.values().filter(|handle| handle.queue.is_none()).for_each(|handle| handle.shared.cut());
        self.input(Input::Stopped);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Dial(address) => self.start_link(Role::Dial(address), address, Some(address)),
            Order::Want(id, run) => self.tell(id, Outgoing::Want(run)),
            Order::Cancel(id, run) => self.tell(id, Outgoing::Cancel(run)),
            Order::Publish(id) => {
                if self.links.get(&id).is_some_and(|handle| handle.shared.poke()) {
                    self.tell(id, Outgoing::Publish);
                }
            }
            Order::Gossip(id, addresses) => self.tell(id, Outgoing::Gossip(addresses)),
            Order::Close(id, reason) => self.close(id, reason),
            Order::Announce { event, left } => self.announce(event, left),
            Order::Finish => self.finish(),
        }
    }

    /// Sends without waiting; a link whose queue is full is broken and ends.
    fn tell(&self, id: LinkId, outgoing: Outgoing) {
        let Some(handle) = self.links.get(&id) else { return };
        let Some(queue) = &handle.queue else { return };
        if let Err(TrySendError::Full(outgoing)) = queue.try_send(outgoing) {
            log::warn!("{id}: its queue is full at {outgoing:?}");
            handle.shared.cut();
        }
    }

    fn close(&self, id: LinkId, reason: Reason) {
        log::debug!("{id}: closing ({reason:?})");
        self.tell(id, Outgoing::Close(reason));
        if let Some(handle) = self.links.get(&id) {
            // The last word has its grace; whoever does not read must not keep the link for longer.
            handle.shared.close();
        }
    }

    fn announce(&mut self, event: DeskEvent, left: u64) {
        let context = &self.director.context;
        let announce = Announce {
            swarm: *context.swarm.as_bytes(),
            port: context.port,
            complete: left == 0 && self.director.swarm.is_checked(),
            left,
            event,
        };
        let Some(scout) = &self.director.scout else { return };
        let done = announce.complete || event == DeskEvent::Left;
        let ask = Ask { announce, reports: self.director.reports.take(done) };
        // The machine asks one thing at a time, and goodbye comes once: there is always room for it.
        if scout.try_send(ask).is_ok() {
            self.asks += 1;
        }
    }

    /// Brings the file to the disk and gives it its name, in a thread of its own: syncing takes its time.
    fn finish(&mut self) {
        self.director.context.progress.all_verified();
        match files::start_finish(&self.director.context, self.director.check_digest) {
            Ok(thread) => self.finishing = Some(thread),
            Err(error) => self.fail(error.into()),
        }
        self.publish();
    }

    /// Whether nobody has anything more to tell, or has had the time for it.
    fn is_done(&self) -> bool {
        let Some(since) = self.stopping else { return false };
        let quiet = self.links.is_empty() && self.asks == 0 && self.finishing.is_none();
        // Links were cut half way; a thread that still works then sits in a system call.
        quiet || clock::now().since(since) >= LEAVE_GRACE * 2
    }

    fn end(self) -> Result<Outcome, MemberError> {
        self.publish();
        match self.trouble {
            Some(error) => Err(error),
            None if self.finished => Ok(Outcome::Complete),
            None => Ok(Outcome::Incomplete),
        }
    }
}

/// What the terminal says about quiet.
fn waiting(quiet: Quiet, login_first: bool) -> Waiting {
    match quiet {
        Quiet::ConductorRefused if login_first => Waiting::LoginFirst,
        Quiet::ConductorSilent => Waiting::ConductorUnreachable,
        Quiet::ConductorRefused => Waiting::ConductorRefused,
        Quiet::Alone => Waiting::NobodyElse,
        Quiet::NoneReachable { known } => {
            Waiting::NoneReachable { known: u32::try_from(known).unwrap_or(u32::MAX) }
        }
        Quiet::NoHolder { first, parts } => Waiting::NoHolder { part: first.get() + 1, parts },
        Quiet::Unanswered => Waiting::Asked,
        Quiet::HeldBack => Waiting::RateLimit,
    }
}
