//! Keys: where they come from, and what is said of wrong ones.

use std::io::Write as _;
use std::process::Stdio;

use crate::common::swarm::Member;
use crate::folders::Folders;

#[test]
fn a_key_comes_from_a_file_a_pipe_or_the_environment() {
    let folders = Folders::new();
    folders.start("a", &[]).leaves();
    let file = folders.key_of("a");
    let key = folders.read("key");
    folders.start("b", &["--key-file", &file]).leaves();
    Member::start(folders.member_command("c", &["--json"]).env("ORCHESTRA_KEY", &key)).leaves();
    let mut piped = folders.member_command("d", &["--key", "-", "--once", "--quiet"]);
    let mut child = piped.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Typed in another way, and not alone: only the line is read.
    let typed = format!("{}\nmore\n", key.trim().to_uppercase().replace('-', " "));
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let since = std::time::Instant::now();
    while !folders.path("d/.orchestra/control").exists() {
        assert!(since.elapsed() < crate::common::program::PATIENCE && child.try_wait().unwrap().is_none());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for folder in ["b", "c", "d"] {
        assert_eq!(folders.told(&["key", folder]), key, "{folder}");
    }
    // Who has one goes on with it.
    folders.start("b", &[]).leaves();
    assert_eq!(folders.told(&["key", "b"]), key);
}

#[test]
fn a_wrong_key_is_named_and_nothing_begun() {
    let folders = Folders::new();
    folders.write("wrong", "abc");
    let errors = folders.refused(&["a", "--key-file", "wrong"], 1);
    assert_eq!(errors, "ensemble: wrong holds no key: 56 letters and digits were expected, not 3\n");
    folders.start("b", &[]).leaves();
    folders.start("c", &[]).leaves();
    let file = folders.key_of("b");
    let key = folders.read("key");
    let other = if key.starts_with('a') { "b" } else { "a" };
    folders.write("wrong", &key.replacen(&key[..1], other, 1));
    let errors = folders.refused(&["a", "--key-file", "wrong"], 1);
    assert_eq!(errors, "ensemble: wrong holds no key: this key has a typing error\n");
    let errors = folders.refused(&["a", "--key-file", "nowhere"], 1);
    assert_eq!(errors, "ensemble: cannot read nowhere: no such file or directory\n");
    // Standard input is at its end.
    let errors = folders.refused(&["a", "--key", "-"], 1);
    assert!(errors.starts_with("ensemble: "), "{errors}");
    assert!(!folders.path("a").exists());
    let errors = folders.refused(&["c", "--key-file", &file], 1);
    assert!(errors.starts_with("ensemble: c belongs to an ensemble with another key; "), "{errors}");
}

#[test]
fn a_folder_that_is_none_of_an_ensemble_is_named() {
    let folders = Folders::new();
    folders.write("plain/x", "x");
    for command in ["key", "status", "verify", "approve", "restore"] {
        let errors = folders.refused(&[command, "plain"], 1);
        assert_eq!(
            errors, "ensemble: plain is not the folder of an ensemble; `ensemble plain` makes it one\n",
            "{command}"
        );
        let errors = folders.refused(&[command, "nowhere"], 1);
        assert_eq!(errors, "ensemble: cannot open the folder nowhere: it is not there\n", "{command}");
    }
    assert!(!folders.path("plain/.orchestra").exists());
    let errors = folders.refused(&["no/where"], 1);
    assert_eq!(errors, "ensemble: cannot create no/where: no such file or directory\n");
}
