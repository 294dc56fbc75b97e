//! What the system counts of a process.

use std::fs;
use std::time::Duration;

/// Clock ticks a second in which Linux tells CPU times, on all that we build for.
const TICKS: u64 = 100;

/// CPU time that it has used, in user and system mode.
pub(crate) fn cpu(process: u32) -> [Duration; 2] {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name stands in parentheses and may contain anything.
    let after_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    [fields[11], fields[12]].map(|ticks| {
        let ticks: u64 = ticks.parse().unwrap();
        Duration::from_millis(ticks * 1000 / TICKS)
    })
}

/// Resident memory in KiB: now, and the most there was.
pub(crate) fn rss(process: u32) -> [u64; 2] {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().split(' ').next().unwrap().parse().unwrap()
    })
}

/// Counts what a process uses while something happens.
pub(crate) struct Meter {
    process: u32,
    before: [Duration; 2],
}

impl Meter {
    pub(crate) fn start(process: u32) -> Meter {
        Meter { process, before: cpu(process) }
    }

    /// Seconds of CPU time since then, in user and system mode.
    pub(crate) fn seconds(&self) -> [f64; 2] {
        let now = cpu(self.process);
        [0, 1].map(|mode| (now[mode] - self.before[mode]).as_secs_f64())
    }
}
