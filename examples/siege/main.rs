//! The real conductor under load and attack, on loopback. What is measured is its own CPU time and memory, as the
//! system counts them, so that other work on the machine disturbs little.
//!
//! ```text
//! cargo build --release && cargo run --release --example siege -- [PHASE]... [--quick]
//! ```
//!
//! | phase | what happens |
//! |---|---|
//! | `idle` | 10,000 connections that send nothing, or a byte every 5 s, while 1,000 honest members announce |
//! | `members` | 100,000 members in 1,000 swarms: memory of each, announces per second of CPU time |
//! | `full` | more members, compositions and connections than there is room for |
//! | `restart` | members of a conductor that goes and comes back, on a virtual clock: when they are back |
//! | `rivals` | the load of `members` at other trackers as well, those that are on the `PATH`, in turn with ours |
//!
//! It ends with code 1 if a bar of docs/conductor.md that does not hang on the speed of the machine is missed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test that takes long")]

#[path = "../../tests/common/mod.rs"]
mod common;

mod client;
mod floor;
mod full;
mod idle;
mod load;
mod members;
mod process;
mod restart;
mod rivals;

use std::env;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use orchestra::host::tcp;

/// Besiege a conductor on this computer, and measure how it bears it
#[derive(Debug, Parser)]
#[command(name = "siege", max_term_width = 80)]
struct Arguments {
    /// What to do [default: all of it but the rivals]
    phases: Vec<Phase>,
    /// A tenth of everything, to see that it works
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Phase {
    Idle,
    Members,
    Full,
    Restart,
    Rivals,
}

/// Open files that this program needs: the attackers' connections and those of honest members.
const FILES_WANTED: usize = 16_000;

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(floor::ARGUMENT) {
        floor::serve();
    }
    let arguments = Arguments::parse();
    let tenth = if arguments.quick { 10 } else { 1 };
    let files = tcp::allow_open_files(FILES_WANTED);
    if files * tenth < FILES_WANTED {
        println!("skipped: needs {FILES_WANTED} open files, the system allows {files} (ulimit -n)");
        return ExitCode::SUCCESS;
    }
    let phases = match arguments.phases.as_slice() {
        [] => &[Phase::Idle, Phase::Members, Phase::Full, Phase::Restart],
        phases => phases,
    };
    let mut held = true;
    for phase in phases {
        held &= match phase {
            Phase::Idle => idle::play(tenth),
            Phase::Members => members::play(tenth),
            Phase::Full => full::play(tenth),
            Phase::Restart => restart::play(tenth),
            Phase::Rivals => rivals::play(tenth),
        };
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a finding and whether it holds.
fn bar(holds: bool, what: &str) -> bool {
    println!("{} {what}", if holds { "  ok  " } else { "MISSED" });
    holds
}
