//! Conversions between the integers of counters and the floating point numbers of results.

use std::time::Duration;

pub const MIB: f64 = 1_048_576.0;
pub const GIB: f64 = 1_073_741_824.0;

/// A count as a number to calculate with; exact up to 2^53.
pub fn float(count: u64) -> f64 {
    count as f64
}

/// A number that is not negative, rounded; what a `u64` cannot say becomes the nearest that it can.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, as wanted"
)]
pub fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// A length or an index as a count.
pub fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A count as an index into memory.
pub fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Nanoseconds of a duration.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The middle of the values; `None` when there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted[middle - 1] + upper) / 2.0)
}

#[test]
fn the_median_is_the_middle() {
    let cases: &[(&[f64], Option<f64>)] = &[
        (&[], None),
        (&[3.0], Some(3.0)),
        (&[9.0, 1.0, 2.0], Some(2.0)),
        (&[4.0, 1.0, 2.0, 9.0], Some(3.0)),
    ];
    for (values, expected) in cases {
        assert_eq!(median(values), *expected, "{values:?}");
    }
}
