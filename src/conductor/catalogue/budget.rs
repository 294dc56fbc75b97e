//! The memory that digests of compositions take while these are being published.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// How much memory what is being published may take: all together, and what is of one account.
#[derive(Debug)]
pub struct Budget {
    left: Arc<AtomicUsize>,
    each: usize,
    /// What is left to those who publish something now.
    accounts: HashMap<String, Weak<AtomicUsize>>,
}

/// A piece of a [`Budget`], given back when it is dropped.
#[derive(Debug)]
pub struct Grant {
    left: Arc<AtomicUsize>,
    left_to_account: Arc<AtomicUsize>,
    bytes: usize,
}

impl Budget {
    /// So many bytes for all together, and at most so many for `each` account.
    #[must_use]
    pub fn new(bytes: usize, each: usize) -> Budget {
        Budget { left: Arc::new(AtomicUsize::new(bytes)), each, accounts: HashMap::new() }
    }

    /// Nothing of it yet, for something that this account publishes.
    #[must_use]
    pub fn open(&mut self, account: &str) -> Grant {
        let known = self.accounts.get(account).and_then(Weak::upgrade);
        let left_to_account = known.unwrap_or_else(|| {
            self.accounts.retain(|_, left| left.strong_count() > 0);
            let left = Arc::new(AtomicUsize::new(self.each));
            self.accounts.insert(account.to_owned(), Arc::downgrade(&left));
            left
        });
        Grant { left: Arc::clone(&self.left), left_to_account, bytes: 0 }
    }
}

impl Grant {
    /// Makes it one of so many bytes; whether they are left. It never shrinks.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let take = |left: usize| left.checked_sub(more);
        let take_of =
            |left: &AtomicUsize| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if !take_of(&self.left_to_account) {
            return false;
        }
        if !take_of(&self.left) {
            self.left_to_account.fetch_add(more, Ordering::Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.left_to_account.fetch_add(self.bytes, Ordering::Relaxed);
        self.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_takes_the_room_of_others() {
        let mut budget = Budget::new(100, 25);
        let mut grants: Vec<Grant> = (0..10).map(|_| budget.open("mallory")).collect();
        assert_eq!(grants.iter_mut().filter_map(|grant| grant.grow(5).then_some(())).count(), 5);
        assert!(grants[0].grow(5) && !grants[0].grow(6), "the account has no more");
        assert!(budget.open("ada").grow(25));
        drop(grants);
        let mut others: Vec<Grant> = (0..5).map(|n| budget.open(&n.to_string())).collect();
        assert_eq!(others.iter_mut().filter_map(|grant| grant.grow(25).then_some(())).count(), 4);
        others.remove(0);
        assert!(others[3].grow(25), "what was given back is there for others");
        assert_eq!(budget.accounts.len(), 5, "those who publish nothing are forgotten");
    }
}
