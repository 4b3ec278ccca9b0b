//! How many descriptors of lambkin's all jails' connections and questions may take while they are waited
//! for: who waits for many must not keep lambkin from everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left. Clones share it.
#[derive(Clone)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// A part of it, until it is dropped.
pub(super) struct Share(Budget);

impl Budget {
    pub(super) fn of(number: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(number)))
    }

    pub(super) fn take(&self) -> Option<Share> {
        let less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        Some(Share(self.clone()))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_comes_back() {
        let budget = Budget::of(2);
        let shares = (budget.take(), budget.clone().take());
        assert!(shares.0.is_some() && shares.1.is_some() && budget.take().is_none());
        drop(shares.0);
        assert!(budget.take().is_some());
    }
}
