//! Reads and writes on sockets with short timeouts: each look around costs one wake-up, and the whole has a
//! deadline of its own.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::clock;
use crate::time::Moment;

/// Writes all bytes; gives up after `patience` without progress, or when `give_up` says so.
///
/// # Errors
/// The connection is broken, or we gave up ([`io::ErrorKind::TimedOut`]).
pub fn write_all(
    mut stream: impl Write,
    mut bytes: &[u8],
    patience: Duration,
    give_up: impl Fn() -> bool,
) -> io::Result<()> {
    let mut progressed = clock::now();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => {
                bytes = &bytes[len..];
                progressed = clock::now();
            }
            Err(error) if is_pause(&error) => {
                if give_up() || clock::now().since(progressed) >= patience {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads exactly so many bytes before `deadline`, unless `give_up` says so.
///
/// # Errors
/// The connection is broken or ends first, or we gave up ([`io::ErrorKind::TimedOut`]).
pub fn read_exact(
    mut stream: impl Read,
    mut buffer: &mut [u8],
    deadline: Moment,
    give_up: impl Fn() -> bool,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => buffer = &mut buffer[len..],
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
        if !buffer.is_empty() && (give_up() || clock::now() >= deadline) {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// The socket's own short timeout, or a signal: look around and go on.
#[must_use]
pub fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
