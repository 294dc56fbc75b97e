//! Gets a composition from all other members and shares it on; asks a conductor's catalogue for what there is.

mod asking;
mod catalogue;
mod sharing;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use orchestra::address::HostPort;
use orchestra::cli::{self, Extra};
use orchestra::host::tcp::ListenOn;

use crate::catalogue::{Account, Details, Get, List, Logout, NewPassword, Publish, Unpublish};

const PROGRAM: &str = "member";

/// Help fits a screen of 24 lines and 80 columns.
const TEMPLATE: &str = "{about}\n\nUsage: {usage}\n\n{options}{after-help}\n";
const USAGE: &str = "member FILE.orch [OPTIONS]    get the file and share it
       member share FILE [OPTIONS]   share a file of yours
       member COMMAND --help         a conductor's catalogue: register, login,
                        logout, password, publish, list, details, get, unpublish";
const SHARE_USAGE: &str = "member share FILE [OPTIONS]";
const EXAMPLE: &str = "Example: member film.mkv.orch --dir /srv/films --up 2M";
const SHARE_EXAMPLE: &str = "Example: member share film.mkv --up 2M";
/// The same for commands that have few options.
const ASK_TEMPLATE: &str = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}\n";
const REGISTER_EXAMPLE: &str = "Example: member register ada --conductor nas.local";
const LOGIN_EXAMPLE: &str = "Example: member login ada --conductor nas.local";
const PASSWORD_EXAMPLE: &str = "Example: member password --conductor nas.local";
const LOGOUT_EXAMPLE: &str = "Example: member logout --conductor nas.local";
const PUBLISH_USAGE: &str = "member publish FILE|FILE.orch [OPTIONS]";
const PUBLISH_EXAMPLE: &str = "Example: member publish film.mkv --conductor nas.local";
const LIST_EXAMPLE: &str = "Example: member list film --page 2";
const DETAILS_EXAMPLE: &str = "Example: member details film.mkv@2953289a";
const GET_USAGE: &str = "member get NAME|NAME@DIGITS [OPTIONS]";
const GET_EXAMPLE: &str = "Example: member get film.mkv --dir /srv/films --leave";
const UNPUBLISH_EXAMPLE: &str = "Example: member unpublish film.mkv";

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
    /// Make an account at a conductor that keeps a catalogue, and log in
    #[command(help_template = ASK_TEMPLATE, after_help = REGISTER_EXAMPLE)]
    Register(Account),
    /// Log in at a conductor that keeps a catalogue
    #[command(help_template = ASK_TEMPLATE, after_help = LOGIN_EXAMPLE)]
    Login(Account),
    /// Give your account at a conductor another password, and log it out everywhere else
    #[command(help_template = ASK_TEMPLATE, after_help = PASSWORD_EXAMPLE)]
    Password(NewPassword),
    /// End the session at a conductor
    #[command(help_template = ASK_TEMPLATE, after_help = LOGOUT_EXAMPLE)]
    Logout(Logout),
    /// Put a file of yours into a conductor's catalogue, and share it
    #[command(help_template = TEMPLATE, override_usage = PUBLISH_USAGE, after_help = PUBLISH_EXAMPLE)]
    Publish(Publish),
    /// List what is in a conductor's catalogue
    #[command(help_template = ASK_TEMPLATE, after_help = LIST_EXAMPLE)]
    List(List),
    /// Tell all about one file in a conductor's catalogue, and who holds it
    #[command(help_template = ASK_TEMPLATE, after_help = DETAILS_EXAMPLE)]
    Details(Details),
    /// Get a file that is in a conductor's catalogue, and share it on
    #[command(help_template = TEMPLATE, override_usage = GET_USAGE, after_help = GET_EXAMPLE)]
    #[command(mut_arg("dir", |dir| dir.help("Folder for manifest and file [default: this one]")))]
    #[command(mut_arg("check_digest", |check| check.help("On for whatever comes from a catalogue")))]
    Get(Get),
    /// Take a file of yours out of a conductor's catalogue
    #[command(help_template = ASK_TEMPLATE, after_help = UNPUBLISH_EXAMPLE)]
    Unpublish(Unpublish),
    #[command(flatten)]
    Extra(Extra),
}

#[derive(Debug, Args)]
struct Options {
    /// Ask this conductor, not the manifest's
    #[arg(long, value_name = "HOST:PORT", value_parser = cli::conductor)]
    conductor: Option<HostPort>,
    #[command(flatten)]
    sharing: Sharing,
}

/// How to take part in sharing one composition.
#[derive(Debug, Args)]
struct Sharing {
    /// Folder of the file [default: the manifest's]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Listen here [default: port 10001-10100, or any]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<ListenOn>,
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
    /// Classic protocol too: not sealed or authenticated
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
            options.sharing.start_log();
            sharing::share(file, options)
        }
        Some(Command::Register(account)) => catalogue::register(account),
        Some(Command::Login(account)) => catalogue::login(account),
        Some(Command::Password(password)) => catalogue::password(password),
        Some(Command::Logout(logout)) => catalogue::logout(logout),
        Some(Command::Publish(publish)) => catalogue::publish(publish),
        Some(Command::List(list)) => catalogue::list(list),
        Some(Command::Details(details)) => catalogue::details(details),
        Some(Command::Get(get)) => catalogue::get(get),
        Some(Command::Unpublish(unpublish)) => catalogue::unpublish(unpublish),
        None => {
            arguments.options.sharing.start_log();
            sharing::get(
                arguments.manifest.as_deref().expect("clap asks for it where no subcommand is"),
                &arguments.options,
            )
        }
    };
    cli::finish(PROGRAM, result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    const COMMANDS: [&str; 9] =
        ["register", "login", "password", "logout", "publish", "list", "details", "get", "unpublish"];

    fn help(words: &str) -> String {
        let line = format!("member {words} --help");
        let command = Arguments::command().term_width(80);
        command.try_get_matches_from(line.split_whitespace()).unwrap_err().to_string()
    }

    #[test]
    fn help_fits_a_screen_and_ends_with_an_example() {
        for words in ["", "share"].into_iter().chain(COMMANDS) {
            let help = help(words);
            assert!(help.lines().count() <= 24, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            let example = format!("Example: member {}", if words.is_empty() { "" } else { words });
            assert!(help.trim_end().lines().last().unwrap().starts_with(&example), "{help}");
        }
        assert!(COMMANDS.iter().all(|command| help("").contains(command)), "{}", help(""));
    }

    #[test]
    fn every_option_is_in_the_help() {
        let sharing =
            ["dir", "listen", "conductor", "member", "leave", "repair", "check-digest", "up", "down"];
        for words in ["", "share", "publish", "get"] {
            let help = help(words);
            for option in sharing.iter().chain(&["classic", "logs", "json", "quiet", "help"]) {
                assert!(help.contains(&format!("--{option}")), "{option} is missing in\n{help}");
            }
        }
        for words in COMMANDS {
            let help = help(words);
            assert!(help.contains("--conductor") && help.contains("--json"), "{help}");
        }
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_examples_are_accepted() {
        for example in [
            EXAMPLE,
            SHARE_EXAMPLE,
            REGISTER_EXAMPLE,
            LOGIN_EXAMPLE,
            PASSWORD_EXAMPLE,
            LOGOUT_EXAMPLE,
            PUBLISH_EXAMPLE,
            LIST_EXAMPLE,
            DETAILS_EXAMPLE,
            GET_EXAMPLE,
            UNPUBLISH_EXAMPLE,
        ] {
            parsed(example.strip_prefix("Example: ").unwrap()).unwrap();
        }
    }

    #[test]
    fn files_that_are_named_like_commands_can_be_reached() {
        for command in COMMANDS.iter().chain(&["share"]) {
            let arguments = parsed(&format!("member ./{command}")).unwrap();
            assert!(arguments.command.is_none() && arguments.manifest.is_some(), "{command}");
        }
    }

    #[test]
    fn the_whole_command_line() {
        let arguments = parsed(
            "member a.orch --dir /srv --listen [::]:10001 --conductor nas.local --member 10.0.0.1:10001 \
             --member [fe80::1%eth0]:10002 --leave --repair --check-digest --up 500K --down 2MiB --logs /l --json",
        );
        let Options { conductor, sharing: options } = arguments.unwrap().options;
        assert_eq!(conductor, Some("nas.local:9999".parse().unwrap()));
        let hosts: Vec<_> = options.members.iter().map(|member| (member.host(), member.port())).collect();
        assert_eq!(hosts, [("10.0.0.1", 10_001), ("fe80::1%eth0", 10_002)]);
        assert_eq!((options.up, options.down), (NonZeroU64::new(500 << 10), NonZeroU64::new(2 << 20)));
        assert!(parsed("member share film.mkv --up 2M").is_ok());
        let pinned = "member get film --conductor nas#0123-4567-89ab-cdef-0123-4567-89ab-cdef --leave";
        assert!(parsed(pinned).is_ok());
        assert!(parsed("member publish film.mkv --no-share --json").is_ok());
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
            ("member register", "<NAME>"),
            ("member register ada --password secret", "--password-file"),
            ("member login ada secret99", "secret99"),
            ("member list --page 0", "1.."),
            ("member list --limit 100001", "100000"),
            ("member list --conductor nas#abc", "a fingerprint was expected behind the #"),
            ("member get film --conductor :1", "HOST:PORT"),
            ("member get", "<NAME>"),
            ("member publish", "<FILE>"),
            ("member details", "<NAME>"),
            ("member unpublish", "<NAME>"),
            ("member publish a --json --quiet", "cannot be used with"),
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        }
    }
}
