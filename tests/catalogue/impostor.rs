//! Conductors that answer what they should not: whoever asks them comes to no harm.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use orchestra::credential::SessionToken;
use orchestra::digest::Digest;
use orchestra::wire::catalogue::{
    Composition, Cursor, Details, Digests, Listed, PREAMBLE_LEN, Page, Reply, Request, Session, preamble,
};
use orchestra::wire::dialogue::Decoder;
use orchestra::wire::seal::{CALL_LEN, ConductorKey, RECORD_HEADER_LEN, record_len};

use crate::group::User;

const TAG_LEN: usize = 16;

/// A conductor that answers each question with what this yields, and somebody who asks it.
fn answering(answer: impl Fn(&Request) -> Vec<Reply> + Send + Sync + 'static) -> User {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let user = User::of(listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // The caller may be gone at any moment.
            drop(converse(&stream.unwrap(), &answer));
        }
    });
    user
}

fn converse(mut stream: &TcpStream, answer: &impl Fn(&Request) -> Vec<Reply>) -> std::io::Result<()> {
    let mut called = [0; PREAMBLE_LEN + CALL_LEN];
    stream.read_exact(&mut called)?;
    let message = called[PREAMBLE_LEN..].try_into().unwrap();
    let (mut sealer, mut opener, bytes) =
        ConductorKey::from_bytes([5; 32]).answer(&preamble(), &message).unwrap();
    stream.write_all(&bytes)?;
    let mut decoder = Decoder::<Request>::new();
    loop {
        let mut header = [0; RECORD_HEADER_LEN];
        stream.read_exact(&mut header)?;
        let mut record = vec![0; record_len(header).unwrap()];
        stream.read_exact(&mut record)?;
        let mut plain: &[u8] = opener.open(&mut record).unwrap();
        while let Some(request) = decoder.next(&mut plain).unwrap() {
            for reply in answer(&request) {
                let mut bytes = vec![0; RECORD_HEADER_LEN];
                reply.append_to(&mut bytes);
                // A reply has one record here, though a long one may have several.
                bytes.extend_from_slice(&[0; TAG_LEN]);
                sealer.seal(&mut bytes).unwrap();
                stream.write_all(&bytes)?;
            }
        }
    }
}

fn song(name: &str, parts: u64) -> Composition {
    Composition { name: name.to_owned(), digest: [0x29; 20], size: parts * 16_384, part_len: 16_384 }
}

fn digests(count: usize) -> Reply {
    Reply::Digests(Digests::new(&vec![Digest::from_bytes([1; 20]); count]))
}

fn listed(name: &str) -> Listed {
    Listed {
        composition: song(name, 1),
        swarm: [0x51; 32],
        publisher: "eve".to_owned(),
        published: 0,
        complete: 0,
        getting: 0,
    }
}

#[test]
fn a_manifest_of_something_else_is_not_written() {
    for (replies, wanted) in [
        (vec![Reply::Manifest(song(".bashrc", 1)), digests(1)], "song"),
        (vec![Reply::Manifest(song("../song", 1)), digests(1)], "song"),
        (vec![Reply::Manifest(song("a\u{7}", 1)), digests(1)], "a\u{7}"),
        (vec![Reply::Manifest(song("song", 1)), digests(1)], "song@31313131"),
        (vec![Reply::Manifest(song("song", 2)), digests(3)], "song"),
        (vec![Reply::Manifest(song("song", 2)), digests(1), digests(0)], "song"),
        (vec![Reply::Manifest(song("song", 1 << 40)), digests(1)], "song"),
        (vec![Reply::Manifest(Composition { part_len: 0, ..song("song", 1) }), digests(1)], "song"),
    ] {
        let what = format!("{replies:?}");
        let user = answering(move |_| replies.clone());
        let errors = user.fails(&["get", wanted], 1);
        assert!(errors.contains("does not describe it"), "{what}: {errors}");
        assert!(!errors.contains('\u{7}'), "{errors:?}");
        let left: Vec<_> =
            fs::read_dir(user.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "state" || name == "logs"), "{what}: {left:?}");
    }
}

#[test]
fn an_answer_to_another_question_is_none() {
    let user = answering(|_| vec![Reply::Done]);
    for arguments in [["list"].as_slice(), &["details", "x"], &["get", "x"], &["login", "ada"]] {
        let errors = user.fails(arguments, 1);
        assert!(
            errors.contains("is not a conductor that we understand: it answers another question"),
            "{errors}"
        );
    }
}

#[test]
fn what_is_no_name_is_not_passed_on() {
    let by = |publisher: &str| Listed { publisher: publisher.to_owned(), ..listed("song") };
    let long = "x".repeat(256);
    for bad in
        [listed("../song"), listed("/etc/passwd"), listed(""), listed("a\u{1b}[2J"), listed(&long), by("")]
            .into_iter()
            .chain(["a\u{202e}", "a\n", &"a".repeat(65)].map(by))
    {
        let all = vec![listed("song"), bad.clone()];
        let page = Page { listings: all.clone(), next: None, matches: 2 };
        for (reply, arguments) in [
            (Reply::Page(page), ["list"].as_slice()),
            (Reply::Details(Details { listed: bad, holders: Vec::new() }), &["details", "song"]),
            (Reply::Several(all), &["get", "song"]),
        ] {
            let what = format!("{reply:?}");
            let user = answering(move |_| vec![reply.clone()]);
            let errors = user.fails(arguments, 1);
            assert!(errors.contains("sends names that no file and no account can have"), "{what}: {errors}");
        }
    }
}

#[test]
fn all_about_something_else_is_not_shown() {
    for (listed, wanted) in [(listed("other"), "song"), (listed("song"), "song@31313131")] {
        let details = Reply::Details(Details { listed: listed.clone(), holders: Vec::new() });
        for reply in [details, Reply::Several(vec![listed])] {
            let user = answering(move |_| vec![reply.clone()]);
            let errors = user.fails(&["details", wanted], 1);
            assert!(errors.contains("does not describe it"), "{errors}");
        }
    }
}

#[test]
fn a_session_of_nobody_is_not_kept() {
    let token = || SessionToken::from_bytes([7; 32]);
    for account in ["a".repeat(65), "a\u{202e}".to_owned(), String::new()] {
        let user = answering(move |request| {
            let session = Session { token: token(), account: account.clone(), expires: u64::MAX };
            let page = Page { listings: Vec::new(), next: None, matches: 0 };
            vec![if matches!(request, Request::List(_)) {
                Reply::Page(page)
            } else {
                Reply::Session(session)
            }]
        });
        let errors = user.fails(&["login", "ada"], 1);
        assert!(errors.contains("sends names that no file and no account can have"), "{errors}");
        // What is known of it is as before.
        user.does(&["list"]);
    }
}

#[test]
fn a_list_that_never_ends_ends() {
    let cursor = || Some(Cursor { name: "x".to_owned(), listing: 1 });
    let user = answering(move |_| {
        vec![Reply::Page(Page { listings: Vec::new(), next: cursor(), matches: u32::MAX })]
    });
    user.does(&["list"]);
    // The same page again and again, with names that are as long as one can be.
    let user = answering(move |_| {
        let listings = vec![listed(&"\u{202e}".repeat(85)); 10];
        vec![Reply::Page(Page { listings, next: cursor(), matches: u32::MAX })]
    });
    let text = user.does(&["list", "--page", "3"]);
    assert!(!text.contains('\u{202e}') && text.lines().count() == 52, "{}", text.lines().count());
}
