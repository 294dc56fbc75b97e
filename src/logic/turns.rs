//! Whose turn it is to be sent parts.
//!
//! A part can be shared on only when it is whole. Whoever sends to fifty members at once has given none of them
//! a whole part by the time in which fifty could have had one each, and shared it on. So a few have a turn at a
//! time, each for one run of parts, and the others stand in line. Next is who waits for the part that the fewest
//! hold, by powers of two, so that new parts spread first; among those, for the part that we sent least often; among
//! those, whose last turn is longest ago.
//!
//! How many have a turn is found by trying, because nobody can see whether our uplink or theirs is what
//! narrows: with [`TURNS_MIN`] members behind slow lines most of a fast uplink would lie idle. From time to time
//! half as many more have one, or a third less; that stays so if clearly more is sent, or hardly less.
//!
//! The first turns of all go one after another, for where nobody has anything yet a whole part should be somewhere soon:
//! each [`TURNS_RAMP`] turns later one more goes on at a time.
//! Later that would leave uplinks idle, as of many who send some always send to the same one.
//!
//! Whoever hardly reads does not keep the others waiting: once a turn is seen to get on that slowly it goes on aside, and
//! takes no place from anybody. Only a few do: on a narrow uplink all turns get on slowly, and the more there are, the more
//! so.
//!
//! Nobody stands in line for long for what others hold as well: who asks cannot see how long the lines are, and asks the first
//! that says it holds a part. Of those who wait for it as many stay as each holder would have if all of them were asked alike;
//! the others are sent elsewhere. So the few who hold something new serve that, and what many hold comes from who is idle.
//!
//! It knows neither bytes on their way nor who asked for what else.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::{
    LINKS_MAX, TURN_LONG, TURN_PATIENCE, TURN_RATE_MIN, TURN_RATE_SLOW, TURN_SPAN, TURNS_ASIDE_MAX,
    TURNS_MEASURE, TURNS_MEASURE_BYTES, TURNS_MIN, TURNS_RAMP, TURNS_TRY_MAX, TURNS_TRY_MIN,
};
use crate::part::{Layout, PartIndex};
use crate::time::Moment;

/// The line, and those who are before it.
#[derive(Debug)]
pub struct Turns<K> {
    /// How many have a turn at a time, beside the few that go on aside.
    most: usize,
    having: Vec<Having<K>>,
    line: Vec<Waiting<K>>,
    /// The number of the last turn that each had.
    last: BTreeMap<K, u64>,
    number: u64,
    /// How often each part was sent; [`u8::MAX`] is as often as any.
    sends: Vec<u8>,
    trial: Trial,
    /// The most bytes per second of late, as far as that was seen.
    capacity: u64,
    /// How many bytes per second may be sent at most.
    limit: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Having<K> {
    who: K,
    /// It hardly gets on.
    is_slow: bool,
    /// When it was first looked at.
    since: Option<Moment>,
    /// It has gone on for [`TURN_LONG`] since.
    is_long: bool,
    /// When it was last looked at, and how many bytes had been sent on its link by then.
    seen: Option<(Moment, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting<K> {
    who: K,
    part: PartIndex,
    since: Moment,
    /// So many others held the part when that was last looked at.
    holders: usize,
    /// It should ask elsewhere.
    is_surplus: bool,
}

/// What is known of a part that somebody waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// So many others hold it, as far as they said.
    pub holders: usize,
    /// How many of those who lack it should wait for it here, if there is such a bound.
    pub rooms: Option<usize>,
}

/// What somebody stands in line for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InVain {
    /// Others can send as well what it waits for; what else it wants may be here alone.
    Part,
    /// It has waited for too long.
    Everything,
}

/// What is tried, and what was seen.
#[derive(Debug)]
struct Trial {
    /// The measure began then, at so many bytes.
    since: Moment,
    bytes: u64,
    /// Somebody waited all the time since.
    crowded: bool,
    /// What is compared with: so many turns and so many bytes per second.
    before: Option<(usize, u64)>,
    /// The last try was upwards.
    upwards: bool,
    next: Moment,
    pause: Duration,
}

impl<K: Copy + Ord> Turns<K> {
    /// Nobody has a turn; `limit` is how many bytes per second may be sent at most, if that is known.
    #[must_use]
    pub fn new(now: Moment, layout: Layout, limit: Option<u64>) -> Turns<K> {
        Turns {
            most: TURNS_MIN,
            having: Vec::new(),
            line: Vec::new(),
            last: BTreeMap::new(),
            number: 0,
            sends: vec![0; layout.parts() as usize],
            trial: Trial {
                since: now,
                bytes: 0,
                crowded: false,
                before: None,
                upwards: false,
                next: now,
                pause: TURNS_TRY_MIN,
            },
            capacity: 0,
            limit,
        }
    }

    /// Whether somebody waits.
    #[must_use]
    pub const fn are_short(&self) -> bool {
        !self.line.is_empty()
    }

    /// Whether it is its turn, to be sent this part and those that follow it; else it stands in line for this part, whatever
    /// it stood there for.
    #[must_use]
    pub fn take(&mut self, now: Moment, who: K, part: PartIndex) -> bool {
        if self.having.iter().any(|turn| turn.who == who) {
            return true;
        }
        // Until somebody says that it holds the part, those to whom it was sent are the ones who do.
        let holders = usize::from(self.sends[part.at()]);
        if let Some(waiting) = self.line.iter_mut().find(|waiting| waiting.who == who) {
            if waiting.part != part {
                // What it waited for before was withdrawn or refused; it keeps the time from which it waits.
                *waiting = Waiting { part, holders, is_surplus: false, ..*waiting };
            }
            return false;
        }
        if self.has_room() {
            self.begin(who);
            return true;
        }
        self.line.push(Waiting { who, part, since: now, holders, is_surplus: false });
        false
    }

    /// The part went to somebody.
    pub fn sent(&mut self, part: PartIndex) {
        let sends = &mut self.sends[part.at()];
        *sends = sends.saturating_add(1);
    }

    /// Its turn is over, or it does not wait for one any more. Says whose turns begin.
    #[must_use]
    pub fn end(&mut self, who: K) -> Vec<K> {
        self.line.retain(|waiting| waiting.who != who);
        self.having.retain(|turn| turn.who != who);
        self.begin_next()
    }

    /// It will not come again. Says whose turns begin.
    #[must_use]
    pub fn leave(&mut self, who: K) -> Vec<K> {
        self.last.remove(&who);
        self.end(who)
    }

    /// Looks who else holds what is waited for, and finds those who wait for a part beyond the rooms for it: the ones who
    /// would be the last of them. Says whose turn it will not be, each once: they should ask elsewhere, see
    /// [`Turns::give_up`].
    #[must_use]
    pub fn surplus(&mut self, supply: impl Fn(PartIndex) -> Supply) -> Vec<K> {
        let last = &self.last;
        // Among those who wait for the same part this is the order in which they are served.
        self.line.sort_by_key(|waiting| last.get(&waiting.who).copied());
        let mut stay = BTreeMap::new();
        let mut surplus = Vec::new();
        for waiting in &mut self.line {
            let Supply { holders, rooms } = supply(waiting.part);
            waiting.holders = holders;
            let Some(rooms) = rooms.filter(|_| !waiting.is_surplus) else { continue };
            let stay: &mut usize = stay.entry(waiting.part).or_default();
            *stay += 1;
            if *stay > rooms {
                waiting.is_surplus = true;
                surplus.push(waiting.who);
            }
        }
        surplus
    }

    /// Whether it waits in vain, and should ask elsewhere. One of [`Turns::surplus`] keeps its place for what else it wants:
    /// it is told by [`Turns::take`], or left by [`Turns::end`]. Who has waited for [`TURN_PATIENCE`] is taken out of the
    /// line: who hears nothing for much longer would think that we are gone.
    #[must_use]
    pub fn give_up(&mut self, now: Moment, who: K) -> Option<InVain> {
        let at = self.line.iter().position(|waiting| waiting.who == who)?;
        let waiting = &mut self.line[at];
        if now.since(waiting.since) >= TURN_PATIENCE {
            self.line.remove(at);
            return Some(InVain::Everything);
        }
        std::mem::take(&mut waiting.is_surplus).then_some(InVain::Part)
    }

    /// Measures, and tries how many turns are best; `sent` are the bytes sent so far in all, and `sent_to` those that were
    /// sent on one link. Says whose turns begin.
    #[must_use]
    pub fn adapt(&mut self, now: Moment, sent: u64, sent_to: impl Fn(K) -> u64) -> Vec<K> {
        self.look(now, sent_to);
        let short = self.are_short();
        let trial = &mut self.trial;
        trial.crowded &= short;
        let span = now.since(trial.since);
        let bytes = sent.saturating_sub(trial.bytes);
        if span >= TURNS_MEASURE && bytes >= TURNS_MEASURE_BYTES {
            let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
            let rate = bytes.saturating_mul(1_000_000) / micros;
            let told = std::mem::replace(&mut trial.crowded, short);
            (trial.since, trial.bytes) = (now, sent);
            // An uplink that has become narrower is known soon.
            self.capacity = rate.max(self.capacity / 8 * 7);
            if told {
                self.judge(now, rate);
            }
        }
        self.begin_next()
    }

    /// Looks how the turns get on that have lasted for a while.
    fn look(&mut self, now: Moment, sent_to: impl Fn(K) -> u64) {
        let enough = self.enough();
        for turn in &mut self.having {
            let bytes = sent_to(turn.who);
            turn.is_long = now.since(*turn.since.get_or_insert(now)) >= TURN_LONG;
            let (since, before) = *turn.seen.get_or_insert((now, bytes));
            let span = now.since(since);
            if span >= TURN_SPAN {
                let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                let rate = bytes.saturating_sub(before).saturating_mul(1_000) / millis;
                turn.is_slow = rate < enough;
                turn.seen = Some((now, bytes));
            }
        }
    }

    /// How many bytes per second a turn has to get on by. If little may be sent, a share of it is little too, and nobody is
    /// to blame; but that little was sent says nothing, for those who hardly read see to that.
    fn enough(&self) -> u64 {
        let turns = u64::try_from(self.having.len()).unwrap_or(u64::MAX).max(1);
        let enough = TURN_RATE_SLOW.max(self.capacity / turns / 16);
        self.limit.map_or(enough, |limit| enough.min(limit / turns / 4))
    }

    /// So much was sent while somebody waited all the time: what was tried stays or not, and what is next?
    fn judge(&mut self, now: Moment, rate: u64) {
        let most = self.most;
        let trial = &mut self.trial;
        if let Some((before, then)) = trial.before.take() {
            // Half as many turns more bring half as much more if our uplink is not what narrows.
            let pays = if most > before { rate / 5 >= then / 4 } else { rate / 19 >= then / 20 };
            if !pays {
                self.most = before;
                trial.next = now + trial.pause;
                trial.pause = (trial.pause * 2).min(TURNS_TRY_MAX);
                return;
            }
            trial.pause = TURNS_TRY_MIN;
            // What pays is gone on with.
            trial.upwards = most <= before;
        }
        if now >= trial.next {
            trial.upwards = !trial.upwards || most == TURNS_MIN;
            let more = most + most.div_ceil(2);
            let each = rate / u64::try_from(more).unwrap_or(u64::MAX);
            if trial.upwards && each < TURN_RATE_MIN {
                return;
            }
            trial.before = Some((most, rate));
            let next = if trial.upwards { more } else { most - most / 3 };
            self.most = next.clamp(TURNS_MIN, LINKS_MAX);
        }
    }

    fn begin(&mut self, who: K) {
        self.number += 1;
        self.last.insert(who, self.number);
        self.having.push(Having { who, is_slow: false, since: None, is_long: false, seen: None });
    }

    /// Whether one more can have a turn.
    fn has_room(&self) -> bool {
        let slow = self.having.iter().filter(|turn| turn.is_slow).count();
        // Behind slow lines the first turns are long, and nothing is gained by waiting for them.
        let long = self.having.iter().filter(|turn| turn.is_long).count();
        let ramp = usize::try_from(self.number / TURNS_RAMP).unwrap_or(LINKS_MAX) + 1 + long;
        let most = if ramp < TURNS_MIN { ramp } else { self.most };
        self.having.len() - slow.min(TURNS_ASIDE_MAX) < most
    }

    /// Begins as many turns as there is room for, and says whose they are.
    fn begin_next(&mut self) -> Vec<K> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Who is next, if there is room.
    fn next(&mut self) -> Option<K> {
        if !self.has_room() {
            return None;
        }
        let (sends, last) = (&self.sends, &self.last);
        let rank = |waiting: &Waiting<K>| {
            let rarity = (waiting.holders + 1).ilog2();
            (rarity, sends[waiting.part.at()], last.get(&waiting.who).copied())
        };
        let (at, _) = self.line.iter().enumerate().min_by_key(|(_, waiting)| rank(waiting))?;
        let Waiting { who, .. } = self.line.remove(at);
        self.begin(who);
        Some(who)
    }
}
