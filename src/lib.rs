//! Orchestra moves big files between computers that belong to each other.
//!
//! A **composer** writes a small manifest of a file; a **conductor** knows which members share it; a
//! **member** gets the parts from all other members, verifies each, and shares them on.
//! Everything between members is sealed with a key that the manifest yields.
//!
//! In reading order: the words ([`limits`] to [`manifest`]), bytes to messages ([`wire`]), the machines that
//! decide, the hosts that act, and the actors that join them.
//! ARCHITECTURE.md has the map; PROTOCOL.md the formats.

pub mod limits;
pub mod time;

pub mod letters;
pub mod shell;
pub mod text;

pub mod digest;
pub mod part;
pub mod part_set;

pub mod address;
pub mod name;

pub mod entry;

pub mod account;
pub mod credential;
pub mod identity;
pub mod key;
pub mod manifest;

pub mod wire;

pub mod logic;

pub mod sim;

pub mod host;
pub mod stream;

pub mod catalogue;
pub mod composer;
pub mod conductor;
pub mod ensemble;
pub mod member;

pub mod console;

pub mod cli;
