//! Lines of the log on their way to stderr: a bounded queue and the thread that empties it.
//!
//! Whoever reads our stderr may be slow or stuck, and no shard waits for that. A line that
//! finds the queue full is dropped and counted; once there is room again, the log says how
//! many were. What is in the queue when the process ends in order is written first, and when
//! it panics too.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use nix::sys::signal::{SigSet, SigmaskHow};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait. At some 200 bytes each that is two megabytes: what a shard says at
/// `debug` in tens of milliseconds, and far more than all of them say at `info` in a minute.
const LINES_MAX: usize = 10_000;

/// How long the end of the process waits for whoever reads its stderr.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(Box<[u8]>),
    /// Everything before it was written: say so.
    Flush(Sender<()>),
}

/// Where lines are put. Clones put them into the same queue.
#[derive(Clone)]
pub(crate) struct LogLines {
    queue: Sender<Message>,
    dropped: Arc<AtomicU64>,
}

impl LogLines {
    /// Starts the thread that writes the lines to `out`.
    ///
    /// # Errors
    /// The kernel gives no thread.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = bounded(LINES_MAX);
        let dropped = Arc::<AtomicU64>::default();
        let writer = Writer {
            lines,
            out,
            dropped: Arc::clone(&dropped),
            told: 0,
        };
        // A thread is born with the mask of its parent, and signals are for the thread that
        // waits for them (`signals`), which is not there yet.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let started = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run());
        mask.thread_set_mask()?;
        started?;
        Ok(Self { queue, dropped })
    }

    /// How many lines were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all lines that are in the queue are written, or nobody takes them:
    /// `false`.
    pub(crate) fn flush(&self) -> bool {
        let (done, is_done) = bounded(1);
        let flush = Message::Flush(done);
        self.queue.send_timeout(flush, FLUSH_PATIENCE).is_ok()
            && is_done.recv_timeout(FLUSH_PATIENCE).is_ok()
    }
}

impl Write for &LogLines {
    /// One line, as the formatter hands each over in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.into())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

struct Writer<W> {
    lines: Receiver<Message>,
    out: W,
    dropped: Arc<AtomicU64>,
    /// How many of the dropped lines the log has told of.
    told: u64,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        while let Ok(message) = self.lines.recv() {
            match message {
                Message::Line(line) => {
                    if self.out.write_all(&line).is_err() {
                        // Counted, and not told: the line that tells could not be written.
                        self.dropped.fetch_add(1, Ordering::Relaxed);
                        self.told += 1;
                    }
                }
                Message::Flush(done) => {
                    let _ = self.out.flush();
                    let _ = done.send(());
                }
            }
            if self.lines.is_empty() {
                self.tell_of_dropped();
            }
        }
    }

    /// As one more line, for which there is room now.
    fn tell_of_dropped(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let lines = dropped - self.told;
        self.told = dropped;
        if lines > 0 {
            tracing::warn!(
                lines,
                "lines of the log were dropped: whoever reads it was too slow"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn lines_are_written_in_order_by_the_time_of_a_flush() {
        let mut file = tempfile::tempfile().unwrap();
        let lines = LogLines::start(file.try_clone().unwrap()).unwrap();
        for number in 0..1_000 {
            (&lines)
                .write_all(format!("{number}\n").as_bytes())
                .unwrap();
        }
        lines.flush();
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(text_of(&mut file), expected);
        assert_eq!(lines.dropped(), 0);
    }

    fn text_of(file: &mut File) -> String {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    /// Writes into a file once its gate is open: when nobody holds the other end.
    struct Gated(Receiver<()>, File);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.1.flush()
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_no_time() {
        let mut file = tempfile::tempfile().unwrap();
        let (stuck, gate) = bounded(1);
        let lines = LogLines::start(Gated(gate, file.try_clone().unwrap())).unwrap();
        let all = LINES_MAX as u64 + 500;
        for _ in 0..all {
            // The gate is shut: were this to wait, it would wait for ever.
            (&lines).write_all(b"x").unwrap();
        }
        // One may be out of the queue already, with nobody to take it.
        let dropped = lines.dropped();
        assert!((499..=500).contains(&dropped), "{dropped}");
        drop(stuck);
        lines.flush();
        assert_eq!(text_of(&mut file).len() as u64, all - dropped);
        assert_eq!(lines.dropped(), dropped, "there is room again");
    }
}
