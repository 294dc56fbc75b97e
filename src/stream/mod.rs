//! What members do on sockets, whatever they are members of: above all a sealed stream between two of them, from a socket
//! to plain bytes in both directions.
//!
//! - [`handshake`]: dialled or accepted, both sides prove that they have the same key;
//! - [`records`]: then everything is sealed;
//! - [`throttle`]: no faster than the user allows;
//! - [`listener`]: others may dial;
//! - [`desk`]: a conductor is asked who else is there;
//! - [`catalogue`]: a conductor is asked what there is;
//! - [`classic`]: a conductor is asked in the classic protocol.
//!
//! It does not know what is said on a stream.

pub mod catalogue;
pub mod classic;
pub mod desk;
pub mod handshake;
pub mod listener;
pub mod records;
pub mod throttle;

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use thiserror::Error;

pub use self::handshake::{Established, Opened, Role, establish, open};
pub use self::records::{Received, SealedReader, SealedWriter};
pub use self::throttle::Throttle;
use crate::host::HostError;
use crate::wire::WireError;

/// Why a stream does not begin, or ends.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The other side is gone without a word.
    #[error("the other side is gone")]
    Gone,
    /// The other side did not shake hands in time.
    #[error("no valid handshake in time")]
    Late,
    /// The other side named another key.
    #[error("the other side wants another key")]
    OtherKey,
    /// The other side broke the protocol.
    #[error("the other side broke the protocol")]
    Wire(#[source] WireError),
    /// It could not be dialled.
    #[error(transparent)]
    Dial(HostError),
    /// The connection broke.
    #[error("the connection broke")]
    Socket(#[source] io::Error),
}

/// A link's socket and whether it was cut: whoever waits on the socket stops then.
#[derive(Debug, Default)]
pub struct Cut {
    socket: OnceLock<TcpStream>,
    cut: AtomicBool,
    written: AtomicU64,
}

impl Cut {
    /// The link has a socket from now on, which [`Cut::cut`] can shut.
    pub fn attach(&self, socket: TcpStream) {
        // A link gets its one socket once.
        drop(self.socket.set(socket));
        if self.is_cut() {
            self.cut();
        }
    }

    /// Ends the link at once: its threads stop waiting.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        if let Some(socket) = self.socket.get() {
            // It may be shut already.
            drop(socket.shutdown(Shutdown::Both));
        }
    }

    /// The socket, with what is written to it counted.
    pub const fn counting<'s>(&'s self, stream: &'s TcpStream) -> impl Write + 's {
        Counting { stream, written: &self.written }
    }

    /// How many bytes the system took for the socket of those that were counted.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether it was cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}

/// A socket, and where its bytes are counted.
struct Counting<'s> {
    stream: &'s TcpStream,
    written: &'s AtomicU64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.stream.write(bytes)?;
        self.written.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
