//! `conductor`: tells the members of each composition of one another.

mod account;
mod listing;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use crossbeam_channel::select;

use orchestra::cli::{self, Exit, Extra};
use orchestra::conductor::{CatalogueConfig, Conductor, Config};
use orchestra::host::tcp::{self, ListenOn};
use orchestra::host::{log, signal};
use orchestra::limits::CONDUCTOR_PORT_DEFAULT;
use orchestra::shell;
use orchestra::text;

/// Tell the members of each composition of one another
#[derive(Debug, Parser)]
#[command(name = "conductor", version, args_conflicts_with_subcommands = true, after_help = EXAMPLE)]
struct Arguments {
    /// Where to listen; a port alone means every address, IPv4 and IPv6 [default: 9999]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<ListenOn>,
    /// Keep accounts, and what they publish, in this file; it is made if there is none
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Let only members announce, list and get that are logged in
    #[arg(long, requires = "catalogue", conflicts_with = "classic")]
    private: bool,
    /// Let nobody register: make accounts with `conductor account add NAME`
    #[arg(long, requires = "catalogue")]
    closed: bool,
    /// Speak the classic protocol, too: it is neither sealed nor authenticated
    #[arg(long)]
    classic: bool,
    /// The directory for the log
    #[arg(long, value_name = "DIR", default_value = "logs")]
    logs: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look after the accounts in a catalogue
    #[command(subcommand)]
    Account(account::Action),
    /// Take a composition out of a catalogue, whoever published it
    Unpublish(listing::Which),
    #[command(flatten)]
    Extra(Extra),
}

const EXAMPLE: &str = "Example:
  conductor                         on the computer that everybody reaches, say 192.168.1.1
  composer album.flac 192.168.1.1   makes album.flac.orch; give it to all members
  member album.flac.orch            on each computer that has or wants album.flac";

const CLASSIC: &str = "the classic protocol is spoken as well: it is neither sealed nor authenticated\n";

const STRANGE: &str = "there was no key beside the catalogue, so this one is new: members who know the old one refuse it until \
                       they name this fingerprint; if there is a backup of the key, stop and put it there\n";

fn main() -> ExitCode {
    cli::finish("conductor", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    match &arguments.command {
        Some(Command::Account(action)) => return account::run(action),
        Some(Command::Unpublish(which)) => return listing::unpublish(which),
        Some(Command::Extra(extra)) => return Ok(extra.print::<Arguments>()?),
        None => {}
    }
    let log = log::start("conductor", &arguments.logs)?;
    let signals = signal::watch()?;
    let listen = arguments.listen.unwrap_or(ListenOn::EveryAddress(CONDUCTOR_PORT_DEFAULT));
    let config = Config {
        catalogue: arguments.catalogue.clone().map(|file| CatalogueConfig {
            file,
            private: arguments.private,
            closed: arguments.closed,
        }),
        classic: arguments.classic,
        ..Config::new(listen)
    };
    let conductor = Conductor::start(config)?;
    if !arguments.quiet {
        let classic = if arguments.classic { CLASSIC } else { "" };
        let next = match conductor.fingerprint() {
            None => format!("next: composer FILE {}", reach(&conductor)),
            Some(fingerprint) => {
                let strange = if conductor.is_strange() { STRANGE } else { "" };
                let place = format!("{}#{fingerprint}", reach(&conductor));
                format!("its fingerprint: {fingerprint}\n{strange}{}", next(arguments, &place))
            }
        };
        cli::tell(format!(
            "conductor: listens on {}, logs to {}; ^C stops it\n{classic}{next}\n",
            ListenOn::from(conductor.address()),
            text::Escaped(&log.to_string_lossy()),
        ))?;
    }
    select! {
        recv(signals) -> _signal => conductor.stop(),
        // It ended by itself, so joining it tells why.
        recv(conductor.ended()) -> _never => {}
    }
    conductor.join()?;
    Ok(Exit::Done)
}

/// Who is let in, and how others begin.
fn next(arguments: &Arguments, place: &str) -> String {
    let whom = match (arguments.private, arguments.closed) {
        (false, false) => "",
        (true, false) => "private: only accounts announce, list and get, and anybody may register\n",
        (false, true) => "closed: nobody may register\n",
        (true, true) => "private and closed: only accounts announce, list and get, and nobody may register\n",
    };
    if arguments.closed {
        let file = shell::word(arguments.catalogue.as_deref().unwrap_or(Path::new("FILE")));
        return format!("{whom}next: conductor account add NAME --catalogue {file}");
    }
    format!("{whom}next: member register NAME --conductor {place}")
}

/// How others most likely name this conductor.
fn reach(conductor: &Conductor) -> String {
    let address = conductor.address();
    let known = Some(address.ip()).filter(|ip| !ip.is_unspecified()).or_else(tcp::outward_address);
    match known {
        Some(ip) => std::net::SocketAddr::new(ip, address.port()).to_string(),
        None => format!("localhost:{}", address.port()),
    }
}
