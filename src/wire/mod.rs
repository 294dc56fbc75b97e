//! Bytes to messages and back, on slices; no sockets.
//!
//! PROTOCOL.md is normative; the tests at the end of each file hold its vectors.
//! This room does not know what a message leads to, when it comes, or over what.

pub mod catalogue;
mod cipher;
pub mod classic;
pub mod codec;
pub mod desk;
pub mod dialogue;
pub mod ensemble;
pub mod frame;
pub mod member;
pub mod seal;

use thiserror::Error;

/// Bytes that are not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The first bytes name no dialect that is spoken here.
    #[error("the first bytes are not those of this protocol")]
    Preamble,
    /// A version of the protocol that is not spoken here.
    #[error("version {0} of the protocol is not spoken here")]
    Version(u8),
    /// A kind of message that does not exist.
    #[error("messages of kind {0} do not exist")]
    Kind(u8),
    /// A message that is longer than its kind may be, or empty.
    #[error("{len} bytes were announced for a message of kind {kind}")]
    FrameLen {
        /// The kind of message.
        kind: u8,
        /// The length that was announced.
        len: u32,
    },
    /// A message whose body is malformed.
    #[error("the body of a message of kind {0} is malformed")]
    Body(u8),
    /// An answer to another question than the one that was asked.
    #[error("it answers another question")]
    Answer,
    /// A record that is shorter or longer than records are.
    #[error("a sealed record of {0} bytes does not exist")]
    RecordLen(u16),
    /// A record or handshake that was not sealed with the key of this swarm, or was changed on its way.
    #[error("the seal is broken")]
    Seal,
    /// Lines that are not those of the classic protocol.
    #[error(transparent)]
    Classic(#[from] classic::LineError),
    /// More records than one key may seal.
    #[error("the key of this link is used up")]
    KeyUsedUp,
}
