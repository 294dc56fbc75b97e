//! The desk of a conductor with a catalogue: who proves what.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use orchestra::credential::{Challenge, SessionToken, Speaker};
use orchestra::wire::catalogue::{Holder, Reply as Answer, Request as Question};
use orchestra::wire::desk::{
    Announce, Event, Greeted, Proven, Reach, Refusal, Reply, Report, Request, Said, preamble,
};
use orchestra::wire::dialogue::Decoder;

use crate::Here;
use crate::asker::{Asker, Song, connect, renewal, wanted};
use crate::common::program::PATIENCE;

/// A connection to the desk.
struct Client {
    stream: TcpStream,
    decoder: Decoder<Reply>,
    input: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let mut stream = connect(address);
        stream.write_all(&preamble()).unwrap();
        Client { stream, decoder: Decoder::<Reply>::new(), input: Vec::new() }
    }

    fn reply(&mut self) -> Reply {
        loop {
            let mut input = self.input.as_slice();
            let reply = self.decoder.next(&mut input).expect("a conductor sends what it should");
            self.input = input.to_vec();
            if let Some(reply) = reply {
                return reply;
            }
            let mut bytes = [0; 4096];
            let len = self.stream.read(&mut bytes).unwrap();
            assert!(len > 0, "it closed");
            self.input.extend_from_slice(&bytes[..len]);
        }
    }

    fn ask(&mut self, request: Request) -> Reply {
        let mut bytes = Vec::new();
        request.append_to(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
        self.reply()
    }

    fn challenge(&mut self) -> Challenge {
        match self.ask(Request::Challenge) {
            Reply::Challenge(challenge) => challenge,
            other => panic!("no challenge but {other:?}"),
        }
    }

    /// Announces with a proof, as the first thing that is proven on this connection.
    fn greet(&mut self, speaker: &Speaker, announce: Announce) -> Reply {
        let challenge = self.challenge();
        self.ask(Request::Proven(Proven::new(speaker, challenge, 0, Said::Announce(announce))))
    }
}

pub(crate) fn going(swarm: [u8; 32], port: u16, complete: bool) -> Announce {
    Announce { swarm, port, complete, left: u64::from(!complete), event: Event::Going }
}

pub(crate) fn greeted(address: SocketAddr, speaker: &Speaker, announce: Announce) -> Greeted {
    match Client::connect(address).greet(speaker, announce) {
        Reply::Greeted(greeted) => greeted,
        other => panic!("not greeted but {other:?}"),
    }
}

/// Whether an announce with this session is believed.
pub(crate) fn is_greeted(address: SocketAddr, token: &SessionToken) -> bool {
    let reply = Client::connect(address).greet(&token.speaker(), going([9; 32], 9, false));
    assert!(matches!(reply, Reply::Greeted(_) | Reply::Refused(Refusal::LoginFirst)), "{reply:?}");
    matches!(reply, Reply::Greeted(_))
}

pub(crate) fn holders(asker: &mut Asker, name: &str) -> Vec<Holder> {
    match asker.ask(&Question::Details(wanted(name, ""))) {
        Answer::Details(details) => details.holders,
        other => panic!("no details but {other:?}"),
    }
}

/// Asks until it is so.
fn until<T>(what: &str, mut ask: impl FnMut() -> T, is_so: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let answer = ask();
        if is_so(&answer) {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn only_who_is_logged_in_announces_at_a_private_conductor() {
    let here = Here::start(true);
    let address = here.address();
    let announce = going([1; 32], 5, false);
    assert_eq!(
        Client::connect(address).ask(Request::Announce(announce)),
        Reply::Refused(Refusal::LoginFirst)
    );
    let mut ada = Asker::connect(address);
    let token = ada.register("ada").token;
    assert_eq!(greeted(address, &token.speaker(), announce).roster.members, []);
    let stranger = SessionToken::from_bytes([3; 32]);
    assert!(!is_greeted(address, &stranger), "nobody opened that session");
    assert!(is_greeted(address, &token));
    assert_eq!(ada.ask(&Question::Logout), Answer::Done);
    assert!(!is_greeted(address, &token), "it is over as soon as that is said");
}

#[test]
fn a_new_password_ends_the_other_sessions_at_the_desk_as_well() {
    let here = Here::start(true);
    let old = Asker::connect(here.address()).register("ada").token;
    assert!(is_greeted(here.address(), &old));
    let renewed = Asker::connect(here.address()).ask(&renewal("ada", "quite another one"));
    let Answer::Session(session) = renewed else { panic!("no session but {renewed:?}") };
    assert!(!is_greeted(here.address(), &old), "whoever has it is out as soon as that is said");
    assert!(is_greeted(here.address(), &session.token));
}

#[test]
fn a_proof_is_worth_nothing_again_or_elsewhere() {
    let here = Here::start(true);
    let speaker = Asker::connect(here.address()).register("ada").token.speaker();
    let said = Said::Announce(going([1; 32], 5, false));
    let no = Reply::Refused(Refusal::LoginFirst);
    let (mut one, mut other) = (Client::connect(here.address()), Client::connect(here.address()));
    let (challenge, elsewhere) = (one.challenge(), other.challenge());
    assert_ne!(challenge, elsewhere);
    assert_eq!(one.challenge(), challenge, "drawn once, or the count would begin anew");
    let proven = Proven::new(&speaker, challenge, 0, said);
    assert!(matches!(one.ask(Request::Proven(proven)), Reply::Greeted(_)));
    assert_eq!(one.ask(Request::Proven(proven)), no, "the same once more");
    assert_eq!(other.ask(Request::Proven(proven)), no, "the same elsewhere");
    assert_eq!(Client::connect(here.address()).ask(Request::Proven(proven)), no, "and without a challenge");
    // Wrong ones count as well.
    assert!(matches!(one.ask(Request::Proven(Proven::new(&speaker, challenge, 2, said))), Reply::Greeted(_)));
    let changed = Proven {
        said: Said::Announce(going([1; 32], 6, false)),
        ..Proven::new(&speaker, challenge, 3, said)
    };
    assert_eq!(one.ask(Request::Proven(changed)), no, "another port");
}

#[test]
fn details_show_who_holds_it_and_how_they_stand() {
    let here = Here::start(false);
    let address = here.address();
    let song = Song::new("song", 3);
    let (mut ada, mut bob) = (Asker::connect(address), Asker::connect(address));
    let (of_ada, of_bob) = (ada.register("ada").token.speaker(), bob.register("bob").token.speaker());
    ada.publish(&song).unwrap();
    // Somebody listens for ada; for bob nobody does.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let shut = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let first = greeted(address, &of_ada, going(song.swarm(), open, true));
    assert_eq!(first.reach, Reach::Unknown, "nobody looked yet");
    greeted(address, &of_bob, going(song.swarm(), shut, true));
    assert!(matches!(
        Client::connect(address).ask(Request::Announce(going(song.swarm(), 1, false))),
        Reply::Roster(_)
    ));
    let found = until(
        "both are tried",
        || holders(&mut ada, "song"),
        |found| found.iter().filter(|holder| holder.reach != Reach::Unknown).count() >= 2,
    );
    let of = |port: u16| found.iter().find(|holder| holder.address.port() == port).unwrap();
    assert!(matches!(of(open).reach, Reach::Reached { .. }) && of(open).complete);
    assert_eq!(of(open).account.as_deref(), Some("ada"));
    assert_eq!((of(shut).reach, of(shut).account.as_deref()), (Reach::Unreachable, Some("bob")));
    assert_eq!((of(1).account.as_deref(), of(1).complete), (None, false));
    // Complete ones first, and of them those that are reached.
    assert_eq!(found.iter().map(|holder| holder.address.port()).collect::<Vec<_>>(), [open, shut, 1]);
    // It connected, and said nothing.
    let (mut probe, _) = listener.accept().unwrap();
    assert_eq!(probe.read(&mut [0]).unwrap(), 0);
    // The member itself is told, and so is who asks for a roster.
    assert!(matches!(
        greeted(address, &of_ada, going(song.swarm(), open, true)).reach,
        Reach::Reached { .. }
    ));
    assert_eq!(greeted(address, &of_bob, going(song.swarm(), shut, true)).reach, Reach::Unreachable);
    let roster = greeted(address, &of_bob, going(song.swarm(), 2, false)).roster;
    assert_eq!(roster.members.iter().map(SocketAddr::port).collect::<Vec<_>>(), [open, shut, 1]);
    // Listed with its members, until they leave.
    assert!(matches!(
        Client::connect(address)
            .ask(Request::Announce(Announce { event: Event::Left, ..going(song.swarm(), 1, false) })),
        Reply::Roster(_)
    ));
    assert_eq!(holders(&mut ada, "song").len(), 3, "the one with port 2 came, the one with port 1 went");
}

#[test]
fn reports_count_once_and_never_for_oneself() {
    let here = Here::start(false);
    let address = here.address();
    let song = Song::new("song", 3);
    let mut ada = Asker::connect(address);
    let (of_ada, of_bob) =
        (ada.register("ada").token.speaker(), Asker::connect(address).register("bob").token.speaker());
    ada.publish(&song).unwrap();
    greeted(address, &of_ada, going(song.swarm(), 7, true));
    let about = |port: u16, failed: bool| Report {
        swarm: song.swarm(),
        member: SocketAddr::new([127, 0, 0, 1].into(), port),
        bytes: u64::from(!failed),
        millis: 5,
        failed,
    };
    // Whoever does not take part is not believed.
    let tell = |speaker: &Speaker, takes_part_in: Option<[u8; 32]>, reports: &[Report]| {
        let mut client = Client::connect(address);
        let challenge = client.challenge();
        let mut first = 0;
        if let Some(swarm) = takes_part_in {
            let proven = Proven::new(speaker, challenge, 0, Said::Announce(going(swarm, 20, false)));
            assert!(matches!(client.ask(Request::Proven(proven)), Reply::Greeted(_)));
            first = 1;
        }
        for (count, &report) in (first..).zip(reports) {
            let proven = Proven::new(speaker, challenge, count, Said::Report(report));
            assert_eq!(client.ask(Request::Proven(proven)), Reply::Noted);
        }
    };
    let report = |speaker: &Speaker, reports: &[Report]| tell(speaker, Some(song.swarm()), reports);
    tell(&of_bob, None, &[about(7, false)]);
    tell(&of_bob, Some([9; 32]), &[about(7, false)]);
    // About oneself, about nobody, about another swarm, of nothing: none of these counts.
    report(&of_ada, &[about(7, false)]);
    report(
        &of_bob,
        &[
            about(8, false),
            Report { swarm: [9; 32], ..about(7, false) },
            Report { bytes: 0, ..about(7, false) },
        ],
    );
    assert_eq!(holders(&mut ada, "song")[0].downloads, 0);
    // Whatever bob says more often counts once a day.
    report(&of_bob, &[about(7, false), about(7, false), about(7, false)]);
    let counted = until("it is counted", || holders(&mut ada, "song"), |found| found[0].downloads > 0);
    assert!((99..=100).contains(&counted[0].downloads), "{counted:?}");
    assert_eq!(counted[0].failures, 0);
    assert!(counted[0].score < 25_000, "better than unknown: {counted:?}");
    report(&of_bob, &[about(7, false)]);
    let carol = Asker::connect(address).register("carol").token.speaker();
    report(&carol, &[about(7, true)]);
    let counted = until("it is counted", || holders(&mut ada, "song"), |found| found[0].failures > 0);
    assert!((99..=100).contains(&counted[0].downloads), "{counted:?}");
}

#[test]
fn what_the_desk_does_not_speak_is_told() {
    let here = Here::start(false);
    for (said, told) in [(b"ORCD\x02", b"ORCD\x01"), (b"ORCA\x07", b"ORCA\x01")] {
        let mut stream = connect(here.address());
        stream.write_all(said).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, told);
    }
    let plain = orchestra::conductor::Conductor::start(orchestra::conductor::Config::new(
        "127.0.0.1:0".parse().unwrap(),
    ));
    let plain = plain.unwrap();
    assert_eq!(plain.fingerprint(), None);
    let mut stream = connect(plain.address());
    stream.write_all(b"ORCA\x01").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"ORCA\x00", "it has no catalogue");
}
