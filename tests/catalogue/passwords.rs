//! Passwords: where they come from, where they never are, and what is said of wrong ones.

use std::fs;

use crate::common::program::{Program, binary};
use crate::common::terminal::Shell;
use crate::group::{Group, PASSWORD};

#[test]
fn a_password_comes_from_a_file_or_the_environment() {
    let group = Group::public();
    let user = group.user();
    fs::write(user.path("secret"), "in a file, nine\r\nnot this\n").unwrap();
    // The file counts, not the environment.
    user.does(&["register", "ada", "--password-file", "secret"]);
    let errors = user.fails(&["login", "ada"], 1);
    assert!(errors.contains("knows no account ada with this password"), "{errors}");
    let ended =
        Program::start(user.command(&["login", "ada"]).env("ORCHESTRA_PASSWORD", "in a file, nine")).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let mut without = user.command(&["login", "ada"]);
    let ended = Program::start(without.env_remove("ORCHESTRA_PASSWORD")).ended();
    assert_eq!((ended.code, ended.lines.len()), (Some(1), 0));
    let expected = "member: there is no terminal to ask for the password; use --password-file FILE or $ORCHESTRA_PASSWORD\n";
    assert_eq!(ended.errors, expected);
    let errors = user.fails(&["login", "ada", "--password-file", "nowhere"], 1);
    assert_eq!(errors, "member: cannot read nowhere: no such file or directory\n");
}

#[test]
fn a_password_that_cannot_be_one_is_refused_before_it_is_sent() {
    let group = Group::public();
    let user = group.user();
    for (password, says) in [
        (b"short".to_vec(), "a password has 8 to 1024 bytes, this one has 5"),
        (vec![b'x'; 1_025], "a password has 8 to 1024 bytes"),
        (b"\xff\xfe not text".to_vec(), "the password is not UTF-8 text"),
        (Vec::new(), "a password has 8 to 1024 bytes, this one has 0"),
    ] {
        fs::write(user.path("secret"), password).unwrap();
        let errors = user.fails(&["register", "ada", "--password-file", "secret"], 1);
        assert!(errors.contains(says), "{errors}");
    }
    // Nobody has the name.
    user.does(&["register", "ada"]);
}

#[test]
fn a_new_password_ends_all_that_the_old_one_began() {
    let group = Group::private();
    let ada = group.member("ada");
    let elsewhere = ada.copy();
    elsewhere.does(&["list"]);
    fs::write(ada.path("new"), "engine number 10").unwrap();
    fs::write(ada.path("wrong"), "engine number 8").unwrap();
    fs::write(ada.path("short"), "short").unwrap();
    let errors = ada.fails(&["password", "--password-file", "wrong", "--new-password-file", "new"], 1);
    assert!(errors.contains("knows no account ada with this password"), "{errors}");
    let errors = ada.fails(&["password", "--new-password-file", "short"], 1);
    assert!(errors.contains("a password has 8 to 1024 bytes, this one has 5"), "{errors}");
    elsewhere.does(&["list"]);
    let told = ada.told(&["password", "--new-password-file", "new"]);
    assert_eq!((&told["event"], &told["account"]), (&"password_changed".into(), &"ada".into()));
    ada.does(&["list"]);
    assert!(elsewhere.fails(&["list"], 1).contains("The session of ada at "));
    assert!(elsewhere.fails(&["login", "ada"], 1).contains("knows no account ada with this password"));
    ada.does(&["login", "ada", "--password-file", "new"]);
    fs::write(elsewhere.path("new"), "engine number 10").unwrap();
    let errors = elsewhere.fails(&["password", "--new-password-file", "new"], 1);
    assert!(errors.contains("first, type: member login NAME"), "{errors}");
}

#[test]
fn where_nobody_can_register_the_operator_makes_accounts() {
    let group = Group::closed();
    let user = group.user();
    let errors = user.fails(&["register", "ada"], 1);
    assert!(errors.contains("nobody can register at"), "{errors}");
    assert!(errors.contains("ask its operator for an account, and then type: member login ada"), "{errors}");
    let lines = group.operator(&["add", "ada"]);
    assert_eq!(lines[0], "conductor: ada has an account; its password, which is not shown again:");
    fs::write(user.path("secret"), &lines[1]).unwrap();
    user.does(&["login", "ada", "--password-file", "secret"]);
    user.does(&["list"]);
}

#[test]
fn a_wrong_name_and_a_wrong_password_are_one_answer() {
    let group = Group::public();
    let user = group.member("ada");
    fs::write(user.path("wrong"), "not the password").unwrap();
    let [name, password] = ["eve", "ada"]
        .map(|name| user.fails(&["login", name, "--password-file", "wrong"], 1).replace(name, "X"));
    assert_eq!(name, password);
    // Who guesses is told to wait, whoever it is about.
    for name in ["ada", "eve"] {
        let mut last = String::new();
        for _ in 0..20 {
            last = user.fails(&["login", name, "--password-file", "wrong"], 1);
            if last.contains("try again in") {
                break;
            }
        }
        assert!(last.contains("too many names or passwords were tried"), "{last}");
    }
}

#[test]
fn names_that_nobody_can_have_are_refused() {
    let group = Group::public();
    let user = group.member("ada");
    let long = "a".repeat(65);
    let longer = "a".repeat(100_000);
    for name in ["", " ada", "a\u{202e}b", "a\tb", &long, &longer] {
        let errors = user.fails(&["register", name], 1);
        assert!(errors.contains("1 to 64 visible characters are needed"), "{errors}");
    }
    for name in ["ada", "ADA"] {
        let errors = group.user().runs(&["register", name]).errors;
        assert!(errors.contains(&format!("has the name {name}; choose another one")), "{errors}");
    }
}

#[test]
fn a_typed_password_is_not_shown() {
    let Some(shell) = Shell::open(100) else { return };
    let group = Group::public();
    let user = group.user();
    let member = binary("member");
    let home = user.home.path().display();
    shell.types(&format!("cd {home}; export XDG_STATE_HOME={home}/state"));
    let register = format!("{} register ada --conductor {}", member.display(), group.address());

    // The key is shown before anything is asked; whoever does not like it types nothing.
    shell.types_on_a_clean_screen(&format!("{register}; echo code=$?"));
    shell.shows("Password for ada at ");
    shell.shows(&group.fingerprint);
    shell.types_key("C-c");
    shell.shows("code=3");
    shell.has_its_mode();

    shell.types_on_a_clean_screen(&format!("{register}; echo code=$?"));
    shell.shows("Password for ada at ");
    shell.types("short");
    shell.shows("a password has 8 to 1024 bytes, this one has 5");
    shell.shows("code=1");
    shell.types_on_a_clean_screen(&format!("{register}; echo code=$?"));
    shell.shows("Password for ada at ");
    shell.types(PASSWORD);
    shell.shows("The same again: ");
    shell.types("something else");
    shell.shows("these are two passwords");
    shell.shows("code=1");
    shell.types_on_a_clean_screen(&format!("{register}; echo code=$?"));
    shell.shows("Password for ada at ");
    shell.types(PASSWORD);
    shell.shows("The same again: ");
    shell.types(PASSWORD);
    shell.shows("code=0");
    let screen = shell.shows("ada has an account and is logged in");
    assert!(!screen.contains(PASSWORD), "{screen}");
    shell.has_its_mode();

    shell.types_on_a_clean_screen(&format!("{} login ada; echo code=$?", member.display()));
    shell.shows("the only conductor known here");
    shell.shows("Password for ada at ");
    shell.types(PASSWORD);
    shell.shows("code=0");
    shell.has_its_mode();
}
