//! One end of a connection: what its reader and its writer know.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::limits::{HAVE_RUNS_MAX, LINK_QUEUE};
use crate::logic::asked::Asked;
use crate::logic::pace::Pace;
use crate::logic::serving::{Outgoing, Serving};
use crate::logic::session::{Owed, Session, full_set_of};
use crate::logic::swarm::Flow;
use crate::logic::turns::InVain;
use crate::part::{Layout, PartIndex, Run};
use crate::part_set::PartSet;
use crate::time::Moment;
use crate::wire::member::{Decoder, Denial, Have, Hello, Message, Span};

/// Consecutive parts on their way into one buffer.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) run: Run,
    pub(super) len: u64,
    pub(super) filled: u64,
    pub(super) wrong: Vec<PartIndex>,
    pub(super) pace: Pace,
}

/// Parts on their way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) run: Run,
    pub(super) part: PartIndex,
    pub(super) offset: u32,
}

/// What an onlooker knows of a part that was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    pub(super) cancelled: bool,
    pub(super) comes: bool,
}

/// What was asked over a link, as an onlooker counts it.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// The parts that are asked and not answered.
    pub(super) asked: BTreeMap<PartIndex, Watched>,
    /// What the far end said that it holds.
    pub(super) claimed: Option<PartSet>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    /// The member at the far end.
    pub(super) far: usize,
    pub(super) remote: SocketAddr,
    pub(super) dialled: Option<SocketAddr>,
    pub(super) session: Session,
    pub(super) decoder: Decoder,
    /// The far end's tag, from its hello on.
    pub(super) tag: Option<u32>,
    /// Until the far end has said hello and what it holds, it has time until then.
    pub(super) deadline: Option<Moment>,
    pub(super) coming: Option<Run>,
    pub(super) landing: Option<Landing>,
    /// The reader waits for a part buffer.
    pub(super) starving: bool,
    pub(super) closing: bool,
    pub(super) blamed: bool,
    pub(super) flow: Flow,
    pub(super) asked: Asked,
    pub(super) mirror: Mirror,
    /// The connection is made: the writer may speak.
    pub(super) open: bool,
    introduced: bool,
    said_bye: bool,
    orders: VecDeque<Outgoing>,
    pub(super) serving: Serving,
    /// Heads that were taken off `serving` and are to be sent.
    heads: VecDeque<Run>,
    pub(super) sending: Option<Sending>,
    pub(super) owed: Owed,
    told: usize,
    pub(super) poked: bool,
    /// What was taken back since the last look, and will not be sent.
    pub(super) withdrawn: Vec<Run>,
}

/// What the writer needs to know of its member.
pub(super) struct Desk<'m> {
    pub(super) layout: Layout,
    pub(super) hello: Hello,
    pub(super) held: &'m PartSet,
    pub(super) ledger: &'m [PartIndex],
    /// It says that it holds everything, whatever it holds.
    pub(super) boasts: bool,
}

impl Link {
    pub(super) fn new(
        layout: Layout,
        far: usize,
        remote: SocketAddr,
        dialled: Option<SocketAddr>,
        deadline: Moment,
    ) -> Link {
        Link {
            far,
            remote,
            dialled,
            session: Session::new(layout),
            decoder: Decoder::default(),
            tag: None,
            deadline: Some(deadline),
            coming: None,
            landing: None,
            starving: false,
            closing: false,
            blamed: false,
            flow: Flow::default(),
            asked: Asked::new(layout),
            mirror: Mirror::default(),
            open: false,
            introduced: false,
            said_bye: false,
            orders: VecDeque::new(),
            serving: Serving::new(),
            heads: VecDeque::new(),
            sending: None,
            owed: Owed::default(),
            told: 0,
            poked: false,
            withdrawn: Vec::new(),
        }
    }

    /// Takes an order for the writer; false if there are too many.
    #[must_use]
    pub(super) fn order(&mut self, order: Outgoing) -> bool {
        let fits = self.orders.len() < LINK_QUEUE;
        if fits {
            self.orders.push_back(order);
        }
        fits
    }

    /// Whether there are parts to send.
    pub(super) fn has_bulk(&self) -> bool {
        !self.said_bye && (self.sending.is_some() || !self.heads.is_empty() || !self.serving.is_empty())
    }

    /// The part that is sent next.
    pub(super) fn next_part(&self) -> Option<PartIndex> {
        self.heads.front().copied().or_else(|| self.serving.first()).map(Run::first)
    }

    /// What it waits for in vain is not owed any more; returns that.
    pub(super) fn disown(&mut self, layout: Layout, in_vain: InVain) -> Vec<Run> {
        let before = self.serving.runs();
        let owed: Vec<Run> = match in_vain {
            InVain::Part => {
                self.heads.pop_front().or_else(|| self.serving.take_first()).into_iter().collect()
            }
            InVain::Everything => self.heads.drain(..).chain(self.serving.take()).collect(),
        };
        // What the writer has not taken up yet stays owed.
        self.owed.runs -= u32::try_from(before - self.serving.runs()).expect("what is owed is bounded");
        self.owed.bytes -= owed.iter().map(|&run| layout.bytes_of(run)).sum::<u64>();
        owed
    }

    /// The words that are due; none may stand between the bytes of parts that were announced together.
    /// Says whether they were the last.
    pub(super) fn words(&mut self, desk: &Desk<'_>) -> (Vec<u8>, bool) {
        let mut words = Vec::new();
        if !self.open || self.said_bye {
            return (words, false);
        }
        if !self.introduced {
            self.introduced = true;
            Message::Hello(desk.hello).append_to(&mut words);
            let have = if desk.boasts { Have::All } else { full_set_of(desk.held) };
            self.told = desk.ledger.len();
            Message::Have(have).append_to(&mut words);
        }
        while self.sending.is_none()
            && !self.said_bye
            && let Some(order) = self.orders.pop_front()
        {
            self.obey(order, desk, &mut words);
        }
        (words, self.said_bye)
    }

    fn obey(&mut self, order: Outgoing, desk: &Desk<'_>, words: &mut Vec<u8>) {
        match order {
            Outgoing::Want(run) => {
                self.asked.ask(run);
                Message::Want(run.into()).append_to(words);
            }
            Outgoing::Cancel(run) => Message::Cancel(run.into()).append_to(words),
            Outgoing::Serve(run) => self.serving.push(run),
            Outgoing::Refuse(run, denial) => Message::Refuse(run.into(), denial).append_to(words),
            Outgoing::Withdraw(run) => {
                let before = self.serving.runs();
                let withdrawn = self.serving.withdraw(run);
                let runs =
                    usize::try_from(self.owed.runs).expect("32 bits fit") + self.serving.runs() - before;
                self.owed.runs = u32::try_from(runs).expect("what is owed is bounded");
                let lost = self.serving.iter().any(|owed| owed.intersect(run).is_some());
                assert!(!lost, "{run} was withdrawn and would be sent");
                self.withdrawn.extend(&withdrawn);
                for run in withdrawn {
                    self.owed.bytes -= desk.layout.bytes_of(run);
                    Message::Refuse(run.into(), Denial::Cancelled).append_to(words);
                }
            }
            // Here the uplink asks whose turn it is.
            Outgoing::Turn | Outgoing::Elsewhere => {}
            Outgoing::Publish => self.publish(desk, words),
            Outgoing::Gossip(addresses) => Message::Roster(addresses).append_to(words),
            Outgoing::Close(reason) => {
                Message::Bye(reason).append_to(words);
                self.said_bye = true;
            }
        }
    }

    fn publish(&mut self, desk: &Desk<'_>, words: &mut Vec<u8>) {
        self.poked = false;
        loop {
            let news = desk.ledger.iter().skip(self.told).copied();
            let (runs, taken) = Run::gather(news, HAVE_RUNS_MAX);
            if runs.is_empty() {
                return;
            }
            self.told += taken;
            if !desk.boasts {
                let spans = runs.into_iter().map(Span::from).collect();
                Message::Have(Have::Runs(spans)).append_to(words);
            }
        }
    }

    /// The next parts that are sent together, with the words before them. Parts that are not held are refused.
    pub(super) fn begin(&mut self, desk: &Desk<'_>, words: &mut Vec<u8>) -> Option<Run> {
        while self.heads.is_empty() {
            let before = self.serving.runs();
            let head = self.serving.next(desk.layout)?;
            if self.serving.runs() < before {
                self.owed.runs -= 1;
            }
            let held: Vec<bool> = head.parts().map(|part| desk.held.contains(part)).collect();
            for (run, held) in head.cut_by(&held) {
                if held {
                    self.heads.push_back(run);
                } else {
                    self.owed.bytes -= desk.layout.bytes_of(run);
                    Message::Refuse(run.into(), Denial::NotHeld).append_to(words);
                }
            }
        }
        let run = self.heads.pop_front()?;
        Message::Parts(run.into()).append_to(words);
        self.sending = Some(Sending { run, part: run.first(), offset: 0 });
        Some(run)
    }

    /// Goes on by so many bytes; says whether they end their part.
    pub(super) fn sent(&mut self, layout: Layout, bytes: u32) -> bool {
        let Some(sending) = &mut self.sending else { return false };
        sending.offset += bytes;
        self.flow.sent += u64::from(bytes);
        if sending.offset < layout.len_of(sending.part) {
            return false;
        }
        self.owed.bytes -= u64::from(sending.offset);
        if sending.part == sending.run.last() {
            self.sending = None;
        } else if let Some(next) = layout.part(sending.part.get() + 1) {
            *sending = Sending { part: next, offset: 0, ..*sending };
        }
        true
    }
}
