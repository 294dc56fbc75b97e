//! The program `composer`, from outside.
#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use common::skipped;

/// No run in these tests takes longer, on any machine, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// The user `nobody`.
const NOBODY: u32 = 65_534;

/// 50,000 bytes in parts of 16 KiB. The digests are those of sha1sum.
const GOLDEN: &str = "\
192.168.1.1:9999
golden.bin
ef56840af62b6954f092ad727579b836d8515a0f
50000
16384
4
68f3b81a11de1e1629e81555b4e70aed955d1140
de9ee0222cd528efc5e01227e4bf16cf6ac6836a
8b838c28e8ca3787c8b0fdaad3931ea3a8f29038
d9f5e7efa3d87642df5b43b41bee651eea9cbf99
";

/// The same in parts of 20 KiB.
const GOLDEN_20K: &str = "\
[::1]:7
golden.bin
ef56840af62b6954f092ad727579b836d8515a0f
50000
20480
3
fdca6e77d1cfe307413677b02b424b3f518c0170
7ad7b3b836aa58ba4afd202cb6baa71418b50281
546e7ea34648967368d6f297aca9fb65d21ec119
";

/// A directory with `golden.bin`.
fn golden_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(50_000).collect();
    fs::write(dir.path().join("golden.bin"), bytes).unwrap();
    dir
}

fn command(dir: &Path, args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_composer"));
    command.current_dir(dir).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for the end of a run, and ends it when it hangs.
fn outcome(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
    let output = receiver.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        kill_process(pid, Signal::KILL).unwrap();
        panic!("the program hangs");
    });
    waiter.join().unwrap().unwrap();
    output
}

fn run(dir: &Path, args: &[impl AsRef<OsStr>]) -> Output {
    outcome(command(dir, args).spawn().unwrap())
}

/// Runs it, wants success, and gives back what it printed.
#[track_caller]
fn succeeds(dir: &Path, args: &[impl AsRef<OsStr>]) -> String {
    let output = run(dir, args);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs it and wants exit code 1, nothing on standard output, and this one line on standard error.
#[track_caller]
fn fails(dir: &Path, args: &[impl AsRef<OsStr>], line: &str) {
    let output = run(dir, args);
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("composer: {line}\n"));
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

fn names_in(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn text_of(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn the_example_comes_out_byte_for_byte() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let Ok(bytes) = fs::read(fixtures.join("maxresdefault.jpg")) else {
        skipped("needs ../shared/fixtures");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("maxresdefault.jpg"), bytes).unwrap();
    succeeds(dir.path(), &["maxresdefault.jpg", "192.168.1.1:9999"]);
    let expected = fs::read_to_string(fixtures.join("maxresdefault.jpg.orch")).unwrap();
    assert_eq!(text_of(&dir, "maxresdefault.jpg.orch"), expected);
}

#[test]
fn the_three_forms_and_an_output() {
    let dir = golden_dir();
    let printed = succeeds(dir.path(), &["golden.bin"]);
    assert_eq!(text_of(&dir, "golden.bin.orch"), GOLDEN.replace("192.168.1.1", "localhost"));
    assert_eq!(
        printed,
        "Wrote golden.bin.orch: 48.8 KiB in 4 parts of 16.0 KiB.\n\
         Next, type:\n\
         \x20 conductor               # on localhost, if none runs there yet\n\
         \x20 member golden.bin.orch  # here, to share it\n\
         \x20 member golden.bin.orch  # on each other computer, beside a copy of the manifest\n\
         Only this computer reaches that conductor; for others, name one that they reach:\n\
         \x20 composer golden.bin HOST\n"
    );

    succeeds(dir.path(), &["golden.bin", "192.168.1.1"]);
    assert_eq!(text_of(&dir, "golden.bin.orch"), GOLDEN);

    for size in ["20480", "20K", "20KiB"] {
        succeeds(dir.path(), &["golden.bin", "[::1]:7", size]);
        assert_eq!(text_of(&dir, "golden.bin.orch"), GOLDEN_20K);
    }

    fs::create_dir(dir.path().join("my sub")).unwrap();
    let printed = succeeds(dir.path(), &["-o", "my sub/x.orch", "golden.bin", "192.168.1.1:9999"]);
    assert_eq!(text_of(&dir, "my sub/x.orch"), GOLDEN);
    assert!(printed.contains("\n  member 'my sub/x.orch' --dir .  # here"), "{printed}");

    assert_eq!(succeeds(dir.path(), &["--quiet", "golden.bin", "--output", "y.orch"]), "");
    assert_eq!(names_in(dir.path()), ["golden.bin", "golden.bin.orch", "my sub", "y.orch"]);
}

#[test]
fn an_empty_file_has_no_parts() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    succeeds(dir.path(), &["empty", "host"]);
    let expected = "host:9999\nempty\nda39a3ee5e6b4b0d3255bfef95601890afd80709\n0\n16384\n0\n";
    assert_eq!(text_of(&dir, "empty.orch"), expected);
}

#[test]
fn what_is_not_a_file_gets_a_clear_answer() {
    let dir = golden_dir();
    let path = dir.path();
    fs::create_dir(path.join("dir")).unwrap();
    mknodat(CWD, path.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let before = names_in(path);
    fails(path, &["missing"], "cannot open missing: no such file or directory");
    fails(path, &["dir"], "cannot open dir: it is a directory, not a file");
    fails(path, &["pipe"], "cannot open pipe: it is a pipe, not a file");
    fails(path, &["/dev/null"], "cannot open /dev/null: it is a device, not a file");
    fails(path, &["golden.bin/"], "cannot open golden.bin/: not a directory");
    let line = "cannot open a\\u{1b}[2J: no such file or directory";
    fails(path, &["a\u{1b}[2J"], line);
    assert_eq!(names_in(path), before);
}

#[test]
fn outputs_that_cannot_be_written_are_refused_and_nothing_is_harmed() {
    let dir = golden_dir();
    let path = dir.path();
    fs::create_dir(path.join("dir")).unwrap();
    mknodat(CWD, path.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let before = names_in(path);
    for (output, line) in [
        ("golden.bin", "the manifest would replace golden.bin itself; name another file for it"),
        ("./golden.bin", "the manifest would replace golden.bin itself; name another file for it"),
        ("dir", "cannot create dir: it is a directory, not a file"),
        ("pipe", "cannot create pipe: it is a pipe, not a file"),
        ("/dev/null", "cannot create /dev/null: it is a device, not a file"),
        ("missing/x.orch", "cannot create missing/x.orch: no such file or directory"),
    ] {
        fails(path, &["golden.bin", "-o", output], line);
    }
    let long = "x".repeat(252);
    fs::rename(path.join("golden.bin"), path.join(&long)).unwrap();
    let line = format!("cannot look at {long}.orch: file name too long");
    fails(path, &[&long], &line);
    fs::rename(path.join(&long), path.join("golden.bin")).unwrap();
    assert_eq!(names_in(path), before);
    assert_eq!(fs::metadata(path.join("golden.bin")).unwrap().len(), 50_000);
}

#[test]
fn a_file_that_may_not_be_read_and_a_directory_that_may_not_be_written() {
    let dir = golden_dir();
    let path = dir.path();
    fs::set_permissions(path.join("golden.bin"), fs::Permissions::from_mode(0o000)).unwrap();
    // Permissions do not bind root, so root runs the program as somebody whom they bind.
    let is_root = rustix::process::geteuid().is_root();
    let run = || {
        let mut command = command(path, &["golden.bin"]);
        if is_root {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            command.uid(NOBODY).gid(NOBODY);
        } else {
            fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
        }
        command.spawn().map(outcome)
    };
    let error_of = |output: Output| {
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    match run() {
        Ok(output) => {
            assert_eq!(error_of(output), "composer: cannot open golden.bin: permission denied\n");
        }
        Err(error) => {
            skipped(&format!("needs a user other than root who may run the program: {error}"));
            return;
        }
    }
    fs::set_permissions(path.join("golden.bin"), fs::Permissions::from_mode(0o444)).unwrap();
    let line = "composer: cannot create golden.bin.orch: permission denied\n";
    assert_eq!(error_of(run().unwrap()), line);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(names_in(path), ["golden.bin"]);
}

#[test]
fn nasty_names_are_written_as_they_are_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "C:x",
        "file::$DATA",
        "GIT~1",
        "NUL.tar.gz",
        "com1 ",
        "lpt\u{b9}",
        "dots..",
        "...",
        " ",
        "~",
        "-rf",
        "$(id)",
        "gpj\u{202e}exe.",
        "zero\u{200b}\u{feff}width",
        "\u{ff0e}\u{ff0e}\u{ff0f}full",
        "\u{2028}line",
        "e\u{301}",
        "\u{e9}",
        "own.part",
        "own.orch",
        ".orch-0123456789abcdef",
    ] {
        fs::write(dir.path().join(name), "x").unwrap();
        let printed = succeeds(dir.path(), &["-o", "made.orch", "--", name, "host"]);
        assert_eq!(text_of(&dir, "made.orch").split('\n').nth(1), Some(name));
        let deceives = |letter: char| letter != '\n' && orchestra::text::is_deceptive(letter);
        assert!(!printed.contains(deceives), "{printed:?}");
    }
    let control = "a file name without control characters was expected";
    for (name, shown, why) in [
        ("a\nb", "a\\u{a}b", control),
        ("a\u{1b}]0;b", "a\\u{1b}]0;b", control),
        ("a\u{9b}b", "a\\u{9b}b", control),
        ("a\u{7f}", "a\\u{7f}", control),
        ("a\\", "a\\", "a file name was expected, not an empty one"),
        ("a\\..", "a\\..", "a file name was expected, not one that means a directory"),
    ] {
        fs::write(dir.path().join(name), "x").unwrap();
        fails(dir.path(), &["--", name], &format!("cannot share {shown} under its name: {why}"));
    }
    fs::write(dir.path().join("..\\up"), "x").unwrap();
    fails(dir.path(), &["..\\up"], "others would know ..\\up as up; rename the file first");
    let invalid = OsStr::from_bytes(b"a\xff");
    fs::write(dir.path().join(invalid), "x").unwrap();
    let output = run(dir.path(), &[invalid]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8(output.stderr).unwrap().is_empty());
    let made = names_in_bytes(dir.path()).into_iter().filter(|name| name.ends_with(b".orch")).count();
    assert_eq!(made, 2, "own.orch and made.orch");
}

fn names_in_bytes(dir: &Path) -> Vec<Vec<u8>> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_vec()).collect()
}

#[test]
fn a_link_at_the_manifest_stays_and_what_it_leads_to_is_replaced() {
    let dir = golden_dir();
    let path = dir.path();
    fs::write(path.join("old.orch"), GOLDEN.replacen("192.168.1.1", "10.0.0.1", 1)).unwrap();
    symlink("old.orch", path.join("golden.bin.orch")).unwrap();
    succeeds(path, &["golden.bin", "192.168.1.1"]);
    assert_eq!(text_of(&dir, "old.orch"), GOLDEN);
    assert!(path.join("golden.bin.orch").is_symlink());
    // A link that leads back to the file would have the manifest take its place.
    fs::remove_file(path.join("golden.bin.orch")).unwrap();
    symlink("golden.bin", path.join("golden.bin.orch")).unwrap();
    let line = "the manifest would replace golden.bin itself; name another file for it";
    fails(path, &["golden.bin"], line);
    assert_eq!(fs::metadata(path.join("golden.bin")).unwrap().len(), 50_000);
}

#[test]
fn part_sizes_that_do_not_work_say_what_would() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("sparse")).unwrap();
    file.set_len((1 << 21) + 1).unwrap();
    fails(
        dir.path(),
        &["sparse", "host", "2"],
        "cannot cut sparse into parts of 2 bytes: this makes 1048577 parts, and 1048576 are the most; \
         the smallest part size for this file is 3",
    );
    succeeds(dir.path(), &["sparse", "host", "3"]);

    for size in ["0", "16777217", "17M", "-1", "1.5K", "many"] {
        let output = run(dir.path(), &["sparse", "host", size]);
        assert_eq!(output.status.code(), Some(2), "{size}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_was_expected() {
    let dir = golden_dir();
    for (args, expected) in [
        (&[][..], "<FILE>"),
        (&["golden.bin", "::1"], "an IPv6 address must stand in brackets, like [::1]:9999"),
        (&["golden.bin", "host:0"], "a port from 1 to 65535 was expected after the colon"),
        (&["golden.bin", ""], "HOST:PORT was expected"),
        (&["golden.bin", "host", "x"], "a size like 16384, 16K, 16KiB, 1M or 1MiB was expected"),
        (&["golden.bin", "host", "1K", "more"], "'more'"),
        (&["golden.bin", "--nonsense"], "unexpected argument '--nonsense'"),
    ] {
        let output = run(dir.path(), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    assert_eq!(names_in(dir.path()), ["golden.bin"]);
}

#[test]
fn help_fits_a_screen_and_ends_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    for flag in ["-h", "--help"] {
        let help = succeeds(dir.path(), &[flag]);
        assert!(help.lines().count() <= 24 && help.lines().all(|line| line.len() <= 80), "{help}");
        assert!(help.split("Example:").nth(1).is_some_and(|example| example.contains("composer ")), "{help}");
    }
    assert!(succeeds(dir.path(), &["completions", "bash"]).contains("--output"));
    assert!(succeeds(dir.path(), &["man"]).contains(".TH composer"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let dir = golden_dir();
    let mut child = command(dir.path(), &["golden.bin"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = outcome(child);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), [].as_slice()));
    assert!(dir.path().join("golden.bin.orch").exists());
}

#[test]
fn an_interrupt_leaves_the_old_manifest_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // Hashing this much takes minutes; as a sparse file it takes no room.
    let file = fs::File::create(dir.path().join("large")).unwrap();
    file.set_len(1 << 40).unwrap();
    fs::write(dir.path().join("large.orch"), GOLDEN).unwrap();

    let mut child = command(dir.path(), &["large"]).spawn().unwrap();
    let deadline = Instant::now() + DEADLINE;
    while !is_hashing(child.id()) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it was interrupted");
        assert!(Instant::now() < deadline, "it does not begin to hash");
        thread::yield_now();
    }
    // Not ^C's own signal: a test runner in the background may have had that one switched off for its children.
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = outcome(child);
    assert!(!output.status.success());
    assert_eq!(text_of(&dir, "large.orch"), GOLDEN);
    assert_eq!(names_in(dir.path()), ["large", "large.orch"]);
}

/// Whether the thread that hashes the whole file has started.
fn is_hashing(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim_end() == "hash-whole")
    })
}
