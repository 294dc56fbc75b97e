//! What is said to a catalogue.

use orchestra::digest::Digest;
use orchestra::wire::{catalogue, desk};

use crate::desk::token;

fn song() -> catalogue::Composition {
    catalogue::Composition { name: "a".to_owned(), digest: [0x29; 20], size: 142_044, part_len: 16_384 }
}

fn listed() -> catalogue::Listed {
    catalogue::Listed {
        composition: song(),
        swarm: [0x51; 32],
        publisher: "ada".to_owned(),
        published: 1_795_305_600,
        complete: 1,
        getting: 0,
    }
}

pub(crate) fn requests() -> Vec<(&'static str, catalogue::Request)> {
    use catalogue::{Digests, Login, Query, Renewal, Request, Wanted};
    let login = Login { name: "ada".to_owned(), password: "engine 9".to_owned().into() };
    let wanted = |digits: &str| Wanted { name: "a".to_owned(), digits: digits.to_owned() };
    let digests = Digests::new(&[[0x31; 20], [0x32; 20]].map(Digest::from_bytes));
    vec![
        ("register", Request::Register(login.clone())),
        ("login", Request::Login(login.clone())),
        ("resume", Request::Resume(token())),
        ("logout", Request::Logout),
        ("publish", Request::Publish(song())),
        ("digests", Request::Digests(digests)),
        ("list", Request::List(Query { text: "a".to_owned(), after: None, limit: 20 })),
        ("details", Request::Details(wanted("29"))),
        ("fetch", Request::Fetch(wanted(""))),
        ("unpublish", Request::Unpublish(wanted(""))),
        ("renew", Request::Renew(Renewal { login, password: "engine 10".to_owned().into() })),
    ]
}

pub(crate) fn replies() -> Vec<(&'static str, catalogue::Reply)> {
    use catalogue::{Cursor, Details, Digests, Holder, Page, Published, Refusal, Reply, Session};
    let session = Session { token: token(), account: "ada".to_owned(), expires: 1_797_897_600 };
    let holder = Holder {
        address: "10.0.0.7:10001".parse().unwrap(),
        complete: true,
        account: Some("ada".to_owned()),
        reach: desk::Reach::Reached { millis: 20 },
        downloads: 100,
        failures: 0,
        score: 1_500,
    };
    let next = Some(Cursor { name: "a".to_owned(), listing: 7 });
    vec![
        ("session", Reply::Session(session)),
        ("account", Reply::Account("ada".to_owned())),
        ("done", Reply::Done),
        (
            "published",
            Reply::Published(Published { already_by: Some("bob".to_owned()), namesakes: vec![listed()] }),
        ),
        ("page", Reply::Page(Page { listings: vec![listed()], next, matches: 9 })),
        ("details told", Reply::Details(Details { listed: listed(), holders: vec![holder] })),
        ("manifest", Reply::Manifest(song())),
        ("digests told", Reply::Digests(Digests::new(&[Digest::from_bytes([0x31; 20])]))),
        ("several", Reply::Several(vec![listed()])),
        ("refused, wrong login", Reply::Refused(Refusal::WrongLogin)),
        ("refused, try again in 30 s", Reply::Refused(Refusal::TryAgainIn { seconds: 30 })),
        ("refused, trouble", Reply::Refused(Refusal::Trouble)),
    ]
}
