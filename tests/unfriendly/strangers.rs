//! Attackers without the key.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orchestra::identity::LinkKey;
use orchestra::limits::{PENDING_MAX, PENDING_PER_ADDRESS_MAX};
use orchestra::wire::member::preamble;
use orchestra::wire::seal::Initiator;
use socket2::{Domain, Socket, Type};

use crate::home::{DEADLINE, Home, key, until};

pub(crate) fn connect_from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Nothing that is sent is answered by a single byte.
fn learns_nothing(to: SocketAddr, what: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("{what}: it waits for more"),
        Ok(_) | Err(_) => assert!(heard.is_empty(), "{what}: {heard:?}"),
    }
}

#[test]
fn without_the_key_nothing_is_learnt() {
    let home = Home::with(&[("secret", b"secret")]);
    let ours = preamble(key().link_key().token());
    let (_, message) = Initiator::start(&key().link_key(), &ours);
    let other = LinkKey::from_bytes([9; 32]);
    let (_, foreign) = Initiator::start(&other, &ours);
    let theirs = preamble(other.token());
    let (_, stranger) = Initiator::start(&other, &theirs);
    learns_nothing(home.address(), "the token alone is not enough", &[&ours[..], &foreign].concat());
    learns_nothing(home.address(), "another ensemble", &[&theirs[..], &stranger].concat());
    learns_nothing(
        home.address(),
        "HTTP",
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept: everything there is\r\n\r\n",
    );
    let whole = [&ours[..], &message].concat();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        learns_nothing(home.address(), &format!("byte {at} changed"), &changed);
    }
    home.is_well();
}

/// Silent connections from one host, and from as many hosts as it takes to have all places, keep nobody out.
#[test]
fn the_silent_keep_nobody_out() {
    let home = Home::with(&[("a", b"a")]);
    let is_shut = |stream: &&TcpStream| {
        stream.set_nonblocking(true).unwrap();
        !stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    let one: Vec<TcpStream> = (0..200).map(|_| connect_from(2, home.address())).collect();
    until("most of them are refused", || {
        one.iter().filter(is_shut).count() >= one.len() - PENDING_PER_ADDRESS_MAX
    });
    // Their places are taken again as soon as they are given up.
    let (address, stop) = (home.address(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut crowd = VecDeque::new();
            for host in (2..=30).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                crowd.push_back(connect_from(host, address));
                if crowd.len() > 4 * PENDING_MAX {
                    crowd.pop_front();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let _stops = Stops(&stop);
        home.is_well();
    });
    drop(one);
}

/// Ends the crowd, also if the test fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
