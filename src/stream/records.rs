//! Plain bytes in and out of a socket, in sealed records, with few system calls.
//!
//! Both halves own their buffer; a record is opened where it was received, or into
//! the place of the part that it brings, and sealed where it was written.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;

use super::{Cut, StreamError};
use crate::host::patient::{is_pause, write_all};
use crate::limits::{RECORD_LEN_MAX, RECORD_PLAIN_MAX, RECORD_TAG_LEN, RECORDS_PER_CALL, WRITE_TIMEOUT};
use crate::wire::seal::{Opener, RECORD_HEADER_LEN, Sealer, record_len};

/// A record with its header.
const SLOT: usize = RECORD_HEADER_LEN + RECORD_LEN_MAX;

/// What one look for a record yields.
#[derive(Debug)]
pub enum Received<'a> {
    /// The plain bytes of the next record.
    Record(&'a [u8]),
    /// The next record had so many plain bytes, and they are where they belong.
    Placed(usize),
    /// More has arrived, but not yet all of a record.
    Piece,
    /// Nothing more has arrived yet.
    Nothing,
    /// The other side has closed its half.
    End,
}

/// The receiving half.
#[derive(Debug)]
pub struct SealedReader<'s> {
    stream: &'s TcpStream,
    opener: Opener,
    buffer: Box<[u8]>,
    /// Invariant: the bytes received and not yet taken.
    filled: Range<usize>,
}

impl<'s> SealedReader<'s> {
    /// Reads from this socket what was sealed for this opener.
    #[must_use]
    pub fn new(stream: &'s TcpStream, opener: Opener) -> SealedReader<'s> {
        let buffer = vec![0; SLOT * (RECORDS_PER_CALL + 1)].into_boxed_slice();
        SealedReader { stream, opener, buffer, filled: 0..0 }
    }

    /// The next record, if it has arrived; waits at most one poll interval for more.
    /// Its bytes go to `place` if all of them have room there.
    ///
    /// Whoever sends a record byte by byte does not keep the caller from looking around.
    ///
    /// # Errors
    /// The connection broke, or what came is no record of the other side's.
    pub fn next(&mut self, place: &mut [u8]) -> Result<Received<'_>, StreamError> {
        let mut record = self.whole_record()?;
        if record.is_none() {
            match self.fill().map_err(StreamError::Socket)? {
                None => return Ok(Received::Nothing),
                Some(0) => return Ok(Received::End),
                Some(_) => record = self.whole_record()?,
            }
        }
        let Some(record) = record else { return Ok(Received::Piece) };
        self.filled.start = record.end;
        let sealed = &mut self.buffer[record];
        let plain_len = sealed.len() - RECORD_TAG_LEN;
        let received = match place.get_mut(..plain_len) {
            Some(place) => self.opener.open_into(sealed, place).map(|()| Received::Placed(plain_len)),
            None => self.opener.open(sealed).map(|plain| Received::Record(plain)),
        };
        received.map_err(StreamError::Wire)
    }

    /// Whether the next record has not arrived yet, as far as was received: looking for it may wait.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.whole_record().is_ok_and(|record| record.is_none())
    }

    /// Where the sealed bytes of the next record are, if all of them are there.
    fn whole_record(&self) -> Result<Option<Range<usize>>, StreamError> {
        let filled = &self.buffer[self.filled.clone()];
        let [high, low, ..] = *filled else { return Ok(None) };
        let len = record_len([high, low]).map_err(StreamError::Wire)?;
        let start = self.filled.start + RECORD_HEADER_LEN;
        Ok((start + len <= self.filled.end).then_some(start..start + len))
    }

    /// Receives more; 0 bytes mean the end, none that nothing has arrived.
    fn fill(&mut self) -> io::Result<Option<usize>> {
        if self.filled.is_empty() {
            self.filled = 0..0;
        } else if self.buffer.len() - self.filled.start < SLOT {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        let room = &mut self.buffer[self.filled.end..];
        let received = match self.stream.read(room) {
            Ok(len) => Some(len),
            Err(error) if is_pause(&error) => None,
            Err(error) => return Err(error),
        };
        if let Some(len) = received {
            self.filled.end += len;
        }
        Ok(received)
    }
}

/// The sending half.
#[derive(Debug)]
pub struct SealedWriter<'s> {
    cut: &'s Cut,
    stream: &'s TcpStream,
    sealer: Sealer,
    buffer: Box<[u8]>,
    /// Where the record in the making begins. Invariant: everything before it is sealed and not yet sent.
    record: usize,
    /// How many plain bytes it has.
    plain: usize,
    /// A message in the making; kept for the next one.
    scratch: Vec<u8>,
}

impl<'s> SealedWriter<'s> {
    /// Seals onto this socket; a write gives up when the link is cut.
    #[must_use]
    pub fn new(cut: &'s Cut, stream: &'s TcpStream, sealer: Sealer) -> SealedWriter<'s> {
        let buffer = vec![0; SLOT * RECORDS_PER_CALL].into_boxed_slice();
        SealedWriter { cut, stream, sealer, buffer, record: 0, plain: 0, scratch: Vec::new() }
    }

    /// Appends plain bytes.
    ///
    /// # Errors
    /// The connection broke, the link was cut, or its key is used up.
    pub fn put(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let room = self.room();
            let len = bytes.len().min(room.len());
            room[..len].copy_from_slice(&bytes[..len]);
            self.filled(len)?;
            bytes = &bytes[len..];
        }
        Ok(())
    }

    /// Appends what `write` writes: a message as a frame.
    ///
    /// # Errors
    /// As of [`SealedWriter::put`].
    pub fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), StreamError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        write(&mut scratch);
        let put = self.put(&scratch);
        self.scratch = scratch;
        put
    }

    /// Sends everything that was appended, and nothing ever after. The other side reads it, then the end: shutting the
    /// socket both ways could destroy the last words.
    ///
    /// # Errors
    /// As of [`SealedWriter::put`].
    pub fn end(&mut self) -> Result<(), StreamError> {
        self.flush()?;
        // It may be shut already.
        drop(self.stream.shutdown(Shutdown::Write));
        Ok(())
    }

    /// Room for plain bytes in the current record, at least one; say with [`SealedWriter::filled`] how many.
    pub fn room(&mut self) -> &mut [u8] {
        let start = self.record + RECORD_HEADER_LEN;
        &mut self.buffer[start + self.plain..start + RECORD_PLAIN_MAX]
    }

    /// So many bytes of the room were filled.
    ///
    /// # Errors
    /// The connection broke, the link was cut, or its key is used up.
    pub fn filled(&mut self, len: usize) -> Result<(), StreamError> {
        self.plain += len;
        if self.plain == RECORD_PLAIN_MAX {
            self.seal()?;
            if self.buffer.len() - self.record < SLOT {
                self.send()?;
            }
        }
        Ok(())
    }

    /// Whether the key is nearly used up.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.sealer.is_worn()
    }

    /// Sends everything that was appended.
    ///
    /// # Errors
    /// The connection broke, the link was cut, or its key is used up.
    pub fn flush(&mut self) -> Result<(), StreamError> {
        if self.plain > 0 {
            self.seal()?;
        }
        self.send()
    }

    fn seal(&mut self) -> Result<(), StreamError> {
        let end = self.record + RECORD_HEADER_LEN + self.plain + RECORD_TAG_LEN;
        self.sealer.seal(&mut self.buffer[self.record..end]).map_err(StreamError::Wire)?;
        self.record = end;
        self.plain = 0;
        Ok(())
    }

    fn send(&mut self) -> Result<(), StreamError> {
        let stream = self.cut.counting(self.stream);
        let sent = write_all(stream, &self.buffer[..self.record], WRITE_TIMEOUT, || self.cut.is_cut());
        self.record = 0;
        sent.map_err(StreamError::Socket)
    }
}
