//! `purser tune disk`: how long the data directory's disk takes to make a write durable, and
//! what that means for bookings.
//!
//! It writes as the log does, with the log's own code: whole blocks into a file that is
//! already filled with zeroes. The file has no name while it is written, so nothing is left
//! of it however the measurement ends.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::say;
use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use shards::storage::{AlignedBuf, BLOCK_BYTES, Caching, DirectDisk, Storage, StorageFile};

/// Options of `purser tune disk`.
#[derive(Args, Clone, Debug)]
pub struct DiskOptions {
    /// The data directory, or any directory on its disk
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// How long to measure, in seconds
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// One block: what a lone booking writes.
const SMALL_BYTES: usize = BLOCK_BYTES;
/// A batch of some 300 bookings.
const LARGE_BYTES: usize = 64 << 10;

/// Large enough that a write does not return to the same place at once, small enough to be
/// filled within the seconds that are given.
const FILE_BYTES: usize = 8 << 20;

/// A p50 above this is that of a drive without power-loss protection, or of one behind
/// something slow (host-tuning.md section 2, storage).
const PROTECTED_US_MAX: u64 = 300;

/// No medium answers below this: somebody's memory did.
const PLAUSIBLE_US_MIN: u64 = 8;

/// At moderate load a booking waits for the flush before its own and for its own: the p95
/// was 2.08 median flushes (tuning.md).
const FLUSHES_PER_P95: u64 = 2;

/// When 64 KiB take longer than this many single blocks, something counts the bytes: the
/// medium itself needs some 3 times as long.
const LARGE_PER_SMALL_MAX: u64 = 10;

/// Below so many writes a p99 says nothing.
const SAMPLES_FOR_P99: usize = 200;

/// Measures, and prints what it means to `out`.
///
/// # Errors
/// The directory cannot be written, or `out` fails.
pub fn disk(options: &DiskOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let measured = measure(options)?;
    let mut text = Vec::new();
    if options.json {
        serde_json::to_writer(&mut text, &measured)?;
        text.push(b'\n');
    } else {
        measured.print(&mut text)?;
    }
    say(&text, out)
}

fn measure(options: &DiskOptions) -> anyhow::Result<Measured> {
    let directory = &options.data_dir;
    if !directory.is_dir() {
        bail!(
            "there is no directory {}; --data-dir is what data_dir in the configuration says",
            directory.display()
        );
    }
    let (mut file, way) =
        open(options).with_context(|| format!("write in {}", directory.display()))?;
    let half = Duration::from_secs(options.seconds) / 2;
    let timed = fill(&mut *file).and_then(|()| {
        Ok([
            write_for(&mut *file, SMALL_BYTES, half)?,
            write_for(&mut *file, LARGE_BYTES, half)?,
        ])
    });
    let [small, large] =
        timed.with_context(|| format!("write durably in {}", directory.display()))?;
    Ok(Measured {
        data_dir: directory.display().to_string(),
        way,
        expected_p95_us: FLUSHES_PER_P95 * small.p50_us,
        meaning: Meaning::of(&small),
        small,
        large,
    })
}

/// A file to write to, whose name is gone already, and how it is written.
fn open(options: &DiskOptions) -> io::Result<(Box<dyn StorageFile>, &'static str)> {
    // A directory of its own, so that the probe for direct writes meets nobody else's.
    let place = tempfile::Builder::new()
        .prefix(".purser-tune-")
        .tempdir_in(&options.data_dir)?;
    let disk = DirectDisk::open(place.path(), Caching::Bypassed)?;
    let file = disk.create("flush.tmp")?;
    place.close()?;
    Ok((file, disk.way_of_writing()))
}

/// Zeroes, as a new segment has them.
fn fill(file: &mut dyn StorageFile) -> io::Result<()> {
    let zeroes = AlignedBuf::zeroed(LARGE_BYTES);
    for offset in (0..FILE_BYTES).step_by(LARGE_BYTES) {
        file.write_at(offset as u64, &zeroes)?;
    }
    file.sync()
}

/// Durable writes of one size, one behind the other, for so long.
fn write_for(file: &mut dyn StorageFile, bytes: usize, time: Duration) -> io::Result<Latencies> {
    let mut block = AlignedBuf::zeroed(bytes);
    block.fill(0x5a);
    let mut us = Vec::new();
    let start = Instant::now();
    let offsets = (0..FILE_BYTES).step_by(bytes).cycle();
    for offset in offsets {
        let before = Instant::now();
        file.write_durably(offset as u64, &block)?;
        us.push(u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX));
        if start.elapsed() >= time {
            break;
        }
    }
    Ok(Latencies::of(bytes, us))
}

/// What was measured. Times are in microseconds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Measured {
    data_dir: String,
    way: &'static str,
    small: Latencies,
    large: Latencies,
    /// Of a booking at moderate load, for the disk's part.
    #[serde(rename = "ExpectedP95Us")]
    expected_p95_us: u64,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Latencies {
    #[serde(rename = "Bytes")]
    bytes: usize,
    #[serde(rename = "Writes")]
    writes: usize,
    #[serde(rename = "P50Us")]
    p50_us: u64,
    #[serde(rename = "P95Us")]
    p95_us: u64,
    /// `None` where too few writes were made to tell.
    #[serde(rename = "P99Us")]
    p99_us: Option<u64>,
    #[serde(rename = "MaxUs")]
    max_us: u64,
}

impl Latencies {
    /// From at least one time.
    fn of(bytes: usize, mut us: Vec<u64>) -> Self {
        us.sort_unstable();
        let percentile = |percent: usize| us[(us.len() * percent / 100).min(us.len() - 1)];
        Self {
            bytes,
            writes: us.len(),
            p50_us: percentile(50),
            p95_us: percentile(95),
            p99_us: (us.len() >= SAMPLES_FOR_P99).then(|| percentile(99)),
            max_us: us[us.len() - 1],
        }
    }
}

/// What kind of disk answers in that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Meaning {
    Implausible,
    Protected,
    Unprotected,
}

impl Meaning {
    fn of(small: &Latencies) -> Self {
        match small.p50_us {
            us if us < PLAUSIBLE_US_MIN => Self::Implausible,
            us if us <= PROTECTED_US_MAX => Self::Protected,
            _ => Self::Unprotected,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Implausible => {
                "No medium is that quick: memory answered (tmpfs, a cache that ignores flushes, \
                 a hypervisor's).\nBookings would not survive a power cut."
            }
            Self::Protected => {
                "That is a disk with power-loss protection, or a quick one behind a hypervisor: \
                 good for bookings."
            }
            Self::Unprotected => {
                "That is a disk without power-loss protection, or behind something slow: a drive \
                 that has it\nanswers in 12 to 60 µs, and the p95 of bookings would follow."
            }
        }
    }
}

impl Measured {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}, by {}\n", self.data_dir, self.way)?;
        writeln!(
            out,
            "{:<18} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "durable writes of", "count", "p50 µs", "p95 µs", "p99 µs", "max µs"
        )?;
        for row in [&self.small, &self.large] {
            let size = format!("{} KiB", row.bytes / 1024);
            let Latencies {
                writes,
                p50_us,
                p95_us,
                max_us,
                ..
            } = row;
            let p99_us = row.p99_us.map_or("-".to_owned(), |us| us.to_string());
            writeln!(
                out,
                "{size:<18} {writes:>8} {p50_us:>9} {p95_us:>9} {p99_us:>9} {max_us:>9}"
            )?;
        }
        writeln!(
            out,
            "\nAt moderate load a booking waits for about {FLUSHES_PER_P95} flushes: expect a p95 \
             near {} µs, and what the\nnetwork adds. One shard makes up to {} flushes a second, \
             and shares each among all that wait.",
            self.expected_p95_us,
            1_000_000 / self.small.p50_us.max(1),
        )?;
        writeln!(out, "{}", self.meaning.sentence())?;
        if self.large.p50_us > LARGE_PER_SMALL_MAX * self.small.p50_us {
            writeln!(
                out,
                "Large writes are slow here, {} MB/s: as cloud volumes are with a limit on bytes; \
                 large batches\nwill wait for it.",
                self.large.bytes as u64 / self.large.p50_us.max(1)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times: Vec<u64> = (1..=1_000).rev().collect();
        let found = Latencies::of(4_096, times);
        let expected = (1_000, 501, 951, Some(991), 1_000);
        let found = (
            found.writes,
            found.p50_us,
            found.p95_us,
            found.p99_us,
            found.max_us,
        );
        assert_eq!(found, expected);
        let few = Latencies::of(4_096, vec![7]);
        assert_eq!(
            (few.p50_us, few.p95_us, few.p99_us, few.max_us),
            (7, 7, None, 7)
        );
    }

    #[test]
    fn the_median_tells_the_kind_of_disk() {
        for (p50_us, expected) in [
            (0, Meaning::Implausible),
            (7, Meaning::Implausible),
            (8, Meaning::Protected),
            (300, Meaning::Protected),
            (301, Meaning::Unprotected),
            (10_000, Meaning::Unprotected),
        ] {
            let small = Latencies::of(SMALL_BYTES, vec![p50_us]);
            assert_eq!(Meaning::of(&small), expected, "{p50_us}");
        }
    }

    #[test]
    fn nothing_is_left_of_a_measurement() {
        let directory = tempfile::tempdir().unwrap();
        let options = DiskOptions {
            data_dir: directory.path().to_owned(),
            seconds: 1,
            json: false,
        };
        let (mut file, _) = open(&options).unwrap();
        // Also while it goes on, so also when it is killed.
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        fill(&mut *file).unwrap();
        let found = write_for(&mut *file, LARGE_BYTES, Duration::ZERO).unwrap();
        assert_eq!((found.writes, found.bytes), (1, LARGE_BYTES));
    }

    #[test]
    fn every_line_fits_a_terminal() {
        let latencies = Latencies::of(SMALL_BYTES, vec![123_456]);
        let slow = Latencies::of(LARGE_BYTES, vec![12_345_678]);
        for meaning in [
            Meaning::Implausible,
            Meaning::Protected,
            Meaning::Unprotected,
        ] {
            let measured = Measured {
                data_dir: "/var/lib/purser".to_owned(),
                way: "O_DIRECT and RWF_DSYNC",
                small: latencies.clone(),
                large: slow.clone(),
                expected_p95_us: 246_912,
                meaning,
            };
            let mut text = Vec::new();
            measured.print(&mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(
                text.lines().all(|line| line.chars().count() <= 100),
                "{text}"
            );
        }
    }
}
