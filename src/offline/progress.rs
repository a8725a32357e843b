//! Progress bars for long work, on a terminal only.

use std::io::{IsTerminal, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use shards::wal::Progress;

/// How often the bar moves: smooth to the eye, nothing to the work.
const TICK: Duration = Duration::from_millis(100);

/// Whether a bar may share the terminal with what the command prints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdout {
    /// Little, when the work is done.
    Quiet,
    /// Lines all the time.
    Busy,
}

/// Does some work on so many bytes of logs, and shows how far it is.
pub(super) fn shown<T>(
    words: &'static str,
    bytes: u64,
    out: Stdout,
    work: impl FnOnce(&Progress) -> T,
) -> T {
    let progress = Progress::default();
    if !stderr().is_terminal() || (out == Stdout::Busy && stdout().is_terminal()) {
        return work(&progress);
    }
    let bar = ProgressBar::new(bytes).with_message(words);
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    {
        bar.set_style(style);
    }
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let painter = scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                bar.set_position(progress.bytes.load(Ordering::Relaxed).min(bytes));
                std::thread::park_timeout(TICK);
            }
        });
        // Also when the work panics: the painter would keep the scope for ever.
        let _stop = StopPainter {
            is_done: &is_done,
            painter: painter.thread().clone(),
            bar: &bar,
        };
        work(&progress)
    })
}

struct StopPainter<'a> {
    is_done: &'a AtomicBool,
    painter: std::thread::Thread,
    bar: &'a ProgressBar,
}

impl Drop for StopPainter<'_> {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Release);
        self.painter.unpark();
        self.bar.finish_and_clear();
    }
}
