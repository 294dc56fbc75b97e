use super::*;
use crate::limits::PIECE_BYTES_U32;
use proptest::prelude::*;

const START: Moment = Moment::from_micros(1_000_000);

fn layout() -> Layout {
    Layout::new(8, 1).unwrap()
}

fn part(index: u32) -> PartIndex {
    layout().part(index).unwrap()
}

/// [`TURNS_MIN`] have a turn, and these wait for these parts.
fn crowded(waiting: &[(usize, u32)]) -> Turns<usize> {
    crowded_within(None, waiting)
}

/// The same with a limit.
fn crowded_within(limit: Option<u64>, waiting: &[(usize, u32)]) -> Turns<usize> {
    let mut turns = Turns::new(START, layout(), limit);
    turns.number = TURNS_RAMP * TURNS_MIN as u64;
    assert!((100..100 + TURNS_MIN).all(|who| turns.take(START, who, part(0))));
    for &(who, index) in waiting {
        assert!(!turns.take(START, who, part(index)));
    }
    turns
}

#[test]
fn what_was_sent_least_often_is_next() {
    let mut turns = crowded(&[(1, 1), (2, 2), (3, 3)]);
    turns.sent(part(1));
    turns.sent(part(1));
    turns.sent(part(2));
    assert_eq!(turns.end(100), [3]);
    assert_eq!(turns.end(101), [2]);
    assert_eq!(turns.end(102), [1]);
    assert!(turns.end(103).is_empty());
}

#[test]
fn what_the_fewest_hold_is_next() {
    let mut turns = crowded(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
    turns.sent(part(3));
    turns.sent(part(4));
    let holders = |asked: PartIndex| [0, 9, 8, 7, 5][asked.at()];
    let supply = |asked| Supply { holders: holders(asked), rooms: None };
    assert!(turns.surplus(supply).is_empty());
    assert_eq!(turns.end(100), [4], "though it was sent, and others were not");
    assert_eq!(
        turns.end(101),
        [1],
        "seven, eight and nine are about as many; it was not sent, and came first"
    );
    assert_eq!(turns.end(102), [2]);
    assert_eq!(turns.end(103), [3]);
}

#[test]
fn the_first_turns_go_one_after_another() {
    let mut turns = Turns::new(START, layout(), None);
    assert!(turns.take(START, 0, part(0)));
    let mut last = 0;
    for who in 1..40 {
        assert!(!turns.take(START, who, part(0)));
    }
    for _ in 2..TURNS_RAMP {
        let next = turns.end(last);
        assert_eq!(next.len(), 1);
        last = next[0];
    }
    assert_eq!(turns.end(last).len(), 2, "now two at a time");
}

#[test]
fn first_turns_that_last_keep_nobody_waiting() {
    let mut turns = Turns::new(START, layout(), None);
    assert!((0..9).filter(|&who| turns.take(START, who, part(0))).eq([0]));
    let looks = (0..8).map(|look| turns.adapt(START + TURN_LONG * look, 0, |_| 0).len());
    assert!(looks.eq([0, 1, 0, 1, 0, 1, 0, 0]), "as many as later, and no more");
}

#[test]
fn whose_last_turn_is_longest_ago_is_next() {
    let mut turns = crowded(&[(1, 1)]);
    assert_eq!(turns.end(100), [1]);
    assert!(turns.end(1).is_empty());
    assert!(turns.take(START, 100, part(1)));
    for who in [1, 101, 5] {
        assert!(!turns.take(START, who, part(1)) || who == 101);
    }
    assert_eq!(turns.end(102), [5], "it had none yet");
    assert_eq!(turns.end(103), [1]);
}

#[test]
fn who_waits_too_long_is_told_to_ask_elsewhere() {
    let mut turns = crowded(&[(1, 1), (2, 2)]);
    assert_eq!(turns.give_up(START, 1), None);
    let later = START + TURN_PATIENCE;
    assert!(!turns.take(later, 1, part(3)), "that it waits for another part makes its time no shorter");
    assert_eq!(turns.give_up(later, 1), Some(InVain::Everything));
    assert_eq!(turns.give_up(later, 1), None, "once");
    assert_eq!(turns.end(100), [2]);
}

#[test]
fn who_can_be_served_by_others_is_told_to_ask_them() {
    let mut turns = crowded(&[(1, 1), (2, 1), (3, 1), (4, 2)]);
    turns.last.insert(1, 7);
    let one_for_part_1 = |asked: PartIndex| Supply { holders: 1, rooms: (asked == part(1)).then_some(1) };
    let none = |_| Supply { holders: 1, rooms: Some(0) };
    assert_eq!(turns.surplus(one_for_part_1), [3, 1], "who had no turn yet stays, and who came first");
    assert!(turns.surplus(one_for_part_1).is_empty(), "each is told once");
    assert_eq!([2, 4].map(|who| turns.give_up(START, who)), [None; 2]);
    assert_eq!([1, 3].map(|who| turns.give_up(START, who)), [Some(InVain::Part); 2]);
    assert_eq!(turns.give_up(START, 3), None, "once");
    assert!(turns.end(3).is_empty());
    assert!(!turns.take(START, 1, part(3)), "it waits for something else");
    assert!(turns.surplus(one_for_part_1).is_empty(), "for which it may");
    assert_eq!(turns.surplus(none), [2, 4, 1], "nobody needs to wait");
    assert!(turns.surplus(|_| Supply::default()).is_empty(), "there is no bound");
}

#[test]
fn who_cannot_ask_elsewhere_waits_behind_what_is_rarer() {
    let mut turns = crowded(&[(1, 1), (2, 2)]);
    let supply = |holders| {
        move |asked: PartIndex| match asked.get() {
            1 => Supply { holders, rooms: Some(0) },
            _ => Supply { holders: 3, rooms: None },
        }
    };
    assert_eq!(turns.surplus(supply(1)), [1]);
    assert!(turns.surplus(supply(40)).is_empty());
    assert_eq!(turns.end(100), [2], "many hold by now what the other waits for");
}

#[test]
fn who_did_not_hear_of_it_in_time_has_its_turn() {
    let mut turns = crowded(&[(1, 1)]);
    assert_eq!(turns.surplus(|_| Supply { holders: 1, rooms: Some(0) }), [1]);
    assert_eq!(turns.end(100), [1]);
    assert_eq!(turns.give_up(START, 1), None, "it is its turn");
}

/// Plays an uplink of `up` bytes per second and askers behind lines of `down` each; returns how many turns there
/// are at each second.
fn settle(up: u64, down: u64, seconds: u64) -> Vec<usize> {
    let mut turns = crowded(&(0..40).map(|who| (who, 0)).collect::<Vec<_>>());
    let (mut now, mut sent, mut to) = (START, 0, BTreeMap::new());
    (0..seconds)
        .map(|_| {
            now = now + TURNS_MEASURE;
            let each = (up / turns.having.len() as u64).min(down);
            for turn in &turns.having {
                *to.entry(turn.who).or_insert(0) += each;
                sent += each;
            }
            let _begun = turns.adapt(now, sent, |who| to.get(&who).copied().unwrap_or(0));
            while turns.having.len() > turns.most {
                // One whose run has ended stands in line again.
                let who = turns.having.remove(0).who;
                assert!(!turns.take(now, who, part(0)));
            }
            turns.most
        })
        .collect()
}

/// After a look at the beginning and another one after [`TURN_SPAN`], in which each was sent so many bytes per second.
fn looked(turns: &mut Turns<usize>, now: Moment, rate: impl Fn(usize) -> u64) -> Vec<usize> {
    let begun = turns.adapt(now, 0, |_| 0);
    assert!(begun.is_empty());
    turns.adapt(now + TURN_SPAN, 0, |who| rate(who) * TURN_SPAN.as_secs())
}

#[test]
fn who_hardly_reads_takes_no_place_from_others() {
    let mut turns = crowded(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    // One of those before the line reads well, three hardly at all.
    let rate = |who| if who == 100 { TURN_RATE_SLOW } else { TURN_RATE_SLOW - 1 };
    assert_eq!(looked(&mut turns, START, rate), [1, 2, 3]);
    assert!(turns.take(START, 101, part(0)), "its turn goes on");
    assert!(turns.end(101).is_empty(), "nobody gets its place again");
    assert!(!turns.take(START, 101, part(0)), "and it is one of all others");
    assert_eq!(turns.end(1), [4]);
}

#[test]
fn a_turn_that_gets_on_again_takes_its_place() {
    let mut turns = crowded(&[(1, 1), (2, 2)]);
    assert_eq!(looked(&mut turns, START, |who| if who == 100 { 0 } else { TURN_RATE_SLOW }), [1]);
    let _begun = turns.adapt(START + TURN_SPAN * 2, 0, |_| u64::MAX / 2);
    assert!(turns.end(1).is_empty(), "all four that began get on");
    assert_eq!(turns.end(100), [2]);
}

#[test]
fn who_shares_a_narrow_uplink_is_not_slow() {
    let narrow = 4 * TURN_RATE_SLOW;
    // Where even a turn's share is little, only the user's limit tells; but there are few turns in any case.
    for (up, limit, most) in [
        (narrow, None, TURNS_MIN),
        (narrow / 9, Some(narrow / 9), TURNS_MIN),
        (narrow / 9, None, TURNS_MIN + TURNS_ASIDE_MAX),
    ] {
        let mut turns = crowded_within(limit, &(0..40).map(|who| (who, 0)).collect::<Vec<_>>());
        let (mut sent, mut to) = (0, BTreeMap::new());
        for second in 1..=600 {
            let now = START + Duration::from_secs(second);
            let each = up / turns.having.len() as u64;
            for who in turns.having.iter().map(|turn| turn.who).collect::<Vec<_>>() {
                let its = to.entry(who).or_insert(0);
                let pieces = *its / u64::from(PIECE_BYTES_U32);
                *its += each;
                sent += each;
                if *its / u64::from(PIECE_BYTES_U32) > pieces {
                    let _next = turns.end(who);
                    let _has = turns.take(now, who, part(0));
                }
            }
            let _begun = turns.adapt(now, sent, |who| to.get(&who).copied().unwrap_or(0));
            assert!(turns.having.len() <= most, "{} after {second} s", turns.having.len());
        }
    }
}

/// What hardly gets on is more where more can be sent.
#[test]
fn a_small_share_of_a_wide_uplink_is_slow() {
    let wide = 1_000 * TURN_RATE_SLOW;
    let mut turns = crowded(&[(1, 1)]);
    turns.capacity = wide;
    assert_eq!(looked(&mut turns, START, |who| if who == 100 { wide / 100 } else { wide / 4 }), [1]);
}

#[test]
fn slow_lines_do_not_leave_a_fast_uplink_idle() {
    let most = settle(100_000_000, 2_500_000, 60);
    assert!(most[10..].iter().filter(|&&most| most >= 32).count() >= 40, "{most:?}");
}

#[test]
fn a_full_uplink_serves_few_at_a_time() {
    let most = settle(10_000_000, 10_000_000, 60);
    assert!(most.iter().filter(|&&most| most == TURNS_MIN).count() >= 50, "{most:?}");
}

#[test]
fn what_leaves_in_lumps_is_no_sign_of_a_wider_line() {
    let mut turns = crowded(&(0..40).map(|who| (who, 0)).collect::<Vec<_>>());
    let lump = u64::from(PIECE_BYTES_U32);
    for second in 1..600 {
        // A lump in two seconds, now and then two of them.
        let sent = (second / 2 + u64::from(second % 7 == 0)) * lump;
        let _begun = turns.adapt(START + TURNS_MEASURE * u32::try_from(second).unwrap(), sent, |_| sent);
        assert_eq!(turns.most, TURNS_MIN, "after {second} s");
    }
}

proptest! {
    #[test]
    fn nobody_is_lost_and_no_turn_is_left_over(steps in prop::collection::vec((0_u8..8, 0_usize..20, 0_u32..8), 0..300)) {
        let mut turns = Turns::new(START, layout(), None);
        let mut now = START;
        let mut here = std::collections::BTreeSet::new();
        let mut sent_to = [0; 20];
        for (what, who, index) in steps {
            now = now + Duration::from_millis(400);
            match what {
                0 | 1 => { here.insert(who); let _has = turns.take(now, who, part(index)); }
                2 => { here.remove(&who); let _next = turns.end(who); }
                3 => { here.remove(&who); let _next = turns.leave(who); }
                4 => if turns.give_up(now, who) == Some(InVain::Everything) { here.remove(&who); },
                5 => sent_to[who] += u64::from(index) << 14,
                _ => { turns.sent(part(index)); let _begun = turns.adapt(now, u64::from(index) << 20, |who| sent_to[who]); }
            }
            let mut all: Vec<usize> = turns.having.iter().map(|turn| turn.who).chain(turns.line.iter().map(|waiting| waiting.who)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, here.iter().copied().collect::<Vec<_>>(), "each is in one place");
            prop_assert!(turns.line.is_empty() || !turns.has_room(), "nobody waits for nothing");
            prop_assert!((TURNS_MIN..=LINKS_MAX).contains(&turns.most));
        }
    }
}
