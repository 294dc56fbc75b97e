//! What a user may not read: it waits, and is no deletion. Root may read everything, so the member is somebody else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::common::program::Program;
use crate::common::skipped;
use crate::common::swarm::{Member, parsed};
use crate::folders::Folders;
use crate::scenes::until;

/// Nobody, as everywhere.
const USER: u32 = 65_534;

/// The same command by a user who may not read everything.
fn by_nobody(command: &Command, program: &Path) -> Command {
    let user = USER.to_string();
    let mut inside = Command::new("setpriv");
    inside.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(program).args(command.get_args());
    inside.current_dir(command.get_current_dir().unwrap());
    inside
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_that_may_not_be_read_waits_and_nothing_of_it_is_deleted() {
    if !rustix::process::geteuid().is_root() {
        return skipped("a folder that may not be read: needs root, to become somebody who may not");
    }
    let folders = Folders::new();
    // Somebody else may have to come here, and run it.
    permit(&folders.path(""), 0o755);
    let program = folders.path("ensemble");
    fs::copy(folders.command(&[]).get_program(), &program).unwrap();
    folders.write("a/in/kept", "1");
    folders.write("a/beside", "2");
    ["a", "a/in", "a/in/kept", "a/beside"]
        .iter()
        .for_each(|path| chown(folders.path(path), Some(USER), Some(USER)).unwrap());
    fs::create_dir(folders.path("logs-a")).unwrap();
    chown(folders.path("logs-a"), Some(USER), Some(USER)).unwrap();
    let start = || {
        let command = folders.member_command("a", &["--json", "--logs", "logs-a"]);
        Member::start(&mut by_nobody(&command, &program))
    };
    let status = || {
        let told =
            Program::start(&mut by_nobody(&folders.command(&["status", "a", "--json"]), &program)).ended();
        assert_eq!(told.code, Some(0), "{:?} {}", told.lines, told.errors);
        parsed(&told.lines.join("\n"))
    };
    let tells = |what: &str| {
        status()["troubles"].as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains(what))
    };
    let is = |path: &str, text: &str| fs::read_to_string(folders.path(path)).is_ok_and(|read| read == text);
    let a = start();
    let key = Program::start(&mut by_nobody(&folders.command(&["key", "a"]), &program)).ended();
    folders.write("key", &key.lines.join("\n"));
    let address = a.address.to_string();
    let _b = folders.start("b", &["--key-file", "key", "--member", &address]);
    until("both are alike", || is("b/in/kept", "1") && is("b/beside", "2"));
    a.signal(Signal::TERM);
    a.ended();

    // Neither a look at the start takes it for a deletion, nor one later.
    permit(&folders.path("a/in"), 0o000);
    let a = start();
    let _b = folders.start("b2", &["--key-file", "key", "--member", &a.address.to_string()]);
    until("it is told", || tells("in: "));
    folders.write("b2/in/new", "3");
    folders.write("b2/later", "4");
    until("the rest goes on", || is("a/later", "4") && is("b2/beside", "2"));
    assert!(!folders.path("b2/in/kept").exists() || is("b2/in/kept", "1"));
    permit(&folders.path("a/in"), 0o755);
    until("it goes on by itself", || is("a/in/new", "3") && is("a/in/kept", "1") && is("b2/in/kept", "1"));
    until("nothing is left to tell", || !tells("in"));
}
