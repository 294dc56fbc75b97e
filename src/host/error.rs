//! Our machine's trouble: what we did, to which path or address, and what the system said.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::part::PartIndex;
use crate::text::Escaped;

/// Something that the operating system would not do for us.
#[derive(Debug, Error)]
pub enum HostError {
    /// A file or directory.
    #[error("cannot {action} {path}", path = Escaped(&path.to_string_lossy()))]
    File {
        /// What was tried.
        action: FileAction,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A socket.
    #[error("cannot {action} {address}", address = Escaped(address))]
    Net {
        /// What was tried.
        action: NetAction,
        /// The address as the user or the other side gave it.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system itself.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: SystemAction,
        /// What the system said.
        source: io::Error,
    },
}

/// What is done to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAction {
    /// Open for reading or writing.
    Open,
    /// Read its size and kind.
    Inspect,
    /// Read.
    Read,
    /// Read one part.
    ReadPart(PartIndex),
    /// Create.
    Create,
    /// Reserve its size on the disk.
    Reserve,
    /// Write.
    Write,
    /// Write one part.
    WritePart(PartIndex),
    /// Bring it safely to the disk.
    Sync,
    /// Give it its final name.
    Rename,
    /// Keep others from using it at the same time.
    Lock,
    /// Keep other users from reading it.
    Protect,
}

/// What is done with sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetAction {
    /// Look up a host name.
    Resolve,
    /// Accept connections on.
    Listen,
    /// Connect to.
    Connect,
    /// Exchange messages with.
    Talk,
}

/// What is asked of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemAction {
    /// Start a thread.
    StartThread,
    /// Learn of signals.
    WatchSignals,
    /// Wait for sockets.
    WaitForSockets,
    /// Draw random bytes.
    DrawRandomness,
    /// Read keys and draw on the terminal.
    UseTerminal,
}

impl HostError {
    /// Trouble with a file or directory.
    pub fn file(action: FileAction, path: &Path) -> impl FnOnce(io::Error) -> HostError {
        move |source| HostError::File { action, path: path.to_owned(), source }
    }

    /// Trouble with a socket.
    pub fn net(action: NetAction, address: impl fmt::Display) -> impl FnOnce(io::Error) -> HostError {
        move |source| HostError::Net { action, address: address.to_string(), source }
    }

    /// Trouble with the system itself.
    pub fn system(action: SystemAction) -> impl FnOnce(io::Error) -> HostError {
        move |source| HostError::System { action, source }
    }

    /// What the system said.
    #[must_use]
    pub const fn io(&self) -> &io::Error {
        match self {
            HostError::File { source, .. }
            | HostError::Net { source, .. }
            | HostError::System { source, .. } => source,
        }
    }
}

impl fmt::Display for FileAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileAction::Open => f.write_str("open"),
            FileAction::Inspect => f.write_str("look at"),
            FileAction::Read => f.write_str("read"),
            FileAction::ReadPart(part) => write!(f, "read part {part} of"),
            FileAction::Create => f.write_str("create"),
            FileAction::Reserve => f.write_str("reserve room for"),
            FileAction::Write => f.write_str("write"),
            FileAction::WritePart(part) => write!(f, "write part {part} of"),
            FileAction::Sync => f.write_str("bring to the disk"),
            FileAction::Rename => f.write_str("give the final name to"),
            FileAction::Lock => f.write_str("lock"),
            FileAction::Protect => f.write_str("keep other users from reading"),
        }
    }
}

impl fmt::Display for NetAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NetAction::Resolve => "find the address of",
            NetAction::Listen => "listen on",
            NetAction::Connect => "connect to",
            NetAction::Talk => "talk to",
        })
    }
}

impl fmt::Display for SystemAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SystemAction::StartThread => "start a thread",
            SystemAction::WatchSignals => "watch for signals",
            SystemAction::WaitForSockets => "wait for sockets",
            SystemAction::DrawRandomness => "draw random bytes",
            SystemAction::UseTerminal => "use the terminal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Layout;
    use crate::text::chain;

    #[test]
    fn what_failed_comes_before_why() {
        let part = Layout::new(100, 10).unwrap().part(6).unwrap();
        let full = io::Error::from_raw_os_error(28);
        let error = HostError::file(FileAction::WritePart(part), Path::new("album.flac"))(full);
        assert_eq!(chain(&error), "cannot write part 7 of album.flac: no space left on device");
    }

    #[test]
    fn a_hostile_path_is_escaped() {
        let missing = io::Error::from_raw_os_error(2);
        let error = HostError::file(FileAction::Open, Path::new("a\u{1b}[2J"))(missing);
        assert_eq!(chain(&error), "cannot open a\\u{1b}[2J: no such file or directory");
    }
}
