//! What the programs share at the command line: exit codes, the one line for an error, completions and man
//! pages.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory, Subcommand};

use crate::text::parse_size;

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
        match io::stdout().write_all(&text) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(Exit::Done),
        }
    }
}

/// Ends a program: an error is told in one line on standard error, with everything that led to it.
pub fn finish(program: &str, result: Result<Exit, Box<dyn Error>>) -> ExitCode {
    let exit = result.unwrap_or_else(|error| {
        let line = format!("{program}: {}\n", chain(error.as_ref()));
        // Standard error is the last place to tell anything; if it is closed there is nobody to tell.
        drop(io::stderr().write_all(line.as_bytes()));
        Exit::CouldNot
    });
    exit.into()
}

/// An error and what caused it, outermost first: `cannot write part 7 of a.flac: no space left on device`.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _infallible = write!(text, ": {}", decapitalised(&error.to_string()));
        cause = error.source();
    }
    text
}

/// System messages as part of a sentence: first letter small, without `(os error 28)`.
fn decapitalised(message: &str) -> String {
    let message = message.split(" (os error ").next().unwrap_or(message);
    let mut letters = message.chars();
    match letters.next() {
        // An abbreviation such as "DNS" keeps its capitals.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => message.to_owned(),
    }
}

/// A value parser for sizes and rates in bytes: `16384`, `16K`, `1MiB`.
///
/// # Errors
/// The text is not a size.
pub fn size(text: &str) -> Result<u64, crate::text::NotASize> {
    parse_size(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostError;
    use crate::host::error::FileAction;
    use std::path::Path;

    #[test]
    fn an_error_is_one_line() {
        let full = io::Error::from_raw_os_error(28);
        let part = crate::part::Layout::new(100, 10).unwrap().part(6).unwrap();
        let error = HostError::file(FileAction::WritePart(part), Path::new("album.flac"))(full);
        assert_eq!(chain(&error), "cannot write part 7 of album.flac: no space left on device");
    }

    #[test]
    fn a_hostile_path_is_escaped() {
        let error =
            HostError::file(FileAction::Open, Path::new("a\u{1b}[2J"))(io::Error::from_raw_os_error(2));
        assert_eq!(chain(&error), "cannot open a\\u{1b}[2J: no such file or directory");
    }
}
