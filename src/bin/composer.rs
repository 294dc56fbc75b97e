//! `composer FILE [CONDUCTOR] [PART_SIZE] [-o OUT]`: makes the manifest of a file.

use std::error::Error;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use orchestra::address::HostPort;
use orchestra::cli::{self, Exit, Extra};
use orchestra::composer::{Composed, Request, compose};
use orchestra::console::{QUIET_AT_FIRST, WorkBar};
use orchestra::limits::CONDUCTOR_PORT_DEFAULT;
use orchestra::part::Layout;
use orchestra::shell;
use orchestra::text::{bytes, parse_size, span};

/// Make the manifest of a file, so that members can share it
#[derive(Debug, Parser)]
#[command(
    name = "composer",
    version,
    max_term_width = 80,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  \
                  composer holiday.mp4 192.168.1.1    writes holiday.mp4.orch\n\
                  Copy that to the other computers; on each, type: member holiday.mp4.orch"
)]
struct Args {
    /// The file to share
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// HOST:PORT where members meet [default: localhost:9999]
    #[arg(default_value_t, hide_default_value = true)]
    conductor: HostPort,
    /// Size of a part: 16384, 16K, 1MiB [default: by file size]
    #[arg(value_parser = part_size)]
    part_size: Option<u64>,
    /// Where to write the manifest [default: FILE.orch]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
    #[command(subcommand)]
    extra: Option<Extra>,
}

fn main() -> ExitCode {
    cli::finish("composer", run(Args::parse()))
}

fn run(args: Args) -> Result<Exit, Box<dyn Error>> {
    if let Some(extra) = &args.extra {
        return Ok(extra.print::<Args>()?);
    }
    let file = args.file.expect("clap asks for a file when there is no subcommand");
    let request = Request { file, conductor: args.conductor, part_len: args.part_size, output: args.output };
    let mut bar = WorkBar::new();
    let composed = compose(&request, &AtomicBool::new(false), |done, all| {
        if !args.quiet {
            bar.show(done, all);
        }
    });
    bar.clear();
    let summary = summary(&composed?, &request.file);
    if args.quiet {
        return Ok(Exit::Done);
    }
    cli::tell(summary)?;
    Ok(Exit::Done)
}

/// Reads a part size; what no file can have is wrong usage.
fn part_size(text: &str) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let part_len = parse_size(text)?;
    Layout::new(0, part_len)?;
    Ok(part_len)
}

/// What was written, and what to type next.
fn summary(composed: &Composed, file: &Path) -> String {
    let Composed { manifest, path, elapsed } = composed;
    let (layout, conductor) = (manifest.layout(), manifest.conductor());
    let parts = if layout.parts() == 1 { "1 part".to_owned() } else { format!("{} parts", layout.parts()) };
    let took = if *elapsed < QUIET_AT_FIRST { String::new() } else { format!(", in {}", span(*elapsed)) };
    let mut text = format!(
        "Wrote {}: {} in {parts} of {}{took}.\nNext, type:\n",
        shell::word(path),
        bytes(layout.size()),
        bytes(layout.part_len().into()),
    );

    let conduct = match conductor.port() {
        CONDUCTOR_PORT_DEFAULT => "conductor".to_owned(),
        port => format!("conductor --listen '[::]:{port}'"),
    };
    // A member looks beside the manifest unless it is told otherwise.
    let dir = match file.parent() {
        dir if dir == path.parent() => String::new(),
        Some(dir) if !dir.as_os_str().is_empty() => format!(" --dir {}", shell::word(dir)),
        _ => " --dir .".to_owned(),
    };
    let share = format!("member {}{dir}", shell::word(path));
    let get = format!("member {}", shell::word(Path::new(path.file_name().unwrap_or_default())));
    let lines = [
        (conduct, format!("on {}, if none runs there yet", conductor.host())),
        (share, "here, to share it".to_owned()),
        (get, "on each other computer, beside a copy of the manifest".to_owned()),
    ];
    let width = lines.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    text.extend(lines.iter().map(|(command, place)| format!("  {command:width$}  # {place}\n")));
    if is_loopback(conductor.host()) {
        text += "Only this computer reaches that conductor; for others, name one that they reach:\n";
        text += &format!("  composer {} HOST\n", shell::word(file));
    }
    text
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
