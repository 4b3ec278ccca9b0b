//! Statistics of values: number, sum, extremes, and a histogram for percentiles, in buckets that are each 4.4 % wide.

use serde::{Deserialize, Serialize};

/// Buckets for each doubling.
const PER_DOUBLING: f64 = 16.0;
/// Added to a bucket's number, so that those of positive values are positive: the smallest double is 2^-1074.
const OFFSET: i32 = 20_000;
/// Most buckets; beyond, the two lowest become one. Sixteen doublings, as from a millisecond to a minute, take them all.
const BUCKETS: usize = 256;

/// Of the values of one series in a period.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many values.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub minimum: f64,
    /// The largest.
    pub maximum: f64,
    /// Number and values of each bucket, in order.
    buckets: Vec<(i32, u64)>,
}

impl Statistics {
    /// A value, so many times.
    pub fn add(&mut self, value: f64, count: f64) {
        self.widen(value, value);
        self.count += count;
        self.sum += value * count;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; counts are not negative"
        )]
        self.fill(bucket(value), count.ceil() as u64);
    }

    /// Values of which only these statistics are known.
    pub fn add_set(&mut self, count: f64, sum: f64, minimum: f64, maximum: f64) {
        self.widen(minimum, maximum);
        self.count += count;
        self.sum += sum;
        #[expect(clippy::float_cmp, reason = "the same number twice says that there is no other")]
        if count == 1.0 || minimum == maximum {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates; counts are not negative"
            )]
            self.fill(bucket(minimum), count.ceil() as u64);
        }
    }

    /// What it takes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.len() * size_of::<(i32, u64)>()
    }

    /// Another one's values too.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        self.widen(other.minimum, other.maximum);
        self.count += other.count;
        self.sum += other.sum;
        for (number, count) in &other.buckets {
            self.fill(*number, *count);
        }
    }

    /// What so many percent of the values are not above, to 2 %. `None` where CloudWatch knows none: of negative values,
    /// and of sets of which only statistics are known.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a percentile is not that precise")]
        let known = self.buckets.iter().map(|(_, count)| *count).sum::<u64>() as f64;
        if self.count == 0.0 || self.minimum < 0.0 || known < self.count {
            return None;
        }
        let rank = known * percent / 100.0;
        let mut seen = 0.0;
        for (number, count) in &self.buckets {
            #[expect(clippy::cast_precision_loss, reason = "a percentile is not that precise")]
            let count = *count as f64;
            seen += count;
            if seen >= rank {
                return Some(middle(*number).clamp(self.minimum, self.maximum));
            }
        }
        Some(self.maximum)
    }

    /// The values, each as the middle of its bucket and so right to 2.2 %, in order, with how many there are of it.
    pub(super) fn values(&self) -> impl Iterator<Item = (f64, u64)> {
        self.buckets.iter().map(|(number, count)| (middle(*number), *count))
    }

    fn widen(&mut self, minimum: f64, maximum: f64) {
        let first = self.count == 0.0;
        self.minimum = if first { minimum } else { self.minimum.min(minimum) };
        self.maximum = if first { maximum } else { self.maximum.max(maximum) };
    }

    fn fill(&mut self, number: i32, count: u64) {
        match self.buckets.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => self.buckets[at].1 += count,
            Err(at) => self.buckets.insert(at, (number, count)),
        }
        if self.buckets.len() > BUCKETS {
            let (_, lowest) = self.buckets.remove(0);
            self.buckets[0].1 += lowest;
        }
    }
}

fn bucket(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 * 1074")]
    let of = |value: f64| OFFSET + (value.log2() * PER_DOUBLING).floor() as i32;
    if value == 0.0 {
        0
    } else if value > 0.0 {
        of(value)
    } else {
        -of(-value)
    }
}

/// The value in the middle of a bucket.
#[must_use]
pub fn middle(number: i32) -> f64 {
    if number == 0 {
        return 0.0;
    }
    let value = ((f64::from(number.abs() - OFFSET) + 0.5) / PER_DOUBLING).exp2();
    if number > 0 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Statistics {
        let mut statistics = Statistics::default();
        values.iter().for_each(|value| statistics.add(*value, 1.0));
        statistics
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_a_bucket(mut values in prop::collection::vec(0.5_f64..50_000.0, 1..300), percent in 1_u32..=100) {
            let found = of(&values).percentile(f64::from(percent)).unwrap();
            values.sort_by(f64::total_cmp);
            let rank = (values.len() * percent as usize).div_ceil(100).max(1);
            let exact = values[rank - 1];
            prop_assert!((found / exact - 1.0).abs() < 0.0443, "{found} {exact}");
        }

        #[test]
        fn merged_is_as_if_added(one in prop::collection::vec(-9.0_f64..900.0, 0..50), other in prop::collection::vec(0.0_f64..1e9, 0..50)) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            let all = of(&[one, other].concat());
            prop_assert_eq!((merged.count, merged.minimum, merged.maximum), (all.count, all.minimum, all.maximum));
            prop_assert_eq!(&merged.buckets, &all.buckets);
        }
    }

    #[test]
    fn values_are_right_to_half_a_bucket() {
        let statistics = of(&[0.3, 5.0, 5.01, 700.0]);
        let expected = [(0.3, 1), (5.0, 2), (700.0, 1)];
        for ((value, count), (exact, times)) in statistics.values().zip(expected) {
            assert!((value / exact - 1.0).abs() < 0.0222 && count == times, "{value} {exact} {count}");
        }
        assert_eq!(statistics.values().count(), 3);
    }

    #[test]
    fn percentiles_that_are_not_known() {
        assert_eq!(Statistics::default().percentile(50.0), None);
        assert_eq!(of(&[1.0, -1.0]).percentile(50.0), None);
        let set = |count, sum, minimum, maximum| {
            let mut statistics = Statistics::default();
            statistics.add_set(count, sum, minimum, maximum);
            statistics.percentile(90.0)
        };
        assert_eq!(set(10.0, 30.0, 1.0, 9.0), None);
        assert_eq!(set(10.0, 30.0, 3.0, 3.0), Some(3.0));
        assert_eq!(set(1.0, 7.0, 7.0, 7.0), Some(7.0));
    }

    #[test]
    fn is_bounded() {
        let mut statistics = Statistics::default();
        (-500..500).for_each(|power| statistics.add(f64::from(power).exp2(), 1.0));
        assert_eq!(statistics.buckets.len(), BUCKETS);
        assert_eq!(statistics.percentile(100.0), Some(499_f64.exp2()));
    }
}
