//! What one message of another member means, and whether it may come now.

use thiserror::Error;

use crate::limits::{LISTS_OWED_MAX, SLICES_OWED_MAX};
use crate::wire::WireError;
use crate::wire::ensemble::Message;

/// How the other side broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The bytes are no message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The first message is not a hello.
    #[error("the first message was not a hello")]
    NoHello,
    /// A second hello.
    #[error("it introduced itself twice")]
    SecondHello,
    /// An answer to nothing.
    #[error("it answered what nobody asked")]
    NotAsked,
    /// What it compressed does not unpack to the slice, or is longer than a slice becomes.
    #[error("a slice that it compressed is none")]
    Packing,
    /// Entries of another device than the one that introduced itself.
    #[error("it told entries of another device")]
    OtherDevice,
    /// It asks for more than it may at a time.
    #[error("it asked for too much at a time")]
    TooMuch,
    /// It asks for more than our queue has room for.
    #[error("it asks for more than it takes")]
    Overrun,
}

/// What was said on one link so far.
#[derive(Debug, Default)]
pub struct Exchange {
    device: Option<crate::entry::Device>,
}

/// What the other side is owed, with what it asks for now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owed {
    /// Slices.
    pub slices: usize,
    /// Lists of chunks.
    pub lists: usize,
}

impl Exchange {
    /// Whether the message may come now.
    ///
    /// # Errors
    /// It may not: the link ends.
    pub fn check(&mut self, message: &Message) -> Result<(), Fault> {
        match (self.device, message) {
            (None, Message::Hello(hello)) => self.device = Some(hello.device),
            (None, Message::Bye(_)) => {}
            (None, _) => return Err(Fault::NoHello),
            (Some(_), Message::Hello(_)) => return Err(Fault::SecondHello),
            (Some(device), Message::Entries(entries)) if entries.device != device => {
                return Err(Fault::OtherDevice);
            }
            (Some(_), _) => {}
        }
        Ok(())
    }
}

impl Owed {
    /// Whether it is no more than one link may have us owe.
    ///
    /// # Errors
    /// It is more: the link ends.
    pub const fn check(self) -> Result<(), Fault> {
        if self.slices > SLICES_OWED_MAX || self.lists > LISTS_OWED_MAX {
            Err(Fault::TooMuch)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Device;
    use crate::identity::MemberId;
    use crate::wire::ensemble::{Entries, Hello, Reason};

    fn hello() -> Message {
        Message::Hello(Hello {
            member: MemberId::from_bytes([1; 16]),
            device: Device::from_bits(1),
            port: 0,
            label: String::new(),
            abilities: 0,
        })
    }

    fn entries(device: u64) -> Message {
        Message::Entries(Entries {
            device: Device::from_bits(device),
            rows: Vec::new(),
            through: 0,
            more: false,
        })
    }

    #[test]
    fn a_hello_comes_first_and_once() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.check(&Message::Alive), Err(Fault::NoHello));
        assert_eq!(exchange.check(&Message::Bye(Reason::TooMany)), Ok(()), "whoever is not wanted hears why");
        assert_eq!(exchange.check(&hello()), Ok(()));
        assert_eq!(exchange.check(&hello()), Err(Fault::SecondHello));
    }

    #[test]
    fn everybody_tells_only_of_itself() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.check(&hello()), Ok(()));
        assert_eq!(exchange.check(&entries(1)), Ok(()));
        assert_eq!(exchange.check(&entries(2)), Err(Fault::OtherDevice));
    }

    #[test]
    fn what_is_owed_is_bounded() {
        let check = |slices, lists| Owed { slices, lists }.check();
        assert_eq!(check(SLICES_OWED_MAX, LISTS_OWED_MAX), Ok(()));
        assert_eq!(check(SLICES_OWED_MAX + 1, 0), Err(Fault::TooMuch));
        assert_eq!(check(0, LISTS_OWED_MAX + 1), Err(Fault::TooMuch));
    }
}
