//! Listening sockets, and what the system allows around them.
//!
//! Knows neither who connects nor what is said.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::str::FromStr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;

use super::HostError;
use super::error::NetAction;
use crate::limits::LISTEN_BACKLOG;

/// Where to accept connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenOn {
    /// This port on every address of this computer, IPv4 and IPv6; port 0 is any free one.
    EveryAddress(u16),
    /// This port of this address.
    Address(SocketAddr),
}

/// A text that names no place to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an address and a port like 192.168.1.1:9999 or [::1]:9999, or just a port, was expected")]
pub struct NotAListenAddress;

/// What a system's refusal to listen means for the user.
#[derive(Debug, Error)]
enum NoListen {
    #[error("another program listens there; stop it or choose another port with --listen")]
    InUse,
    #[error("this port needs special rights; choose one above 1023 with --listen")]
    Forbidden,
    #[error("this computer does not have that address; see --listen")]
    NotOurs,
}

impl FromStr for ListenOn {
    type Err = NotAListenAddress;

    /// Reads `192.168.1.1:9999`, `[::1]:9999`, `9999` or `:9999`; `[::]:9999` means every address, IPv4 too.
    fn from_str(text: &str) -> Result<ListenOn, NotAListenAddress> {
        let port = text.strip_prefix(':').unwrap_or(text);
        if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
            return port.parse().map(ListenOn::EveryAddress).map_err(|_| NotAListenAddress);
        }
        text.parse().map(|address: SocketAddr| address.into()).map_err(|_| NotAListenAddress)
    }
}

impl From<SocketAddr> for ListenOn {
    fn from(address: SocketAddr) -> ListenOn {
        match address.ip() {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => ListenOn::EveryAddress(address.port()),
            _ => ListenOn::Address(address),
        }
    }
}

impl fmt::Display for ListenOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenOn::EveryAddress(port) => write!(f, "port {port} of every address"),
            ListenOn::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Starts to listen; the connections wait in the system until they are accepted.
///
/// # Errors
/// The address is not ours, is in use, or needs rights that we lack; the text says what to do.
pub fn listen(on: ListenOn) -> Result<TcpListener, HostError> {
    match on {
        ListenOn::Address(address) => bind(address),
        ListenOn::EveryAddress(port) => bind((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| {
            match error.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                // Whatever else fails at the IPv6 wildcard, IPv6 is off here.
                _ => bind((Ipv4Addr::UNSPECIFIED, port).into()),
            }
        }),
    }
    .map_err(|error| HostError::net(NetAction::Listen, on)(explained(error)))
}

/// Listens on the first port of these that is free on every address, or else on any port.
///
/// # Errors
/// Not even a port of the system's choice is to be had.
pub fn listen_on_first(ports: RangeInclusive<u16>) -> Result<TcpListener, HostError> {
    for port in ports {
        match listen(ListenOn::EveryAddress(port)) {
            Err(error) if is_taken(&error) => {}
            other => return other,
        }
    }
    listen(ListenOn::EveryAddress(0))
}

/// Gives the connections that this listener accepts small buffers in the kernel, of about `len` bytes each way.
///
/// # Errors
/// The system does not allow it; the connections work all the same.
pub fn shrink_buffers(listener: &TcpListener, len: usize) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_send_buffer_size(len)?;
    socket.set_recv_buffer_size(len)
}

/// The address by which others in the network most likely reach this computer: the one that it would use
/// itself to reach them. None without a network. Nothing is sent.
#[must_use]
pub fn outward_address() -> Option<IpAddr> {
    // Addresses reserved for documentation: never local, so the default route decides.
    const ELSEWHERE: [(IpAddr, IpAddr); 2] = [
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
    ];
    ELSEWHERE.into_iter().find_map(|(here, there)| {
        let socket = UdpSocket::bind((here, 0)).ok()?;
        socket.connect((there, 9)).ok()?;
        socket
            .local_addr()
            .ok()
            .map(|address| address.ip())
            .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
    })
}

/// Asks the system for this many open files and returns how many it allows.
#[cfg(unix)]
#[must_use]
pub fn allow_open_files(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if limit.current.is_some_and(|current| current < raised) {
        // Without the right to raise it, what is allowed now is the answer.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(wanted).min(wanted);
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

/// Asks the system for this many open files and returns how many it allows.
#[cfg(not(unix))]
#[must_use]
pub fn allow_open_files(wanted: usize) -> usize {
    wanted
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    // After a restart the port is free at once, although old connections linger. On Windows the same option
    // would take the port from whoever listens there.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn is_taken(error: &HostError) -> bool {
    matches!(error.io().kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::AddrInUse => io::Error::new(kind, NoListen::InUse),
        kind @ io::ErrorKind::PermissionDenied => io::Error::new(kind, NoListen::Forbidden),
        kind @ io::ErrorKind::AddrNotAvailable => io::Error::new(kind, NoListen::NotOurs),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;
    use std::net::TcpStream;

    #[test]
    fn places_people_write() {
        let address = |text: &str| Ok(ListenOn::Address(text.parse().unwrap()));
        assert_eq!("9999".parse(), Ok(ListenOn::EveryAddress(9999)));
        assert_eq!(":0".parse(), Ok(ListenOn::EveryAddress(0)));
        assert_eq!("[::]:80".parse(), Ok(ListenOn::EveryAddress(80)));
        for text in ["0.0.0.0:80", "127.0.0.1:0", "[::1]:9999"] {
            assert_eq!(text.parse::<ListenOn>(), address(text));
        }
        for text in ["", ":", "65536", "-1", "1.2.3.4", "::1", "[::1]", "1.2.3.4:", "host:1", " 80"] {
            assert_eq!(text.parse::<ListenOn>(), Err(NotAListenAddress), "{text}");
        }
    }

    #[test]
    fn every_address_is_ipv4_and_ipv6() {
        let listener = listen(ListenOn::EveryAddress(0)).unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
        if address.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).unwrap();
        } else {
            eprintln!("skipped: needs IPv6");
        }
    }

    #[test]
    fn a_taken_port_is_explained() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = listen(ListenOn::Address(address)).unwrap_err();
        assert_eq!(
            chain(&error),
            format!(
                "cannot listen on {address}: another program listens there; \
                 stop it or choose another port with --listen"
            )
        );
        assert!(is_taken(&error));
        let elsewhere = listen("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(chain(&elsewhere).contains("does not have that address"), "{}", chain(&elsewhere));
    }

    #[test]
    fn taken_ports_are_passed_over() {
        let first = listen(ListenOn::EveryAddress(0)).unwrap();
        let taken = first.local_addr().unwrap().port();
        let second = listen_on_first(taken..=taken).unwrap();
        assert_ne!(second.local_addr().unwrap().port(), taken);
    }
}
