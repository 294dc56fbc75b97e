//! Kills a member with `kill -9` at random moments of a transfer and runs it again, over and over:
//!
//! ```text
//! cargo build --release && cargo run --release --example kill_rounds -- 100 256
//! ```
//!
//! The arguments are the number of rounds, the size of the composition in MiB, and a seed for the moments.
//! After each kill, a file under the final name must be whole; after each second run the file must be right,
//! and exactly what was missing must have been fetched. The first thing that is wrong ends it with a panic.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test that takes long")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let numbers: Result<Vec<u32>, _> = env::args().skip(1).map(|text| text.parse()).collect();
    let (rounds, mib, seed) = match numbers.as_deref() {
        Ok([]) => (100, 256, 1),
        Ok(&[rounds, mib]) => (rounds, mib, 1),
        Ok(&[rounds, mib, seed]) => (rounds, mib, seed),
        _ => {
            println!("usage: kill_rounds [ROUNDS MIB [SEED]]    without arguments: 100 256 1");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let tally = common::rounds::play(rounds, mib as usize * common::swarm::MIB, seed.into());
    println!("{tally}; {mib} MiB each, seed {seed}, in {:.1?}", start.elapsed());
    ExitCode::SUCCESS
}
