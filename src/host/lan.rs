//! Finds those of a kind on the local network, and lets itself be found there, by multicast DNS (RFC 6762 and 6763).
//!
//! What is told to the network is a port, a tag, and two names drawn at random at each start. Who knows what the tags are
//! made of recognizes them; nobody else learns more than that a program of this kind runs here.
//! Nothing that is found is true: whoever dials an address finds out who is there.

mod neighbours;

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mdns_sd::{MDNS_PORT, Receiver, ServiceDaemon, ServiceEvent, ServiceInfo};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use self::neighbours::Neighbours;
use super::HostError;
use super::clock;
use super::entropy;
use super::error::NetAction;
use super::thread::{self, Thread};
use crate::limits::{LAN_BEAT, LAN_LEAVE_GRACE, LAN_LINK_CHECK_SECS, LAN_RECORDS_MAX};

/// What we are, and where.
const SERVICE: &str = "_orchestra._tcp.local.";
/// The only property that is told.
const TAG: &str = "tag";
/// How soon a stop is noticed while the library does not work.
const LAN_STOP_BEAT: Duration = Duration::from_millis(20);

/// How far what we say is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not even we hear it: there is no network, it was just joined, or the system refuses to send to it.
    Nothing,
    /// By programs on this computer.
    ThisComputer,
    /// By at least one network.
    Network,
}

/// Why nobody can be found on the local network.
#[derive(Debug, Error)]
pub enum LanError {
    /// The system lets us hear nothing of it, or has no room for a thread.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The library fails.
    #[error("cannot look for members on the local network")]
    Library(#[from] mdns_sd::Error),
}

/// A presence on the local network. Dropping it says goodbye there.
pub struct Lan {
    daemon: Arc<Mutex<ServiceDaemon>>,
    neighbours: Arc<Mutex<Neighbours>>,
    stopping: Arc<AtomicBool>,
    thread: Option<Thread>,
}

/// What goes on the network, and who hears what comes from there.
struct Presence<Tag, Today, Found> {
    name: String,
    host: String,
    port: u16,
    tag: Tag,
    today: Today,
    found: Found,
    daemon: Arc<Mutex<ServiceDaemon>>,
    neighbours: Arc<Mutex<Neighbours>>,
    stopping: Arc<AtomicBool>,
}

/// What is asked of the library now and then.
type Metrics = Receiver<HashMap<String, i64>>;

impl Lan {
    /// Lets itself be found at this TCP port, and tells addresses of others to `found`, again when they come back after
    /// they were gone.
    ///
    /// `tag` says what marks our kind on a day, which is counted since 1970: at most 200 letters and digits. Others
    /// are found if theirs is that of yesterday, today or tomorrow, for clocks differ.
    /// `found` is called in a thread of its own; while it waits, nobody is found.
    /// Networks may come and go meanwhile. Whether there is one says [`Lan::reach`].
    ///
    /// # Errors
    /// The system lets us hear nothing of any network; all else is tried again and again.
    pub fn start(
        port: u16,
        tag: impl Fn(u64) -> String + Send + 'static,
        found: impl Fn(SocketAddr) + Send + 'static,
    ) -> Result<Lan, LanError> {
        Lan::start_in(port, tag, found, clock::today)
    }

    /// The same with another calendar.
    ///
    /// # Errors
    /// As for [`Lan::start`].
    pub fn start_in(
        port: u16,
        tag: impl Fn(u64) -> String + Send + 'static,
        found: impl Fn(SocketAddr) + Send + 'static,
        today: impl Fn() -> u64 + Send + 'static,
    ) -> Result<Lan, LanError> {
        probe()?;
        let (name, host) = (random_label()?, random_label()?);
        let neighbours = Arc::new(Mutex::new(Neighbours::new(format!("{name}.{SERVICE}"))));
        let daemon = Arc::new(Mutex::new(ServiceDaemon::new()?));
        let stopping = Arc::new(AtomicBool::new(false));
        let presence = Presence {
            name,
            host: format!("{host}.local."),
            port,
            tag,
            today,
            found,
            daemon: Arc::clone(&daemon),
            neighbours: Arc::clone(&neighbours),
            stopping: Arc::clone(&stopping),
        };
        let day = (presence.today)();
        let events = presence.begin(day)?;
        let thread = thread::spawn("lan", move || presence.run(day, events))?;
        Ok(Lan { daemon, neighbours, stopping, thread: Some(thread) })
    }

    /// How far what we say is heard. Nothing, for the first second or so.
    #[must_use]
    pub fn reach(&self) -> Reach {
        lock(&self.neighbours).reach()
    }
}

impl fmt::Debug for Lan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lan").field("neighbours", &self.neighbours).finish_non_exhaustive()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // The thread hears that the search stopped, and ends.
        let status = lock(&self.daemon).shutdown();
        if let Ok(status) = status {
            // Who does not hear a goodbye finds out by itself.
            let _late = status.recv_timeout(LAN_LEAVE_GRACE);
        }
        if let Some(thread) = self.thread.take() {
            // A panic was told on standard error when it happened.
            let _panicked = thread.join();
        }
    }
}

impl<Tag, Today, Found> Presence<Tag, Today, Found>
where
    Tag: Fn(u64) -> String,
    Today: Fn() -> u64,
    Found: Fn(SocketAddr),
{
    /// Begins to search and to be found.
    fn begin(&self, day: u64) -> Result<Receiver<ServiceEvent>, mdns_sd::Error> {
        let daemon = lock(&self.daemon);
        daemon.set_ip_check_interval(LAN_LINK_CHECK_SECS)?;
        daemon.register(self.service(day)?)?;
        daemon.browse(SERVICE)
    }

    /// What is told of us on this day.
    fn service(&self, day: u64) -> Result<ServiceInfo, mdns_sd::Error> {
        let properties = [(TAG, (self.tag)(day))];
        let service = ServiceInfo::new(SERVICE, &self.name, &self.host, (), self.port, &properties[..])?;
        let mut service = service.enable_addr_auto();
        // Nobody else draws the same names.
        service.set_requires_probe(false);
        Ok(service)
    }

    fn run(self, mut day: u64, mut events: Receiver<ServiceEvent>) {
        let mut tags = self.tags(day);
        let mut asked: Option<Metrics> = None;
        let mut next_beat = clock::now() + LAN_BEAT;
        loop {
            let event = events.recv_timeout(next_beat.since(clock::now()));
            if self.is_stopping() {
                return;
            }
            match event {
                Ok(event) => self.hear(event, &tags),
                // The library failed.
                Err(_) if events.is_disconnected() => {
                    thread::pause(next_beat.since(clock::now()), LAN_STOP_BEAT, || self.is_stopping());
                }
                Err(_) => {}
            }
            if clock::now() < next_beat {
                continue;
            }
            next_beat = clock::now() + LAN_BEAT;
            let today = (self.today)();
            let records = asked.take().and_then(|asked| asked.try_recv().ok());
            let is_well = !events.is_disconnected()
                && records.is_none_or(|counts| sum_of_records(&counts) <= LAN_RECORDS_MAX);
            let again = match is_well {
                true if today == day => None,
                // Those whose tag counts from now on may have been there before: a new search tells of all again.
                true => self.begin(today).ok(),
                false => self.begin_anew(today),
            };
            if let Some(again) = again {
                (events, tags, day) = (again, self.tags(today), today);
            }
            asked = lock(&self.daemon).get_metrics().ok();
        }
    }

    /// Begins with a library that remembers nothing; if that cannot be, it is tried again at the next beat.
    fn begin_anew(&self, day: u64) -> Option<Receiver<ServiceEvent>> {
        let daemon = ServiceDaemon::new().ok()?;
        {
            let mut current = lock(&self.daemon);
            if self.is_stopping() {
                drop(daemon.shutdown());
                return None;
            }
            drop(std::mem::replace(&mut *current, daemon).shutdown());
        }
        lock(&self.neighbours).forget();
        self.begin(day).ok()
    }

    fn hear(&self, event: ServiceEvent, tags: &[String; 3]) {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let tag = service.get_property_val(TAG).flatten();
                let is_our_kind = tags.iter().any(|ours| tag == Some(ours.as_bytes()));
                let new = lock(&self.neighbours).seen(
                    &service.fullname,
                    service.port,
                    service.addresses.iter(),
                    is_our_kind,
                );
                new.into_iter().for_each(&self.found);
            }
            ServiceEvent::ServiceRemoved(_, name) => lock(&self.neighbours).gone(&name),
            _ => {}
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn tags(&self, day: u64) -> [String; 3] {
        [day.saturating_sub(1), day, day.saturating_add(1)].map(&self.tag)
    }
}

/// Whether the system would let us hear anything at all; the library does not say.
fn probe() -> Result<(), HostError> {
    let try_one = |domain: Domain, address: SocketAddr| {
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())
    };
    let v4 = try_one(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, MDNS_PORT).into());
    let v6 = try_one(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, MDNS_PORT).into());
    match (v4, v6) {
        (Err(error), Err(_)) => {
            Err(HostError::net(NetAction::Listen, format!("UDP port {MDNS_PORT}"))(error))
        }
        _ => Ok(()),
    }
}

fn random_label() -> Result<String, HostError> {
    Ok(format!("{:032x}", u128::from_be_bytes(entropy::bytes()?)))
}

/// How much the library remembers.
fn sum_of_records(counts: &HashMap<String, i64>) -> i64 {
    counts.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| count).sum()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("nobody panics while holding this lock")
}
