//! The log of a program: one line an event, in a file of its own.
//!
//! A line is a number, seconds since the start, level, thread and text: `17 3.250012 INFO [director] …`.
//! The number is given under the file's lock, so lines stand in its order and a missing one was lost.
//! This room does not know what is worth a line.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;

use env_logger::{Builder, Env, Target};
use log::Level;

use super::HostError;
use super::clock;
use super::error::FileAction;
use crate::text::Escaped;
use crate::time::Moment;

/// Starts the log in `DIR/PROGRAM-PID.log`, which is made when needed, and returns its path.
/// `RUST_LOG` chooses what is logged; without it, everything from level info.
/// Every panic of the process is logged as well.
///
/// A line is in the file when the call that logs it returns, so nothing is lost when the process dies.
///
/// # Errors
/// The directory or the file cannot be made.
///
/// # Panics
/// The process has a logger already.
pub fn start(program: &str, dir: &Path) -> Result<PathBuf, HostError> {
    fs::create_dir_all(dir).map_err(HostError::file(FileAction::Create, dir))?;
    let path = dir.join(format!("{program}-{}.log", process::id()));
    // In a container the process id is the same at each start: what is there is kept.
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(HostError::file(FileAction::Create, &path))?;
    Builder::from_env(Env::default().default_filter_or("info,notify=error"))
        .format(|line, record| {
            let thread = thread::current();
            let thread = thread.name().unwrap_or("-");
            write_line(line, clock::now(), record.level(), thread, *record.args())
        })
        .target(Target::Pipe(Box::new(Numbered { file, next: 1, line: Vec::new() })))
        .init();
    log_panics();
    Ok(path)
}

/// Writes a line without its number. Whatever the text contains, it stays one line.
fn write_line(
    line: &mut impl Write,
    now: Moment,
    level: Level,
    thread: &str,
    text: fmt::Arguments<'_>,
) -> io::Result<()> {
    writeln!(line, "{now} {level:<5} [{}] {}", Escaped(thread), Escaped(&text.to_string()))
}

/// Logs every panic before it is told on standard error.
fn log_panics() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        log::error!("{}", panic.to_string().replace('\n', " "));
        tell(panic);
    }));
}

/// The file, with a number before each line.
struct Numbered {
    file: File,
    next: u64,
    /// The line in the making; kept for its memory.
    line: Vec<u8>,
}

impl Write for Numbered {
    /// Takes exactly one line: the logger hands each over in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let number = self.next;
        // Counted even if it cannot be written: the gap shows that a line was lost.
        self.next += 1;
        self.line.clear();
        write!(self.line, "{number} ")?;
        self.line.extend_from_slice(line);
        // In one piece: another process with the same file, or a kill, does not tear a line.
        self.file.write_all(&self.line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_stays_one_line() {
        let mut line = Vec::new();
        let now = Moment::from_micros(3_250_012);
        let text = format_args!("got a\n9 9.000000 INFO  [main] forged\u{1b}[2J");
        write_line(&mut line, now, Level::Info, "link7\nrd", text).unwrap();
        let expected = "3.250012 INFO  [link7\\u{a}rd] got a\\u{a}9 9.000000 INFO  [main] forged\\u{1b}[2J\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn lines_are_numbered_in_the_order_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = start("test", &dir.path().join("made/when/needed")).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|turn| log::info!("turn {turn}")));
            }
            // The default level leaves this out.
            log::debug!("quiet");
        });
        let panicked = thread::Builder::new().name("doomed".to_owned()).spawn(|| panic!("on\npurpose"));
        assert!(panicked.unwrap().join().is_err());

        // Other tests of this process may log here too, so only whole lines and numbers are compared.
        let text = fs::read_to_string(path).unwrap();
        for (line, number) in text.lines().zip(1_u64..) {
            assert!(line.starts_with(&format!("{number} ")), "{line}");
        }
        assert_eq!(text.lines().filter(|line| line.contains("] turn ")).count(), 200);
        assert!(
            text.lines()
                .any(|line| line.contains("ERROR [doomed] panicked at") && line.ends_with("on purpose"))
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, b"").unwrap();
        let error = start("test", &blocked.join("logs")).unwrap_err();
        assert!(error.to_string().starts_with("cannot create "), "{error}");
        assert!(error.to_string().ends_with("file/logs"), "{error}");
    }
}
