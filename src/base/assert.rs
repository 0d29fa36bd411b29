//! The two assertions.
//!
//! [`check!`](crate::check) guards durability, offsets and metadata: when it fails, going on would corrupt data, so the process ends.
//! [`never!`](crate::never) guards one request: when it fires, it logs, counts and says so to the caller, who answers with an error.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often [`never!`](crate::never) fired since the process began; exported as a metric, and asserted to be 0 by tests.
pub static NEVER_FIRED: AtomicU64 = AtomicU64::new(0);

/// Counts and logs one firing of [`never!`](crate::never).
#[cold]
pub fn never_fired(condition: &str, file: &str, line: u32) {
    NEVER_FIRED.fetch_add(1, Ordering::Relaxed);
    tracing::error!(
        condition,
        file,
        line,
        "an impossible state was met; the request fails, the broker goes on"
    );
}

/// Ends the process when the condition does not hold, in every build.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {
        if !$condition {
            panic!("check failed: {}", stringify!($condition));
        }
    };
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            panic!("check failed: {}: {}", stringify!($condition), format_args!($($message)+));
        }
    };
}

/// True, after logging and counting, when a condition that never holds does hold: `if never!(x) { return Err(..) }`.
#[macro_export]
macro_rules! never {
    ($condition:expr) => {{
        let fired = $condition;
        if fired {
            $crate::base::assert::never_fired(stringify!($condition), file!(), line!());
        }
        fired
    }};
}
