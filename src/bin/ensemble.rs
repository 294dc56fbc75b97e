//! Keeps a folder the same on several computers.

use std::error::Error;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use crossbeam_channel::select;

use orchestra::address::HostPort;
use orchestra::cli::{self, Exit};
use orchestra::ensemble::{Config, Ensemble};
use orchestra::host::tcp::ListenOn;
use orchestra::host::{log, signal};

const PROGRAM: &str = "ensemble";

/// Keep a folder the same on several computers
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version)]
struct Arguments {
    dir: PathBuf,
    #[arg(long)]
    key_file: Option<PathBuf>,
    #[arg(long)]
    listen: Option<ListenOn>,
    #[arg(long = "member")]
    members: Vec<HostPort>,
    #[arg(long)]
    conductor: Option<HostPort>,
    #[arg(long)]
    no_lan: bool,
    #[arg(long)]
    up: Option<NonZeroU64>,
    #[arg(long)]
    down: Option<NonZeroU64>,
    #[arg(long)]
    once: bool,
    #[arg(long, default_value_t = 1)]
    expect: usize,
    #[arg(long, default_value = "logs")]
    logs: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cli::finish(PROGRAM, run(&arguments))
}

fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    log::start(PROGRAM, &arguments.logs)?;
    let signals = signal::watch()?;
    let key = match &arguments.key_file {
        Some(path) => Some(std::fs::read_to_string(path)?.parse()?),
        None => None,
    };
    let ensemble = Ensemble::start(Config {
        dir: arguments.dir.clone(),
        key,
        listen: arguments.listen,
        members: arguments.members.clone(),
        conductor: arguments.conductor.clone(),
        lan: !arguments.no_lan,
        up: arguments.up,
        down: arguments.down,
        once: arguments.once.then_some(arguments.expect),
    })?;
    cli::tell(&format!("key {}\nlistening on {}\n", ensemble.key(), ensemble.address()))?;
    loop {
        select! {
            recv(signals) -> _ => ensemble.stop(),
            recv(ensemble.ended()) -> _ => break,
            recv(ensemble.news()) -> _ => cli::tell(&format!("{:?}\n", ensemble.snapshot()))?,
        }
    }
    let report = ensemble.join()?;
    cli::tell(&format!("{} files came, united: {}\n", report.moved_count, report.united))?;
    Ok(Exit::Done)
}
