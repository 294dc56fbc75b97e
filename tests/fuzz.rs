//! The fuzz targets for a second each, without the nightly compiler: what was saved in `fuzz/corpus`, and that
//! with a few bytes changed. `fuzz/README.md` says how to run them for longer.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

#[expect(unreachable_pub, reason = "it is a library to the fuzz targets")]
#[path = "../fuzz/src/lib.rs"]
mod bodies;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bodies::Body;

/// How long each target is fed with changed inputs.
const TIME: Duration = Duration::from_secs(1);
/// Inputs get no longer than this, so that their number counts and not their length.
const INPUT_MAX: usize = 512;

/// Says which bytes were too much for a target, if any were.
struct Fed<'a>(&'a [u8]);

impl Drop for Fed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
            // If it cannot be said, there is nobody to hear it.
            drop(writeln!(io::stderr(), "the input was {hex}; it belongs into fuzz/corpus"));
        }
    }
}

fn feed(body: Body, bytes: &[u8]) {
    let _fed = Fed(bytes);
    body(bytes);
}

/// What is saved for this target, in the order of the names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "nothing is saved in {}", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Makes another input of what is saved: a few bytes changed, added or taken away, or two inputs joined.
fn change(rng: &mut fastrand::Rng, saved: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = rng.choice(saved).unwrap().clone();
    if rng.u8(..8) == 0 {
        bytes.truncate(rng.usize(..=bytes.len()));
        let other = rng.choice(saved).unwrap();
        bytes.extend_from_slice(&other[rng.usize(..=other.len())..]);
    }
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=bytes.len());
        match rng.u8(..5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.u8(..)),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] = rng.u8(..),
            _ if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            _ => bytes.extend(std::iter::repeat_with(|| rng.u8(..)).take(8)),
        }
    }
    bytes.truncate(INPUT_MAX);
    bytes
}

fn plays(target: &str) {
    let &(_, body) = bodies::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let saved = corpus(target);
    saved.iter().for_each(|bytes| feed(body, bytes));
    let mut rng = fastrand::Rng::with_seed(7);
    let start = Instant::now();
    while start.elapsed() < TIME {
        feed(body, &change(&mut rng, &saved));
    }
}

#[test]
fn every_target_has_its_test() {
    let tested = include_str!("fuzz.rs");
    for (target, _) in bodies::TARGETS {
        assert!(tested.contains(&format!("plays(\"{target}\")")), "{target}");
    }
}

#[test]
fn manifests() {
    plays("manifest");
}

#[test]
fn frames_however_they_are_cut() {
    plays("frames");
}

#[test]
fn messages_between_members() {
    plays("member_messages");
}

#[test]
fn questions_at_a_catalogue() {
    plays("catalogue");
}

#[test]
fn messages_at_a_desk() {
    plays("desk_messages");
}

#[test]
fn somebody_between_the_ends_of_a_sealed_link() {
    plays("seal");
}

#[test]
fn any_messages_at_a_session() {
    plays("session");
}

#[test]
fn any_events_in_a_swarm() {
    plays("swarm");
}

#[test]
fn any_announces_at_a_registry() {
    plays("registry");
}

#[test]
fn messages_between_members_of_an_ensemble() {
    plays("ensemble");
}

#[test]
fn any_order_in_which_a_content_comes() {
    plays("gather");
}

#[test]
fn lines_of_the_classic_protocol() {
    plays("classic_messages");
}

#[test]
fn any_messages_on_a_classic_link() {
    plays("classic_link");
}
