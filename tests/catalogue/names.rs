//! Compositions of one name, and names that are chosen to deceive.

use std::fs;

use orchestra::digest::Digest;
use serde_json::Value;

use crate::common::swarm::parsed;
use crate::group::Group;

#[test]
fn two_compositions_of_one_name_are_told_apart() {
    let group = Group::public();
    let (ada, bob, guest) = (group.member("ada"), group.member("bob"), group.user());
    ada.writes("song", 1_000, 1);
    let content = bob.writes("song", 2_048, 2);
    let first = ada.told(&["publish", "song", "--no-share"]);
    let digest = first["digest"].as_str().unwrap().to_owned();
    let second = bob.does(&["publish", "song", "--no-share"]);
    assert!(
        second.contains(&format!(
            "Other compositions have the same name:\n  song@{}  1000 B, by ada",
            &digest[..8]
        )),
        "{second}"
    );
    let called = second.lines().last().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(called.starts_with("song@") && called.len() == "song@".len() + 8, "{second}");

    let list = guest.does(&["list"]);
    assert!(list.contains(&format!("song@{}", &digest[..8])) && list.contains(&called), "{list}");
    for command in ["get", "details"] {
        let errors = guest.fails(&[command, "song"], 1);
        assert!(
            errors.starts_with("member: several compositions have the name song; say which one: "),
            "{errors}"
        );
        assert!(errors.contains(&format!("{called} (2.0 KiB, by bob)")), "{errors}");
    }
    let ended = guest.runs(&["details", "song", "--json"]);
    let several = parsed(&ended.lines[0]);
    assert_eq!((ended.code, several["namesakes"].as_array().unwrap().len()), (Some(1), 2), "{several}");

    // The digits lead to one of them, in either case, and as few as tell them apart.
    let details = guest.told(&["details", &called]);
    assert_eq!(details["publisher"], "bob");
    guest.told(&["details", &called[..9].to_uppercase().replace("SONG", "song")]);
    let (_, sharing) = bob.starts(&["publish", "song.orch"]);
    let (_, getting) = guest.starts(&["get", &called, "--leave"]);
    getting.ends_with(0);
    assert_eq!(fs::read(guest.path("song")).unwrap(), content);
    sharing.leaves();

    // The other one has no room beside it, and replaces nothing.
    let before = fs::read(guest.path("song.orch")).unwrap();
    let errors = guest.fails(&["get", &format!("song@{}", &digest[..8])], 1);
    assert!(
        errors.contains("song.orch is there and describes something else; it was not touched"),
        "{errors}"
    );
    fs::write(guest.path("song.orch"), "my own notes").unwrap();
    let errors = guest.fails(&["get", &called], 1);
    assert!(
        errors.contains("song.orch is there and describes something else; it was not touched"),
        "{errors}"
    );
    assert_eq!(fs::read(guest.path("song.orch")).unwrap(), b"my own notes");
    fs::write(guest.path("song.orch"), before).unwrap();

    let errors = bob.fails(&["unpublish", &format!("song@{}", &digest[..8])], 1);
    assert!(errors.contains("only who published"), "{errors}");
    bob.does(&["unpublish", &called]);
    assert_eq!(guest.told(&["details", "song"])["publisher"], "ada");
}

#[test]
fn who_claims_the_digest_of_another_file_gets_nobody_to_have_theirs() {
    let group = Group::public();
    let (ada, eve, guest) = (group.member("ada"), group.member("eve"), group.user());
    let content = ada.writes("song", 1_000, 1);
    let digest = Digest::of(&content).to_string();
    // Eve comes first, with the digest that everybody knows the song by.
    let evil = eve.writes("song", 1_000, 2);
    eve.told(&["publish", "song", "--no-share"]);
    eve.does(&["unpublish", "song"]);
    let manifest = fs::read_to_string(eve.path("song.orch")).unwrap();
    let claimed = manifest.replacen(&Digest::of(&evil).to_string(), &digest, 1);
    assert_ne!(claimed, manifest);
    fs::write(eve.path("song.orch"), claimed).unwrap();
    let (claimed, poisoning) = eve.starts(&["publish", "song.orch"]);
    assert_eq!(claimed["digest"], digest);
    let told = ada.does(&["publish", "song", "--no-share"]);
    assert!(told.contains("Other compositions have the same name:\n  song@"), "{told}");

    // The digest leads to neither of them; what is shown in its place leads to each.
    let errors = guest.fails(&["get", &format!("song@{digest}")], 1);
    let called = |swarm: &Value| format!("song@{}", &swarm.as_str().unwrap()[..8]);
    let hers = called(&ada.told(&["publish", "song", "--no-share"])["swarm"]);
    let eves = called(&claimed["swarm"]);
    for (called, by) in [(&hers, "ada"), (&eves, "eve")] {
        assert!(errors.contains(&format!("{called} (1000 B, by {by})")), "{errors}");
        assert_eq!(guest.told(&["details", called])["publisher"], by);
        assert!(guest.does(&["list"]).contains(called));
    }

    // Every part that eve sends is as her manifest says, and yet it is not what the digest promised.
    let ended = guest.runs(&["get", &eves, "--leave", "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.errors.contains("every part of song is right, but not the digest of the whole"),
        "{ended:?}"
    );
    assert!(!guest.path("song").exists());
    poisoning.leaves();
}

#[test]
fn the_same_composition_belongs_to_who_published_it_first() {
    let group = Group::public();
    let (ada, bob) = (group.member("ada"), group.member("bob"));
    for user in [&ada, &bob] {
        user.writes("song", 1_000, 1);
    }
    ada.does(&["publish", "song", "--no-share"]);
    let told = bob.does(&["publish", "song", "--no-share"]);
    let place = group.address();
    assert!(
        told.starts_with(&format!("song was in the catalogue of {place} already, published by ada.")),
        "{told}"
    );
    assert_eq!(bob.told(&["details", "song"])["publisher"], "ada");
    assert!(bob.fails(&["unpublish", "song"], 1).contains("only who published song"));
    ada.does(&["unpublish", "song"]);
}

#[test]
fn nobody_gets_in_between_who_types_digits_and_what_they_mean() {
    let group = Group::public();
    let (ada, eve) = (group.member("ada"), group.member("eve"));
    ada.writes("song", 1_000, 1);
    let published = ada.told(&["publish", "song", "--no-share"]);
    let called = format!("song@{}", &published["digest"].as_str().unwrap()[..8]);
    eve.writes(&called, 1_000, 2);
    eve.does(&["publish", &called, "--no-share"]);
    let found = ada.told(&["details", &called]);
    assert_eq!((&found["name"], &found["publisher"]), (&"song".into(), &"ada".into()));
}

#[test]
fn an_at_sign_may_be_part_of_a_name() {
    let group = Group::public();
    let ada = group.member("ada");
    for name in ["me@home", "mail@2953289a"] {
        ada.writes(name, 100, 1);
        ada.does(&["publish", name, "--no-share"]);
        assert_eq!(ada.told(&["details", name])["name"], name);
        ada.does(&["unpublish", name]);
    }
}

#[test]
fn what_deceives_is_shown_escaped() {
    let group = Group::public();
    let (ada, guest) = (group.member("ada"), group.user());
    ada.writes("gpj\u{202e}exe.", 100, 1);
    ada.does(&["publish", "gpj\u{202e}exe.", "--no-share"]);
    for arguments in [["list"].as_slice(), &["details", "gpj\u{202e}exe."]] {
        let text = guest.does(arguments);
        assert!(text.contains("gpj\\u{202e}exe.") && !text.contains('\u{202e}'), "{text}");
    }
    let errors = guest.fails(&["details", "a\u{1b}[2J"], 1);
    assert!(errors.contains("nothing is published as a\\u{1b}[2J"), "{errors}");
}

#[test]
fn a_changed_file_takes_the_place_of_its_older_version() {
    let group = Group::public();
    let (ada, bob) = (group.member("ada"), group.member("bob"));
    bob.writes("song", 500, 1);
    bob.told(&["publish", "song", "--no-share"]);
    for version in [2, 3] {
        ada.writes("song", 1_000, version);
        ada.told(&["publish", "song", "--no-share"]);
    }
    ada.writes("song", 1_000, 4);
    let told = ada.told(&["publish", "song", "--no-share", "--replace"]);
    let publishers =
        |key: &str| told[key].as_array().unwrap().iter().map(|one| one["publisher"].clone()).collect();
    let (replaced, namesakes): (Vec<Value>, Vec<Value>) = (publishers("replaced"), publishers("namesakes"));
    assert_eq!((replaced, namesakes), (vec!["ada".into(); 2], vec!["bob".into()]));
    let list = ada.does(&["list"]);
    assert_eq!(list.lines().filter(|line| line.starts_with("song@")).count(), 2, "{list}");
    // The same once more has nothing to replace, and stays.
    let again = ada.does(&["publish", "song", "--no-share", "--replace"]);
    assert!(!again.contains("takes the place"), "{again}");
    assert_eq!(ada.does(&["list"]).lines().count(), list.lines().count());
}

#[test]
fn the_operator_takes_out_what_anybody_published() {
    let group = Group::public();
    let (ada, bob) = (group.member("ada"), group.member("bob"));
    ada.writes("song", 1_000, 1);
    bob.writes("song", 2_048, 2);
    let swarm = ada.told(&["publish", "song", "--no-share"])["swarm"].as_str().unwrap().to_owned();
    bob.told(&["publish", "song", "--no-share"]);
    let ended = group.conductor_says(&["unpublish", "song"]);
    let called = format!("song@{}", &swarm[..16]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains(&format!("{called} (1000 B, by ada)")), "{ended:?}");
    let ended = group.conductor_says(&["unpublish", &called]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.lines[0].starts_with("conductor: song is no longer in the catalogue, published by ada;"),
        "{ended:?}"
    );
    assert_eq!(ada.told(&["details", "song"])["publisher"], "bob");
    let ended = group.conductor_says(&["unpublish", "SONG"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = group.conductor_says(&["unpublish", "song"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("nothing is published as song in c.sqlite"), "{ended:?}");
    assert!(ada.does(&["list"]).starts_with("Nothing is published"));
}
