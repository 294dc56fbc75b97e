//! A conductor's catalogue as users see it: real processes on loopback, both programs, typed as a new user would.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, but not the helpers between them")]

#[path = "../common/mod.rs"]
mod common;

mod group;
mod impostor;
mod keys;
mod life;
mod names;
mod passwords;
mod refused;
mod sessions;
