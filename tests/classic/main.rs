//! Our programs among those that speak the classic protocol: original members and an original conductor, played byte by
//! byte, and peers that break it.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

#[path = "../common/mod.rs"]
mod common;
mod desk;
mod nasty;
mod original;
mod swarms;
mod world;
