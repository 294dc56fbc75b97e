//! How fast one member gets a file from another one over loopback, in our dialect and in the classic protocol.
//!
//! ```text
//! cargo build --release --bins --example classic && target/release/examples/classic --mib 256 --runs 5
//! ```
//!
//! Both times both members are ours. In the classic protocol they meet at an original conductor, which is played here and
//! understands nothing else. Measured is from the first byte of a part until the last part was verified and written.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test that takes long")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/classic/original.rs"]
mod original;

use std::fs;

use clap::Parser;

use common::swarm::{MIB, SOURCE, Swarm};
use original::OldConductor;

/// Measure a transfer between two members in both dialects
#[derive(Debug, Parser)]
#[command(name = "classic", max_term_width = 80)]
struct Arguments {
    /// The size of the composition in MiB
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    mib: u16,
    /// The size of a part, as the composer takes it
    #[arg(long, default_value = "128K")]
    part: String,
    /// How often each is measured, alternating
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

fn main() {
    let arguments = Arguments::parse();
    let swarm = Swarm::cut(usize::from(arguments.mib) * MIB, &arguments.part);
    let (mut native, mut classic) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        native.push(transfer(&swarm, &[]));
        let conductor = OldConductor::knowing(&[]);
        classic.push(transfer(&swarm, &["--classic", "--conductor", &conductor.address.to_string()]));
    }
    let mib = f64::from(arguments.mib);
    let rate = |what: &str, spans: &mut Vec<f64>| {
        spans.sort_by(f64::total_cmp);
        let (least, median, most) = (spans[0], spans[spans.len() / 2], spans[spans.len() - 1]);
        println!("{what}: {median:.3} s ({least:.3} to {most:.3}), {:.0} MiB/s", mib / median);
        median
    };
    println!("{} MiB in parts of {}, medians of {}:", arguments.mib, arguments.part, arguments.runs);
    let (native, classic) = (rate("native", &mut native), rate("classic", &mut classic));
    println!("classic is {:.2} times as fast as native", native / classic);
}

/// The seconds that the parts took from one member to another one.
fn transfer(swarm: &Swarm, options: &[&str]) -> f64 {
    let mut source = swarm.member(SOURCE, options);
    source.until_complete();
    let mut getter = swarm.member("getter", options);
    let complete = getter.until_complete();
    getter.leaves();
    source.leaves();
    swarm.assert_has("getter");
    fs::remove_file(swarm.whole("getter")).unwrap();
    complete["verified_s"].as_f64().unwrap() - complete["first_byte_s"].as_f64().unwrap()
}
