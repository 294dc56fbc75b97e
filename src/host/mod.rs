//! The only rooms that call the operating system.
//!
//! They act and report; they decide nothing, and know neither members nor messages.

pub mod clock;
pub mod error;
pub mod hashing;
mod holes;
pub mod manifest_file;
pub mod regular;

pub use error::HostError;
