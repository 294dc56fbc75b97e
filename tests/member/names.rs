//! Names that somebody chose to do harm, or that are merely odd: what a member makes of each.

use std::fs;

use orchestra::text::is_deceptive;

use crate::common::program::{Ended, Program};
use crate::common::swarm::{SOURCE, Swarm};

/// What is written in a manifest, and the name on disk.
const KEPT: &[(&str, &str)] = &[
    // Ways out of the directory lead nowhere: the last component counts.
    ("/etc/passwd", "passwd"),
    ("//x", "x"),
    ("a/../../b", "b"),
    ("..\\..\\up", "up"),
    (".\\ExamML_example.pdf", "ExamML_example.pdf"),
    ("files/a.zip", "a.zip"),
    ("~/.ssh/authorized_keys", "authorized_keys"),
    ("~", "~"),
    ("$HOME", "$HOME"),
    ("`id`;rm *", "`id`;rm *"),
    ("--repair", "--repair"),
    (" -rf *", " -rf *"),
    ("%s%n", "%s%n"),
    // Roots, streams and short names of Windows mean nothing here.
    ("C:\\w", "w"),
    ("C:x", "C:x"),
    ("\\\\server\\share\\y", "y"),
    ("\\\\?\\C:\\z", "z"),
    ("\\\\.\\pipe\\p", "p"),
    ("/??/q", "q"),
    ("file:stream", "file:stream"),
    ("file::$DATA", "file::$DATA"),
    ("GIT~1", "GIT~1"),
    ("GI7EBA~1", "GI7EBA~1"),
    // Nor do its devices.
    ("con", "con"),
    ("NUL.tar.gz", "NUL.tar.gz"),
    ("com1 ", "com1 "),
    ("lpt\u{b9}.txt", "lpt\u{b9}.txt"),
    ("CONOUT$", "CONOUT$"),
    ("clock$", "clock$"),
    ("aux:", "aux:"),
    // Endings that Windows would cut off.
    ("dots..", "dots.."),
    ("...", "..."),
    ("space ", "space "),
    (" ", " "),
    // Look-alikes: kept byte for byte, shown escaped.
    ("gpj\u{202e}exe.", "gpj\u{202e}exe."),
    ("\u{2066}a\u{2069}\u{200f}\u{61c}", "\u{2066}a\u{2069}\u{200f}\u{61c}"),
    ("zero\u{200b}\u{2060}\u{feff}width", "zero\u{200b}\u{2060}\u{feff}width"),
    ("heart\u{2764}\u{fe0f}", "heart\u{2764}\u{fe0f}"),
    ("\u{ff0e}\u{ff0e}\u{ff0f}full", "\u{ff0e}\u{ff0e}\u{ff0f}full"),
    ("\u{2028}line", "\u{2028}line"),
    (".g\u{200c}it", ".g\u{200c}it"),
    // Twins are two names.
    ("Twin", "Twin"),
    ("twin", "twin"),
    ("\u{e9}", "\u{e9}"),
    ("e\u{301}", "e\u{301}"),
    // Names like those that we give.
    ("own.part", "own.part"),
    (".orch-0123456789abcdef", ".orch-0123456789abcdef"),
    ("other.orch", "other.orch"),
    ("logs", "logs"),
];

/// What is written in a manifest, and what was expected there.
const REFUSED: &[(&[u8], &str)] = &[
    (b"", "a file name was expected, not an empty one"),
    (b"/", "a file name was expected, not an empty one"),
    (b"a/", "a file name was expected, not an empty one"),
    (b"a\\", "a file name was expected, not an empty one"),
    (b".", "a file name was expected, not one that means a directory"),
    (b"..", "a file name was expected, not one that means a directory"),
    (b"a/..", "a file name was expected, not one that means a directory"),
    (b"a\\..", "a file name was expected, not one that means a directory"),
    (b"a\0b", "a file name without control characters was expected"),
    (b"a\x1b]0;title\x07", "a file name without control characters was expected"),
    (b"a\rb", "a file name without control characters was expected"),
    (b"a\tb", "a file name without control characters was expected"),
    (b"a\x7f", "a file name without control characters was expected"),
    ("a\u{9b}2J".as_bytes(), "a file name without control characters was expected"),
    (b"\xff", "UTF-8 text was expected"),
    (b"overlong\xc0\xafslash", "UTF-8 text was expected"),
    (b"surrogate\xed\xa0\x80", "UTF-8 text was expected"),
];

/// Runs a member with this name in its manifest; the composition is empty, so nobody else is needed.
fn runs(swarm: &Swarm, place: &str, name: &[u8]) -> Ended {
    let text = fs::read(swarm.path("song.orch")).unwrap();
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines[1] = name;
    fs::write(swarm.path("song.orch"), lines.join(&b'\n')).unwrap();
    Program::start(&mut swarm.command(place, &["--leave"])).ended()
}

/// Nothing that a terminal would not show as itself is printed or logged.
#[track_caller]
fn assert_shown_safely(swarm: &Swarm, ended: &Ended) {
    let deceives = |text: &str| text.chars().any(|letter| letter != '\n' && is_deceptive(letter));
    assert!(ended.lines.iter().all(|line| !deceives(line)), "{:?}", ended.lines);
    assert!(!deceives(&ended.errors), "{:?}", ended.errors);
    for log in fs::read_dir(swarm.path("logs")).into_iter().flatten() {
        let path = log.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!deceives(&text), "{text:?}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn nasty_names_are_one_file_in_the_directory() {
    let swarm = Swarm::new(0);
    let before = fs::read_dir(swarm.path("")).unwrap().count();
    for &(written, name) in KEPT {
        let ended = runs(&swarm, "b", written.as_bytes());
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{written:?}");
        assert!(swarm.is_content(&swarm.path("b").join(name)), "{written:?}");
        assert_shown_safely(&swarm, &ended);
    }
    assert_eq!(fs::read_dir(swarm.path("b")).unwrap().count(), KEPT.len(), "nothing else is there");
    assert_eq!(fs::read_dir(swarm.path("")).unwrap().count(), before + 2, "nor beside it: b and the logs");
}

#[test]
fn names_that_no_file_can_have_are_refused() {
    let swarm = Swarm::new(0);
    for &(written, why) in REFUSED {
        let ended = runs(&swarm, "b", written);
        assert_eq!(ended.code, Some(1), "{written:?}");
        assert_eq!(
            ended.errors,
            format!("member: song.orch is not a manifest: line 2 (name): {why}\n"),
            "{written:?}"
        );
        assert_shown_safely(&swarm, &ended);
    }
    // A line break begins the next line, which is then wrong.
    let ended = runs(&swarm, "b", b"a\nb");
    assert_eq!(
        ended.errors,
        "member: song.orch is not a manifest: line 3 (SHA-1 of the whole): 40 hex digits were expected\n"
    );
    assert_eq!(fs::read_dir(swarm.path("b")).unwrap().count(), 0, "nothing is there");
}

#[test]
fn the_longest_names_fit_with_what_is_put_behind_them() {
    let swarm = Swarm::new(0);
    // Around the length at which `.part` no longer fits.
    for len in 249..=255 {
        let name = "n".repeat(len);
        assert_eq!(runs(&swarm, "b", name.as_bytes()).code, Some(0), "{len}");
        assert!(swarm.is_content(&swarm.path("b").join(name)), "{len}");
    }
    let ended = runs(&swarm, "b", "é".repeat(128).as_bytes());
    let why = "a file name of at most 255 bytes was expected, this one has 256";
    assert_eq!(ended.errors, format!("member: song.orch is not a manifest: line 2 (name): {why}\n"));
}

#[test]
fn a_composition_that_is_named_like_its_manifest_does_not_replace_it() {
    let swarm = Swarm::new(0);
    let manifest = |name| fs::read_to_string(swarm.path(name)).unwrap();
    swarm.edit_manifest(2, "song.orch");
    let before = manifest("song.orch");
    let ended = Program::start(&mut swarm.command(".", &["--leave"])).ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.starts_with("member: ./song.orch is there with "), "{}", ended.errors);
    assert_eq!(manifest("song.orch"), before);
}

#[test]
fn a_nasty_name_goes_over_like_any_other() {
    let swarm = Swarm::new(100_000);
    let name = "..\\a\u{202e}fdp:stream.tar.gz. ";
    let kept = "a\u{202e}fdp:stream.tar.gz. ";
    swarm.edit_manifest(2, name);
    fs::rename(swarm.whole(SOURCE), swarm.path(SOURCE).join(kept)).unwrap();
    let source = swarm.source();
    swarm.member_of(&source, "b", &["--leave", "--check-digest"]).ends_with(0);
    assert!(swarm.is_content(&swarm.path("b").join(kept)));
    source.leaves();
}
