//! A member's presence on the local network of one host, and what it found there.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use orchestra::host::lan::{Lan, Reach};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::network::Host;

pub(crate) struct Neighbour {
    pub(crate) lan: Lan,
    found: Arc<Found>,
}

#[derive(Default)]
struct Found {
    addresses: Mutex<Vec<SocketAddr>>,
    more: Condvar,
}

impl Neighbour {
    /// Begins to be found on this host; its tag on a day is the text and the day.
    pub(crate) fn start(
        host: &Host,
        port: u16,
        tag: &'static str,
        today: impl Fn() -> u64 + Send + 'static,
    ) -> Neighbour {
        let found = Arc::new(Found::default());
        let tell = {
            let found = Arc::clone(&found);
            move |address| {
                found.addresses.lock().unwrap().push(address);
                found.more.notify_all();
            }
        };
        let tag = move |day| format!("{tag}-{day}");
        let lan = inside(host.space(), || Lan::start_in(port, tag, tell, today).unwrap());
        Neighbour { lan, found }
    }

    /// All that it found, in that order.
    pub(crate) fn found(&self) -> Vec<SocketAddr> {
        self.found.addresses.lock().unwrap().clone()
    }

    /// As if nothing had been found yet.
    pub(crate) fn forget(&self) {
        self.found.addresses.lock().unwrap().clear();
    }

    /// Waits until it found an address with this port. Whoever comes later may learn only some addresses at once.
    #[track_caller]
    pub(crate) fn finds(&self, port: u16, patience: Duration) {
        self.finds_any(patience, |address| address.port() == port);
    }

    /// Waits until it found this address.
    #[track_caller]
    pub(crate) fn finds_at(&self, wanted: SocketAddr, patience: Duration) {
        self.finds_any(patience, |address| *address == wanted);
    }

    /// Waits until it found one of these addresses.
    #[track_caller]
    pub(crate) fn finds_any(&self, patience: Duration, wanted: impl Fn(&SocketAddr) -> bool) -> SocketAddr {
        let addresses = self.found.addresses.lock().unwrap();
        let is_missing = |addresses: &mut Vec<SocketAddr>| !addresses.iter().any(&wanted);
        let (addresses, _) = self.found.more.wait_timeout_while(addresses, patience, is_missing).unwrap();
        let found = addresses.iter().copied().find(&wanted);
        found.unwrap_or_else(|| panic!("not found, but {addresses:?}; reaches {:?}", self.lan.reach()))
    }

    /// Waits until it is heard so far.
    #[track_caller]
    pub(crate) fn reaches(&self, reach: Reach, patience: Duration) {
        let until = Instant::now() + patience;
        while self.lan.reach() != reach {
            assert!(Instant::now() < until, "reaches {:?}, not {reach:?}", self.lan.reach());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Does something in a network namespace; the threads that it starts stay there.
pub(crate) fn inside<T: Send>(space: &str, act: impl FnOnce() -> T + Send) -> T {
    let space = File::open(Path::new("/run/netns").join(space)).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}
