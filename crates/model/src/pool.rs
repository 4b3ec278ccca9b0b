//! The pool of booted processes that no function has yet: how many are kept of which kind. The
//! decision alone, over recent cold starts; who boots them and gives them away is `invoke`'s.

use crate::time::Moment;

/// Half of the cold starts are forgotten after this time. Microseconds; lambkin's own figure.
const HALF_LIFE_MICROS: f64 = 60e6;

/// What is left of one cold start when nothing is kept for it any more: after two minutes.
const FORGOTTEN: f64 = 0.25;

/// Recent cold starts of one kind of process, fading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    level: f64,
    at: Moment,
}

impl Demand {
    /// None yet.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self { level: 0.0, at: now }
    }

    /// One more.
    pub fn add(&mut self, now: Moment) {
        *self = Self { level: self.level(now) + 1.0, at: now };
    }

    /// How many, those of a while ago for less.
    #[must_use]
    pub fn level(&self, now: Moment) -> f64 {
        let micros = now.since(self.at).as_secs_f64() * 1e6;
        self.level * (-micros / HALF_LIFE_MICROS).exp2()
    }

    /// Nothing is kept for it, and it need not be remembered.
    #[must_use]
    pub fn is_forgotten(&self, now: Moment) -> bool {
        self.level(now) <= FORGOTTEN
    }
}

/// How many are kept for each of these demands, `total` at the most: not more than there were cold
/// starts recently, and where that is too many, in proportion (d'Hondt).
#[must_use]
pub fn shares(levels: &[f64], total: usize) -> Vec<usize> {
    let mut shares = vec![0_u32; levels.len()];
    for _ in 0..total {
        let next = levels
            .iter()
            .zip(&shares)
            .enumerate()
            .filter(|(_, (level, share))| **level > f64::from(**share) + FORGOTTEN)
            .map(|(index, (level, share))| (index, level / f64::from(share + 1)))
            // The first of equals, so that nothing changes hands without a reason.
            .reduce(|best, other| if other.1 > best.1 { other } else { best });
        match next {
            Some((index, _)) => shares[index] += 1,
            None => break,
        }
    }
    shares.into_iter().map(|share| share as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::{Demand, shares};
    use crate::time::Moment;

    #[test]
    fn demand_fades() {
        let seconds = |seconds: u64| Moment(seconds * 1_000_000);
        let mut demand = Demand::new(seconds(0));
        assert!(demand.is_forgotten(seconds(0)));
        demand.add(seconds(10));
        demand.add(seconds(10));
        assert!((demand.level(seconds(10)) - 2.0).abs() < 1e-9);
        assert!((demand.level(seconds(70)) - 1.0).abs() < 1e-9);
        demand.add(seconds(70));
        assert!((demand.level(seconds(130)) - 1.0).abs() < 1e-9);
        assert!(!demand.is_forgotten(seconds(249)));
        assert!(demand.is_forgotten(seconds(250)));
    }

    #[test]
    fn shares_are_in_proportion_and_bounded() {
        for (levels, total, expected) in [
            (&[][..], 4, &[][..]),
            (&[1.0], 4, &[1]),
            (&[1.0], 0, &[0]),
            (&[0.2], 4, &[0]),
            (&[2.3], 4, &[3]),
            (&[50.0], 4, &[4]),
            (&[50.0, 1.0], 4, &[4, 0]),
            (&[4.0, 2.0], 3, &[2, 1]),
            (&[1.0, 1.0, 1.0], 2, &[1, 1, 0]),
            (&[1.0, 1.0, 1.0], 9, &[1, 1, 1]),
        ] {
            assert_eq!(shares(levels, total), expected, "{levels:?} {total}");
        }
    }
}
