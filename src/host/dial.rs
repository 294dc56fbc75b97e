//! Opening connections: looking up names, connecting, and the options that every connection has.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::error::NetAction;
use super::{HostError, clock};
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::limits::UNSENT_MAX;
use crate::limits::{CONNECT_TIMEOUT, POLL_INTERVAL};

/// When the far end falls silent without a word, the system notices after a minute: so much silence, and then so
/// many questions without an answer, so far apart. It asks before routers forget the connection.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// The addresses behind a host name and port, in the order in which the system prefers them.
///
/// It may take as long as the system's resolver does.
///
/// # Errors
/// The name is not known.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, HostError> {
    let found = (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let found = found.and_then(|addresses| {
        if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
    });
    found.map_err(HostError::net(NetAction::Resolve, host))
}

/// Connects within [`CONNECT_TIMEOUT`], or gives up as soon as `stop` says so.
///
/// # Errors
/// Nobody listens there, nobody answers in time, or `stop` said so ([`io::ErrorKind::Interrupted`]).
pub fn connect(address: SocketAddr, stop: impl Fn() -> bool) -> Result<TcpStream, HostError> {
    attempt(address, stop).map_err(HostError::net(NetAction::Connect, address))
}

fn attempt(address: SocketAddr, stop: impl Fn() -> bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => wait_until_connected(&socket, stop)?,
        Err(error) => return Err(error),
    }
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

fn wait_until_connected(socket: &Socket, stop: impl Fn() -> bool) -> io::Result<()> {
    let deadline = clock::now() + CONNECT_TIMEOUT;
    while clock::now() < deadline {
        if stop() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if wait(socket, PollFlags::OUT)? {
            return socket.take_error()?.map_or(Ok(()), Err);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Wakes whoever waits in [`accept`] on the listener with this address, by a connection that says nothing.
/// If that fails, it wakes by itself after [`POLL_INTERVAL`].
pub fn wake_listener(address: SocketAddr) {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    drop(attempt(SocketAddr::new(ip, address.port()), || true));
}

/// Waits up to [`POLL_INTERVAL`] for a connection to accept; none if there was none.
///
/// # Errors
/// The system has no room for another socket, or the listener is broken.
pub fn accept(listener: &std::net::TcpListener) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    if !wait(listener, PollFlags::IN)? {
        return Ok(None);
    }
    match listener.accept() {
        Ok((stream, remote)) => {
            stream.set_nonblocking(false)?;
            Ok(Some((stream, remote)))
        }
        // It was there a moment ago.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether the socket became ready within [`POLL_INTERVAL`].
fn wait(socket: &impl std::os::fd::AsFd, flags: PollFlags) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket, flags)];
    let nanos = i64::try_from(POLL_INTERVAL.as_nanos()).unwrap_or(i64::MAX);
    let timeout = Timespec { tv_sec: nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 };
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Sets what every connection has: no delay for small messages, reads and writes that return every
/// [`POLL_INTERVAL`], and a sign of life while nothing is said.
///
/// # Errors
/// The connection is already gone.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(POLL_INTERVAL))?;
    stream.set_write_timeout(Some(POLL_INTERVAL))?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
    socket.set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn connects() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(accept(&listener).unwrap().is_none(), "nobody is there yet");
        let stream = connect(listener.local_addr().unwrap(), || false).unwrap();
        let (mut far, _) = accept(&listener).unwrap().unwrap();
        prepare(&stream).unwrap();
        far.write_all(b"word").unwrap();
        let mut buffer = [0; 4];
        (&stream).read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"word");
    }

    #[test]
    fn silence_is_noticed_after_a_minute() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = connect(listener.local_addr().unwrap(), || false).unwrap();
        prepare(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let questions = socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        let noticed = socket.tcp_keepalive_time().unwrap() + questions;
        assert_eq!(noticed, Duration::from_secs(60));
    }

    #[test]
    fn a_stop_ends_a_connect() {
        // A listener that never accepts, with its backlog full, leaves further connects waiting.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut held = Vec::new();
        let error = loop {
            match connect(address, || !held.is_empty()) {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
            assert!(held.len() < 100, "the backlog never fills");
        };
        assert_eq!(error.io().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn nobody_there_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = connect(address, || false).unwrap_err();
        assert_eq!(error.io().kind(), io::ErrorKind::ConnectionRefused);
    }
}
