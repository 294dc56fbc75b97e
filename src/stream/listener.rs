//! Accepts connections until nobody wants any more.

use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::host::{dial, thread};
use crate::limits::POLL_INTERVAL;

/// Hands over each connection, until `done` says so.
pub fn accept(listener: &TcpListener, done: impl Fn() -> bool, take: impl Fn(TcpStream, SocketAddr)) {
    while !done() {
        match dial::accept(listener) {
            Ok(Some((stream, remote))) => take(stream, remote),
            Ok(None) => {}
            Err(error) => {
                // No room for another socket: others may close some.
                log::warn!("cannot accept a connection: {error}");
                thread::pause(POLL_INTERVAL, POLL_INTERVAL, &done);
            }
        }
    }
}
