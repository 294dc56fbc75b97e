//! Which parts to ask of a link next.
//!
//! The picker tracks, for one composition:
//!
//! 1. which parts are held, which are open (missing and asked of nobody), which are asked and of how many
//!    links; a part that is none of these has not been looked at on disk yet;
//! 2. how many links hold each part without being complete (complete links hold all parts alike, so they
//!    never make one rarer than another).
//!
//! Open parts are kept in one set for each availability, so the rarest part that a link holds is found by
//! intersecting bits, a bounded number of them: no work per part grows with the number of parts or links.
//!
//! Rarest first; ties go on from where the member was, so that it reads and asks in runs; where that is not
//! possible they are broken at random. Landing at random inside a gap, rather than at its start, keeps
//! members that fetch from the same complete member out of each other's way: the start of a gap is where
//! somebody else is asking right now.
//!
//! The picker does not know links, windows or time.

use std::ops::Range;

use crate::limits::{RUN_BYTES, RUN_PARTS_MAX};
use crate::part::{Layout, PartIndex, Run};
use crate::part_set::{PartSet, STRETCH_PARTS};

/// Parts that more links hold than this are all equally common.
const LEVEL_MAX: usize = 15;
/// How often a random position is drawn again to land on an open part instead of beside one.
const DRAWS: usize = 8;
/// How many stretches of a level are looked through for a part that a link holds, before a level that is less rare
/// has its turn: a whole level of a million parts takes ten times as long as everything else.
const STRETCHES: u32 = 32;
/// With this many parts `STRETCHES` are all that there are: the stretch of the start may be looked at twice.
const SEEN_PARTS: u32 = (STRETCHES - 1) * STRETCH_PARTS;

/// Which of the parts that a link holds may be asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// All that a complete link holds.
    All,
    /// What a complete link holds and no incomplete one does.
    Rare,
    /// All that an incomplete link holds. It counts itself, so nobody looks among the parts that none holds.
    Counted,
}

/// The state of every part of a composition, as far as asking for it goes.
#[derive(Debug)]
pub struct Picker {
    layout: Layout,
    held: PartSet,
    /// Invariant: the parts that are neither held nor asked but known to be missing, in the set of their
    /// level: the number of incomplete links that hold them, at most [`LEVEL_MAX`].
    open: Vec<PartSet>,
    /// Invariant: how many incomplete links hold each part.
    availability: Vec<u8>,
    /// Invariant: of how many links each part is asked.
    asked: Vec<u8>,
    asked_parts: u32,
    /// Where this member goes on asking.
    cursor: Option<PartIndex>,
    run_parts: u32,
    rng: fastrand::Rng,
}

impl Picker {
    /// A picker that knows nothing of what is on disk yet.
    #[must_use]
    pub fn new(layout: Layout, seed: u64) -> Picker {
        let parts = layout.parts() as usize;
        let run_parts = u32::try_from(RUN_BYTES / u64::from(layout.part_len())).unwrap_or(u32::MAX);
        let run_parts = run_parts.min(RUN_PARTS_MAX);
        Picker {
            layout,
            held: PartSet::empty(layout),
            open: vec![PartSet::empty(layout)],
            availability: vec![0; parts],
            asked: vec![0; parts],
            asked_parts: 0,
            cursor: None,
            run_parts: run_parts.max(1),
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The parts that are held.
    #[must_use]
    pub const fn held(&self) -> &PartSet {
        &self.held
    }

    /// The number of parts that are missing and asked of nobody.
    #[must_use]
    pub fn open_count(&self) -> u32 {
        self.open.iter().map(PartSet::count).sum()
    }

    /// Whether the part is missing and asked of nobody.
    #[must_use]
    pub fn is_open(&self, part: PartIndex) -> bool {
        self.open.get(self.level(part)).is_some_and(|open| open.contains(part))
    }

    /// The number of parts that are missing and asked of somebody.
    #[must_use]
    pub const fn asked_count(&self) -> u32 {
        self.asked_parts
    }

    /// The number of open parts that an incomplete link holds.
    #[must_use]
    pub fn open_counted(&self) -> u32 {
        self.open.iter().skip(1).map(PartSet::count).sum()
    }

    /// The first open part that no incomplete link holds, and how many such parts there are. Complete links do
    /// not count here: whoever asks knows whether there are any.
    #[must_use]
    pub fn unavailable(&self) -> Option<(PartIndex, u32)> {
        let none_holds = &self.open[0];
        none_holds.iter().next().map(|part| (part, none_holds.count()))
    }

    /// The held parts that at least so many incomplete links hold as well.
    pub fn held_by(&self, links: usize) -> impl Iterator<Item = PartIndex> {
        self.held.iter().filter(move |part| usize::from(self.availability[part.at()]) >= links)
    }

    /// The part was looked at: it is not on disk.
    pub fn on_missing(&mut self, part: PartIndex) {
        if !self.held.contains(part) && self.asked[part.at()] == 0 {
            self.open(part);
        }
    }

    /// The part is on disk and verified; says whether that is new.
    pub fn on_held(&mut self, part: PartIndex) -> bool {
        if self.held.insert(part) {
            self.close(part);
            true
        } else {
            false
        }
    }

    /// An incomplete link turned out to hold this part.
    pub fn on_have(&mut self, part: PartIndex) {
        self.set_availability(part, self.availability[part.at()].saturating_add(1));
    }

    /// An incomplete link that held this part is gone, or became complete.
    pub fn on_lost(&mut self, part: PartIndex) {
        self.set_availability(part, self.availability[part.at()].saturating_sub(1));
    }

    /// The parts to ask next of a link that holds `theirs`: at most about [`RUN_BYTES`], at least one part.
    /// They count as asked once more from here on.
    pub fn pick(&mut self, theirs: &PartSet, among: Among) -> Option<Run> {
        let levels = match among {
            Among::All => 0..self.open.len(),
            Among::Rare => 0..1,
            Among::Counted => 1..self.open.len(),
        };
        let near = levels.clone().find_map(|level| Some((level, self.find(level, theirs)?)));
        let (level, part) = near.or_else(|| self.search(levels, theirs))?;
        let run = self.run_around(level, part, theirs);
        for part in run.parts() {
            self.ask(part);
        }
        self.cursor = self.layout.part(run.last().get() + 1);
        Some(run)
    }

    /// In the end phase: these parts are asked of one more link.
    pub fn ask_again(&mut self, run: Run) {
        for part in run.parts() {
            self.ask(part);
        }
    }

    /// One link that was asked for these parts will not bring them (any more).
    pub fn on_returned(&mut self, run: Run) {
        for part in run.parts() {
            let asked = &mut self.asked[part.at()];
            if *asked > 0 {
                *asked -= 1;
                if *asked == 0 {
                    self.asked_parts -= 1;
                    self.on_missing(part);
                }
            }
        }
    }

    /// How many incomplete links hold the part.
    #[must_use]
    pub fn availability(&self, part: PartIndex) -> u8 {
        self.availability[part.at()]
    }

    /// Of how many links the part is asked.
    #[must_use]
    pub fn asked_of(&self, part: PartIndex) -> u8 {
        self.asked[part.at()]
    }

    /// The part of this level to begin with: where the member goes on, else at random. Where the link holds hardly
    /// any of a level, it may not be found, and a part that is less rare comes first.
    fn find(&mut self, level: usize, theirs: &PartSet) -> Option<PartIndex> {
        let open = &self.open[level];
        if open.is_empty() {
            return None;
        }
        if let Some(cursor) = self.cursor
            && open.contains(cursor)
            && theirs.contains(cursor)
        {
            return Some(cursor);
        }
        let mut start = None;
        for _ in 0..DRAWS {
            start = self.layout.part(self.rng.u32(0..self.layout.parts()));
            if start.is_some_and(|part| open.contains(part) && theirs.contains(part)) {
                return start;
            }
        }
        open.common_near(theirs, start?, STRETCHES)
    }

    /// The rarest part of these levels, wherever it is.
    fn search(&mut self, mut levels: Range<usize>, theirs: &PartSet) -> Option<(usize, PartIndex)> {
        if self.layout.parts() <= SEEN_PARTS {
            return None;
        }
        let start = self.layout.part(self.rng.u32(0..self.layout.parts()))?;
        levels.find_map(|level| Some((level, self.open[level].common_from(theirs, start)?)))
    }

    /// The longest run of open parts of this level around `part` that stays between two multiples of the
    /// run length, so that runs of different members meet without leaving splinters.
    fn run_around(&self, level: usize, part: PartIndex, theirs: &PartSet) -> Run {
        let fits = |index: u32| {
            self.layout
                .part(index)
                .is_some_and(|part| self.open[level].contains(part) && theirs.contains(part))
        };
        let begin = part.get() / self.run_parts * self.run_parts;
        let end = begin.saturating_add(self.run_parts);
        let mut first = part.get();
        while first > begin && fits(first - 1) {
            first -= 1;
        }
        let mut after = part.get() + 1;
        while after < end && fits(after) {
            after += 1;
        }
        self.layout.run(first, after - first).expect("every part of the run exists")
    }

    fn ask(&mut self, part: PartIndex) {
        self.close(part);
        let asked = &mut self.asked[part.at()];
        if *asked == 0 {
            self.asked_parts += 1;
        }
        *asked = asked.saturating_add(1);
    }

    fn set_availability(&mut self, part: PartIndex, links: u8) {
        let before = self.level(part);
        self.availability[part.at()] = links;
        // Beyond the last level nothing moves.
        if self.level(part) != before && self.open.get_mut(before).is_some_and(|open| open.remove(part)) {
            self.open(part);
        }
    }

    fn level(&self, part: PartIndex) -> usize {
        usize::from(self.availability[part.at()]).min(LEVEL_MAX)
    }

    fn open(&mut self, part: PartIndex) {
        let level = self.level(part);
        while self.open.len() <= level {
            self.open.push(PartSet::empty(self.layout));
        }
        self.open[level].insert(part);
    }

    /// Takes the part out of the open ones; says whether it was among them.
    fn close(&mut self, part: PartIndex) -> bool {
        let level = self.level(part);
        self.open.get_mut(level).is_some_and(|open| open.remove(part))
    }

    /// Recounts what can be recounted.
    ///
    /// `asked` are the runs in flight on all links, `theirs` the sets of all incomplete links.
    ///
    /// # Panics
    /// An invariant is broken, which is a bug.
    pub fn check_invariants<'a>(
        &self,
        asked: impl Iterator<Item = Run>,
        theirs: impl Iterator<Item = &'a PartSet>,
    ) {
        let parts = self.layout.parts() as usize;
        let (mut asked_of, mut holders) = (vec![0_u8; parts], vec![0_u8; parts]);
        for part in asked.flat_map(Run::parts) {
            asked_of[part.at()] += 1;
        }
        for part in theirs.flat_map(PartSet::iter) {
            holders[part.at()] += 1;
        }
        assert_eq!(asked_of, self.asked, "a part is asked of as many links as have it in flight");
        assert_eq!(holders, self.availability, "availability is the number of incomplete links that hold it");
        let asked_parts = asked_of.iter().filter(|&&count| count > 0).count();
        assert_eq!(asked_parts, self.asked_parts as usize, "parts asked are counted once");
        for part in self.layout.all() {
            let open_at: Vec<usize> =
                (0..self.open.len()).filter(|&level| self.open[level].contains(part)).collect();
            if !open_at.is_empty() {
                assert_eq!(open_at, [self.level(part)], "part {part} is open at its level and nowhere else");
                assert!(!self.held.contains(part), "part {part} is open although it is held");
                assert_eq!(self.asked[part.at()], 0, "part {part} is open although it is asked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MIB;
    use proptest::prelude::*;

    /// A world drawn as strings, one letter a part. `ours`: `#` held, `.` missing, `?` not looked at,
    /// `a` asked of a link. Each of `links`: `#` held. Complete links do not count as availability.
    struct World {
        picker: Picker,
        links: Vec<PartSet>,
    }

    fn draw(ours: &str, links: &[&str], part_len: u64) -> World {
        let layout = Layout::new(ours.len() as u64 * part_len, part_len).unwrap();
        let mut picker = Picker::new(layout, 7);
        for (part, letter) in layout.all().zip(ours.chars()) {
            match letter {
                '#' => drop(picker.on_held(part)),
                '.' => picker.on_missing(part),
                'a' => {
                    picker.on_missing(part);
                    picker.ask_again(Run::one(part));
                }
                _ => {}
            }
        }
        let links: Vec<PartSet> = links
            .iter()
            .map(|drawn| {
                let mut set = PartSet::empty(layout);
                for (part, letter) in layout.all().zip(drawn.chars()) {
                    if letter == '#' {
                        set.insert(part);
                    }
                }
                if !set.is_full() {
                    set.iter().for_each(|part| picker.on_have(part));
                }
                set
            })
            .collect();
        World { picker, links }
    }

    /// Everything that link `link` is asked for until nothing is left for it, as runs in the order of asking.
    fn asked(world: &mut World, link: usize, among: Among) -> Vec<String> {
        std::iter::from_fn(|| world.picker.pick(&world.links[link], among))
            .map(|run| run.to_string())
            .collect()
    }

    /// Parts of 1 MiB, so that each is a run of its own.
    const ALONE: u64 = MIB as u64;

    #[test]
    fn rarest_parts_come_first() {
        let mut world = draw("......", &["######", "####..", "##..#.", "##...."], ALONE);
        let order = asked(&mut world, 0, Among::All);
        assert_eq!(order.len(), 6);
        assert_eq!(order[0], "6", "held by no incomplete link");
        let mut singles = order[1..4].to_vec();
        singles.sort();
        assert_eq!(singles, ["3", "4", "5"], "held by one incomplete link");
        let mut common = order[4..].to_vec();
        common.sort();
        assert_eq!(common, ["1", "2"]);
    }

    #[test]
    fn only_rare_leaves_the_rest_to_others() {
        let mut world = draw("......", &["######", "####.."], ALONE);
        let mut order = asked(&mut world, 0, Among::Rare);
        order.sort();
        assert_eq!(order, ["5", "6"]);
    }

    #[test]
    fn held_asked_and_unseen_parts_are_left_alone() {
        let mut world = draw("#.a?..", &["######"], ALONE);
        let mut order = asked(&mut world, 0, Among::All);
        order.sort();
        assert_eq!(order, ["2", "5", "6"]);
    }

    #[test]
    fn a_link_is_asked_only_for_what_it_holds() {
        let mut world = draw("......", &[".#..#."], ALONE);
        let mut order = asked(&mut world, 0, Among::Counted);
        order.sort();
        assert_eq!(order, ["2", "5"]);
    }

    #[test]
    fn the_one_part_among_a_million_is_found() {
        // The link holds the even parts, which are held, and of the odd ones, which others hold, a single one.
        let layout = Layout::new(1 << 20, 1).unwrap();
        let single = layout.part(777_777).unwrap();
        for seed in 0..3 {
            let mut picker = Picker::new(layout, seed);
            let mut link = PartSet::empty(layout);
            for part in layout.all() {
                picker.on_have(part);
                if part.get() % 2 == 0 {
                    link.insert(part);
                    picker.on_held(part);
                } else {
                    picker.on_missing(part);
                }
            }
            link.insert(single);
            assert_eq!(picker.pick(&link, Among::Counted), Some(Run::one(single)));
            assert_eq!(picker.pick(&link, Among::Counted), None);
        }
    }

    #[test]
    fn small_parts_are_asked_in_aligned_runs() {
        // Four parts of 256 KiB make one run; the sixth part is held, so its run has two sides.
        let mut world = draw(".....#......", &["############"], ALONE / 4);
        let mut order = asked(&mut world, 0, Among::All);
        order.sort();
        assert_eq!(order, ["1-4", "5", "7-8", "9-12"]);
    }

    #[test]
    fn asking_goes_on_where_it_was() {
        let drawn = "#".repeat(100);
        let mut world = draw(&".".repeat(100), &[&drawn], ALONE);
        let mut jumps = 0;
        let mut last = None;
        while let Some(run) = world.picker.pick(&world.links[0], Among::All) {
            jumps += usize::from(last != Some(run.first().get().wrapping_sub(1)));
            last = Some(run.last().get());
        }
        assert!(jumps < 15, "{jumps} jumps over 100 parts");
    }

    #[test]
    fn a_returned_part_is_open_again_once_nobody_is_asked() {
        let mut world = draw("a", &["#"], ALONE);
        let run = world.picker.layout.whole().unwrap();
        world.picker.ask_again(run);
        world.picker.on_returned(run);
        assert_eq!(world.picker.open_count(), 0, "still asked of one");
        world.picker.on_returned(run);
        assert_eq!(world.picker.open_count(), 1);
        world.picker.on_returned(run);
        assert_eq!(world.picker.open_count(), 1, "one return too many changes nothing");
    }

    #[test]
    fn first_parts_differ_between_seeds() {
        let layout = Layout::new(1000 * ALONE, ALONE).unwrap();
        let full = PartSet::full(layout);
        let firsts: std::collections::BTreeSet<u32> = (0..20)
            .filter_map(|seed| {
                let mut picker = Picker::new(layout, seed);
                layout.all().for_each(|part| picker.on_missing(part));
                picker.pick(&full, Among::All).map(|run| run.first().get())
            })
            .collect();
        assert!(firsts.len() > 15);
    }

    proptest! {
        /// Random events against the recount, and everything gets asked in the end.
        #[test]
        fn invariants_hold_under_any_events(
            parts in 1u32..80, part_len in prop::sample::select(vec![1 << 18, 1 << 20, 300_000]),
            events in prop::collection::vec((0u8..6, any::<u32>()), 0..150), seed in any::<u64>(),
        ) {
            let layout = Layout::new(u64::from(parts) * part_len, part_len).unwrap();
            let mut picker = Picker::new(layout, seed);
            let full = PartSet::full(layout);
            let mut link = PartSet::empty(layout);
            let mut in_flight: Vec<Run> = Vec::new();
            for (kind, number) in events {
                let part = layout.part(number % parts).unwrap();
                match kind {
                    0 => picker.on_missing(part),
                    1 => drop(picker.on_held(part)),
                    2 => if link.insert(part) { picker.on_have(part) },
                    3 => if link.remove(part) { picker.on_lost(part) },
                    4 => in_flight.extend(match number % 3 {
                        0 => picker.pick(&full, Among::All),
                        1 => picker.pick(&full, Among::Rare),
                        _ => picker.pick(&link, Among::Counted),
                    }),
                    _ => if let Some(run) = in_flight.pop() { picker.on_returned(run) },
                }
                picker.check_invariants(in_flight.iter().copied(), std::iter::once(&link));
            }
            layout.all().for_each(|part| picker.on_missing(part));
            while let Some(run) = picker.pick(&full, Among::All) {
                in_flight.push(run);
            }
            picker.check_invariants(in_flight.iter().copied(), std::iter::once(&link));
            prop_assert_eq!(picker.open_count(), 0);
        }
    }
}
