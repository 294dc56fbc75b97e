//! Keeps a folder the same on several computers.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use crossbeam_channel::Receiver;
use thiserror::Error;
use zeroize::Zeroizing;

use orchestra::address::HostPort;
use orchestra::cli::{self, Exit, Extra};
use orchestra::console::ensemble::{About, archive_text, status_json, status_text, verified_text, watch};
use orchestra::console::{End, View, Watched, WorkBar};
use orchestra::credential::Secret;
use orchestra::ensemble::verify::verify;
use orchestra::ensemble::visit::{Visit, archived};
use orchestra::ensemble::{self, Config, Ensemble};
use orchestra::entry::{BadPath, TreePath};
use orchestra::host::error::FileAction;
use orchestra::host::folder::archive::Kept;
use orchestra::host::signal::{self, Signal};
use orchestra::host::tcp::{self, ListenOn};
use orchestra::host::{HostError, directory, terminal};
use orchestra::key::{BadKey, EnsembleKey};
use orchestra::limits::KEY_FILE_LEN_MAX;
use orchestra::shell;
use orchestra::text::Escaped;

const PROGRAM: &str = "ensemble";
/// Where a key may be, beside a file and standard input.
const KEY_VARIABLE: &str = "ORCHESTRA_KEY";

/// Help fits a screen of 24 lines and 80 columns.
const TEMPLATE: &str = "{about}\n\nUsage: {usage}\n\n{options}{after-help}\n";
const USAGE: &str = "ensemble DIR [OPTIONS]       also: ensemble COMMAND DIR, with COMMAND
       status | key | verify | approve | restore | completions | man";
const EXAMPLE: &str = "Example: ensemble notes --key -      joins, and asks for the key";
const RESTORE_USAGE: &str = "ensemble restore DIR [PATH [--version WHICH]]";
const ASK_TEMPLATE: &str = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}\n";

/// Keep a folder the same on several computers
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, max_term_width = 80)]
#[command(help_template = TEMPLATE, override_usage = USAGE, after_help = EXAMPLE)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    /// The folder; it is made if it is not there
    #[arg(required = true)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Options {
    /// Join with the key in this file (also: $ORCHESTRA_KEY)
    #[arg(long, value_name = "F", conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// Join with a key that is asked for, or read from a pipe
    #[arg(long, value_name = "-", allow_hyphen_values = true)]
    key: Option<String>,
    /// Listen here [default: port 10001-10100, or any]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<ListenOn>,
    /// Connect to this member; may be repeated
    #[arg(long = "member", value_name = "HOST:PORT", value_parser = cli::other_member)]
    members: Vec<HostPort>,
    /// Ask this conductor for members
    #[arg(long, value_name = "HOST:PORT", value_parser = cli::conductor)]
    conductor: Option<HostPort>,
    /// Do not look for members in the local network
    #[arg(long)]
    no_lan: bool,
    /// Send at most RATE bytes a second, like 500K or 2M
    #[arg(long, value_name = "RATE", value_parser = cli::limit)]
    up: Option<NonZeroU64>,
    /// Receive at most RATE bytes a second
    #[arg(long, value_name = "RATE", value_parser = cli::limit)]
    down: Option<NonZeroU64>,
    /// Unite with the others, print a report, leave
    #[arg(long)]
    once: bool,
    /// Wait for N members, this one too [default: 2]
    #[arg(long, value_name = "N", requires = "once", value_parser = clap::value_parser!(u16).range(1..))]
    expect: Option<u16>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    /// Where the log goes [default: logs]
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell how a folder stands
    #[command(help_template = ASK_TEMPLATE, after_help = "Example: ensemble status notes --json")]
    Status {
        /// The folder
        dir: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the key of the folder's ensemble
    #[command(help_template = ASK_TEMPLATE, after_help = "Example: ensemble key notes > key; chmod 600 key")]
    Key {
        /// The folder
        dir: PathBuf,
    },
    /// Read everything in the folder, and compare
    #[command(help_template = ASK_TEMPLATE, after_help = "Example: ensemble verify notes")]
    Verify {
        /// The folder
        dir: PathBuf,
    },
    /// Let deletions go ahead that were held back
    #[command(help_template = ASK_TEMPLATE, after_help = "Example: ensemble approve notes")]
    Approve {
        /// The folder
        dir: PathBuf,
    },
    /// Bring back a file that was replaced or deleted
    #[command(help_template = ASK_TEMPLATE, override_usage = RESTORE_USAGE, after_help = "Example: ensemble restore notes plan.txt --version 2")]
    Restore {
        /// The folder
        dir: PathBuf,
        /// The file, from the folder on; without it, what there is is listed
        path: Option<String>,
        /// Which one: its number in the list, or the begin of its time [default: 1, the latest]
        #[arg(long, value_name = "WHICH", requires = "path")]
        version: Option<String>,
    },
    #[command(flatten)]
    Extra(Extra),
}

/// What the user named, and cannot be used.
#[derive(Debug, Error)]
enum Wrong {
    #[error("{} holds no key", Escaped(.0))]
    Key(String, #[source] BadKey),
    #[error("{} is not a path in the folder", Escaped(.0))]
    Path(String, #[source] BadPath),
    #[error("{path} is not in the archive; to see what is: ensemble restore {dir}")]
    NotKept { path: TreePath, dir: String },
    #[error("{path} has no version {version} in the archive; to see which there are: ensemble restore {dir}", version = Escaped(.version))]
    NoVersion { path: TreePath, version: String, dir: String },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(command) => command.run(),
        None => {
            let dir = arguments.dir.expect("clap asks for it where no subcommand is");
            keep(&dir, &arguments.options)
        }
    };
    cli::finish(PROGRAM, result)
}

impl Command {
    fn run(self) -> Result<Exit, Box<dyn Error>> {
        match self {
            Command::Extra(extra) => return Ok(extra.print::<Arguments>()?),
            Command::Key { dir } => cli::tell(format!("{}\n", ensemble::key(&dir)?))?,
            Command::Status { dir, json } => {
                let status = Visit::to(&dir)?.status()?;
                cli::tell(if json { status_json(&status) } else { status_text(&dir, &status) })?;
            }
            Command::Approve { dir } => {
                let count = Visit::to(&dir)?.approve()?;
                cli::tell(match count {
                    0 => "no deletions were held back\n".to_owned(),
                    count => format!("{count} deletions go ahead\n"),
                })?;
            }
            Command::Verify { dir } => {
                let visit = Visit::to(&dir)?;
                let mut bar = WorkBar::new();
                let verified = verify(&dir, &visit, |done, all| bar.show(done, all));
                bar.clear();
                let verified = verified?;
                cli::tell(verified_text(&verified))?;
                return Ok(if verified.wrong.is_empty() { Exit::Done } else { Exit::CouldNot });
            }
            Command::Restore { dir, path: None, .. } => {
                cli::tell(archive_text(&dir, &archived(&dir, None)?))?;
            }
            Command::Restore { dir, path: Some(path), version } => {
                let kept = choose(&dir, &path, version.as_deref())?;
                Visit::to(&dir)?.restore(&kept)?;
                cli::tell(format!("{} of {} is back\n", kept.path, kept.when()))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// The version in the archive that is meant.
fn choose(dir: &Path, text: &str, version: Option<&str>) -> Result<Kept, Box<dyn Error>> {
    let path = TreePath::parse(text.strip_prefix("./").unwrap_or(text).trim_end_matches('/'));
    let path = path.map_err(|error| Wrong::Path(text.to_owned(), error))?;
    let kept = archived(dir, Some(&path))?;
    let folder = shell::word(dir);
    if kept.is_empty() {
        return Err(Wrong::NotKept { path, dir: folder }.into());
    }
    let version = version.unwrap_or("1");
    let found = match version.parse::<usize>() {
        Ok(number) => number.checked_sub(1).and_then(|at| kept.into_iter().nth(at)),
        Err(_) => kept.into_iter().find(|kept| kept.when().starts_with(version)),
    };
    found.ok_or_else(|| Wrong::NoVersion { path, version: version.to_owned(), dir: folder }.into())
}

/// Keeps the folder until the user wants no more, or all is in unison with `--once`.
fn keep(dir: &Path, options: &Options) -> Result<Exit, Box<dyn Error>> {
    if options.key.as_deref().is_some_and(|key| key != "-") {
        let error = "others on this computer can read what is typed in a command; use `--key -`, which asks, \
                     `--key-file F` or $ORCHESTRA_KEY";
        Arguments::command().error(ErrorKind::InvalidValue, error).exit();
    }
    cli::start_log(PROGRAM, options.logs.as_deref());
    let signals = signal::watch()?;
    let key = match options.key(&signals)? {
        Given::Key(key) => Some(key),
        Given::Nothing => None,
        Given::Interrupted => return Ok(Exit::Incomplete),
    };
    let made = directory::make_missing(dir)?;
    let ensemble = Ensemble::start(options.config(dir, key))?;
    let view = View::choose(options.json, options.quiet);
    if matches!(view, View::Live | View::Lines) {
        cli::tell(welcome(dir, made, &ensemble))?;
    }
    show(dir, ensemble, view, options, &signals)
}

/// What the user gave to join with.
enum Given {
    Key(EnsembleKey),
    Nothing,
    Interrupted,
}

impl Options {
    fn config(&self, dir: &Path, key: Option<EnsembleKey>) -> Config {
        Config {
            dir: dir.to_owned(),
            key,
            listen: self.listen,
            members: self.members.clone(),
            conductor: self.conductor.clone(),
            lan: !self.no_lan,
            up: self.up,
            down: self.down,
            // Whoever is alone has nobody to unite with.
            once: self.once.then(|| usize::from(self.expect.unwrap_or(0)).saturating_sub(1).max(1)),
        }
    }

    fn key(&self, signals: &Receiver<Signal>) -> Result<Given, Box<dyn Error>> {
        let (name, text): (String, Secret) = if let Some(path) = &self.key_file {
            let mut text = Zeroizing::new(Vec::new());
            let read = |file: File| file.take(KEY_FILE_LEN_MAX).read_to_end(&mut text);
            File::open(path).and_then(read).map_err(HostError::file(FileAction::Read, path))?;
            (path.to_string_lossy().into_owned(), String::from_utf8_lossy(&text).into_owned().into())
        } else if self.key.is_some() {
            match terminal::ask_secret("Key: ", KEY_FILE_LEN_MAX, || signals.try_recv().is_ok())? {
                Some(text) => ("what was typed".to_owned(), text),
                None => return Ok(Given::Interrupted),
            }
        } else if let Some(text) = env::var_os(KEY_VARIABLE).filter(|text| !text.is_empty()) {
            (format!("${KEY_VARIABLE}"), text.to_string_lossy().into_owned().into())
        } else {
            return Ok(Given::Nothing);
        };
        let key = text.reveal().parse().map_err(|error| Wrong::Key(name, error))?;
        Ok(Given::Key(key))
    }
}

/// What a user should know before the first line about the work.
fn welcome(dir: &Path, made: bool, ensemble: &Ensemble) -> String {
    let mut text = String::new();
    if made {
        text += &format!("Made the folder {}.\n", shell::word(dir));
    }
    if ensemble.is_new() {
        let name = dir.file_name().map_or(dir, Path::new);
        text += &format!(
            "This is a new ensemble. Its key, for those who may read and write:\n  {}\n\
             On each other computer, type this, and then the key:\n  ensemble {} --key -\n",
            ensemble.key(),
            shell::word(name)
        );
        if let Some(host) = tcp::outward_address() {
            let port = ensemble.address().port();
            let here = std::net::SocketAddr::new(host, port);
            text += &format!("If it does not find this one by itself, add: --member {here}\n");
        }
    }
    text
}

/// Shows the member until it has ended.
fn show(
    dir: &Path,
    ensemble: Ensemble,
    view: View,
    options: &Options,
    signals: &Receiver<Signal>,
) -> Result<Exit, Box<dyn Error>> {
    let about = About {
        program: PROGRAM,
        version: env!("CARGO_PKG_VERSION"),
        dir: dir.to_owned(),
        listen: ensemble.address(),
        began: ensemble.is_new(),
    };
    let watched = Watched {
        snapshot: &|| ensemble.snapshot(),
        stop: &|| ensemble.stop(),
        news: ensemble.news(),
        ended: ensemble.ended(),
        signals,
    };
    let mut outcome = None;
    let end = watch(view, &about, &watched, || match ensemble.outcome() {
        Ok(report) => {
            outcome = Some(Ok(exit_of(&report, options.once)));
            options.once.then_some(report)
        }
        Err(error) => {
            outcome = Some(Err(error));
            None
        }
    })?;
    match (end, outcome) {
        // Nothing is waited for; the system takes back what we hold.
        (End::Interrupted, _) | (_, None) => {
            std::mem::forget(ensemble);
            Ok(Exit::Interrupted)
        }
        (End::PipeClosed, Some(outcome)) => outcome.map(|_| Exit::Done).map_err(Into::into),
        (End::Ended, Some(outcome)) => outcome.map_err(Into::into),
    }
}

/// A member that keeps a folder for good is done when it is told so; one that is to unite once, when that is so.
fn exit_of(report: &ensemble::Report, once: bool) -> Exit {
    match report {
        _ if !once => Exit::Done,
        report if !report.fulfilled => Exit::Incomplete,
        report if report.troubles.is_empty() => Exit::Done,
        _ => Exit::CouldNot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: [&str; 5] = ["status", "key", "verify", "approve", "restore"];

    #[test]
    fn help_fits_a_screen_and_ends_with_an_example() {
        for words in std::iter::once("").chain(COMMANDS) {
            let line = format!("ensemble {words} --help");
            let command = Arguments::command().term_width(80);
            let help = command.try_get_matches_from(line.split_whitespace()).unwrap_err().to_string();
            assert!(help.lines().count() <= 24, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            assert!(help.trim_end().lines().last().unwrap().starts_with("Example: ensemble "), "{help}");
            assert!(!words.is_empty() || COMMANDS.iter().all(|command| help.contains(command)), "{help}");
        }
    }

    #[test]
    fn every_option_is_in_the_help() {
        let help = Arguments::command().term_width(80).render_help().to_string();
        let options = ["key-file", "key", "listen", "member", "conductor", "no-lan", "up", "down", "once"];
        for option in options.iter().chain(&["expect", "json", "quiet", "logs", "help"]) {
            assert!(help.contains(&format!("--{option}")), "{option} is missing in\n{help}");
        }
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_whole_command_line() {
        let line = "ensemble notes --key - --listen [::]:1 --member nas:2 --member [fe80::1%eth0]:3 --conductor nas \
                    --no-lan --up 500K --down 2M --once --expect 3 --json --logs /l";
        let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let config = arguments.options.config(Path::new("notes"), None);
        assert_eq!((config.members.len(), config.once, config.lan), (2, Some(2), false));
        assert_eq!(config.conductor, Some("nas:9999".parse().unwrap()));
        for example in ["ensemble ./status", "ensemble restore notes plan.txt --version 2"] {
            assert!(Arguments::try_parse_from(example.split(' ')).is_ok(), "{example}");
        }
    }
}
