//! A conductor is the one that it was, or nothing is said to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use orchestra::credential::Fingerprint;

use rustix::process::Signal;

use crate::common::program::Program;
use crate::group::{Group, PASSWORD};

#[test]
fn a_changed_key_is_refused_until_the_user_says_otherwise() {
    let group = Group::public();
    let (ada, bob) = (group.member("ada"), group.member("bob"));
    let before = group.fingerprint.clone();
    let group = group.replaced();
    let known = fs::read_to_string(ada.state_file()).unwrap();
    for arguments in [["list"].as_slice(), &["login", "ada"], &["logout"], &["register", "eve"]] {
        let errors = ada.fails(arguments, 1);
        assert!(errors.contains("has another key than before"), "{errors}");
        assert!(errors.contains(&before) && errors.contains(&group.fingerprint), "{errors}");
        assert!(errors.contains(ada.state_file().to_str().unwrap()), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    assert_eq!(fs::read_to_string(ada.state_file()).unwrap(), known, "nothing is forgotten");

    // As the text says, or with the new fingerprint.
    fs::remove_file(ada.state_file()).unwrap();
    ada.does(&["register", "ada"]);
    let pinned = format!("{}#{}", group.address(), group.fingerprint);
    let ended = bob.runs(&["list", "--conductor", &pinned]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.errors.contains("has the key that you named, which is remembered instead of"), "{ended:?}");
    bob.does(&["list"]);
    // The session was one with another conductor.
    assert!(!fs::read_to_string(bob.state_file()).unwrap().contains("session"));
}

#[test]
fn a_pin_is_kept_to_from_the_start() {
    let group = Group::public();
    let user = group.user();
    let wrong = format!("{}#{}", group.address(), Fingerprint::of(&[7; 32]));
    let errors = user.fails(&["register", "ada", "--conductor", &wrong], 1);
    assert!(errors.contains(&group.fingerprint) && errors.contains("nothing was said to it"), "{errors}");
    assert!(!user.state_file().exists(), "a wrong one is not remembered");
    let right = format!("{}#{}", group.address(), group.fingerprint.to_uppercase());
    let told = user.runs(&["register", "ada", "--json", "--conductor", &right]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.lines[0].starts_with("{\"event\":\"conductor_met\",") && told.lines.len() == 2, "{told:?}");
    let errors = user.fails(&["list", "--conductor", &wrong], 1);
    assert!(errors.contains("as behind the #"), "{errors}");
}

#[test]
fn what_is_remembered_is_for_the_user_alone() {
    let group = Group::public();
    let ada = group.member("ada");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&ada.state_file()), 0o600);
    assert_eq!(mode(&ada.state_dir()), 0o700);
    let text = fs::read_to_string(ada.state_file()).unwrap();
    assert!(!text.contains(PASSWORD) && text.contains(&group.fingerprint), "{text}");
    let (_, log) = group.conductor.stop(Signal::TERM);
    let token = text.split("\"session\": \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(!log.contains(PASSWORD) && !log.contains(token), "{log}");
}

#[test]
fn a_look_at_another_conductor_leaves_it_clear_which_one_is_meant() {
    let (group, other) = (Group::public(), Group::public());
    let user = group.member("ada");
    user.does(&["list", "--conductor", &other.address().to_string()]);
    let list = || Program::start(user.command(&["list"]).env_remove("ORCHESTRA_CONDUCTOR")).ended();
    let ended = list();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let address = group.address();
    assert_eq!(ended.errors, format!("Asks {address}, the only conductor at which you are logged in.\n"));
    user.does(&["logout"]);
    let ended = list();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.errors.contains("which conductor? Known here are "), "{ended:?}");
}

#[test]
fn a_catalogue_has_one_conductor() {
    let group = Group::public();
    let ended = group.conductor_says(&["--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ended.errors,
        "conductor: another conductor runs with the catalogue c.sqlite; stop that one first, or name another file\n"
    );
    group.conductor.stop(Signal::TERM);
}
