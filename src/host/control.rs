//! A door for the same user on the same computer: a Unix socket in an ensemble's folder, and lines on it.
//!
//! Who gets through is decided by the folder's mode, which lets nobody else in. This does not know what is said.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::NetAction;
use super::folder::root::{self, RootError};
use super::folder::{Folder, Trouble};
use super::{HostError, clock, patient};
use crate::entry::path::OWN_FOLDER;
use crate::limits::{CONTROL_SLICE, POLL_INTERVAL};

/// The socket in [`OWN_FOLDER`].
const NAME: &str = "control";

/// The socket, listening. Dropping it takes it away.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    place: Place,
}

/// Where the socket is: a socket's address has room for 107 bytes, and folders have longer paths.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Keeps the path valid.
    _folder: OwnedFd,
}

impl Place {
    fn of(own: &Folder, dir: &Path) -> Result<Place, Trouble> {
        let folder = own.handle()?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        // Other systems than Linux have no such folder.
        let base = if short.exists() { short } else { dir.join(OWN_FOLDER) };
        Ok(Place { path: base.join(NAME), _folder: folder })
    }
}

impl Door {
    /// Makes the socket in the folder of ours. One that is there was left by a program that was killed: the caller holds
    /// the folder's lock. `dir` is the folder as the user named it.
    ///
    /// # Errors
    /// The file system has no sockets, or is full.
    pub fn open(own: &Folder, dir: &Path) -> Result<Door, HostError> {
        let open = || {
            let place = Place::of(own, dir).map_err(|trouble| io::Error::other(trouble.to_string()))?;
            match std::fs::remove_file(&place.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&place.path)?;
            listener.set_nonblocking(true)?;
            Ok(Door { listener, place })
        };
        let shown = dir.join(OWN_FOLDER).join(NAME);
        open().map_err(HostError::net(NetAction::Listen, shown.display()))
    }

    /// Waits for somebody, at most for [`POLL_INTERVAL`].
    ///
    /// # Errors
    /// The system has no room for another connection.
    pub fn wait(&self) -> io::Result<Option<Talk>> {
        let mut streams = [PollFd::new(&self.listener, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: POLL_INTERVAL.subsec_nanos().into() };
        match poll(&mut streams, Some(&timeout)) {
            Ok(1..) => {}
            _ => return Ok(None),
        }
        match self.listener.accept() {
            Ok((stream, _)) => Ok(Some(Talk::over(stream)?)),
            Err(error) if patient::is_pause(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // The next one replaces it if it stays.
        drop(std::fs::remove_file(&self.place.path));
    }
}

/// Lines to and from the other side of the socket.
#[derive(Debug)]
pub struct Talk {
    stream: UnixStream,
    heard: Vec<u8>,
}

impl Talk {
    /// Connects to the program that works on this folder; none if no program does.
    ///
    /// # Errors
    /// There is no such folder, or it is no ensemble's, or the system refuses.
    pub fn to(dir: &Path) -> Result<Option<Talk>, RootError> {
        let own = root::peek(dir)?.ok_or_else(|| RootError::NotOurs { path: dir.to_owned() })?;
        let open = |trouble| RootError::Open { path: dir.to_owned(), trouble };
        let place = Place::of(&own, dir).map_err(open)?;
        match UnixStream::connect(&place.path).and_then(Talk::over) {
            Ok(talk) => Ok(Some(talk)),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(error) => {
                let shown = dir.join(OWN_FOLDER).join(NAME);
                Err(HostError::net(NetAction::Connect, shown.display())(error).into())
            }
        }
    }

    fn over(stream: UnixStream) -> io::Result<Talk> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(POLL_INTERVAL))?;
        stream.set_write_timeout(Some(POLL_INTERVAL))?;
        Ok(Talk { stream, heard: Vec::new() })
    }

    /// Says lines, each with its end; gives up after `patience` in all, or when `give_up` says so.
    ///
    /// # Errors
    /// The other side is gone or does not listen ([`io::ErrorKind::TimedOut`]).
    pub fn say(&self, lines: &str, patience: Duration, give_up: impl Fn() -> bool) -> io::Result<()> {
        let deadline = clock::now() + patience;
        for slice in lines.as_bytes().chunks(CONTROL_SLICE) {
            // A reader of one byte at a time makes progress, too.
            if clock::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            patient::write_all(&self.stream, slice, patience, || give_up() || clock::now() >= deadline)?;
        }
        Ok(())
    }

    /// Hears a line of at most so many bytes, without its end; none if the other side is done. Gives up after `patience`,
    /// or when `give_up` says so.
    ///
    /// # Errors
    /// The line is longer or no text ([`io::ErrorKind::InvalidData`]), ends early, or does not come in time.
    pub fn hear(
        &mut self,
        most: usize,
        patience: Duration,
        give_up: impl Fn() -> bool,
    ) -> io::Result<Option<String>> {
        let deadline = clock::now() + patience;
        let mut slice = vec![0; CONTROL_SLICE];
        let mut looked = 0;
        loop {
            if let Some(end) = self.heard[looked..].iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.heard.drain(..=looked + end).collect();
                line.pop();
                let text = String::from_utf8(line).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
                return text.map(Some);
            }
            looked = self.heard.len();
            if looked > most {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match (&self.stream).read(&mut slice) {
                Ok(0) if self.heard.is_empty() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.heard.extend_from_slice(&slice[..len]),
                Err(error) if patient::is_pause(&error) => {}
                Err(error) => return Err(error),
            }
            if give_up() || clock::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}
