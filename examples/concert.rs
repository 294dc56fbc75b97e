//! The whole of Orchestra in one process: composes a file, conducts, and has one member share it with others
//! over the loopback interface, each with a folder of its own. Then it looks whether every copy is right.
//!
//! `cargo run --release --example concert -- [FILE] [--members N]`
//!
//! FILE is only read; without it there is a random one. Copies live in a temporary folder and go with it.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tempfile::TempDir;

use orchestra::address::HostPort;
use orchestra::cli::{self, Exit};
use orchestra::composer::{Request, compose};
use orchestra::conductor::{self, Conductor};
use orchestra::host::tcp::ListenOn;
use orchestra::host::{signal, terminal};
use orchestra::member::progress::{Phase, Snapshot};
use orchestra::member::{self, Member, SessionSource};
use orchestra::text::{bytes, rate};

/// The size of the file when none is named.
const SIZE_DEFAULT: usize = 256 << 20;
/// How often the members are looked at.
const BEAT: Duration = Duration::from_millis(10);
/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// On one computer something moves all the time; when nothing does for so long, something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Set by ^C; whatever takes long looks at it.
static STOP: AtomicBool = AtomicBool::new(false);

/// Compose, conduct and share a file among members on this computer
#[derive(Debug, Parser)]
#[command(name = "concert", max_term_width = 80)]
struct Arguments {
    /// The file to share [default: 256 MiB of random bytes]
    file: Option<PathBuf>,
    /// How many members get it
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    members: u8,
}

/// What may go wrong beside what the library reports.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("stopped before every member had the file")]
    Stopped,
    #[error("member {0} left too early")]
    Left(usize),
    #[error("nothing moved for {} seconds", PATIENCE.as_secs())]
    Stuck,
    #[error("the copy of member {0} differs from the file")]
    Copy(usize),
}

fn main() -> ExitCode {
    cli::finish("concert", play(&Arguments::parse()).map(|()| Exit::Done))
}

fn play(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let signals = signal::watch()?;
    thread::spawn(move || signals.iter().for_each(|_| STOP.store(true, Ordering::Relaxed)));
    let mut out = io::stdout();
    // Declared first, so that it goes last, however this function ends.
    let stage = TempDir::with_prefix("concert-")?;
    let file = match &arguments.file {
        Some(file) => file.clone(),
        None => random_file(stage.path())?,
    };

    // The conductor tells members of each other. At port 0 the system chooses one.
    let loopback = ListenOn::Address((Ipv4Addr::LOCALHOST, 0).into());
    let conductor = Conductor::start(conductor::Config::new(loopback))?;
    let meeting_point: HostPort = conductor.address().to_string().parse()?;

    // The composer writes the manifest, which is all that a member needs.
    let output = Some(stage.path().join("concert.orch"));
    let request = Request { file: file.clone(), conductor: meeting_point.clone(), part_len: None, output };
    let composed = compose(&request, &STOP, |_, _| {})?;
    let manifest = Arc::new(composed.manifest);
    let (size, part_len) = (manifest.layout().size(), manifest.layout().part_len());
    let (took, part_len) = (composed.elapsed.as_secs_f64(), bytes(part_len.into()));
    writeln!(out, "{}: {} in parts of {part_len}, composed in {took:.2} s", manifest.name(), bytes(size))?;

    // A member that finds the file in its folder shares it; one that does not gets it.
    let start = |dir: &Path| {
        Member::start(member::Config {
            manifest: Arc::clone(&manifest),
            dir: dir.to_owned(),
            listen: Some(loopback),
            conductor: Some(meeting_point.clone()),
            session: SessionSource::nobody(),
            members: Vec::new(),
            leave: false,
            repair: false,
            check_digest: false,
            verified: false,
            classic: false,
            up: None,
            down: None,
        })
    };
    let mut members = vec![start(folder_of(&file))?];
    wait(&mut members, &mut |_| Ok(()))?;

    let began = Instant::now();
    let folders: Vec<PathBuf> =
        (2..2 + usize::from(arguments.members)).map(|n| stage.path().join(format!("member {n}"))).collect();
    for folder in &folders {
        fs::create_dir(folder)?;
        members.push(start(folder)?);
    }
    let times = show_and_wait(&mut members)?;
    let took = began.elapsed();

    // Whoever composes a copy gets the same manifest, or it is no copy.
    for (number, folder) in (2..).zip(&folders) {
        let copy = Request { file: folder.join(manifest.name().as_str()), ..request.clone() };
        if compose(&copy, &STOP, |_, _| {})?.manifest != *manifest {
            return Err(Wrong::Copy(number).into());
        }
        let time = times[number - 1];
        let pace = rate(per_second(size, time));
        writeln!(out, "member {number}: got it in {:.2} s, {pace}, and it is right", time.as_secs_f64())?;
    }
    let all = size * folders.len() as u64;
    let pace = rate(per_second(all, took));
    writeln!(out, "in all: {} in {:.2} s, {pace}", bytes(all), took.as_secs_f64())?;
    let sent = members[0].snapshot().up_bytes;
    if let Some(hundredths) = (sent * 100).checked_div(size) {
        let times = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        writeln!(out, "member 1, who shared it, sent {}: {times} times the file", bytes(sent))?;
    }

    members.iter().for_each(Member::stop);
    for member in members {
        member.join()?;
    }
    conductor.stop();
    conductor.join()?;
    stage.close()?;
    Ok(())
}

/// Waits until every member has the file, and shows how far each is.
fn show_and_wait(members: &mut Vec<Member>) -> Result<Vec<Duration>, Box<dyn Error>> {
    if !terminal::draws() {
        let mut due = Instant::now();
        return wait(members, &mut |snapshots| {
            if Instant::now() < due {
                return Ok(());
            }
            due += LINE_INTERVAL;
            let percents = snapshots.iter().map(|snapshot| format!("{:>3}%", percent(snapshot)));
            writeln!(io::stdout(), "members have {}", percents.collect::<Vec<_>>().join("  "))
        });
    }
    let style = ProgressStyle::with_template("member {prefix:>2} {percent:>3}% |{bar:40}| {msg}")?;
    let screen = MultiProgress::new();
    let bars: Vec<ProgressBar> = (1..=members.len())
        .map(|number| {
            screen.add(ProgressBar::new(100).with_style(style.clone()).with_prefix(number.to_string()))
        })
        .collect();
    let times = wait(members, &mut |snapshots| {
        for (bar, snapshot) in bars.iter().zip(snapshots) {
            let pace = |bytes| rate(per_second(bytes, snapshot.elapsed));
            bar.set_message(format!("{} down, {} up", pace(snapshot.down_bytes), pace(snapshot.up_bytes)));
            bar.set_position(percent(snapshot));
        }
        Ok(())
    });
    screen.clear()?;
    times
}

/// Waits until every member has the file; yields how long each took.
fn wait(
    members: &mut Vec<Member>,
    show: &mut dyn FnMut(&[Snapshot]) -> io::Result<()>,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut times = vec![None; members.len()];
    let mut last_move = (0, Instant::now());
    while times.contains(&None) {
        if STOP.load(Ordering::Relaxed) {
            return Err(Wrong::Stopped.into());
        }
        if let Some(index) = members.iter().position(|member| member.ended().try_recv().is_ok()) {
            members.remove(index).join()?;
            return Err(Wrong::Left(index + 1).into());
        }
        let snapshots: Vec<Snapshot> = members.iter().map(Member::snapshot).collect();
        show(&snapshots)?;
        for (time, snapshot) in times.iter_mut().zip(&snapshots) {
            if snapshot.phase == Phase::Complete {
                time.get_or_insert(snapshot.elapsed);
            }
        }
        let moved = snapshots.iter().map(|snapshot| snapshot.bytes + u64::from(snapshot.checked_parts)).sum();
        if moved != last_move.0 {
            last_move = (moved, Instant::now());
        } else if last_move.1.elapsed() >= PATIENCE {
            return Err(Wrong::Stuck.into());
        }
        thread::sleep(BEAT);
    }
    Ok(times.into_iter().flatten().collect())
}

/// Makes a file of random bytes in this folder.
fn random_file(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("random.bin");
    let mut file = File::create(&path)?;
    let mut block = vec![0; 1 << 20];
    for _ in 0..SIZE_DEFAULT / block.len() {
        fastrand::fill(&mut block);
        file.write_all(&block)?;
    }
    Ok(path)
}

/// The folder that a file is in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// How much of the file a member has. 100 is only said when it has all of it.
fn percent(snapshot: &Snapshot) -> u64 {
    (snapshot.bytes * 100).checked_div(snapshot.bytes_total).unwrap_or(100)
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let rate = (u128::from(bytes) * 1_000_000).checked_div(time.as_micros()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
