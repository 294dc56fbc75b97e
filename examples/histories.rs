//! Plays random histories of one folder on several machines, each from one seed:
//!
//! ```text
//! cargo run --release --example histories -- --seeds 0..100000
//! cargo run --release --example histories -- --seed 17
//! ```
//!
//! Without arguments: two thousand of them. `sim::folders` says what is looked at.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use orchestra::sim::folders;

/// Plays random histories of one folder on several machines.
#[derive(Parser)]
struct Arguments {
    /// This one, with all that happens in it
    #[arg(long)]
    seed: Option<u64>,
    /// These seeds, as FROM..TO
    #[arg(long, value_parser = range, default_value = "0..2000")]
    seeds: Range<u64>,
    /// End at the first seed that fails
    #[arg(long)]
    until_wrong: bool,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.ok_or_else(|| "FROM..TO was expected".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        let report = folders::play(seed, true);
        print!("{}", report.trace);
        return match report.wrong {
            None => ExitCode::SUCCESS,
            Some(wrong) => {
                eprintln!("seed {seed}: {wrong}");
                ExitCode::FAILURE
            }
        };
    }
    let (mut failed, mut played, mut copies, mut rounds) = (0, 0, 0, 0);
    for seed in arguments.seeds {
        let report = folders::play(seed, false);
        played += 1;
        copies += report.copies;
        rounds = rounds.max(report.rounds);
        if let Some(wrong) = report.wrong {
            eprintln!("seed {seed}: {wrong}");
            failed += 1;
            if arguments.until_wrong {
                break;
            }
        }
    }
    println!("{played} seeds, {failed} failed, {copies} conflict copies in the end, at most {rounds} rounds");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
