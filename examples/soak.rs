//! A conductor and a sharing member at work while other members come and go: some stay until they have everything,
//! some leave half way, some are killed. Memory, threads and open files of the two are noted every second.
//!
//! ```text
//! cargo build --release && cargo run --release --example soak -- --for 1h --csv soak.csv --svg soak.svg
//! ```
//!
//! It ends with code 1 if either process needs clearly more at the end than when it had warmed up, or if a
//! member did not get the right bytes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test that takes long")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::process::Signal;

use common::program::Program;
use common::swarm::{MIB, Swarm};

/// How large the composition is, and how fast a member may get it: so that each is there for about two seconds.
const SIZE: usize = 16 * MIB;
const DOWN: &str = "8M";
/// How many members get it at a time.
const VISITORS: usize = 4;
const BEAT: Duration = Duration::from_millis(100);
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// What may be added to the memory at the start of the second quarter: an eighth, and what a few threads take.
const SLACK_DIVISOR: u64 = 8;
const SLACK_KIB: u64 = 4 * 1024;
/// The same for threads and open files.
const SLACK_COUNT: u64 = 16;

/// Let members come and go for a long time, and see whether memory stays flat
#[derive(Debug, Parser)]
#[command(name = "soak", max_term_width = 80)]
struct Arguments {
    /// How long: 20s, 10m, 1h
    #[arg(long = "for", value_name = "TIME", default_value = "20s", value_parser = span)]
    span: Duration,
    /// Where to write what was noted, one line a second
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Where to draw it
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// What the choices follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err("a time like 20s, 10m or 1h was expected".to_owned()),
    };
    let count: u32 = digits.parse().map_err(|_| "a number and s, m or h were expected".to_owned())?;
    Ok(Duration::from_secs(seconds) * count)
}

/// What the system says about a process.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    /// Resident memory.
    rss_kib: u64,
    threads: u64,
    files: u64,
}

impl Usage {
    fn of(process: u32) -> Usage {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().split(' ').next().unwrap().parse().unwrap()
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count() as u64;
        Usage { rss_kib: field("VmRSS"), threads: field("Threads"), files }
    }
}

/// What was seen at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    conductor: Usage,
    sharing: Usage,
    /// Members that have come so far.
    visits: u64,
}

/// A member that is there for a while.
struct Visitor {
    place: String,
    program: Program,
    fate: Fate,
}

enum Fate {
    /// It leaves when it has everything.
    Stays,
    /// It is sent this signal then.
    Ends(Instant, Signal),
    /// It was sent it.
    Ended,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let swarm = Swarm::new(SIZE);
    let source = swarm.source();
    let conductor = swarm.conductor.as_ref().unwrap().id();
    let mut rng = fastrand::Rng::with_seed(arguments.seed);
    let (mut visitors, mut samples) = (Vec::new(), Vec::new());
    let (mut visits, mut whole) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < arguments.span {
        whole += go(&swarm, &mut visitors);
        if visitors.len() < VISITORS {
            visits += 1;
            visitors.push(come(&swarm, visits, &mut rng));
        }
        if start.elapsed() >= SAMPLE_INTERVAL * u32::try_from(samples.len()).unwrap() {
            samples.push(Sample {
                seconds: start.elapsed().as_secs_f64(),
                conductor: Usage::of(conductor),
                sharing: Usage::of(source.program.id()),
                visits,
            });
        }
        thread::sleep(BEAT);
    }
    println!("{visits} members came, {whole} of them got everything and left by themselves");
    if let Some(path) = &arguments.csv {
        fs::write(path, csv(&samples)).unwrap();
    }
    if let Some(path) = &arguments.svg {
        fs::write(path, svg(&samples)).unwrap();
    }
    let flat = [
        is_flat("conductor", &samples, |sample| sample.conductor),
        is_flat("sharing member", &samples, |sample| sample.sharing),
    ];
    drop(visitors);
    source.leaves();
    if flat.iter().all(|&flat| flat) && whole > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn come(swarm: &Swarm, number: u64, rng: &mut fastrand::Rng) -> Visitor {
    let place = format!("visitor {number}");
    let program = Program::start(&mut swarm.command(&place, &["--leave", "--quiet", "--down", DOWN]));
    let moment = Instant::now() + Duration::from_millis(rng.u64(..2_000));
    let fate = match rng.u8(..4) {
        0 => Fate::Ends(moment, Signal::KILL),
        1 => Fate::Ends(moment, Signal::TERM),
        _ => Fate::Stays,
    };
    Visitor { place, program, fate }
}

/// Ends those whose time has come, and sees off those who have ended; how many of them got everything.
fn go(swarm: &Swarm, visitors: &mut Vec<Visitor>) -> u64 {
    for visitor in visitors.iter_mut() {
        if let Fate::Ends(moment, signal) = visitor.fate
            && Instant::now() >= moment
        {
            visitor.program.signal(signal);
            visitor.fate = Fate::Ended;
        }
    }
    let mut whole = 0;
    for visitor in visitors.extract_if(.., |visitor| visitor.program.has_ended()) {
        let Visitor { place, program, fate } = visitor;
        let ended = program.ended();
        if matches!(fate, Fate::Stays) {
            assert_eq!(ended.code, Some(0), "{}", ended.errors);
            swarm.assert_has(&place);
            whole += 1;
        }
        fs::remove_dir_all(swarm.path(&place)).unwrap();
    }
    whole
}

/// Compares the last quarter of the time with the second one: the first is for warming up.
fn is_flat(who: &str, samples: &[Sample], usage: impl Fn(&Sample) -> Usage) -> bool {
    let quarter = samples.len() / 4;
    let median = |samples: &[Sample], what: &dyn Fn(Usage) -> u64| {
        let mut values: Vec<u64> = samples.iter().map(|sample| what(usage(sample))).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let (early, late) = (&samples[quarter..2 * quarter + 1], &samples[samples.len() - quarter - 1..]);
    let rss = |usage: Usage| usage.rss_kib;
    let [threads, files] = [|usage: Usage| usage.threads, |usage: Usage| usage.files];
    let (before, after) = (median(early, &rss), median(late, &rss));
    let mut flat = after <= before + before / SLACK_DIVISOR + SLACK_KIB;
    print!("{who}: {before} KiB resident in the second quarter, {after} KiB in the last");
    for (name, count) in [("threads", &threads as &dyn Fn(Usage) -> u64), ("open files", &files)] {
        let (before, after) = (median(early, count), median(late, count));
        flat &= after <= before + SLACK_COUNT;
        print!("; {name} {before} and {after}");
    }
    println!("{}", if flat { "" } else { ": this is not flat" });
    flat
}

fn csv(samples: &[Sample]) -> String {
    let mut text =
        "seconds,members_so_far,conductor_kib,conductor_files,sharing_kib,sharing_threads,sharing_files\n"
            .to_owned();
    for Sample { seconds, conductor, sharing, visits } in samples {
        writeln!(
            text,
            "{seconds:.1},{visits},{},{},{},{},{}",
            conductor.rss_kib, conductor.files, sharing.rss_kib, sharing.threads, sharing.files
        )
        .unwrap();
    }
    text
}

/// Resident memory of both over time.
fn svg(samples: &[Sample]) -> String {
    const WIDTH: u16 = 720;
    const HEIGHT: f64 = 260.0;
    /// The room for the words on the left and below.
    const MARGIN: f64 = 60.0;
    let most =
        |usage: fn(&Sample) -> Usage| samples.iter().map(|sample| usage(sample).rss_kib).max().unwrap();
    let top = most(|sample| sample.conductor).max(most(|sample| sample.sharing)) as f64 / 1024.0 * 1.1;
    let end = samples.last().unwrap().seconds.max(1.0);
    let x = |seconds: f64| MARGIN + seconds / end * (f64::from(WIDTH) - MARGIN);
    let y = |mib: f64| HEIGHT - mib / top * HEIGHT + 20.0;
    // More points than pixels would only make the file large.
    let step = samples.len().div_ceil(usize::from(WIDTH));
    let line = |usage: fn(&Sample) -> Usage, colour: &str| {
        let points = samples.iter().step_by(step).map(|sample| {
            format!("{:.1},{:.1}", x(sample.seconds), y(usage(sample).rss_kib as f64 / 1024.0))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        format!("<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{points}\"/>\n")
    };
    let (width, height) = (f64::from(WIDTH) + 20.0, HEIGHT + MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for step in 0..=4 {
        let (mib, minutes) = (top * f64::from(step) / 4.0, end / 60.0 * f64::from(step) / 4.0);
        let (left, right, height, below) = (MARGIN, WIDTH, y(mib), HEIGHT + 40.0);
        writeln!(
            text,
            "<line x1=\"{left}\" y1=\"{height:.1}\" x2=\"{right}\" y2=\"{height:.1}\" stroke=\"#ddd\"/>\
             <text x=\"4\" y=\"{height:.1}\">{mib:.1} MiB</text>\
             <text x=\"{:.1}\" y=\"{below}\" text-anchor=\"end\">{minutes:.1} min</text>",
            x(minutes * 60.0) + 20.0,
        )
        .unwrap();
    }
    text += &line(|sample| sample.sharing, "#1a6fb5");
    text += &line(|sample| sample.conductor, "#c0504d");
    let visits = samples.last().unwrap().visits;
    writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"14\">resident memory while {visits} members come and go: \
         <tspan fill=\"#1a6fb5\">sharing member</tspan>, <tspan fill=\"#c0504d\">conductor</tspan></text>\n</svg>"
    )
    .unwrap();
    text
}
