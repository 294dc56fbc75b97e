//! The only rooms that call the operating system.
//!
//! They act and report; they decide nothing, and know neither members nor messages.

pub mod clock;
pub mod dial;
pub mod error;
pub mod shelf;
pub mod store;
pub mod thread;

pub use error::HostError;
