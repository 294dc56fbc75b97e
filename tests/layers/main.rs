//! The source itself: every arrow between the rooms of `src/` points downwards, and the rooms that decide
//! know nothing of the world.
//!
//! It reads paths as the compiler's lexer splits them, in `use` lines and everywhere else, macros included.
//! It does not resolve names that come through `*`.
#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::source::{Source, Target};

/// The words, in reading order: each may use those before it.
const WORDS: &[&str] = &[
    "limits",
    "time",
    "text",
    "shell",
    "letters",
    "digest",
    "part",
    "part_set",
    "address",
    "name",
    "entry",
    "identity",
    "account",
    "credential",
    "key",
];

/// The other rooms, and what each may use of the crate beside itself and the words.
const ROOMS: &[(&str, &[&str])] = &[
    ("manifest", &[]),
    ("wire", &[]),
    ("logic", &["manifest", "wire"]),
    ("sim", &["manifest", "wire", "logic"]),
    ("host", &["manifest"]),
    ("stream", &["wire", "logic", "host"]),
    ("composer", &["manifest", "wire", "logic", "host"]),
    ("conductor", &["manifest", "wire", "logic", "host"]),
    ("member", &["manifest", "wire", "logic", "host", "stream"]),
    ("ensemble", &["manifest", "wire", "logic", "host", "stream"]),
    ("catalogue", &["manifest", "wire", "logic", "host", "stream"]),
    (
        "console",
        &[
            "manifest",
            "host",
            "catalogue",
            "member::progress",
            "ensemble::Report",
            "ensemble::progress",
            "ensemble::verify",
            "cli",
        ],
    ),
    ("cli", &["host"]),
];

/// These know nothing of the world: what they yield depends only on what they are told.
const PURE: &[&str] = &["manifest", "wire", "logic", "sim"];

/// What the pure rooms may not and may use from outside; the longest line that fits a path decides.
const WORLD: &[(&str, bool)] = &[
    ("std::env", false),
    ("std::fs", false),
    ("std::io", false),
    ("std::net", false),
    ("std::net::IpAddr", true),
    ("std::net::Ipv4Addr", true),
    ("std::net::Ipv6Addr", true),
    ("std::net::SocketAddr", true),
    ("std::net::SocketAddrV4", true),
    ("std::net::SocketAddrV6", true),
    ("std::os", false),
    ("std::process", false),
    ("std::sync", false),
    ("std::thread", false),
    ("std::time", false),
    ("std::time::Duration", true),
    ("crossbeam_channel", false),
    ("crossterm", false),
    ("env_logger", false),
    // The generator of the process; one with a seed of its own repeats.
    ("fastrand", false),
    ("fastrand::Rng", true),
    ("fastrand::Rng::default", false),
    ("fastrand::Rng::new", false),
    ("getrandom", false),
    ("indicatif", false),
    ("log", false),
    ("mio", false),
    ("rustix", false),
    ("signal_hook", false),
    ("socket2", false),
];

/// What only `host` may use: the others ask it.
const SYSTEM: &[(&str, bool)] = &[
    ("std::fs", false),
    ("std::thread", false),
    ("std::time::Instant", false),
    ("std::time::SystemTime", false),
    ("getrandom", false),
    ("socket2", false),
];

#[test]
fn arrows_point_downwards_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut rooms) = (Vec::new(), BTreeSet::new());
    for path in sources(&root) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let source = Source::read(name, &fs::read_to_string(&path).unwrap());
        rooms.insert(source.module.first().cloned().unwrap_or_default());
        found.extend(faults(&source));
    }
    // A test that reads nothing finds nothing.
    for room in
        ["limits", "manifest", "wire", "logic", "sim", "host", "member", "conductor", "composer", "bin"]
    {
        assert!(rooms.contains(room), "src/{room} was not read");
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What is wrong in this file, one line each.
fn faults(source: &Source) -> Vec<String> {
    // The root only names the rooms.
    let Some(room) = source.module.first().map(String::as_str) else { return Vec::new() };
    let mut faults = BTreeSet::new();
    for found in &source.found {
        let fault = match source.resolve(found) {
            Target::Ours(path) if !may_use(room, &path) => format!("crate::{}", path.join("::")),
            Target::Outside(path) if !found.in_test && is_denied(room, &path) => path.join("::"),
            Target::Ours(_) | Target::Outside(_) => continue,
        };
        faults.insert((found.line, format!("{room} may not use {fault}")));
    }
    if PURE.contains(&room) {
        for line in source.hash_order() {
            let advice = "look up, or use a BTreeMap";
            faults.insert((line, format!("{room} may not depend on the order of a hash map; {advice}")));
        }
    }
    faults.into_iter().map(|(line, fault)| format!("src/{}:{line}: {fault}", source.name)).collect()
}

/// Whether a file of the room may use this path of the crate.
fn may_use(room: &str, path: &[String]) -> bool {
    let Some(target) = path.first().map(String::as_str) else {
        // `pub(crate)`.
        return true;
    };
    if target == room || room == "bin" {
        return true;
    }
    let word = |name: &str| WORDS.iter().position(|&word| word == name);
    match (word(room), word(target)) {
        (Some(room), Some(target)) => target < room,
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (None, None) => {
            let (_, allowed) = ROOMS
                .iter()
                .find(|(name, _)| *name == room)
                .unwrap_or_else(|| panic!("src/{room} has no place in the table of this test yet"));
            allowed.iter().any(|allowed| starts_with(path, allowed))
        }
    }
}

/// Whether a file of the room may not use this path out of the crate.
fn is_denied(room: &str, path: &[String]) -> bool {
    // A single word is a name of the file's own; what it stands for was seen where it came in.
    if path.len() < 2 {
        return false;
    }
    let table = match room {
        "host" | "bin" => return false,
        room if PURE.contains(&room) => WORLD,
        _ => SYSTEM,
    };
    let rule =
        table.iter().filter(|(prefix, _)| starts_with(path, prefix)).max_by_key(|(prefix, _)| prefix.len());
    rule.is_some_and(|&(_, allowed)| !allowed)
}

fn starts_with(path: &[String], prefix: &str) -> bool {
    let prefix: Vec<&str> = prefix.split("::").collect();
    path.len() >= prefix.len() && path.iter().zip(&prefix).all(|(have, want)| have == want)
}

/// The faults of a file with this text, without the name of the file.
fn faults_of(name: &str, text: &str) -> Vec<String> {
    let prefix = format!("src/{name}:");
    faults(&Source::read(name, text)).iter().map(|fault| fault.replacen(&prefix, "", 1)).collect()
}

#[test]
fn what_is_allowed_passes() {
    for (name, text) in [
        ("part.rs", "use crate::limits::PARTS_MAX; use std::fmt;"),
        (
            "logic/swarm/link.rs",
            "use std::{net::{IpAddr, SocketAddr}, time::Duration}; use crate::wire::member::Hello;",
        ),
        (
            "logic/swarm/link.rs",
            "use super::super::window::Window; pub(in crate::logic) struct A; pub(crate) struct B;",
        ),
        ("logic/picker.rs", "use fastrand::Rng; fn f() -> Rng { Rng::with_seed(1) }"),
        (
            "logic/picker.rs",
            "fn f(log: u8) -> u8 { log + 1 } // use std::fs;\nconst A: &str = \"use std::fs;\";",
        ),
        ("logic/picker.rs", "#[cfg(test)] mod tests { use super::*; use std::thread; }"),
        ("logic/swarm/tests.rs", "use std::time::Instant; fn f(a: HashMap<u8, u8>) { for b in &a {} }"),
        (
            "logic/registry.rs",
            "struct A { a: HashMap<u8, u8>, b: Vec<u8> } fn f() { a.get(&1); b.iter(); a.len(); }",
        ),
        ("host/store.rs", "use std::fs::File; use crate::manifest::Manifest; use super::HostError;"),
        ("member/mod.rs", "use crate::host::thread; fn f() { thread::spawn(); }"),
        ("console/live.rs", "use crate::member::progress::Snapshot; use crate::console::About;"),
        ("bin/member.rs", "use orchestra::member::Member; use std::fs;"),
        ("lib.rs", "pub mod member;"),
    ] {
        assert_eq!(faults_of(name, text), [""; 0], "{name}: {text}");
    }
}

#[test]
fn an_upward_or_sideways_arrow_fails() {
    for (name, text, fault) in [
        ("limits/links.rs", "use crate::part::Layout;", "1: limits may not use crate::part::Layout"),
        ("part.rs", "use crate::manifest::Manifest;", "1: part may not use crate::manifest::Manifest"),
        ("wire/frame.rs", "use crate::manifest::Manifest;", "1: wire may not use crate::manifest::Manifest"),
        ("logic/mod.rs", "use super::host::clock;", "1: logic may not use crate::host::clock"),
        ("logic/a.rs", "mod b { use super::super::super::host; }", "1: logic may not use crate::host"),
        ("logic/a.rs", "use crate::*;", "1: logic may not use crate::*"),
        (
            "host/store.rs",
            "\nuse crate::{part::Layout,\nlogic::picker};",
            "3: host may not use crate::logic::picker",
        ),
        (
            "host/a.rs",
            "#[cfg(test)] mod tests { use crate::cli::Exit; }",
            "1: host may not use crate::cli::Exit",
        ),
        (
            "member/mod.rs",
            "fn f() { log::info!(\"{}\", crate::cli::size(1)); }",
            "1: member may not use crate::cli::size",
        ),
        ("member/link/mod.rs", "use crate::conductor as other;", "1: member may not use crate::conductor"),
        (
            "conductor/mod.rs",
            "type A = crate::member::Member;",
            "1: conductor may not use crate::member::Member",
        ),
        ("console/mod.rs", "use crate::member::Member;", "1: console may not use crate::member::Member"),
    ] {
        assert_eq!(faults_of(name, text), [fault], "{name}: {text}");
    }
}

#[test]
fn a_look_at_the_world_fails() {
    for (name, text, fault) in [
        ("manifest.rs", "use std::fs;", "1: manifest may not use std::fs"),
        ("wire/seal.rs", "use std::net::{IpAddr, TcpStream};", "1: wire may not use std::net::TcpStream"),
        (
            "logic/a.rs",
            "fn f() { core::net::SocketAddr::V4; ::std::process::exit(1) }",
            "1: logic may not use std::process::exit",
        ),
        ("logic/a.rs", "use std::time::{Duration, Instant};", "1: logic may not use std::time::Instant"),
        ("logic/a.rs", "use std::sync::Arc;", "1: logic may not use std::sync::Arc"),
        ("logic/a.rs", "use crossbeam_channel::Sender;", "1: logic may not use crossbeam_channel::Sender"),
        ("logic/a.rs", "fn f() { log::warn!(\"\") }", "1: logic may not use log::warn"),
        ("logic/a.rs", "fn f() { fastrand::u64(..) }", "1: logic may not use fastrand::u64"),
        (
            "logic/a.rs",
            "use fastrand::Rng;\nfn f() { Rng::new() }",
            "2: logic may not use fastrand::Rng::new",
        ),
        ("member/mod.rs", "use std::time::Instant;", "1: member may not use std::time::Instant"),
        ("conductor/mod.rs", "use std::thread::{self};", "1: conductor may not use std::thread"),
        ("digest.rs", "use std::fs::File;", "1: digest may not use std::fs::File"),
    ] {
        assert_eq!(faults_of(name, text), [fault], "{name}: {text}");
    }
}

#[test]
fn the_order_of_a_hash_map_fails() {
    for text in [
        "struct A { a: HashMap<u8, u8> } impl A { fn f(&self) { for b in &self.a { g(b) } } }",
        "struct A { a: HashMap<u8, u8> } impl A { fn f(&self) { self.a.keys().next(); } }",
        "fn f() { let mut a = HashSet::new(); a.retain(|_| true); }",
    ] {
        let fault = "1: logic may not depend on the order of a hash map; look up, or use a BTreeMap";
        assert_eq!(faults_of("logic/a.rs", text), [fault], "{text}");
    }
}

#[test]
#[should_panic(expected = "src/attic has no place in the table")]
fn a_new_room_needs_a_place() {
    faults_of("attic/a.rs", "use crate::member::Member;");
}
