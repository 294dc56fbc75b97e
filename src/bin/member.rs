//! Gets a composition from all other members and shares it on.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use orchestra::cli::{self, Exit, Extra};
use orchestra::console::View;
use orchestra::host::log;
use orchestra::limits::{CONDUCTOR_PORT_DEFAULT, HOST_LEN_MAX};
use orchestra::text::parse_size;

const PROGRAM: &str = "member";
const LOGS_DEFAULT: &str = "logs";

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
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Ask this conductor, not the manifest's
    #[arg(long, value_name = "HOST:PORT", value_parser = conductor)]
    conductor: Option<HostPort>,
    /// Connect to this member; may be repeated
    #[arg(long = "member", value_name = "HOST:PORT")]
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
    #[arg(long, value_name = "RATE", value_parser = limit)]
    up: Option<NonZeroU64>,
    /// Receive at most RATE bytes a second
    #[arg(long, value_name = "RATE", value_parser = limit)]
    down: Option<NonZeroU64>,
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

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPort {
    /// An IPv6 address stands here without brackets.
    host: String,
    port: u16,
}

/// A text that is not what an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error("an address and a port like 192.168.1.5:10001 or [::]:10001 were expected")]
    Address,
    #[error("a host and a port like 192.168.1.5:10001, [::1]:10001 or nas.local:10001 were expected")]
    HostPort,
    #[error("a number of bytes a second like 500K or 2M was expected; without the option there is no limit")]
    Rate,
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
    fn view(&self) -> View {
        View::choose(self.json, self.quiet)
    }

    /// Starts the log. A member works without one, so trouble with it is only told.
    fn start_log(&self) {
        let dir = self.logs.as_deref().unwrap_or(Path::new(LOGS_DEFAULT));
        if let Err(error) = log::start(PROGRAM, dir) {
            let line = format!("{PROGRAM}: {}; goes on without a log\n", cli::chain(&error));
            drop(io::stderr().write_all(line.as_bytes()));
        }
    }
}

/// A value parser for `ADDR:PORT`.
fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| Wrong::Address)
}

/// A value parser for `HOST[:PORT]` of a conductor.
fn conductor(text: &str) -> Result<HostPort, Wrong> {
    HostPort::parse(text, Some(CONDUCTOR_PORT_DEFAULT))
}

/// A value parser for rates in bytes a second.
fn limit(text: &str) -> Result<NonZeroU64, Wrong> {
    parse_size(text).ok().and_then(NonZeroU64::new).ok_or(Wrong::Rate)
}

impl FromStr for HostPort {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<HostPort, Wrong> {
        HostPort::parse(text, None)
    }
}

impl HostPort {
    /// Reads `HOST:PORT` or, where there is a default port, `HOST`. An IPv6 address with a port stands in
    /// brackets.
    fn parse(text: &str, default: Option<u16>) -> Result<HostPort, Wrong> {
        let (host, port) = split(text).ok_or(Wrong::HostPort)?;
        let is_host = (1..=HOST_LEN_MAX).contains(&host.len())
            && !host.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        let port = match port {
            // `parse` alone would take "+1".
            Some(port) if port.bytes().all(|digit| digit.is_ascii_digit()) => port.parse().ok(),
            Some(_) => None,
            None => default,
        };
        match port {
            Some(port @ 1..) if is_host => Ok(HostPort { host: host.to_owned(), port }),
            _ => Err(Wrong::HostPort),
        }
    }
}

/// The host and what stands after its colon.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    // A link-local address carries its interface: `fe80::1%eth0`.
    let is_ipv6 = |host: &str| host.split('%').next().is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    if let Some(text) = text.strip_prefix('[') {
        let (host, rest) = text.split_once(']').filter(|&(host, _)| is_ipv6(host))?;
        let port = rest.strip_prefix(':');
        (port.is_some() || rest.is_empty()).then_some((host, port))
    } else if is_ipv6(text) {
        Some((text, None))
    } else {
        Some(text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))))
    }
}

/// Gets the composition of this manifest and shares it on.
fn get(manifest: &Path, options: &Options) -> Result<Exit, Box<dyn Error>> {
    Err(format!("cannot get {}: {:?} has no member to show yet", manifest.display(), options.view()).into())
}

/// Composes this file, conducts and shares it.
fn share(file: &Path, options: &Options) -> Result<Exit, Box<dyn Error>> {
    Err(format!("cannot share {}: {:?} has no member to show yet", file.display(), options.view()).into())
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
            for option in options.iter().chain(&["down", "logs", "json", "quiet", "help"]) {
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
        assert_eq!(options.conductor, Some(HostPort { host: "nas.local".to_owned(), port: 9999 }));
        let hosts: Vec<_> =
            options.members.iter().map(|member| (member.host.as_str(), member.port)).collect();
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
            ("member a.orch --listen 10001", "192.168.1.5:10001"),
            ("member a.orch --member nas.local", "nas.local:10001"),
            ("member a.orch --member nas:0", "nas.local:10001"),
            ("member a.orch --member nas:65536", "nas.local:10001"),
            ("member a.orch --member nas:+1", "nas.local:10001"),
            ("member a.orch --member [::1", "nas.local:10001"),
            ("member a.orch --member [::1]10001", "nas.local:10001"),
            ("member a.orch --conductor :9999", "nas.local:10001"),
            ("member a.orch --conductor ", "nas.local:10001"),
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        }
    }
}
