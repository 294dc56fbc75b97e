//! `conductor account` as the operator types it, on the catalogue that another process has open.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, but not the helpers between them")]

mod common;

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use orchestra::account::AccountName;
use orchestra::credential::SessionToken;
use orchestra::digest::Digest;
use orchestra::host::catalogue::{Catalogue, NewListing, Session};
use orchestra::host::password::{Password, PasswordHash};
use orchestra::host::{clock, entropy};
use orchestra::name::Name;
use orchestra::part::Layout;
use tempfile::TempDir;

use common::program::{Ended, Program, binary};

/// A catalogue that this process has open, as a conductor would.
struct Scene {
    catalogue: Catalogue,
    dir: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&dir.path().join("c.sqlite")).unwrap();
        Scene { catalogue, dir }
    }

    /// Makes an account with a session.
    fn register(&mut self, text: &str) -> SessionToken {
        let (name, now) = (AccountName::parse(text).unwrap(), clock::wall());
        // Hashing takes its time, so all have the same.
        static HASH: LazyLock<PasswordHash> =
            LazyLock::new(|| PasswordHash::of(&Password::parse("first password").unwrap()).unwrap());
        let token = SessionToken::from_bytes(entropy::bytes().unwrap());
        self.catalogue
            .write(|writer| {
                let account = writer.register(&name, &HASH, now)?.unwrap();
                let expires = now + Duration::from_secs(1_000);
                let session = Session { id: token.id(), key: token.key(), account, expires };
                writer.open_session(&session, &HASH, now)?.unwrap();
                Ok(())
            })
            .unwrap();
        token
    }

    fn publish(&mut self, owner: &SessionToken, text: &str) {
        let name = Name::parse(text).unwrap();
        let (digest, layout) = (Digest::of(text.as_bytes()), Layout::new(0, 1).unwrap());
        let new = NewListing { name: &name, digest, layout, parts: &[] };
        self.catalogue
            .write(|writer| {
                let owner = writer.session(owner.id(), clock::wall())?.unwrap();
                writer.publish(owner.account, &new, clock::wall())?.unwrap();
                Ok(())
            })
            .unwrap();
    }

    fn opens(&mut self, name: &str, password: &str) -> bool {
        let name = AccountName::parse(name).unwrap();
        let account = self.catalogue.read(|reader| reader.account(&name)).unwrap().unwrap();
        PasswordHash::verify(Some(&account.password), &Password::parse(password).unwrap())
    }

    fn is_logged_in(&mut self, token: &SessionToken) -> bool {
        self.catalogue.read(|reader| reader.session(token.id(), clock::wall())).unwrap().is_some()
    }

    /// What `conductor account ...` says.
    fn account(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(binary("conductor"));
        command.arg("account").args(arguments).args(["--catalogue", "c.sqlite"]).current_dir(self.dir.path());
        Program::start(&mut command).ended()
    }

    /// The lines that it prints when all is well.
    fn says(&self, arguments: &[&str]) -> Vec<String> {
        let ended = self.account(arguments);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
        ended.lines
    }
}

#[test]
fn a_new_password_is_printed_once_and_ends_the_sessions() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("Alice"), scene.register("bob"));
    assert!(scene.opens("alice", "first password"));
    let lines = scene.says(&["reset", "ALICE"]);
    assert_eq!(
        lines[0],
        "conductor: Alice has a new password, which is not shown again; its session has ended"
    );
    assert!(scene.opens("alice", &lines[1]) && !scene.opens("alice", "first password"));
    assert!(scene.catalogue.changed_elsewhere(|_| Ok(())).unwrap().is_some());
    assert!(!scene.is_logged_in(&alice) && scene.is_logged_in(&bob));
    assert!(scene.opens("bob", "first password"));
    let again = scene.says(&["reset", "alice"]);
    assert_ne!(again[1], lines[1]);
    assert!(again[0].ends_with("it had no session"), "{again:?}");
}

#[test]
fn the_operator_makes_accounts() {
    let mut scene = Scene::new();
    let lines = scene.says(&["add", "Alice"]);
    assert!(scene.opens("alice", &lines[1]) && !scene.opens("alice", "first password"));
    let ended = scene.account(&["add", "ALICE"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.errors, "conductor: cannot make the account ALICE: this name is taken\n");
    assert!(scene.opens("alice", &lines[1]));
    assert_eq!(scene.account(&["add", "a\nb"]).code, Some(2));
}

#[test]
fn who_is_disabled_is_out_until_enabled() {
    let mut scene = Scene::new();
    let alice = scene.register("Alice");
    scene.publish(&alice, "song");
    let listed = |scene: &mut Scene| scene.catalogue.read(|reader| reader.list("", None, 9)).unwrap().matches;
    assert_eq!(listed(&mut scene), 1);
    assert_eq!(scene.says(&["disable", "alice"]), ["conductor: Alice is disabled; its session has ended"]);
    assert!(!scene.is_logged_in(&alice));
    assert_eq!(listed(&mut scene), 0);
    assert_eq!(scene.says(&["disable", "alice"]), ["conductor: Alice was disabled already"]);
    assert!(scene.says(&["reset", "alice"])[0].ends_with("it is still disabled"));
    assert_eq!(scene.says(&["enable", "alice"]), ["conductor: Alice may log in again"]);
    assert_eq!(scene.says(&["enable", "alice"]), ["conductor: Alice was not disabled"]);
    assert_eq!(listed(&mut scene), 1);
    assert!(!scene.is_logged_in(&alice), "but has to log in");
}

#[test]
fn who_is_removed_is_gone_and_leaves_room() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("Alice"), scene.register("bob"));
    scene.publish(&alice, "song");
    scene.publish(&alice, "melody");
    scene.publish(&bob, "tune");
    assert_eq!(
        scene.says(&["remove", "alice"]),
        ["conductor: Alice is removed, with the 2 compositions that it had published; its session has ended"]
    );
    assert!(scene.catalogue.changed_elsewhere(|_| Ok(())).unwrap().is_some());
    assert!(!scene.is_logged_in(&alice) && scene.is_logged_in(&bob));
    let page = scene.catalogue.read(|reader| reader.list("", None, 9)).unwrap();
    assert_eq!(page.listings.iter().map(|listing| listing.name.as_str()).collect::<Vec<_>>(), ["tune"]);
    assert_eq!(scene.says(&["list"]).len(), 1 + 1);
    let again = scene.account(&["remove", "alice"]);
    assert_eq!((again.code, again.lines.len()), (Some(1), 0));
    assert!(
        again.errors.starts_with("conductor: there is no account alice in c.sqlite;"),
        "{}",
        again.errors
    );
    let token = scene.register("alice");
    assert!(scene.is_logged_in(&token), "the name is free");
}

#[test]
fn help_fits_a_screen() {
    for of in [&["account", "-h"][..], &["account", "remove", "-h"], &["account", "reset", "--help"]] {
        let ended = Program::start(Command::new(binary("conductor")).args(of).env("COLUMNS", "80")).ended();
        let lines = ended.lines;
        assert!(lines.len() <= 24 && lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    }
}

#[test]
fn all_accounts_are_listed() {
    let mut scene = Scene::new();
    for number in 0..150 {
        let token = scene.register(&format!("日本 {number:03}"));
        if number == 7 {
            scene.publish(&token, "song");
        }
    }
    scene.says(&["disable", "日本 008"]);
    let lines = scene.says(&["list"]);
    assert_eq!(lines.len(), 1 + 150);
    assert_eq!(lines[0], "NAME      SINCE          PUBLISHED  SESSIONS  DOWNLOADS  FAILURES");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    // The age is a number and a unit.
    assert_eq!(words(&lines[8])[4..], ["1", "1", "0.0", "0.0"]);
    assert_eq!(words(&lines[9])[4..], ["0", "0", "0.0", "0.0", "disabled"]);
    let json: Vec<serde_json::Value> =
        scene.says(&["list", "--json"]).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.len(), 150);
    assert_eq!(json[7]["name"], "日本 007");
    assert_eq!((&json[7]["published"], &json[8]["disabled"]), (&1.into(), &true.into()));
}

#[test]
fn what_is_wrong_is_said() {
    let mut scene = Scene::new();
    scene.register("alice");
    let nobody = scene.account(&["reset", "bob"]);
    assert_eq!(nobody.code, Some(1));
    assert_eq!(
        nobody.errors,
        "conductor: there is no account bob in c.sqlite; `conductor account list` shows them\n"
    );
    let bad = scene.account(&["reset", "a\u{202e}b"]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.errors.contains("only characters that can be seen, not \\u{202e}"), "{}", bad.errors);

    let mut command = Command::new(binary("conductor"));
    command.args(["account", "list", "--catalogue", "missing.sqlite"]).current_dir(scene.dir.path());
    let missing = Program::start(&mut command).ended();
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.errors.starts_with("conductor: there is no catalogue missing.sqlite;"),
        "{}",
        missing.errors
    );
    assert!(!scene.dir.path().join("missing.sqlite").exists());
}
