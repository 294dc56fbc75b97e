//! What cannot be: no conductor, none with a catalogue, no place to remember it, wrong words.

use std::process::Command;

use crate::common::program::{ConductorProgram, Program, binary};
use crate::group::{Group, User};

#[test]
fn a_conductor_is_named_or_known() {
    let group = Group::public();
    let user = group.user();
    let alone = |arguments: &[&str]| {
        Program::start(user.command(arguments).env_remove("ORCHESTRA_CONDUCTOR")).ended()
    };
    let ended = alone(&["list"]);
    assert_eq!(ended.code, Some(2));
    let expected =
        "which conductor? None is known here yet; name it with --conductor HOST:PORT or $ORCHESTRA_CONDUCTOR";
    assert!(ended.errors.contains(expected), "{}", ended.errors);

    user.does(&["list"]);
    let ended = alone(&["list"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let asks = format!("Asks {}, the only conductor known here.\n", group.address());
    assert_eq!(ended.errors, asks);
    // What is known of another one is no more than half of a file.
    let damaged = user.state_dir().join("nas_9999.json");
    std::fs::write(&damaged, "{").unwrap();
    let ended = alone(&["list"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let left_out = format!("One conductor is left out: {} is damaged: ", damaged.display());
    assert!(ended.errors.starts_with(&left_out) && ended.errors.ends_with(&asks), "{}", ended.errors);
    std::fs::remove_file(&damaged).unwrap();
    let ended = alone(&["list", "--json"]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));

    let other = Group::public();
    user.does(&["list", "--conductor", &other.address().to_string()]);
    let ended = alone(&["list"]);
    assert_eq!(ended.code, Some(2));
    for place in [group.address(), other.address()] {
        assert!(ended.errors.contains(&place.to_string()), "{}", ended.errors);
    }
    let ended = Program::start(user.command(&["list"]).env("ORCHESTRA_CONDUCTOR", "nas:x")).ended();
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("$ORCHESTRA_CONDUCTOR is 'nas:x': a port"), "{}", ended.errors);
}

#[test]
fn a_conductor_without_a_catalogue_is_named_as_such() {
    let plain = ConductorProgram::on("127.0.0.1:0");
    let user = User::of(plain.address);
    for arguments in [["list"].as_slice(), &["register", "ada"], &["get", "x"]] {
        let errors = user.fails(arguments, 1);
        let expected = format!(
            "member: the conductor at {} keeps no catalogue; its operator can start it with --catalogue FILE\n",
            plain.address
        );
        assert_eq!(errors, expected);
    }
    assert!(!user.state_file().exists());
}

#[test]
fn a_conductor_that_is_gone_is_told_of() {
    let group = Group::public();
    let ada = group.member("ada");
    let place = group.address();
    drop(group);
    for arguments in [["list"].as_slice(), &["login", "ada"], &["logout"], &["unpublish", "x"]] {
        let errors = ada.fails(arguments, 1);
        assert_eq!(errors, format!("member: cannot connect to {place}: connection refused\n"));
    }
    // It may come back.
    assert!(std::fs::read_to_string(ada.state_file()).unwrap().contains("session"));
}

#[test]
fn what_cannot_be_remembered_is_said_before_a_password_is() {
    let group = Group::public();
    let user = group.user();
    let nowhere = |arguments: &[&str]| {
        Program::start(user.command(arguments).env("XDG_STATE_HOME", "/dev/null/x")).ended()
    };
    let ended = nowhere(&["register", "ada"]);
    assert_eq!((ended.code, ended.lines.len()), (Some(1), 0));
    let why = "cannot use what is known of conductors, which $XDG_STATE_HOME would put elsewhere: cannot ";
    assert!(ended.errors.contains(why), "{}", ended.errors);
    assert!(ended.errors.trim_end().ends_with("not a directory"), "{}", ended.errors);
    // No account was made.
    user.does(&["register", "ada"]);

    // To look around, nothing need be remembered. Nobody can make a folder there, not even root.
    let ended = Program::start(user.command(&["list"]).env("XDG_STATE_HOME", "/proc")).ended();
    assert_eq!((ended.code, ended.lines.len()), (Some(0), 1), "{ended:?}");
    assert!(
        ended.errors.contains("This is not remembered: ") && ended.errors.contains(&group.fingerprint),
        "{ended:?}"
    );
    let mut command = user.command(&["list"]);
    let ended = Program::start(command.env_remove("XDG_STATE_HOME").env_remove("HOME")).ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.contains("set $HOME or $XDG_STATE_HOME"), "{}", ended.errors);
}

#[test]
fn wrong_words_are_wrong_usage() {
    let user = User::of(([127, 0, 0, 1], 1).into());
    for (arguments, says) in [
        (["register"].as_slice(), "<NAME>"),
        (&["login", "ada", "secret"], "secret"),
        (&["login", "ada", "--password", "secret"], "--password"),
        (&["list", "--page", "0"], "1.."),
        (&["get"], "<NAME>"),
        (&["get", "x", "--conductor", "nas#x"], "a fingerprint was expected behind the #"),
        (&["details", "x", "--quiet"], "--quiet"),
    ] {
        let errors = user.fails(arguments, 2);
        assert!(errors.contains(says), "{arguments:?}: {errors}");
    }
    // A name that is no file of ours to publish.
    let errors = user.runs(&["list", &"x".repeat(300)]).errors;
    assert!(errors.contains("a text of at most 255 bytes can be searched for"), "{errors}");
}

#[test]
fn a_file_named_like_a_command_is_a_file() {
    let user = User::of(([127, 0, 0, 1], 1).into());
    user.writes("list", 10, 1);
    let errors = user.fails(&["./list"], 1);
    assert!(errors.starts_with("member: ./list is not a manifest"), "{errors}");
}

#[test]
fn nobody_reads_the_password_in_the_command() {
    // The help of the commands that take one names every way to give it.
    for command in ["register", "login", "password"] {
        let help = Command::new(binary("member")).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("--password-file <FILE>") && help.contains("$ORCHESTRA_PASSWORD"), "{help}");
        assert!(!help.contains("--password "), "{help}");
    }
}
