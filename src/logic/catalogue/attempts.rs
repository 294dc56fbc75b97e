//! Who may try a password now: back-off for each name and for each source.
//!
//! A try counts as wrong from its beginning until it is found to be right, so many at once are no way around the
//! pauses. What is refused is not counted. Names count whether or not they have an account, or the pauses would tell which
//! do.
//!
//! A name's pauses stay short, and do not hold for sources from which its account logged in before: whoever tries the names
//! of others must not keep them out. A source's pauses grow to minutes.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::pauses::Pauses;
use crate::limits::{
    ATTEMPTS_ACCOUNT_PAUSE_MAX, ATTEMPTS_FREE_PER_ACCOUNT, ATTEMPTS_FREE_PER_SOURCE, ATTEMPTS_KNOWN_SOURCES,
    ATTEMPTS_MAX, ATTEMPTS_SOURCE_PAUSE_MAX,
};
use crate::logic::addresses::source_of;
use crate::time::Moment;

/// See the module. Names are given [folded](crate::account::AccountName::folded).
#[derive(Debug)]
pub struct Attempts {
    names: Pauses<NameKey>,
    sources: Pauses<IpAddr>,
    /// Invariant: at most [`ATTEMPTS_MAX`] names, each with at most [`ATTEMPTS_KNOWN_SOURCES`].
    known: BTreeMap<NameKey, Known>,
}

/// Stands for a name, so that long ones take no more memory than others.
type NameKey = [u8; NAME_KEY_LEN];

/// So long that two names have one key by chance only.
const NAME_KEY_LEN: usize = 16;

fn key_of(name: &str) -> NameKey {
    let mut key = [0; NAME_KEY_LEN];
    key.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..NAME_KEY_LEN]);
    key
}

/// From where an account logged in, the latest last.
#[derive(Debug)]
struct Known {
    sources: VecDeque<IpAddr>,
    last: Moment,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts {
            names: Pauses::new(ATTEMPTS_FREE_PER_ACCOUNT, ATTEMPTS_ACCOUNT_PAUSE_MAX),
            sources: Pauses::new(ATTEMPTS_FREE_PER_SOURCE, ATTEMPTS_SOURCE_PAUSE_MAX),
            known: BTreeMap::new(),
        }
    }
}

impl Attempts {
    /// Nobody tried anything.
    #[must_use]
    pub fn new() -> Attempts {
        Attempts::default()
    }

    /// Somebody wants to try a password for this name. It counts as wrong until [`right`](Attempts::right) or
    /// [`dropped`](Attempts::dropped) says otherwise.
    ///
    /// # Errors
    /// How long they have to wait before it is looked at.
    pub fn begin(&mut self, now: Moment, from: IpAddr, name: &str) -> Result<(), Duration> {
        let (source, name) = (source_of(from), key_of(name));
        let is_known = self.known.get(&name).is_some_and(|known| known.sources.contains(&source));
        let name_pause = if is_known { Duration::ZERO } else { self.names.pause(now, name) };
        let pause = self.sources.pause(now, source).max(name_pause);
        if !pause.is_zero() {
            return Err(pause);
        }
        self.names.begin(now, name);
        self.sources.begin(now, source);
        Ok(())
    }

    /// The password was right.
    pub fn right(&mut self, now: Moment, from: IpAddr, name: &str) {
        let (source, name) = (source_of(from), key_of(name));
        self.names.forget(name);
        // Other tries from there stay wrong: whoever has an account of their own gains nothing by using it in between.
        self.sources.take_back(source);
        if !self.known.contains_key(&name) && self.known.len() >= ATTEMPTS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last).map(|(&name, _)| name);
            oldest.map(|name| self.known.remove(&name));
        }
        let fresh = || Known { sources: VecDeque::new(), last: now };
        let known = self.known.entry(name).or_insert_with(fresh);
        known.last = now;
        known.sources.retain(|&other| other != source);
        known.sources.push_back(source);
        if known.sources.len() > ATTEMPTS_KNOWN_SOURCES {
            known.sources.pop_front();
        }
    }

    /// The password was not looked at after all.
    pub fn dropped(&mut self, from: IpAddr, name: &str) {
        self.names.take_back(key_of(name));
        self.sources.take_back(source_of(from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Moment = Moment::from_micros(1_000_000);

    fn ip(host: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 | host).into()
    }

    /// How many of so many tries with wrong passwords are looked at, one each `step`.
    fn looked_at(
        attempts: &mut Attempts,
        count: u32,
        step: Duration,
        who: impl Fn(u32) -> (IpAddr, String),
    ) -> u32 {
        let mut now = START;
        let mut looked_at = 0;
        for number in 0..count {
            let (from, name) = who(number);
            looked_at += u32::from(attempts.begin(now, from, &name).is_ok());
            now = now + step;
        }
        looked_at
    }

    #[test]
    fn a_guesser_is_slowed_down_from_one_source() {
        // One a second for a day, each for another name.
        let guess = |number| (ip(1), format!("name {number}"));
        let tries = looked_at(&mut Attempts::new(), 86_400, Duration::from_secs(1), guess);
        assert!(tries <= ATTEMPTS_FREE_PER_SOURCE + 11 + 96, "{tries}");
    }

    #[test]
    fn a_guesser_is_slowed_down_for_one_name() {
        let guess = |number| (ip(number), "alice".to_owned());
        let tries = looked_at(&mut Attempts::new(), 86_400, Duration::from_secs(1), guess);
        let span = u32::try_from(ATTEMPTS_ACCOUNT_PAUSE_MAX.as_secs()).unwrap();
        assert!((86_400 / span..86_400 / span + 20).contains(&tries), "{tries}");
    }

    #[test]
    fn ten_thousand_wrong_passwords_at_once_are_refused() {
        let guess = |_| (ip(1), "alice".to_owned());
        let tries = looked_at(&mut Attempts::new(), 10_000, Duration::ZERO, guess);
        assert_eq!(tries, ATTEMPTS_FREE_PER_ACCOUNT + 1, "before any was found to be wrong");
        let addresses = |number: u32| {
            let ip = std::net::Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(number));
            (IpAddr::V6(ip), format!("name {number}"))
        };
        let tries = looked_at(&mut Attempts::new(), 10_000, Duration::ZERO, addresses);
        assert_eq!(tries, ATTEMPTS_FREE_PER_SOURCE + 1, "whoever has one address of a /64 has them all");
    }

    #[test]
    fn pauses_double_up_to_the_bound_and_are_told() {
        let mut attempts = Attempts::new();
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..ATTEMPTS_FREE_PER_ACCOUNT + 6 {
            assert_eq!(attempts.begin(now, ip(1), "alice"), Ok(()));
            let pause = attempts.begin(now, ip(1), "alice").err().unwrap_or_default();
            assert!(
                pause.is_zero() || attempts.begin(now + pause / 2, ip(1), "alice") == Err(pause - pause / 2)
            );
            pauses.push(pause.as_secs());
            now = now + pause;
            if pause.is_zero() {
                // The look whether there is a pause was a try.
                attempts.dropped(ip(1), "alice");
            }
        }
        assert_eq!(pauses, [0, 0, 0, 0, 0, 1, 2, 4, 8, 8, 8]);
    }

    #[test]
    fn an_owner_gets_in_while_others_try_the_name() {
        let mut attempts = Attempts::new();
        attempts.begin(START, ip(1), "alice").unwrap();
        attempts.right(START, ip(1), "alice");
        for number in 2..1_000 {
            let _looked_at = attempts.begin(START, ip(number), "alice");
        }
        assert!(attempts.begin(START, ip(1_000), "alice").is_err());
        assert_eq!(attempts.begin(START, ip(1), "alice"), Ok(()), "she was there before");
        attempts.dropped(ip(1), "alice");
        let pause = attempts.begin(START, ip(1_000), "alice").unwrap_err();
        assert!(pause <= ATTEMPTS_ACCOUNT_PAUSE_MAX, "and anywhere soon");
        attempts.begin(START, ip(1), "alice").unwrap();
        attempts.right(START, ip(1), "alice");
        assert_eq!(attempts.begin(START, ip(1_000), "alice"), Ok(()), "the right password ends it");
    }

    #[test]
    fn an_account_of_their_own_is_no_help_to_a_guesser() {
        let mut attempts = Attempts::new();
        let (mut now, mut wrong) = (START, 0);
        for _ in 0..86_400 / 2 {
            if attempts.begin(now, ip(1), "victim").is_ok() {
                wrong += 1;
            }
            now = now + Duration::from_secs(1);
            if attempts.begin(now, ip(1), "mallory").is_ok() {
                attempts.right(now, ip(1), "mallory");
            }
            now = now + Duration::from_secs(1);
        }
        assert!(wrong <= ATTEMPTS_FREE_PER_SOURCE + 11 + 96, "{wrong}");
    }

    #[test]
    fn made_up_names_do_not_make_it_forget() {
        let mut attempts = Attempts::new();
        let now = START;
        let guesses = (0..).take_while(|&number| attempts.begin(now, ip(number), "alice").is_ok()).count();
        assert_eq!(guesses, ATTEMPTS_FREE_PER_ACCOUNT as usize + 1);
        for number in 0..3 * u32::try_from(ATTEMPTS_MAX).unwrap() {
            attempts.begin(now, ip(1_000 + number), &format!("name {number}")).unwrap();
        }
        assert!(attempts.begin(now, ip(1), "alice").is_err());
        assert!(attempts.names.len() <= ATTEMPTS_MAX && attempts.sources.len() <= ATTEMPTS_MAX);
    }

    #[test]
    fn those_who_log_in_are_bounded_too() {
        let mut attempts = Attempts::new();
        let most = u32::try_from(ATTEMPTS_MAX).unwrap();
        for number in 0..most + 10 {
            let now = START + Duration::from_secs(number.into());
            let from = ip(number % 50);
            attempts.right(now, from, &format!("name {number}"));
            attempts.right(now, from, "alice");
        }
        assert_eq!(attempts.known.len(), ATTEMPTS_MAX);
        assert_eq!(attempts.known[&key_of("alice")].sources.len(), ATTEMPTS_KNOWN_SOURCES);
        assert!(
            !attempts.known.contains_key(&key_of("name 0"))
                && attempts.known.contains_key(&key_of("name 100"))
        );
    }

    #[test]
    fn after_a_while_all_is_forgotten() {
        let mut attempts = Attempts::new();
        for _ in 0..20 {
            let _looked_at = attempts.begin(START, ip(1), "alice");
        }
        let later = START + ATTEMPTS_SOURCE_PAUSE_MAX * 30;
        attempts.begin(later, ip(2), "bob").unwrap();
        assert_eq!((attempts.names.len(), attempts.sources.len()), (1, 1));
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Begin(u32, u8),
        Right(u32, u8),
        Dropped(u32, u8),
        Pass(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let who = || (0..4_u32, 0..4_u8);
        prop_oneof![
            4 => who().prop_map(|(from, name)| Act::Begin(from, name)),
            1 => who().prop_map(|(from, name)| Act::Right(from, name)),
            1 => who().prop_map(|(from, name)| Act::Dropped(from, name)),
            1 => (0..5_000_000_u64).prop_map(Act::Pass),
        ]
    }

    proptest! {
        #[test]
        fn in_whatever_order(acts in prop::collection::vec(act(), 0..300)) {
            let (mut attempts, mut now) = (Attempts::new(), START);
            for act in acts {
                match act {
                    Act::Begin(from, name) => {
                        let begun = attempts.begin(now, ip(from), &name.to_string());
                        if let Err(pause) = begun {
                            prop_assert!(pause <= ATTEMPTS_SOURCE_PAUSE_MAX && !pause.is_zero());
                            prop_assert!(attempts.begin(now, ip(from), &name.to_string()) == Err(pause), "nothing was counted");
                        }
                    }
                    Act::Right(from, name) => attempts.right(now, ip(from), &name.to_string()),
                    Act::Dropped(from, name) => attempts.dropped(ip(from), &name.to_string()),
                    Act::Pass(micros) => now = now + Duration::from_micros(micros),
                }
                attempts.names.check();
                attempts.sources.check();
            }
        }
    }
}
