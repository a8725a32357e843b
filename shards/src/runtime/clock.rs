//! The wall clock, read once per command or burst.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::types::UnixMillis;

/// The time now. A clock set before 1970 reads as 1970.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
