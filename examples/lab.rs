//! Plays the scenes of the lab: swarms on several hosts, in networks that break. Needs Linux, root, and iproute2.
//!
//! ```text
//! cargo build --release && sudo target/release/examples/lab --mib 128 --mbit 200 --runs 5 fan-out
//! ```
//!
//! A host is a network namespace with addresses of its own, its link is shaped both ways. The first thing that is
//! wrong ends it with a panic.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test that takes long")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/lab/network.rs"]
mod network;
#[path = "../tests/lab/scenes.rs"]
mod scenes;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use scenes::Scale;

/// Play swarms on several hosts, in networks that break
#[derive(Debug, Parser)]
#[command(name = "lab", max_term_width = 80)]
struct Arguments {
    /// Which scenes [default: all of them]
    scenes: Vec<Scene>,
    /// The size of the composition in MiB
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    mib: u16,
    /// The rate of each link, each way, in Mbit/s
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    mbit: u32,
    /// How many members get it, in fan-out
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    members: u8,
    /// How often each scene is played
    #[arg(long, default_value_t = 1)]
    runs: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// One shares, several get at once; against what the links allow at best
    FanOut,
    /// A host is cut off for half a minute in the middle
    Cut,
    /// The conductor is stopped at the beginning and never comes back
    Alone,
    /// The conductor is killed, and an empty one takes its place
    Replaced,
    /// A host gets another address in the middle
    Moved,
}

/// Long enough that every link across the cut is given up.
const CUT: Duration = Duration::from_secs(30);

fn main() {
    let arguments = Arguments::parse();
    if let Some(what) = network::missing() {
        common::skipped(&format!("the lab of network namespaces: {what}"));
        return;
    }
    let scale = Scale { mib: arguments.mib.into(), mbit: arguments.mbit };
    println!("{} MiB over links of {} Mbit/s each way", scale.mib, scale.mbit);
    let scenes = if arguments.scenes.is_empty() { Scene::value_variants() } else { &arguments.scenes };
    for &scene in scenes {
        for run in 1..=arguments.runs {
            println!("{scene:?}, run {run}: {}", play(scene, scale, arguments.members));
        }
    }
}

fn play(scene: Scene, scale: Scale, members: u8) -> String {
    match scene {
        Scene::FanOut => {
            let seen = scenes::fan_out(scale, members);
            let (took, verified, bound) =
                (seen.took.as_secs_f64(), seen.verified.as_secs_f64(), seen.bound.as_secs_f64());
            format!(
                "1 to {members}: verified by all after {verified:.2} s, {:.3} times the bound of {bound:.2} s; \
                 from the first start to the last \"complete\" {took:.2} s, {:.3} times; the sharing member sent \
                 {:.3} times the file; {:.4} files wasted in all",
                verified / bound,
                took / bound,
                seen.sent,
                seen.wasted
            )
        }
        Scene::Cut => {
            let (others, itself) = scenes::cut(scale, CUT);
            format!(
                "cut off for {} s or more, all complete; {others} bytes wasted by the others, {itself} by the one \
                 that was cut off",
                CUT.as_secs()
            )
        }
        Scene::Alone => {
            scenes::alone(scale);
            "all complete without a conductor, one more joined".into()
        }
        Scene::Replaced => format!("all were known again after {:.1?}", scenes::replaced(scale)),
        Scene::Moved => format!("linked at its new address after {:.1?}", scenes::moved(scale)),
    }
}
