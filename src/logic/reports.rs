//! What a member tells its conductor about others: how it went to get parts from them.
//!
//! It is told of each address at most one success and one failure a run: the conductor counts no more. It does not
//! know links, nor who heard it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::addresses::normalised;
use crate::identity::SwarmId;
use crate::limits::{REPORTED_MAX, REPORTS_PER_ANNOUNCE};
use crate::time::Moment;
use crate::wire::desk::Report;

/// How it went with each member that the conductor named.
#[derive(Debug)]
pub struct Reports {
    swarm: SwarmId,
    tallies: BTreeMap<SocketAddr, Tally>,
    /// Went out, and was perhaps not heard.
    under_way: Vec<Report>,
}

/// How it went with one member.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// When the first bytes came.
    began: Option<Moment>,
    /// When the last bytes came.
    latest: Moment,
    bytes: u64,
    failed: bool,
    told_success: bool,
    told_failure: bool,
}

impl Reports {
    /// Nothing is known yet of the members of this swarm.
    #[must_use]
    pub const fn new(swarm: SwarmId) -> Reports {
        Reports { swarm, tallies: BTreeMap::new(), under_way: Vec::new() }
    }

    /// The conductor named these members: only of them it wants to hear.
    pub fn named(&mut self, members: &[SocketAddr]) {
        for &member in members {
            if self.tallies.len() < REPORTED_MAX {
                self.tallies.entry(normalised(member)).or_default();
            }
        }
    }

    /// Right parts came from there.
    pub fn came(&mut self, now: Moment, member: SocketAddr, bytes: u64) {
        if let Some(tally) = self.tallies.get_mut(&normalised(member)) {
            tally.began.get_or_insert(now);
            tally.latest = now;
            tally.bytes += bytes;
        }
    }

    /// Nobody could be reached there, or what came was wrong.
    pub fn failed(&mut self, member: SocketAddr) {
        if let Some(tally) = self.tallies.get_mut(&normalised(member)) {
            tally.failed = true;
        }
    }

    /// What to tell with an announce that goes out now: failures at once, successes when the member is `done` with
    /// getting parts. At most [`REPORTS_PER_ANNOUNCE`]; the others wait for the next one.
    pub fn take(&mut self, done: bool) -> Vec<Report> {
        let mut reports = std::mem::take(&mut self.under_way);
        for (&member, tally) in &mut self.tallies {
            if reports.len() >= REPORTS_PER_ANNOUNCE {
                break;
            }
            let report = |bytes, millis, failed| Report {
                swarm: *self.swarm.as_bytes(),
                member,
                bytes,
                millis,
                failed,
            };
            if tally.failed && !tally.told_failure {
                tally.told_failure = true;
                reports.push(report(0, 0, true));
            }
            if let Some(began) = tally.began.filter(|_| done && !tally.told_success) {
                tally.told_success = true;
                let millis = tally.latest.since(began).as_millis();
                reports.push(report(tally.bytes, u32::try_from(millis).unwrap_or(u32::MAX), false));
            }
        }
        self.under_way.clone_from(&reports);
        reports
    }

    /// The conductor has answered: it heard what was told.
    pub fn heard(&mut self) {
        self.under_way.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Moment = Moment::from_micros(1_000_000);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn reports() -> Reports {
        let mut reports = Reports::new(SwarmId::from_bytes([7; 32]));
        reports.named(&[address(1), address(2), address(3)]);
        reports
    }

    #[test]
    fn successes_are_told_at_the_end_and_once() {
        let mut reports = reports();
        reports.came(NOW, address(1), 100);
        reports.came(NOW + Duration::from_millis(250), "[::ffff:10.0.0.1]:1".parse().unwrap(), 50);
        assert_eq!(reports.take(false), []);
        let told = Report { swarm: [7; 32], member: address(1), bytes: 150, millis: 250, failed: false };
        assert_eq!(reports.take(true), [told]);
        assert_eq!(reports.take(true), [told], "it may not have been heard");
        reports.heard();
        reports.came(NOW, address(1), 1);
        assert_eq!(reports.take(true), []);
    }

    #[test]
    fn failures_are_told_at_once_and_only_of_members_that_were_named() {
        let mut reports = reports();
        reports.failed(address(2));
        reports.failed(address(9));
        reports.came(NOW, address(9), 7);
        let told = Report { swarm: [7; 32], member: address(2), bytes: 0, millis: 0, failed: true };
        assert_eq!(reports.take(true), [told]);
        reports.heard();
        reports.failed(address(2));
        assert_eq!(reports.take(true), []);
    }

    #[test]
    fn what_does_not_fit_waits() {
        let mut reports = Reports::new(SwarmId::from_bytes([7; 32]));
        let ports = 1..=u16::try_from(2 * REPORTED_MAX).unwrap();
        let many: Vec<SocketAddr> = ports.map(address).collect();
        reports.named(&many);
        many.iter().for_each(|&member| reports.failed(member));
        let mut told = 0;
        loop {
            let now = reports.take(false);
            reports.heard();
            told += now.len();
            assert!(now.len() <= REPORTS_PER_ANNOUNCE);
            if now.is_empty() {
                break;
            }
        }
        assert_eq!(told, REPORTED_MAX);
    }
}
