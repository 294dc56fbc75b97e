//! 100,000 members in 1,000 swarms that announce themselves, in whatever a tracker speaks.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use orchestra::wire::desk::{Event, Reply};

use super::client::{Client, announce};
use super::process::{Meter, rss};

pub(crate) const MEMBERS: u32 = 100_000;
pub(crate) const SWARMS: u32 = 1_000;
/// One of so many is complete.
const MEMBERS_PER_COMPLETE: u32 = 10;
/// Connections that are kept, each from an address of its own.
pub(crate) const KEPT: u32 = 256;
/// On how many connections something is asked before the first of them is heard: as when so many members ask at the
/// same moment.
const TOGETHER: usize = 64;

/// A member as this load makes it up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) swarm: u32,
    pub(crate) port: u16,
    pub(crate) complete: bool,
    /// Whether it has announced itself before.
    pub(crate) known: bool,
}

/// One address that speaks for some of the members.
pub(crate) trait Speaker {
    /// Announces these members in one piece, as far as the language of the tracker knows such a thing.
    fn say(&mut self, members: &[Member]) -> io::Result<()>;

    /// Waits until so many announces are answered; whoever refuses or says nonsense fails.
    fn hear(&mut self, count: usize) -> io::Result<()>;
}

/// What the members of a tracker cost it when they come.
pub(crate) struct Arrival {
    /// By what became resident.
    pub(crate) bytes_each: f64,
    /// CPU seconds in user and system mode.
    pub(crate) cpu: [f64; 2],
    /// Resident memory in KiB: when all are there, and the most there was.
    pub(crate) rss: [u64; 2],
}

impl Member {
    /// The member with this number. Those behind one address differ by their ports.
    pub(crate) fn with(number: u32, known: bool) -> Member {
        Member {
            swarm: number % SWARMS,
            port: 1 + u16::try_from(number / SWARMS / KEPT).unwrap(),
            complete: number.is_multiple_of(MEMBERS_PER_COMPLETE),
            known,
        }
    }
}

impl Speaker for Client {
    fn say(&mut self, members: &[Member]) -> io::Result<()> {
        let event = |member: &Member| if member.known { Event::Going } else { Event::Started };
        let words =
            members.iter().map(|member| announce(member.swarm, member.port, member.complete, event(member)));
        self.send(&words.collect::<Vec<_>>().concat())
    }

    fn hear(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            match self.reply()? {
                Reply::Roster(_) => {}
                other => return Err(io::Error::other(format!("no roster: {other:?}"))),
            }
        }
        Ok(())
    }
}

/// Which speaker speaks for this member: each has some of every swarm.
fn of(number: u32) -> u32 {
    number / SWARMS % KEPT
}

/// A process and those who speak to it.
pub(crate) struct Crowd<S> {
    process: u32,
    connect: Box<dyn Fn(u32) -> io::Result<S>>,
}

impl<S: Speaker> Crowd<S> {
    pub(crate) fn new(process: u32, connect: impl Fn(u32) -> io::Result<S> + 'static) -> Crowd<S> {
        Crowd { process, connect: Box::new(connect) }
    }

    /// Announces all members once, one after the other.
    pub(crate) fn arrive(&self, members: u32) -> Arrival {
        let mut speakers = self.speakers(members);
        let ([before, _], meter) = (rss(self.process), Meter::start(self.process));
        // The speakers take turns, so that no tracker waits long for any of them; and so do the swarms, because members
        // of one swarm that came one after the other would lie side by side in memory.
        for turn in 0..SWARMS {
            for first in (0..members).step_by(SWARMS as usize) {
                let number = first + (turn + first / SWARMS * 37) % SWARMS;
                ask(&mut speakers[of(number) as usize], Member::with(number, false));
            }
        }
        let (cpu, rss) = (meter.seconds(), rss(self.process));
        Arrival { bytes_each: (rss[0] as f64 - before as f64) * 1024.0 / f64::from(members), cpu, rss }
    }

    /// Members renew their leases: so many announces in one piece from each speaker, and the next ones when these are
    /// answered. Returns answers a second of the CPU time of the process.
    ///
    /// Each time with new connections: the turns of others may last longer than a tracker waits.
    pub(crate) fn renew(&self, members: u32, span: Duration, (at_a_time, seed): (usize, u64)) -> f64 {
        let (mut rng, mut speakers) = (fastrand::Rng::with_seed(seed), self.speakers(members));
        let together = TOGETHER.min(speakers.len());
        let (meter, start, mut answered) = (Meter::start(self.process), Instant::now(), 0);
        let mut waiting = VecDeque::new();
        // In turn, so that none is asked again before it was heard.
        for at in (0..busy(members)).cycle() {
            if waiting.len() == together {
                let first: u32 = waiting.pop_front().expect("somebody waits");
                speakers[first as usize].hear(at_a_time).unwrap();
                answered += at_a_time;
            }
            if start.elapsed() >= span {
                break;
            }
            let words = (0..at_a_time).map(|_| Member::with(rng.u32(0..SWARMS) + SWARMS * at, true));
            speakers[at as usize].say(&words.collect::<Vec<_>>()).unwrap();
            waiting.push_back(at);
        }
        for at in waiting {
            speakers[at as usize].hear(at_a_time).unwrap();
            answered += at_a_time;
        }
        answered as f64 / meter.seconds().iter().sum::<f64>()
    }

    /// Speakers for these members, each of which was heard once.
    fn speakers(&self, members: u32) -> Vec<S> {
        let mut speakers: Vec<S> = (0..busy(members)).map(|number| (self.connect)(number).unwrap()).collect();
        let stranger = Member { swarm: SWARMS, port: 1, complete: false, known: false };
        speakers.iter_mut().for_each(|speaker| ask(speaker, stranger));
        speakers
    }
}

/// How many speakers speak for these members.
fn busy(members: u32) -> u32 {
    members.div_ceil(SWARMS).min(KEPT)
}

/// One announce, and its answer.
fn ask<S: Speaker>(speaker: &mut S, member: Member) {
    speaker.say(&[member]).unwrap();
    speaker.hear(1).unwrap();
}

/// Each announce comes over a connection of its own, as members do it; as many at the same moment as in
/// [`renew`](Crowd::renew).
pub(crate) fn renew_afresh<S: Speaker>(
    process: u32,
    connect: impl Fn(u32) -> S,
    members: u32,
    span: Duration,
    seed: u64,
) -> f64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (meter, start, mut answered) = (Meter::start(process), Instant::now(), 0u32);
    let mut waiting = VecDeque::new();
    let hear = |mut speaker: S| speaker.hear(1).unwrap();
    while start.elapsed() < span {
        if waiting.len() == TOGETHER {
            hear(waiting.pop_front().expect("it is as long as TOGETHER"));
            answered += 1;
        }
        let number = rng.u32(0..members);
        let mut speaker = connect(of(number));
        speaker.say(&[Member::with(number, true)]).unwrap();
        waiting.push_back(speaker);
    }
    answered += u32::try_from(waiting.len()).unwrap();
    waiting.into_iter().for_each(hear);
    f64::from(answered) / meter.seconds().iter().sum::<f64>()
}
