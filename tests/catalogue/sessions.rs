//! Sessions: what is done with them, and what when they are over.

use std::fs;

use crate::group::{Group, LOGIN_FIRST, until};

#[test]
fn a_session_that_was_ended_elsewhere_is_worth_nothing() {
    let group = Group::private();
    let ada = group.member("ada");
    let stolen = ada.copy();
    stolen.does(&["list"]);
    ada.does(&["logout"]);
    let ended = stolen.runs(&["list"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.starts_with("The session of ada at "), "{}", ended.errors);
    assert!(ended.errors.contains(LOGIN_FIRST), "{}", ended.errors);
    assert!(!fs::read_to_string(stolen.state_file()).unwrap().contains("session"));
    let errors = stolen.fails(&["list"], 1);
    assert!(errors.starts_with("member: "), "it is told once: {errors}");
}

#[test]
fn a_session_that_is_over_by_the_clock_is_not_sent() {
    let group = Group::public();
    let ada = group.member("ada");
    let text = fs::read_to_string(ada.state_file()).unwrap();
    let at = text.find("\"expires\": ").unwrap() + "\"expires\": ".len();
    let end = at + text[at..].find(|letter: char| !letter.is_ascii_digit()).unwrap();
    fs::write(ada.state_file(), format!("{}1{}", &text[..at], &text[end..])).unwrap();
    let told = ada.runs(&["list", "--json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.lines[0].starts_with("{\"event\":\"session_over\",") && told.lines.len() == 2, "{told:?}");
    let errors = ada.fails(&["unpublish", "x"], 1);
    assert!(errors.contains(LOGIN_FIRST), "{errors}");
}

#[test]
fn who_logs_in_while_sharing_is_known_without_a_restart() {
    let group = Group::private();
    let (ada, bob) = (group.member("ada"), group.member("bob"));
    ada.writes("song", 1_000, 1);
    ada.told(&["publish", "song", "--no-share"]);
    ada.does(&["logout"]);
    let (_, sharing) = ada.starts(&["song.orch"]);
    // Refused first, as nobody is logged in there; then with one session, and then with another.
    let holds = |details: &serde_json::Value| details["holders"][0]["account"] == "ada";
    for _ in 0..2 {
        ada.does(&["login", "ada"]);
        until("ada holds it", || {
            let details = bob.told(&["details", "song"]);
            if holds(&details) { Ok(()) } else { Err(details.to_string()) }
        });
        ada.does(&["logout"]);
    }
    sharing.leaves();
}

#[test]
fn damaged_or_odd_state_is_named() {
    let group = Group::public();
    let ada = group.member("ada");
    let path = ada.state_file();
    let right = fs::read_to_string(&path).unwrap();
    for text in
        ["", "{}", "[1", &right.replace("\"session\": \"", "\"session\": \"x"), &right.replace(':', "")]
    {
        fs::write(&path, text).unwrap();
        let errors = ada.fails(&["list"], 1);
        let expected = format!("member: {} is damaged: ", path.display());
        assert!(errors.starts_with(&expected) && errors.contains("delete it"), "{errors}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(ada.fails(&["list"], 1).contains("it is a directory, not a file"));
}
