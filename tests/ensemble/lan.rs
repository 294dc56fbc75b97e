//! Three computers on one network that nobody told of each other.

use std::fs;
use std::time::Instant;

use orchestra::key::EnsembleKey;

use crate::common::skipped;
use crate::common::swarm::Member;
use crate::folders::Folders;
use crate::network::{self, Network};
use crate::scenes::{tree, until};

#[test]
fn three_that_find_each_other_become_one_and_leave() {
    if let Some(what) = network::missing() {
        return skipped(&format!("three members on a local network: {what}"));
    }
    let network = Network::new(3, 1_000);
    let folders = Folders::new();
    folders.write("key", &EnsembleKey::from_bytes([8; 32]).to_string());
    let names = ["a", "b", "c"];
    for name in names {
        folders.write(&format!("{name}/from-{name}"), name);
        folders.write(&format!("{name}/in/all"), "the same");
    }
    let start = |number: u8, arguments: &[&str]| {
        let name = names[usize::from(number) - 1];
        let base = [name, "--json", "--key-file", "key"];
        let command = folders.command(&[&base, arguments].concat());
        Member::start(&mut network.host(number).command(&command))
    };
    let began = Instant::now();
    let members: Vec<Member> = (1..=3).map(|number| start(number, &["--once", "--expect", "3"])).collect();
    for member in members {
        member.ends_with(0);
    }
    println!("three folders became one in {:?}", began.elapsed());
    let all = tree(&folders.path("a"));
    assert_eq!(all.len(), 5);
    names.iter().for_each(|name| assert_eq!(tree(&folders.path(name)), all, "{name}"));
    // They stay together, whoever of them is gone for a while.
    let mut members: Vec<Member> = (1..=3).map(|number| start(number, &[])).collect();
    let everywhere = |path: &str| names.iter().all(|name| folders.path(name).join(path).exists());
    folders.write("b/later", "1");
    until("a change is everywhere", || everywhere("later"));
    members.remove(0).leaves();
    fs::write(folders.path("c/large"), vec![3; 1 << 20]).unwrap();
    until("a change is at the other one", || folders.path("b/large").exists());
    members.push(start(1, &[]));
    until("whoever returns gets it", || everywhere("large"));
}
