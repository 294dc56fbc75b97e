//! The one place that knows bincode.
//!
//! bincode's maintainers stopped (RUSTSEC-2025-0141), so it is pinned and stays behind these two functions;
//! the vectors in PROTOCOL.md pin its bytes, so that an heir can replace it without anybody noticing.
//! The format is bincode 2's `standard`: little endian, variable-length integers, enums by position.

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_HAVE_MAX;

/// No message is longer than this, so decoding never allocates more.
const DECODE_MAX: usize = FRAME_HAVE_MAX;

/// Appends the bytes of a message.
///
/// # Panics
/// Never for our own message types: only maps and types that refuse to be serialised could fail.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_writer(message, Appended(out), bincode::config::standard())
        .expect("plain messages encode into memory");
}

/// The end of a list of bytes. Numbers come byte by byte, and through `io::Write` each would be counted and could fail.
struct Appended<'a>(&'a mut Vec<u8>);

impl Writer for Appended<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The message that these bytes are, all of them; none if they are anything else.
#[must_use]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let config = bincode::config::standard().with_limit::<DECODE_MAX>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((message, used)) if used == bytes.len() => Some(message),
        _ => None,
    }
}
