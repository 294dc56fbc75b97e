//! What the tests of the programs share: running programs, swarms of them, and terminals.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod program;
pub(crate) mod rounds;
pub(crate) mod swarm;
pub(crate) mod terminal;

use std::io::Write;

/// Says a line past the test runner, which keeps what passing tests print.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Says loudly that a test could not run.
pub(crate) fn skipped(why: &str) {
    say(&format!("skipped: {why}"));
}
