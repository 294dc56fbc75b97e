//! The memory that digests of compositions take while these are being published.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// How much memory what is being published may take: all together, what is of one account, and what comes from one
/// [source](crate::logic::addresses::source_of).
#[derive(Debug)]
pub struct Budget {
    left: Arc<AtomicUsize>,
    of_account: usize,
    of_source: usize,
    /// What is left to those who publish something now.
    accounts: HashMap<String, Weak<AtomicUsize>>,
    sources: HashMap<IpAddr, Weak<AtomicUsize>>,
}

/// A piece of a [`Budget`], given back when it is dropped.
#[derive(Debug)]
pub struct Grant {
    /// From all of these it is taken.
    from: [Arc<AtomicUsize>; 3],
    bytes: usize,
}

impl Budget {
    /// So many bytes for all together, at most so many for each account, and at most so many for each source.
    #[must_use]
    pub fn new(bytes: usize, of_account: usize, of_source: usize) -> Budget {
        let (accounts, sources) = (HashMap::new(), HashMap::new());
        Budget { left: Arc::new(AtomicUsize::new(bytes)), of_account, of_source, accounts, sources }
    }

    /// Nothing of it yet, for something that this account publishes from there.
    #[must_use]
    pub fn open(&mut self, account: &str, source: IpAddr) -> Grant {
        let left_to_account = left_to(&mut self.accounts, account.to_owned(), self.of_account);
        let left_to_source = left_to(&mut self.sources, source, self.of_source);
        Grant { from: [left_to_account, left_to_source, Arc::clone(&self.left)], bytes: 0 }
    }
}

/// What is left to this one: as much as before, if they publish something now, else all.
fn left_to<K: Eq + Hash>(known: &mut HashMap<K, Weak<AtomicUsize>>, key: K, all: usize) -> Arc<AtomicUsize> {
    if let Some(left) = known.get(&key).and_then(Weak::upgrade) {
        return left;
    }
    known.retain(|_, left| left.strong_count() > 0);
    let left = Arc::new(AtomicUsize::new(all));
    known.insert(key, Arc::downgrade(&left));
    left
}

impl Grant {
    /// Makes it one of so many bytes; whether they are left. It never shrinks.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let take = |left: usize| left.checked_sub(more);
        for (at, left) in self.from.iter().enumerate() {
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                for taken in &self.from[..at] {
                    taken.fetch_add(more, Ordering::Relaxed);
                }
                return false;
            }
        }
        self.bytes += more;
        true
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        for left in &self.from {
            left.fetch_add(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn no_account_takes_the_room_of_others() {
        let mut budget = Budget::new(100, 25, 100);
        let mut grants: Vec<Grant> = (0..10).map(|_| budget.open("mallory", from(1))).collect();
        assert_eq!(grants.iter_mut().filter_map(|grant| grant.grow(5).then_some(())).count(), 5);
        assert!(grants[0].grow(5) && !grants[0].grow(6), "the account has no more");
        assert!(budget.open("ada", from(2)).grow(25));
        drop(grants);
        let mut others: Vec<Grant> = (0..5).map(|n| budget.open(&n.to_string(), from(1))).collect();
        assert_eq!(others.iter_mut().filter_map(|grant| grant.grow(25).then_some(())).count(), 4);
        others.remove(0);
        assert!(others[3].grow(25), "what was given back is there for others");
        assert_eq!(budget.accounts.len(), 5, "those who publish nothing are forgotten");
    }

    #[test]
    fn no_source_takes_the_room_of_others_with_many_accounts() {
        let mut budget = Budget::new(100, 25, 50);
        let mut mallory: Vec<Grant> = (0..4).map(|n| budget.open(&n.to_string(), from(1))).collect();
        assert_eq!(mallory.iter_mut().filter_map(|grant| grant.grow(25).then_some(())).count(), 2);
        let mut ada = [(); 2].map(|()| budget.open("ada", from(2)));
        assert!(ada[0].grow(20) && ada[1].grow(5) && !ada[1].grow(6));
        // What did not fit has taken nothing of anything.
        assert!(budget.open("bob", from(2)).grow(25));
        drop(mallory);
        assert!(budget.open("eve", from(1)).grow(25));
        assert_eq!(budget.sources.len(), 2);
    }
}
