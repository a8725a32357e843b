//! `GET /metrics`: everything that is counted, as Prometheus text.
//!
//! A scrape only reads: nothing is reset, cached or locked, so any number of them can
//! run at once. Names follow host-tuning.md section 6.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use shards::metrics::Counter;
use shards::runtime::ShardMetrics;

use super::prometheus::{Kind, PrometheusText};
use super::server::App;

/// Another part of the server that counts, and writes its metrics at every scrape.
pub type MetricsSource = Box<dyn Fn(&mut PrometheusText) + Send + Sync>;

/// Answers of the admin API by the hundreds of their status. Only its thread counts.
#[derive(Default)]
pub(super) struct AnswerCounts {
    by_hundred: [Counter; 5],
    /// Those with 503: no room, no answer in time, or on the way out.
    unavailable: Counter,
}

impl AnswerCounts {
    pub(super) fn count(&self, status: StatusCode) {
        // HTTP statuses are 100 to 999; whatever is beyond 599 none of our handlers sends.
        let hundred = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.by_hundred[hundred - 1].add(1);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            self.unavailable.add(1);
        }
    }
}

/// Version 0.0.4 is the text format that every Prometheus reads.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(super) async fn scrape(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], write_all(&app))
}

/// Everything that is counted, as it stands now.
pub(super) fn write_all(app: &App) -> String {
    let mut text = PrometheusText::default();
    write_process(&mut text, app);
    write_answers(&mut text, &app.answers);
    app.live_streams.write_metrics(&mut text);
    write_shards(&mut text, app);
    for source in &app.metrics_sources {
        source(&mut text);
    }
    text.into_string()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 stay exact for 280,000 years"
)]
fn write_process(text: &mut PrometheusText, app: &App) {
    text.family(
        "purser_build_info",
        Kind::Gauge,
        "1, with the version of the program as a label.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family(
        "purser_ready",
        Kind::Gauge,
        "1 while all shards are there, as /readyz says.",
    )
    .sample(&[], u8::from(app.readiness.is_ready()));
    text.family(
        "purser_draining",
        Kind::Gauge,
        "1 while the server is on its way out.",
    )
    .sample(&[], u8::from(app.readiness.is_draining()));
    text.family(
        "process_start_time_seconds",
        Kind::Gauge,
        "When the admin API was started, at boot, in seconds since 1970.",
    )
    .sample(&[], app.started_at.0 as f64 / 1e3);
}

fn write_answers(text: &mut PrometheusText, answers: &AnswerCounts) {
    let mut family = text.family(
        "purser_admin_answers_total",
        Kind::Counter,
        "Answers of the admin API, by the hundreds of their status.",
    );
    for (status, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"]
        .into_iter()
        .zip(&answers.by_hundred)
    {
        family.sample(&[("status", status)], count.get());
    }
    text.family(
        "purser_admin_unavailable_total",
        Kind::Counter,
        "Answers of the admin API with status 503.",
    )
    .sample(&[], answers.unavailable.get());
}

/// A number that each shard has: its name, kind and help, and where it stands.
type ShardNumber = (
    &'static str,
    Kind,
    &'static str,
    fn(&ShardMetrics) -> &Counter,
);

const SHARD_NUMBERS: &[ShardNumber] = &[
    (
        "purser_hops_total",
        Kind::Counter,
        "Commands that connections of this shard sent to another shard.",
        |shard| &shard.hops,
    ),
    (
        "purser_own_commands_total",
        Kind::Counter,
        "Commands that connections of this shard had decided by it, without a hop.",
        |shard| &shard.own,
    ),
    (
        "purser_mailbox_full_total",
        Kind::Counter,
        "Commands of this shard's connections refused because the owner's mailbox was full.",
        |shard| &shard.mailbox_full,
    ),
    (
        "purser_reply_slots_full_total",
        Kind::Counter,
        "Commands of this shard's connections refused because too many waited for an answer.",
        |shard| &shard.reply_slots_full,
    ),
    (
        "purser_no_room_total",
        Kind::Counter,
        "Bookings refused because the log had no room for them.",
        |shard| &shard.no_room,
    ),
    (
        "purser_no_memory_total",
        Kind::Counter,
        "Bookings, accounts and sessions refused because the memory budget was used up.",
        |shard| &shard.no_memory,
    ),
    (
        "purser_disk_full",
        Kind::Gauge,
        "1 while the next log segment cannot be made for want of room, otherwise 0.",
        |shard| &shard.disk_full,
    ),
    (
        "purser_log_flush_beside",
        Kind::Gauge,
        "1 while a thread beside the shard writes the log because the disk is slow, otherwise 0.",
        |shard| &shard.flush_beside,
    ),
    (
        "purser_log_segment",
        Kind::Gauge,
        "Number of the segment that the log has reached.",
        |shard| &shard.log_segment,
    ),
    (
        "purser_checkpoint_age_seconds",
        Kind::Gauge,
        "Time since the last posting in the newest checkpoint; 0 while there is none.",
        |shard| &shard.checkpoint.age_seconds,
    ),
    (
        "purser_checkpoint_bytes",
        Kind::Gauge,
        "Size of the newest checkpoint.",
        |shard| &shard.checkpoint.bytes,
    ),
    (
        "purser_checkpoints_total",
        Kind::Counter,
        "Checkpoints made.",
        |shard| &shard.checkpoint.made,
    ),
    (
        "purser_checkpoints_failed_total",
        Kind::Counter,
        "Checkpoints that could not be made; each is tried again.",
        |shard| &shard.checkpoint.failed,
    ),
    (
        "purser_checkpoint_damaged",
        Kind::Gauge,
        "1 while stored data is damaged and no checkpoint can be made, otherwise 0.",
        |shard| &shard.checkpoint.damaged,
    ),
    (
        "purser_log_bytes",
        Kind::Gauge,
        "Closed log segments that are in no checkpoint yet.",
        |shard| &shard.checkpoint.log_bytes,
    ),
    (
        "purser_scrub_damaged_files",
        Kind::Gauge,
        "Stored files that were damaged when they were last read, and are still there.",
        |shard| &shard.scrub.damaged_files,
    ),
    (
        "purser_scrub_bytes_total",
        Kind::Counter,
        "Bytes of closed files read to look for damage.",
        |shard| &shard.scrub.bytes,
    ),
    (
        "purser_scrub_rounds_total",
        Kind::Counter,
        "How often all closed files were read to look for damage.",
        |shard| &shard.scrub.rounds,
    ),
    (
        "purser_no_answer_total",
        Kind::Counter,
        "Commands of this shard's connections whose answer did not come in time.",
        |shard| &shard.no_answer,
    ),
    (
        "purser_wakes_total",
        Kind::Counter,
        "Wakes of a sleeping pump, of this shard or another, by this shard.",
        |shard| &shard.wakes,
    ),
    (
        "purser_mailbox_depth",
        Kind::Gauge,
        "Commands waiting in the mailbox when the pump last looked.",
        |shard| &shard.mailbox_depth,
    ),
    (
        "purser_postings_total",
        Kind::Counter,
        "Postings made durable.",
        |shard| &shard.postings,
    ),
    (
        "purser_commit_batches_total",
        Kind::Counter,
        "Batches made durable, one write and one sync each.",
        |shard| &shard.batches,
    ),
    (
        "purser_appended_lsn",
        Kind::Gauge,
        "Position of the last posting in the shard's log.",
        |shard| &shard.appended_lsn,
    ),
    (
        "purser_durable_lsn",
        Kind::Gauge,
        "Position up to which the shard's log is durable.",
        |shard| &shard.durable_lsn,
    ),
    (
        "purser_money_imbalance_minor_units",
        Kind::Gauge,
        "What the books lack to zero, over all currencies; anything but 0 means that money was made or lost.",
        |shard| &shard.money_imbalance,
    ),
    ("purser_accounts", Kind::Gauge, "Accounts.", |shard| {
        &shard.accounts
    }),
    (
        "purser_sessions",
        Kind::Gauge,
        "Sessions, ended ones that are still known included.",
        |shard| &shard.sessions,
    ),
    (
        "purser_seen_entries",
        Kind::Gauge,
        "Transaction ids remembered.",
        |shard| &shard.transactions,
    ),
    (
        "purser_rounds_open",
        Kind::Gauge,
        "Rounds that are open.",
        |shard| &shard.rounds_open,
    ),
];

fn write_shards(text: &mut PrometheusText, app: &App) {
    let shards: Vec<(String, &ShardMetrics)> = app
        .shard_metrics
        .iter()
        .enumerate()
        .map(|(id, metrics)| (id.to_string(), &**metrics))
        .collect();
    for (name, kind, help, counter) in SHARD_NUMBERS {
        let mut family = text.family(name, *kind, help);
        for (id, shard) in &shards {
            family.sample(&[("shard", id)], counter(shard).get());
        }
    }
    let mut lag = text.family(
        "purser_durable_lag_postings",
        Kind::Gauge,
        "Postings that are not durable yet.",
    );
    for (id, shard) in &shards {
        // Durable first: a lag read too high says less wrong than none at all.
        let durable = shard.durable_lsn.get();
        let postings = shard.appended_lsn.get().saturating_sub(durable);
        lag.sample(&[("shard", id)], postings);
    }
    let mut folds = text.family(
        "purser_checkpoint_duration_seconds",
        Kind::Gauge,
        "How long the last checkpoint took to make.",
    );
    for (id, shard) in &shards {
        let took = Duration::from_millis(shard.checkpoint.duration_ms.get());
        folds.sample(&[("shard", id)], took.as_secs_f64());
    }
    let mut commits = text.family(
        "purser_commit_duration_seconds",
        Kind::Histogram,
        "Time from taking a batch to its being durable.",
    );
    for (id, shard) in &shards {
        commits.durations(&[("shard", id)], &shard.commit_duration);
    }
    let mut batches = text.family(
        "purser_commit_batch_postings",
        Kind::Histogram,
        "Postings of each batch that was made durable.",
    );
    for (id, shard) in &shards {
        batches.sizes(&[("shard", id)], &shard.commit_batch);
    }
    let mut busy = text.family(
        "purser_executor_busy_seconds_total",
        Kind::Counter,
        "Time in which the shard's executor did not sleep for want of work.",
    );
    for (id, shard) in &shards {
        busy.sample(
            &[("shard", id)],
            Duration::from_nanos(shard.busy_ns.get()).as_secs_f64(),
        );
    }
}
