//! The programs together, from outside: real processes on loopback, ports chosen by the system.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, but not the helpers between them")]

#[path = "../common/mod.rs"]
mod common;

mod files;
mod names;
mod output;
mod planted;
mod resuming;
mod shapes;
mod sharing;
