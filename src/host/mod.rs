//! The only rooms that call the operating system.
//!
//! They act and report; they decide nothing, and know neither members nor messages.

pub mod atomic;
pub mod catalogue;
pub mod clock;
pub mod computer;
pub mod control;
pub mod dial;
pub mod directory;
pub mod entropy;
pub mod error;
pub mod folder;
mod guarded;
pub mod hashing;
mod holes;
pub mod lan;
pub mod log;
pub mod manifest_file;
pub mod password;
pub mod patient;
pub mod regular;
mod room;
pub mod shelf;
pub mod signal;
mod sqlite;
pub mod state;
pub mod store;
pub mod tcp;
pub mod terminal;
pub mod thread;

pub use error::HostError;
