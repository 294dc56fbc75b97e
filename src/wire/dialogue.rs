//! What the conversations with a conductor have in common, at its desk and with its catalogue: a preamble that names
//! dialect and version, then frames, each of them a whole message.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::frame::Assembler;
use super::{WireError, codec};

/// The length of what names a dialect.
const MAGIC_LEN: usize = 4;
/// The length of a preamble: magic, version.
pub const PREAMBLE_LEN: usize = MAGIC_LEN + 1;

/// The first bytes of a connection in this dialect and version.
#[must_use]
pub const fn preamble(magic: [u8; MAGIC_LEN], version: u8) -> [u8; PREAMBLE_LEN] {
    [magic[0], magic[1], magic[2], magic[3], version]
}

/// Checks the first bytes of a connection.
///
/// # Errors
/// The bytes belong to another dialect or another version of this one.
pub fn check_preamble(
    bytes: &[u8; PREAMBLE_LEN],
    magic: [u8; MAGIC_LEN],
    version: u8,
) -> Result<(), WireError> {
    match (bytes[..MAGIC_LEN] == magic, bytes[MAGIC_LEN]) {
        (false, _) => Err(WireError::Preamble),
        (true, said) if said == version => Ok(()),
        (true, other) => Err(WireError::Version(other)),
    }
}

/// What one side says, a message in each frame.
pub trait Framed: DeserializeOwned {
    /// The longest body of a message of this kind; none for kinds that do not exist.
    fn body_max(kind: u8) -> Option<usize>;

    /// Whether messages of this kind hold secrets, so that nothing of them may stay where they were put together.
    fn is_secret(_kind: u8) -> bool {
        false
    }
}

/// Reads what one side says, from slices that end anywhere.
#[derive(Debug)]
pub struct Decoder<T> {
    assembler: Assembler,
    kind: PhantomData<T>,
}

impl<T: Framed> Decoder<T> {
    /// A decoder to which nothing has come yet.
    #[must_use]
    pub const fn new() -> Decoder<T> {
        Decoder { assembler: Assembler::new(T::body_max), kind: PhantomData }
    }

    /// Takes one message from the front of `input`, or all of `input` if the message is not whole yet.
    ///
    /// # Errors
    /// The bytes are no message; the stream cannot be read any further.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<T>, WireError> {
        match self.assembler.next(input)? {
            None => Ok(None),
            Some((kind, body)) => {
                let message = codec::decode(body.bytes()).map(Some).ok_or(WireError::Body(kind));
                if T::is_secret(kind) {
                    body.wipe();
                }
                message
            }
        }
    }
}

impl<T: Framed> Default for Decoder<T> {
    fn default() -> Decoder<T> {
        Decoder::new()
    }
}
