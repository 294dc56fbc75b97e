//! The only rooms that call the operating system.
//!
//! They act and report; they decide nothing, and know neither members nor messages.

pub mod clock;
pub mod error;
pub mod log;
pub mod signal;
pub mod terminal;

pub use error::HostError;
