//! `ensemble` from outside: real processes on loopback, ports chosen by the system.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, but not the helpers between them")]

#[path = "../common/mod.rs"]
mod common;

#[path = "../lab/network.rs"]
mod network;

mod asked;
mod counted;
mod folders;
mod full;
mod keys;
mod killed;
mod lan;
mod reaching;
mod refused;
mod scenes;
mod troubled;
mod uniting;
