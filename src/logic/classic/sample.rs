//! A few of many addresses, each of them as likely as any other: an original conductor tells of everybody whom it has ever
//! met, and nobody need keep a million addresses to choose fifty.

use std::net::SocketAddr;

use crate::limits::ROSTER_MAX;

/// See the module.
#[derive(Debug)]
pub struct Sample {
    rng: fastrand::Rng,
    kept: Vec<SocketAddr>,
    seen: usize,
}

impl Sample {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(seed: u64) -> Sample {
        Sample { rng: fastrand::Rng::with_seed(seed), kept: Vec::new(), seen: 0 }
    }

    /// One more address was told.
    pub fn take(&mut self, address: SocketAddr) {
        self.seen += 1;
        if self.kept.len() < ROSTER_MAX {
            self.kept.push(address);
        } else if let Some(place) = self.kept.get_mut(self.rng.usize(..self.seen)) {
            *place = address;
        }
    }

    /// At most [`ROSTER_MAX`] of those that were told.
    #[must_use]
    pub fn into_kept(self) -> Vec<SocketAddr> {
        self.kept
    }
}

/// At most [`ROSTER_MAX`] addresses of two lists: half of each, and what one leaves free goes to the other.
#[must_use]
pub fn merged(native: &[SocketAddr], classic: &[SocketAddr]) -> Vec<SocketAddr> {
    let new: Vec<SocketAddr> = classic.iter().copied().filter(|address| !native.contains(address)).collect();
    let of_classic = new.len().min((ROSTER_MAX / 2).max(ROSTER_MAX.saturating_sub(native.len())));
    let of_native = native.len().min(ROSTER_MAX - of_classic);
    [&native[..of_native], &new[..of_classic]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(range: std::ops::Range<u16>) -> Vec<SocketAddr> {
        range.map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect()
    }

    #[test]
    fn few_are_all_kept_and_of_many_each_is_as_likely() {
        let mut sample = Sample::new(1);
        addresses(1..9).into_iter().for_each(|address| sample.take(address));
        assert_eq!(sample.into_kept(), addresses(1..9));
        let mut last_half = 0;
        for seed in 0..40 {
            let mut sample = Sample::new(seed);
            addresses(0..1_000).into_iter().for_each(|address| sample.take(address));
            let kept = sample.into_kept();
            assert_eq!(kept.len(), ROSTER_MAX);
            last_half += kept.iter().filter(|address| address.port() >= 500).count();
        }
        // Of 2,000 half, give or take six times the standard deviation.
        assert!((866..1_134).contains(&last_half), "{last_half}");
    }

    #[test]
    fn both_have_their_share() {
        let (native, classic) = (addresses(0..80), addresses(1_000..1_080));
        let both = merged(&native, &classic);
        assert_eq!((&both[..25], &both[25..]), (&native[..25], &classic[..25]));
        assert_eq!(merged(&native[..3], &classic).len(), ROSTER_MAX);
        assert_eq!(merged(&native, &[]), native[..ROSTER_MAX]);
        assert_eq!(merged(&native[..3], &native[1..5]), native[..5]);
    }
}
