//! How long a conductor's catalogue takes to answer, and whether its time tells a wrong name from a wrong password.
//!
//! ```text
//! cargo run --release --example catalogue
//! ```
//!
//! The conductor runs in this process, on a file with 1,000 accounts, 10,000 listings and as many of one name, and is asked over its own sealed
//! connections. Tries to log in come from many loopback addresses, because each may fail only so often.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it is a test that takes long, and shares the askers of another one"
)]

#[path = "../tests/catalogue_conductor/asker.rs"]
mod asker;
#[path = "../tests/common/mod.rs"]
mod common;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use orchestra::account::AccountName;
use orchestra::conductor::{CatalogueConfig, Conductor, Config};
use orchestra::digest::Digest;
use orchestra::host::catalogue::{Catalogue, NewListing};
use orchestra::host::clock;
use orchestra::host::password::{Password, PasswordHash};
use orchestra::name::Name;
use orchestra::part::Layout;
use orchestra::wire::catalogue::{Query, Refusal, Reply, Request};
use socket2::{Domain, Socket, Type};

use asker::{Asker, PASSWORD, login, wanted};

/// Measure a conductor's catalogue
#[derive(Debug, Parser)]
#[command(name = "catalogue", max_term_width = 80)]
struct Arguments {
    /// Accounts
    #[arg(long, default_value_t = 1_000)]
    accounts: u32,
    /// Compositions, of all accounts together
    #[arg(long, default_value_t = 10_000)]
    listings: u32,
    /// How many more compositions have all the same name; at most 20 times as many as there are accounts
    #[arg(long, default_value_t = 10_000)]
    namesakes: u32,
    /// Questions of each kind
    #[arg(long, default_value_t = 1_000)]
    questions: u32,
    /// Wrong names, and as many wrong passwords; at most as many as there are accounts
    #[arg(long, default_value_t = 1_000)]
    tries: u32,
}

/// So many tries come from one address: fewer than lead to a pause.
const TRIES_PER_SOURCE: u32 = 16;
/// What namesakes are called.
const NAMESAKE: &str = "the same song.flac";
/// Parts of each composition.
const PARTS: u32 = 200;

fn main() {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("group.sqlite");
    fill(&file, &arguments);
    let config =
        Config { catalogue: Some(CatalogueConfig::new(file)), ..Config::new("127.0.0.1:0".parse().unwrap()) };
    let conductor = Conductor::start(config).unwrap();
    println!(
        "{} listings of {} accounts, and {} of one name",
        arguments.listings, arguments.accounts, arguments.namesakes
    );
    println!("| question | median | 99 % | longest |");
    println!("|---|---:|---:|---:|");
    ask(conductor.address(), &arguments);
    try_to_log_in(conductor.address(), &arguments);
}

/// Makes a catalogue with accounts and listings.
fn fill(file: &Path, arguments: &Arguments) {
    // Hashing takes its time, so all have the same password.
    let hash = PasswordHash::of(&Password::parse(PASSWORD).unwrap()).unwrap();
    let now = clock::wall();
    let mut catalogue = Catalogue::open(file).unwrap();
    let make = |writer: &mut orchestra::host::catalogue::Writer<'_>| {
        let mut accounts = Vec::new();
        for number in 0..arguments.accounts {
            let name = AccountName::parse(&account(number)).unwrap();
            accounts.push(writer.register(&name, &hash, now)?.unwrap());
        }
        let layout = Layout::new(u64::from(PARTS) * 1_024, 1_024).unwrap();
        for number in 0..arguments.listings + arguments.namesakes {
            let name = if number < arguments.listings { &listing(number) } else { NAMESAKE };
            let name = Name::parse(name).unwrap();
            let digest = Digest::of(&number.to_le_bytes());
            let parts = vec![digest; PARTS as usize];
            let new = NewListing { name: &name, digest, layout, parts: &parts };
            let publisher = accounts[number as usize % accounts.len()];
            writer.publish(publisher, &new, now)?.unwrap();
        }
        Ok(())
    };
    catalogue.write(make).unwrap();
}

fn account(number: u32) -> String {
    format!("account {number}")
}

fn listing(number: u32) -> String {
    let word = ["Symphony", "Sonate", "Étude", "Nocturne", "Réquiem"][number as usize % 5];
    format!("{word} No. {number:06} in d minor.flac")
}

/// Lists and looks at details, one question after the other.
fn ask(conductor: SocketAddr, arguments: &Arguments) {
    let mut asker = Asker::connect(conductor);
    let list = |text: &str| Request::List(Query { text: text.to_owned(), after: None, limit: 100 });
    let number = |n: u32| n * 7_919 % arguments.listings;
    let mut measure = |what: &str, request: &dyn Fn(u32) -> Request| {
        let spans = (0..arguments.questions).map(|n| {
            let request = request(n);
            let begun = Instant::now();
            let reply = asker.ask(&request);
            let span = begun.elapsed();
            assert!(matches!(reply, Reply::Page(_) | Reply::Details(_) | Reply::Several(_)), "{reply:?}");
            span
        });
        show(what, spans.collect());
    };
    measure("list, the first page", &|_| list(""));
    measure("list, a word that a fifth has", &|_| list("nocturne"));
    measure("list, a word that one has", &|n| list(&format!("{:06}", number(n))));
    measure("list, a word that nothing has", &|_| list("waltz"));
    measure("details", &|n| Request::Details(wanted(&listing(number(n)), "")));
    if arguments.namesakes > 0 {
        measure("details, of a name that very many have", &|_| Request::Details(wanted(NAMESAKE, "")));
        let digits = |n: u32| {
            let number = arguments.listings + n * 7_919 % arguments.namesakes;
            Digest::of(&number.to_le_bytes()).to_string()
        };
        measure("details, the digits of one of them", &|n| Request::Details(wanted(NAMESAKE, &digits(n))));
    }
}

fn show(what: &str, mut spans: Vec<Duration>) {
    spans.sort_unstable();
    let at = |share: usize| spans[(spans.len() - 1) * share / 100];
    println!("| {what} | {:.2?} | {:.2?} | {:.2?} |", at(50), at(99), at(100));
}

/// Wrong names and wrong passwords in turn: do their times differ?
fn try_to_log_in(conductor: SocketAddr, arguments: &Arguments) {
    let mut spans: [Vec<Duration>; 2] = Default::default();
    let tries = arguments.tries.min(arguments.accounts) * 2;
    let mut asker = None;
    for number in 0..tries {
        if number % TRIES_PER_SOURCE == 0 {
            asker = Some(from(conductor, number / TRIES_PER_SOURCE));
        }
        // Of each two the first is the one and the other the other kind, in turn.
        let has_account = (number % 2 == 0) == (number / 2 % 2 == 0);
        let name = if has_account { account(number / 2) } else { format!("nobody {}", number / 2) };
        let request = Request::Login(login(&name, "not the password"));
        let asker = asker.as_mut().expect("it was connected just now");
        let begun = Instant::now();
        let refusal = asker.refused(&request);
        spans[usize::from(has_account)].push(begun.elapsed());
        assert_eq!(refusal, Refusal::WrongLogin);
    }
    let [names, passwords] = spans;
    let z = rank_sum(&names, &passwords);
    show("a wrong name", names);
    show("a wrong password", passwords);
    println!();
    println!("Mann-Whitney: z = {z:.2}; beyond ±3.29 once in a thousand runs if the times do not differ");
}

/// A connection from a loopback address of this number.
fn from(conductor: SocketAddr, number: u32) -> Asker {
    let [.., high, low] = number.to_be_bytes();
    let source = SocketAddr::from((Ipv4Addr::new(127, 1, high, low), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&source.into()).unwrap();
    socket.connect(&conductor.into()).unwrap();
    Asker::over(TcpStream::from(socket)).unwrap()
}

/// The rank sum of the first kind, in standard deviations from what equal distributions give (Mann and Whitney, 1947).
fn rank_sum(first: &[Duration], second: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> = first.iter().map(|&span| (span, true)).collect();
    all.extend(second.iter().map(|&span| (span, false)));
    all.sort_unstable();
    let ranks = (1u32..).zip(&all).filter(|(_, (_, is_first))| *is_first).map(|(rank, _)| f64::from(rank));
    let (n, m) = (first.len() as f64, second.len() as f64);
    let expected = n * (n + m + 1.0) / 2.0;
    let deviation = (n * m * (n + m + 1.0) / 12.0).sqrt();
    (ranks.sum::<f64>() - expected) / deviation
}
