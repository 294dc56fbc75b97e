//! Accounts and sessions.

use std::process::Command;
use std::time::{Duration, Instant};

use orchestra::account::AccountName;
use orchestra::host::catalogue::Catalogue;
use orchestra::host::password::{Password, PasswordHash};
use orchestra::limits::{ATTEMPTS_FREE_PER_ACCOUNT, REGISTRATIONS_FREE_PER_SOURCE, SESSIONS_MAX};
use orchestra::wire::catalogue::{Query, Refusal, Reply, Request, Session};

use crate::asker::{Asker, PASSWORD, Song, login, renewal, wanted};
use crate::common::program::{PATIENCE, binary};
use crate::{Here, config, program};
use orchestra::conductor::Conductor;

const ALL: Request = Request::List(Query { text: String::new(), after: None, limit: 10 });

#[test]
fn who_registers_has_a_session_and_keeps_it() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    assert_eq!(Some(ada.fingerprint()), here.conductor.fingerprint());
    let session = ada.register("Ada");
    assert_eq!(session.account, "Ada");
    let mut elsewhere = Asker::connect(here.address());
    assert_eq!(elsewhere.resume(&session.token), Reply::Account("Ada".to_owned()));
    // In whatever spelling.
    let again = Asker::connect(here.address()).login("ADA");
    assert_eq!(again.account, "Ada");
    assert_ne!(again.token, session.token);
    assert_eq!(elsewhere.refused(&Request::Register(login("aDA", PASSWORD))), Refusal::NameTaken);
    for bad in ["", " x", "a\nb", "a\u{202e}b", &"x".repeat(65)] {
        assert_eq!(elsewhere.refused(&Request::Register(login(bad, PASSWORD))), Refusal::BadName, "{bad:?}");
    }
    for bad in ["", "1234567", &"x".repeat(1_025)] {
        assert_eq!(elsewhere.refused(&Request::Register(login("bob", bad))), Refusal::BadPassword);
    }
}

#[test]
fn a_lost_key_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Conductor::start(config(&dir, false)).unwrap();
    let conductor = start();
    assert!(!conductor.is_strange(), "nobody knows another one");
    Asker::connect(conductor.address()).register("ada");
    drop(conductor);
    assert!(!start().is_strange());
    std::fs::remove_file(dir.path().join("group.sqlite.key")).unwrap();
    assert!(start().is_strange());
    assert!(!start().is_strange(), "told once");
}

#[test]
fn names_are_not_tried_without_end() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    let session = ada.register("ada");
    let hashed = here.conductor.stats().hashed;
    for _ in 0..REGISTRATIONS_FREE_PER_SOURCE {
        assert_eq!(ada.refused(&Request::Register(login("ada", PASSWORD))), Refusal::NameTaken);
    }
    for name in ["ada", "bob"] {
        let refusal = Asker::connect(here.address()).refused(&Request::Register(login(name, PASSWORD)));
        assert!(matches!(refusal, Refusal::TryAgainIn { .. }), "{name}: {refusal:?}");
    }
    assert_eq!(here.conductor.stats().hashed, hashed);
    // Whoever has an account is not kept out by it.
    assert_eq!(Asker::connect(here.address()).login("ada").account, "ada");
    assert_eq!(Asker::connect(here.address()).resume(&session.token), Reply::Account("ada".to_owned()));
}

#[test]
fn a_stolen_token_is_worth_nothing_after_logout() {
    let here = Here::start(true);
    let mut ada = Asker::connect(here.address());
    let Session { token, .. } = ada.register("ada");
    ada.publish(&Song::new("song", 0)).unwrap();
    let looks = [ALL, Request::Details(wanted("song", "")), Request::Fetch(wanted("song", ""))];
    let mut thieves = looks.map(|look| (Asker::connect(here.address()), look));
    for (thief, look) in &mut thieves {
        assert!(matches!(thief.resume(&token), Reply::Account(_)));
        let seen = thief.ask(look);
        assert!(matches!(seen, Reply::Page(_) | Reply::Details(_) | Reply::Manifest(_)), "{seen:?}");
    }
    assert_eq!(ada.ask(&Request::Logout), Reply::Done);
    assert_eq!(ada.refused(&Request::Logout), Refusal::LoginFirst);
    // Also on a connection that had it before, whatever is looked at first.
    for (thief, look) in &mut thieves {
        assert_eq!(thief.refused(look), Refusal::SessionOver, "{look:?}");
        assert_eq!(thief.refused(look), Refusal::LoginFirst, "{look:?}");
        assert_eq!(thief.refused(&Request::Resume(token.clone())), Refusal::SessionOver);
    }
    assert_eq!(Asker::connect(here.address()).refused(&Request::Resume(token)), Refusal::SessionOver);
}

#[test]
fn wrong_names_and_wrong_passwords_cost_the_same_and_are_told_the_same() {
    let here = Here::start(false);
    Asker::connect(here.address()).register("ada");
    let hashed = |asks: &mut dyn FnMut()| {
        let before = here.conductor.stats().hashed;
        asks();
        here.conductor.stats().hashed - before
    };
    let mut asker = Asker::connect(here.address());
    // Fewer than lead to a pause.
    let wrong_password = hashed(&mut || {
        for _ in 0..4 {
            let refusal = asker.refused(&Request::Login(login("ada", "not her password")));
            assert_eq!(refusal, Refusal::WrongLogin);
        }
    });
    let wrong_name = hashed(&mut || {
        for _ in 0..4 {
            let refusal = asker.refused(&Request::Login(login("eve", "not her password")));
            assert_eq!(refusal, Refusal::WrongLogin);
        }
    });
    assert_eq!((wrong_password, wrong_name), (4, 4), "each is hashed once");
}

#[test]
fn ten_thousand_wrong_passwords_are_refused_and_the_owner_gets_in() {
    let here = Here::start(false);
    Asker::connect(here.address()).register("ada");
    let before = here.conductor.stats().hashed;
    let (mut wrong, mut paused) = (0, 0);
    let mut asker = Asker::connect(here.address());
    for n in 0..10_000 {
        match asker.refused(&Request::Login(login("ada", &format!("password {n}")))) {
            Refusal::WrongLogin => wrong += 1,
            Refusal::TryAgainIn { seconds } => {
                assert!(seconds > 0);
                paused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wrong + paused, 10_000);
    let hashed = here.conductor.stats().hashed - before;
    assert!(hashed == wrong && wrong < 100, "{wrong} were looked at, {hashed} hashed");
    // A name that nobody has makes no difference: as many tries, and then a pause.
    let tries = (0..100).take_while(|n| {
        let refusal = asker.refused(&Request::Login(login("nobody", &format!("password {n}"))));
        refusal == Refusal::WrongLogin
    });
    assert_eq!(tries.count(), ATTEMPTS_FREE_PER_ACCOUNT as usize + 1);
    // Whoever has a session goes on.
    assert!(matches!(asker.ask(&ALL), Reply::Page(_)));
}

#[test]
fn the_key_and_all_accounts_outlive_the_conductor() {
    let dir = tempfile::tempdir().unwrap();
    let (fingerprint, token) = {
        let conductor = Conductor::start(config(&dir, false)).unwrap();
        let mut ada = Asker::connect(conductor.address());
        (ada.fingerprint(), ada.register("ada").token)
    };
    let conductor = Conductor::start(config(&dir, false)).unwrap();
    let mut ada = Asker::connect(conductor.address());
    assert_eq!(ada.fingerprint(), fingerprint);
    assert_eq!(ada.resume(&token), Reply::Account("ada".to_owned()));
}

#[test]
fn whom_the_operator_shuts_out_is_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("group.sqlite");
    let conductor = program(&file, &["--private"]);
    let mut ada = Asker::connect(conductor.address);
    let token = ada.register("ada").token;
    assert!(matches!(ada.ask(&ALL), Reply::Page(_)));
    let mut disable = Command::new(binary("conductor"));
    disable.args(["account", "disable", "ada", "--catalogue"]).arg(&file).current_dir(dir.path());
    assert!(disable.status().unwrap().success());
    assert_eq!(ada.refused(&ALL), Refusal::SessionOver);
    assert_eq!(ada.refused(&Request::Resume(token.clone())), Refusal::SessionOver);
    // Who has the password is told; others are told what everybody is.
    assert_eq!(ada.refused(&Request::Login(login("ada", PASSWORD))), Refusal::Disabled);
    assert_eq!(ada.refused(&Request::Login(login("ada", "another password"))), Refusal::WrongLogin);
    // At the desk as well, soon.
    let start = Instant::now();
    while crate::desk::is_greeted(conductor.address, &token) {
        assert!(start.elapsed() < PATIENCE, "its session lives on at the desk");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn whom_the_operator_removes_is_out_and_gets_nothing_back_by_registering_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("group.sqlite");
    let conductor = program(&file, &["--private"]);
    let (mut ada, mut bob) = (Asker::connect(conductor.address), Asker::connect(conductor.address));
    let token = ada.register("ada").token;
    bob.register("bob");
    let song = Song::new("song", 3);
    ada.publish(&song).unwrap();
    crate::desk::greeted(conductor.address, &token.speaker(), crate::desk::going(song.swarm(), 7, true));
    let mut remove = Command::new(binary("conductor"));
    remove.args(["account", "remove", "ada", "--catalogue"]).arg(&file).current_dir(dir.path());
    assert!(remove.status().unwrap().success());
    assert_eq!(ada.refused(&ALL), Refusal::SessionOver);
    assert_eq!(ada.refused(&Request::Login(login("ada", PASSWORD))), Refusal::WrongLogin);
    assert_eq!(bob.list(""), [""; 0]);
    assert_eq!(bob.refused(&Request::Details(wanted("song", ""))), Refusal::NotFound);
    // Her member still holds it, as nobody's.
    bob.publish(&song).unwrap();
    let holders = crate::desk::holders(&mut bob, "song");
    assert_eq!(holders.iter().map(|holder| holder.account.as_deref()).collect::<Vec<_>>(), [None]);
    // At the desk as well, soon.
    let start = Instant::now();
    while crate::desk::is_greeted(conductor.address, &token) {
        assert!(start.elapsed() < PATIENCE, "its session lives on at the desk");
        std::thread::sleep(Duration::from_millis(20));
    }
    ada.register("ada");
    assert_eq!(crate::desk::holders(&mut bob, "song")[0].account, None, "the new ada is another one");
    assert_eq!(ada.refused(&Request::Unpublish(wanted("song", ""))), Refusal::NotYours);
    assert_eq!(ada.refused(&Request::Resume(token)), Refusal::SessionOver);
}

/// What a thief asks with the password that ada had, once so many passwords were hashed for it while the operator replaces
/// hers.
fn asked_while_the_password_is_replaced(here: &Here, request: &Request, hashes: usize) -> Asker {
    Asker::connect(here.address()).register("ada");
    let hashed = here.conductor.stats().hashed;
    let mut operator = Catalogue::open_existing(&here._dir.path().join("group.sqlite")).unwrap();
    let hash = PasswordHash::of(&Password::parse("quite another one").unwrap()).unwrap();
    let mut thief = Asker::connect(here.address());
    // Nobody else writes until this is done, and all see what was there before.
    operator
        .write(|writer| {
            let account = writer.account(&AccountName::parse("ada").unwrap())?.unwrap();
            writer.set_password(account.id, &hash)?;
            thief.say(request).unwrap();
            let start = Instant::now();
            while here.conductor.stats().hashed < hashed + hashes {
                assert!(start.elapsed() < PATIENCE, "the old password is not verified");
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })
        .unwrap();
    thief
}

#[test]
fn a_password_that_was_replaced_while_it_was_verified_opens_nothing() {
    let here = Here::start(true);
    let request = Request::Login(login("ada", PASSWORD));
    let mut thief = asked_while_the_password_is_replaced(&here, &request, 1);
    assert_eq!(thief.hear().unwrap(), Reply::Refused(Refusal::WrongLogin));
    assert!(matches!(thief.ask(&Request::Login(login("ada", "quite another one"))), Reply::Session(_)));
}

#[test]
fn a_password_that_was_replaced_while_it_was_verified_replaces_nothing() {
    let here = Here::start(true);
    // The old one is verified, and the new one hashed.
    let mut thief = asked_while_the_password_is_replaced(&here, &renewal("ada", "that of a thief"), 2);
    assert_eq!(thief.hear().unwrap(), Reply::Refused(Refusal::WrongLogin));
    assert_eq!(thief.refused(&Request::Login(login("ada", "that of a thief"))), Refusal::WrongLogin);
    assert!(matches!(thief.ask(&Request::Login(login("ada", "quite another one"))), Reply::Session(_)));
}

#[test]
fn whoever_comes_gets_in_however_many_sessions_there_are() {
    let here = Here::start(true);
    let old = Asker::connect(here.address()).register("ada").token;
    Asker::connect(here.address()).register("mallory");
    let database = rusqlite::Connection::open(here._dir.path().join("group.sqlite")).unwrap();
    let most = SESSIONS_MAX - 2;
    database
        .execute_batch(&format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {most}) \
             INSERT INTO sessions SELECT randomblob(32), 2, randomblob(32), 1, 4000000000 FROM n; \
             UPDATE accounts SET sessions = sessions + {most} WHERE id = 2; \
             UPDATE totals SET sessions = sessions + {most}"
        ))
        .unwrap();
    let new = Asker::connect(here.address()).login("ada").token;
    assert!(crate::desk::is_greeted(here.address(), &new));
    assert!(!crate::desk::is_greeted(here.address(), &old), "hers gave way");
    assert!(crate::desk::is_greeted(here.address(), &Asker::connect(here.address()).register("bob").token));
    assert!(crate::desk::is_greeted(here.address(), &new), "mallory's gave way, of whom there are most");
}

#[test]
fn a_private_conductor_shows_nothing_to_strangers() {
    let here = Here::start(true);
    let mut stranger = Asker::connect(here.address());
    assert_eq!(stranger.refused(&ALL), Refusal::LoginFirst);
    assert_eq!(stranger.refused(&Request::Details(wanted("a", ""))), Refusal::LoginFirst);
    assert_eq!(stranger.refused(&Request::Fetch(wanted("a", ""))), Refusal::LoginFirst);
    assert_eq!(stranger.refused(&Request::Unpublish(wanted("a", ""))), Refusal::LoginFirst);
    stranger.register("ada");
    assert!(matches!(stranger.ask(&ALL), Reply::Page(_)));
}
