//! Runs whole swarms of the real machines in a made-up world, each from one seed:
//!
//! ```text
//! cargo run --release --example simulate -- --seeds 0..1000
//! cargo run --release --example simulate -- --for 60s
//! cargo run --release --example simulate -- --seed 17 --trace
//! cargo run --release --example simulate -- --efficiency --members 1000
//! ```
//!
//! Without arguments: every seed that ever failed, and a hundred others.
//! Each seed runs twice, and the traces must agree. docs/simulator.md says what is looked at.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod efficiency;

use std::ops::Range;
use std::panic;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use orchestra::sim::{self, Detail, Harms, Plan, Report};

/// Seeds that failed once.
const KEPT: &str = include_str!("../../tests/seeds.txt");

/// Runs swarms of real machines in a made-up world.
#[derive(Parser)]
struct Arguments {
    /// This seed
    #[arg(long)]
    seed: Option<u64>,
    /// These seeds, as FROM..TO
    #[arg(long, value_parser = range)]
    seeds: Option<Range<u64>>,
    /// Fresh seeds for so long, as 60s or 2m
    #[arg(long = "for", value_parser = span)]
    span: Option<Duration>,
    /// Every seed that ever failed
    #[arg(long)]
    kept: bool,
    /// As many members in each run (with --efficiency: those who get; may be repeated)
    #[arg(long)]
    members: Vec<usize>,
    /// End at the first seed that fails
    #[arg(long)]
    until_wrong: bool,
    /// Show everything that happens
    #[arg(long)]
    trace: bool,
    /// How long swarms of growing size take, beside the least that is possible
    #[arg(long)]
    efficiency: bool,
    /// Where to draw the curves of --efficiency
    #[arg(long)]
    svg: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.efficiency {
        return efficiency::run(&arguments.members, arguments.seed.unwrap_or(1), arguments.svg.as_deref());
    }
    let mut tally = Tally::new(&arguments);
    let whatever = arguments.seed.is_none() && arguments.seeds.is_none() && arguments.span.is_none();
    if arguments.kept || whatever {
        kept().into_iter().for_each(|seed| tally.play(seed));
    }
    let some = if whatever && !arguments.kept { Some(0..100) } else { None };
    for seeds in arguments.seed.map(|seed| seed..seed + 1).into_iter().chain(arguments.seeds).chain(some) {
        seeds.for_each(|seed| tally.play(seed));
    }
    if let Some(span) = arguments.span {
        // Fresh ones: whoever finds something keeps its seed.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let first = now << 20;
        println!("fresh seeds from {first} on, for {span:?}");
        let begun = Instant::now();
        (first..).take_while(|_| begun.elapsed() < span).for_each(|seed| tally.play(seed));
    }
    tally.end()
}

/// What was seen so far.
struct Tally {
    members: Option<usize>,
    trace: bool,
    until_wrong: bool,
    runs: u64,
    failed: u64,
    steps: u64,
    simulated: Duration,
    harms: Harms,
    begun: Instant,
}

impl Tally {
    fn new(arguments: &Arguments) -> Tally {
        Tally {
            members: arguments.members.first().copied(),
            trace: arguments.trace,
            until_wrong: arguments.until_wrong,
            runs: 0,
            failed: 0,
            steps: 0,
            simulated: Duration::ZERO,
            harms: Harms::default(),
            begun: Instant::now(),
        }
    }

    /// Runs a seed twice and says what was wrong.
    fn play(&mut self, seed: u64) {
        if self.until_wrong && self.failed > 0 {
            return;
        }
        self.runs += 1;
        let outcome = self.once(seed, Detail::Hash).and_then(|first| {
            let detail = if self.trace { Detail::Text } else { Detail::Hash };
            let second = self.once(seed, detail)?;
            print!("{}", second.text);
            self.steps += first.steps;
            self.simulated += first.took;
            self.harms.add(&first.harms);
            if first.hash != second.hash {
                return Err("two runs of it differ".to_owned());
            }
            match first.wrong {
                Some(wrong) => Err(format!("after {:.3?}: {wrong}", first.took)),
                None => Ok(()),
            }
        });
        if let Err(wrong) = outcome {
            self.failed += 1;
            println!("seed {seed}: {wrong}");
            println!("    {}", self.repeat(seed));
        }
    }

    fn once(&self, seed: u64, detail: Detail) -> Result<Report, String> {
        let plan = match self.members {
            Some(members) => Plan::draw_with(seed, members),
            None => Plan::draw(seed),
        };
        panic::catch_unwind(|| sim::run(plan.with_detail(detail)))
            .map_err(|_| "a machine panicked, see above".to_owned())
    }

    fn repeat(&self, seed: u64) -> String {
        let members = self.members.map(|members| format!(" --members {members}")).unwrap_or_default();
        format!("cargo run --release --example simulate -- --seed {seed}{members} --trace")
    }

    fn end(self) -> ExitCode {
        println!(
            "{} seeds, {} failed; {} steps, {:.0} s of their time in {:.1?}",
            self.runs,
            self.failed,
            self.steps,
            self.simulated.as_secs_f64(),
            self.begun.elapsed()
        );
        println!("{}", self.harms);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The numbers at the beginnings of the lines.
fn kept() -> Vec<u64> {
    KEPT.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.ok_or_else(|| "a range like 0..1000 was expected".to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| "a span like 60s was expected".to_owned())?;
    match unit {
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3_600)),
        _ => Err("a span like 60s was expected".to_owned()),
    }
}
