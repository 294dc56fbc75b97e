//! Gets a composition from all other members and shares it on.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};
use crossbeam_channel::Receiver;

use orchestra::address::HostPort;
use orchestra::cli::{self, Exit, Extra, shell_word};
use orchestra::composer::{ComposeError, Composed, Request, compose};
use orchestra::conductor::{self, Conductor};
use orchestra::console::{self, About, End, View, Watched, WorkBar};
use orchestra::host::signal::{self, Signal};
use orchestra::host::tcp::{self, ListenOn};
use orchestra::host::manifest_file;
use orchestra::limits::CONDUCTOR_PORT_DEFAULT;
use orchestra::manifest::Manifest;
use orchestra::member::{Config, Member, Outcome};

const PROGRAM: &str = "member";

/// Help fits a screen of 24 lines and 80 columns.
const TEMPLATE: &str = "{about}\n\nUsage: {usage}\n\n{options}{after-help}\n";
const USAGE: &str = "member FILE.orch [OPTIONS]    get the file and share it
       member share FILE [OPTIONS]   share a file of yours";
const SHARE_USAGE: &str = "member share FILE [OPTIONS]";
const EXAMPLE: &str = "Example: member film.mkv.orch --dir /srv/films --up 2M";
const SHARE_EXAMPLE: &str = "Example: member share film.mkv --up 2M";

/// Get a file from all members that share it, and share it on
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, max_term_width = 80)]
#[command(help_template = TEMPLATE, override_usage = USAGE, after_help = EXAMPLE)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    /// The manifest
    #[arg(value_name = "FILE.orch", required = true)]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Share a file: write its manifest, conduct, and print what to type elsewhere
    #[command(help_template = TEMPLATE, override_usage = SHARE_USAGE, after_help = SHARE_EXAMPLE)]
    #[command(mut_arg("dir", |dir| dir.help("Folder for the manifest [default: the file's]")))]
    Share {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    #[command(flatten)]
    Extra(Extra),
}

#[derive(Debug, Args)]
struct Options {
    /// Folder of the file [default: the manifest's]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Listen here [default: port 10001-10100, or any]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<ListenOn>,
    /// Ask this conductor, not the manifest's
    #[arg(long, value_name = "HOST:PORT", value_parser = cli::conductor)]
    conductor: Option<HostPort>,
    /// Connect to this member; may be repeated
    #[arg(long = "member", value_name = "HOST:PORT", value_parser = cli::other_member)]
    members: Vec<HostPort>,
    /// Leave as soon as the file is complete
    #[arg(long)]
    leave: bool,
    /// Replace the wrong parts of a file that is there
    #[arg(long)]
    repair: bool,
    /// Check the digest of the whole file, too
    #[arg(long)]
    check_digest: bool,
    /// Send at most RATE bytes a second, like 500K or 2M
    #[arg(long, value_name = "RATE", value_parser = cli::limit)]
    up: Option<NonZeroU64>,
    /// Receive at most RATE bytes a second
    #[arg(long, value_name = "RATE", value_parser = cli::limit)]
    down: Option<NonZeroU64>,
    /// Speak the classic protocol, too: neither sealed nor authenticated
    #[arg(long)]
    classic: bool,
    /// Where the log goes [default: logs]
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Some(Command::Extra(extra)) => extra.print::<Arguments>().map_err(Into::into),
        Some(Command::Share { file, options }) => {
            options.start_log();
            share(file, options)
        }
        None => {
            arguments.options.start_log();
            get(
                arguments.manifest.as_deref().expect("clap asks for it where no subcommand is"),
                &arguments.options,
            )
        }
    };
    cli::finish(PROGRAM, result)
}

impl Options {
    fn config(&self, manifest: Arc<Manifest>, dir: PathBuf, conductor: HostPort) -> Config {
        Config {
            manifest,
            dir,
            listen: self.listen,
            speaker: None,
            conductor: Some(conductor),
            members: self.members.clone(),
            leave: self.leave,
            repair: self.repair,
            check_digest: self.check_digest,
            verified: false,
            up: self.up,
            down: self.down,
            classic: self.classic,
        }
    }

    fn view(&self) -> View {
        View::choose(self.json, self.quiet)
    }

    fn start_log(&self) {
        cli::start_log(PROGRAM, self.logs.as_deref());
    }
}

/// Gets the composition of this manifest and shares it on.
fn get(path: &Path, options: &Options) -> Result<Exit, Box<dyn Error>> {
    let manifest = manifest_file::read(path)?;
    let beside = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = options.dir.clone().unwrap_or_else(|| beside.to_owned());
    let conductor = options.conductor.clone().unwrap_or_else(|| manifest.conductor().clone());
    let signals = signal::watch()?;
    let member = Member::start(options.config(Arc::new(manifest.clone()), dir.clone(), conductor))?;
    show(member, about(&manifest, path, &dir), options, &signals)
}

/// Composes this file, conducts and shares it.
fn share(file: &Path, options: &Options) -> Result<Exit, Box<dyn Error>> {
    let signals = signal::watch()?;
    // With a conductor of the user's choice, that one conducts.
    let (conducting, conductor) = match &options.conductor {
        Some(conductor) => (None, conductor.clone()),
        None => {
            let conducting = start_conductor(options.classic)?;
            let conductor = reach(&conducting)?;
            (Some(conducting), conductor)
        }
    };
    let output = options.dir.as_ref().map(|dir| {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".orch");
        dir.join(name)
    });
    let request = Request { file: file.to_owned(), conductor: conductor.clone(), part_len: None, output };
    let shows = matches!(options.view(), View::Live | View::Lines);
    let composed = match compose_until_stopped(&request, shows, &signals) {
        Err(ComposeError::Stopped { .. }) => return Ok(Exit::Incomplete),
        other => other?,
    };
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let manifest = Arc::new(composed.manifest.clone());
    let config = Config { verified: true, ..options.config(manifest, dir.clone(), conductor) };
    let member = Member::start(config)?;
    if shows {
        let name = composed.path.file_name().unwrap_or_default();
        let text = format!(
            "Copy {} to the other computers; there, beside it, type:\n  member {}\n",
            shell_word(&composed.path),
            shell_word(Path::new(name))
        );
        cli::tell(&text)?;
    }
    let about = about(&composed.manifest, &composed.path, &dir);
    let exit = show(member, about, options, &signals);
    if let Some(conducting) = conducting {
        conducting.stop();
        conducting.join()?;
    }
    exit
}

/// Composes with a progress bar; ^C and the like end it before anything is written.
fn compose_until_stopped(
    request: &Request,
    shows: bool,
    signals: &Receiver<Signal>,
) -> Result<Composed, ComposeError> {
    let stop = AtomicBool::new(false);
    let mut bar = WorkBar::new();
    let mut composed = compose(request, &stop, |done, all| {
        if shows {
            bar.show(done, all);
        }
        if signals.try_recv().is_ok() {
            stop.store(true, Ordering::Relaxed);
        }
    });
    bar.clear();
    if stop.load(Ordering::Relaxed) {
        composed = Err(ComposeError::Stopped { path: request.file.clone() });
    }
    composed
}

/// A conductor at the usual port, or at any if that one is taken.
fn start_conductor(classic: bool) -> Result<Conductor, conductor::StartError> {
    let at = |port| conductor::Config { classic, ..conductor::Config::new(ListenOn::EveryAddress(port)) };
    Conductor::start(at(CONDUCTOR_PORT_DEFAULT)).or_else(|_taken| Conductor::start(at(0)))
}

/// How others most likely reach this computer's conductor.
fn reach(conductor: &Conductor) -> Result<HostPort, Box<dyn Error>> {
    let host = tcp::outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(SocketAddr::new(host, conductor.port()).to_string().parse()?)
}

/// What the views are told of a composition; where the member listens is not known yet.
fn about(manifest: &Manifest, path: &Path, dir: &Path) -> About {
    About {
        program: PROGRAM,
        version: env!("CARGO_PKG_VERSION"),
        name: manifest.name().as_str().to_owned(),
        manifest: path.to_owned(),
        file: dir.join(manifest.name().as_str()),
        listen: (Ipv4Addr::UNSPECIFIED, 0).into(),
        swarm: manifest.swarm_id(),
        classic: false,
    }
}

/// Shows the member until it has ended.
fn show(
    member: Member,
    about: About,
    options: &Options,
    signals: &Receiver<Signal>,
) -> Result<Exit, Box<dyn Error>> {
    let about = About { listen: member.address(), classic: options.classic, ..about };
    let watched = Watched {
        snapshot: &|| member.snapshot(),
        stop: &|| member.stop(),
        news: member.news(),
        ended: member.ended(),
        signals,
    };
    let end = console::watch(options.view(), &about, &watched)?;
    match end {
        // Nothing is waited for; the system takes back what we hold.
        End::Interrupted => {
            std::mem::forget(member);
            Ok(Exit::Interrupted)
        }
        End::PipeClosed => {
            member.join()?;
            Ok(Exit::Done)
        }
        End::Ended => Ok(match member.join()? {
            Outcome::Complete => Exit::Done,
            Outcome::Incomplete => Exit::Incomplete,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn help_fits_a_screen_and_ends_with_an_example() {
        for line in ["member --help", "member share --help"] {
            let command = Arguments::command().term_width(80);
            let help = command.try_get_matches_from(line.split(' ')).unwrap_err().to_string();
            assert!(help.lines().count() <= 24, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            assert!(help.trim_end().lines().last().unwrap().starts_with("Example: member "), "{help}");
            let options = ["dir", "listen", "conductor", "member", "leave", "repair", "check-digest", "up"];
            for option in options.iter().chain(&["down", "classic", "logs", "json", "quiet", "help"]) {
                assert!(help.contains(&format!("--{option}")), "{option} is missing in\n{help}");
            }
        }
    }

    #[test]
    fn the_examples_are_accepted() {
        for example in [EXAMPLE, SHARE_EXAMPLE] {
            parsed(example.strip_prefix("Example: ").unwrap()).unwrap();
        }
    }

    #[test]
    fn the_whole_command_line() {
        let arguments = parsed(
            "member a.orch --dir /srv --listen [::]:10001 --conductor nas.local --member 10.0.0.1:10001 \
             --member [fe80::1%eth0]:10002 --leave --repair --check-digest --up 500K --down 2MiB --logs /l --json",
        );
        let options = arguments.unwrap().options;
        assert_eq!(options.conductor, Some("nas.local:9999".parse().unwrap()));
        let hosts: Vec<_> = options.members.iter().map(|member| (member.host(), member.port())).collect();
        assert_eq!(hosts, [("10.0.0.1", 10_001), ("fe80::1%eth0", 10_002)]);
        assert_eq!((options.up, options.down), (NonZeroU64::new(500 << 10), NonZeroU64::new(2 << 20)));
        assert!(parsed("member share film.mkv --up 2M").is_ok());
        assert!(parsed("member ./share").is_ok());
    }

    #[test]
    fn wrong_usage_says_what_was_expected() {
        for (line, expected) in [
            ("member", "FILE.orch"),
            ("member share", "<FILE>"),
            ("member a.orch b.orch", "b.orch"),
            ("member a.orch --json --quiet", "cannot be used with"),
            ("member --leave share a", "cannot be used with"),
            ("member a.orch --up 0", "500K or 2M"),
            ("member a.orch --down fast", "500K or 2M"),
            ("member a.orch --listen nowhere", "192.168.1.1:9999"),
            ("member a.orch --member nas.local", "a port from 1 to 65535"),
            ("member a.orch --member nas:0", "a port from 1 to 65535"),
            ("member a.orch --member nas:65536", "a port from 1 to 65535"),
            ("member a.orch --member nas:+1", "a port from 1 to 65535"),
            ("member a.orch --member [::1", "in the brackets"),
            ("member a.orch --member [::1]10001", "in the brackets"),
            ("member a.orch --conductor :9999", "HOST:PORT"),
            ("member a.orch --conductor ", "HOST:PORT"),
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        }
    }
}
