//! Failpoints: places where a test build ends the process on purpose.
//!
//! `PURSER_FAILPOINT=segment_roll:3` aborts at the third passage of that window, as
//! `kill -9` would if it could aim. A crash at random hits a window of a few
//! microseconds once in a million times; this hits it every time.
//!
//! They exist only with the feature `failpoints`, which only tests turn on, and with
//! debug assertions, which release builds do not have: there [`pass`] is empty, and a
//! variable that is set is refused rather than ignored.

/// A window between two steps that a crash may fall into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Window {
    /// A frame was written; the log does not know of it yet. A batch of several frames
    /// has several of these.
    AfterWrite,
    /// A whole batch is durable, and nobody was told.
    AfterSync,
    /// A file is whole and durable under its temporary name.
    BeforeRename,
    /// It has its name; the directory is not durable.
    AfterRename,
    /// The frame that leads to the next segment is durable; that segment is empty.
    SegmentRoll,
    /// Recovery: at each entry of a checkpoint, after each posting that was applied, and
    /// after each step behind the last of them.
    MidRecovery,
    /// Folding: after each piece of a checkpoint or its history, and after each step of
    /// giving them their names and letting go of what they replace.
    MidCheckpoint,
    /// Another layout of the data: before it is committed, after that, and after each step
    /// of its taking the place of the old one.
    MidReshard,
}

/// What sets a failpoint of a process: the name of an environment variable.
pub const VARIABLE: &str = "PURSER_FAILPOINT";

impl Window {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AfterWrite,
        Self::AfterSync,
        Self::BeforeRename,
        Self::AfterRename,
        Self::SegmentRoll,
        Self::MidRecovery,
        Self::MidCheckpoint,
        Self::MidReshard,
    ];

    /// As it is written in the variable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AfterWrite => "after_write",
            Self::AfterSync => "after_sync",
            Self::BeforeRename => "before_rename",
            Self::AfterRename => "after_rename",
            Self::SegmentRoll => "segment_roll",
            Self::MidRecovery => "mid_recovery",
            Self::MidCheckpoint => "mid_checkpoint",
            Self::MidReshard => "mid_reshard",
        }
    }
}

/// Why a failpoint cannot be set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailpointError {
    /// The text is no failpoint.
    #[error(
        "no failpoint: {text:?}; expected WINDOW:N with N from 1 and WINDOW one of {}",
        Window::ALL.map(Window::name).join(", ")
    )]
    Unknown {
        /// As it was given.
        text: String,
    },
    /// This build has none.
    #[error("this build has no failpoints: only the builds of tests do")]
    NotBuilt,
}

/// Reads `WINDOW:N`.
#[cfg(any(test, all(feature = "failpoints", debug_assertions)))]
fn parse(text: &str) -> Result<(Window, u64), FailpointError> {
    let parsed = text.split_once(':').and_then(|(name, passage)| {
        let window = Window::ALL.into_iter().find(|w| w.name() == name)?;
        let passage = passage.parse().ok().filter(|passage| *passage > 0)?;
        Some((window, passage))
    });
    parsed.ok_or_else(|| FailpointError::Unknown {
        text: text.to_owned(),
    })
}

#[cfg(all(feature = "failpoints", debug_assertions))]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{FailpointError, Window, parse};

    struct Armed {
        window: Window,
        passages_left: AtomicU64,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    /// Sets the failpoint of this process, `WINDOW:N`; the first call counts.
    ///
    /// # Errors
    /// [`FailpointError::Unknown`] when the text names none.
    pub fn arm(text: &str) -> Result<(), FailpointError> {
        let (window, passage) = parse(text)?;
        ARMED.get_or_init(|| Armed {
            window,
            passages_left: AtomicU64::new(passage),
        });
        Ok(())
    }

    /// Ends the process if this is the passage that was asked for.
    pub fn pass(window: Window) {
        if let Some(armed) = ARMED.get()
            && armed.window == window
            && armed.passages_left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}

#[cfg(not(all(feature = "failpoints", debug_assertions)))]
mod armed {
    use super::{FailpointError, Window};

    /// Refuses: there is nothing to set in this build.
    ///
    /// # Errors
    /// [`FailpointError::NotBuilt`], always.
    pub fn arm(_text: &str) -> Result<(), FailpointError> {
        Err(FailpointError::NotBuilt)
    }

    /// Nothing, in this build.
    #[inline(always)]
    pub fn pass(_window: Window) {}
}

pub use armed::{arm, pass};

/// Sets the failpoint that the environment asks for, if it asks for one.
///
/// # Errors
/// As [`arm`].
pub fn arm_from_environment() -> Result<(), FailpointError> {
    match std::env::var_os(VARIABLE) {
        Some(text) => arm(&text.to_string_lossy()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failpoint_is_a_window_and_a_passage_from_one() {
        for window in Window::ALL {
            let text = format!("{}:7", window.name());
            assert_eq!(parse(&text), Ok((window, 7)));
        }
        for text in [
            "",
            "after_sync",
            "after_sync:",
            "after_sync:0",
            "after_sync:-1",
            "after_sink:1",
            "AFTER_SYNC:1",
            ":1",
        ] {
            let refused = parse(text).unwrap_err().to_string();
            assert!(refused.contains("segment_roll"), "{refused}");
        }
    }
}
