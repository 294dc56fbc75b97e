//! What the programs share at the command line: exit codes, the one line for an error, completions and man
//! pages.

use std::error::Error;
use std::io::{self, Write as _};
use std::num::NonZeroU64;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Subcommand};

use crate::address::{HostPort, HostPortError};
use crate::host::log;
use crate::text::{chain, parse_size};

/// Where logs go unless the user says otherwise.
const LOGS_DEFAULT: &str = "logs";

/// How a program ends. Scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Complete, or a server that was asked to stop.
    Done = 0,
    /// Could not.
    CouldNot = 1,
    /// Wrong usage.
    Usage = 2,
    /// Left before it was complete; running again resumes.
    Incomplete = 3,
    /// A second ^C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Subcommands that every program has beside its real work.
#[derive(Clone, Debug, Subcommand)]
pub enum Extra {
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    Man,
}

impl Extra {
    /// Prints what was asked for.
    ///
    /// # Errors
    /// Standard output cannot be written; a closed pipe is no error.
    pub fn print<C: CommandFactory>(&self) -> io::Result<Exit> {
        let mut command = C::command();
        let mut text = Vec::new();
        match self {
            Extra::Completions { shell } => {
                let name = command.get_name().to_owned();
                clap_complete::generate(*shell, &mut command, name, &mut text);
            }
            Extra::Man => clap_mangen::Man::new(command).render(&mut text)?,
        }
        tell(&text)?;
        Ok(Exit::Done)
    }
}

/// Prints for the user, on standard output. Nobody need be reading: a closed pipe is no error.
///
/// # Errors
/// Standard output cannot be written, for another reason.
pub fn tell(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Prints for the user what is no answer, on standard error. If that is closed there is nobody to tell.
pub fn note(text: impl AsRef<[u8]>) {
    drop(io::stderr().write_all(text.as_ref()));
}

/// Ends a program: an error is told in one line on standard error, with everything that led to it.
pub fn finish(program: &str, result: Result<Exit, Box<dyn Error>>) -> ExitCode {
    let exit = result.unwrap_or_else(|error| {
        note(format!("{program}: {}\n", chain(error.as_ref())));
        Exit::CouldNot
    });
    exit.into()
}

/// Starts the log of a program in this folder. A program works without one, so trouble with it is only told.
pub fn start_log(program: &'static str, dir: Option<&Path>) {
    if let Err(error) = log::start(program, dir.unwrap_or(Path::new(LOGS_DEFAULT))) {
        note(format!("{program}: {}; goes on without a log\n", chain(&error)));
    }
}

/// A value parser for `HOST:PORT` of a member, which has no usual port.
///
/// # Errors
/// It is no such thing.
pub fn other_member(text: &str) -> Result<HostPort, HostPortError> {
    HostPort::parse(text, None)
}

/// A value parser for `HOST[:PORT]` of a conductor.
///
/// # Errors
/// It is no such thing.
pub fn conductor(text: &str) -> Result<HostPort, HostPortError> {
    text.parse()
}

/// A value parser for rates in bytes a second.
///
/// # Errors
/// It is no rate, or 0.
pub fn limit(text: &str) -> Result<NonZeroU64, NotARate> {
    parse_size(text).ok().and_then(NonZeroU64::new).ok_or(NotARate)
}

/// A text that is no limit of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number of bytes a second like 500K or 2M was expected; without the option there is no limit")]
pub struct NotARate;
