//! What shards count of HTTP and of the wallet's wire, as Prometheus text.
//!
//! The counters live where they are counted; this file gives them their names
//! (host-tuning.md section 6: base units, `_total` for what only grows, never a player).

use std::sync::Arc;

use shards::Unavailable;
use shards::metrics::Counter;

use crate::admin::{Kind, MetricsSource, PrometheusText};
use crate::http::HttpMetrics;
use crate::live::Live;
use crate::logging;
use crate::reload::ReloadMetrics;
use crate::settings::Settings;
use crate::slow::SlowRing;
use crate::stages::Stage;
use crate::tls::{Handshake, TlsMetrics};
use crate::wallet::{Endpoint, ErrorCode, WalletMetrics};

/// Writes the metrics of all shards, in shard order, at every scrape.
#[must_use]
pub fn exporter(http: Vec<Arc<HttpMetrics>>, wallet: Vec<Arc<WalletMetrics>>) -> MetricsSource {
    Box::new(move |text| {
        write_http(text, &http);
        write_wallet(text, &wallet);
    })
}

/// A number per shard, with labels beside that of the shard.
type ShardNumber = (
    &'static [(&'static str, &'static str)],
    fn(&HttpMetrics) -> &Counter,
);

fn write_http(text: &mut PrometheusText, shards: &[Arc<HttpMetrics>]) {
    let mut family = |name, kind, help, numbers: &[ShardNumber]| {
        let mut family = text.family(name, kind, help);
        for (shard, metrics) in shards.iter().enumerate() {
            let shard = shard.to_string();
            for (labels, number) in numbers {
                let mut all = vec![("shard", shard.as_str())];
                all.extend_from_slice(labels);
                family.sample(&all, number(metrics).get());
            }
        }
    };
    family(
        "purser_http_connections",
        Kind::Gauge,
        "Connections that are open.",
        &[(&[], |shard| &shard.connections_open)],
    );
    family(
        "purser_http_connections_accepted_total",
        Kind::Counter,
        "Connections taken from the listener.",
        &[(&[], |shard| &shard.connections_accepted)],
    );
    family(
        "purser_http_connections_refused_total",
        Kind::Counter,
        "Connections refused: full and client were answered 503, flood were dropped.",
        &[
            (&[("reason", "full")], |shard| {
                &shard.connections_refused_full
            }),
            (&[("reason", "client")], |shard| {
                &shard.connections_refused_client
            }),
            (&[("reason", "flood")], |shard| {
                &shard.connections_refused_flood
            }),
        ],
    );
    family(
        "purser_http_accept_errors_total",
        Kind::Counter,
        "Failures of accepting a connection, such as no file descriptors left.",
        &[(&[], |shard| &shard.accept_errors)],
    );
    family(
        "purser_http_connections_failed_total",
        Kind::Counter,
        "Connections that ended with an error of the socket, such as a reset.",
        &[(&[], |shard| &shard.connections_failed)],
    );
    family(
        "purser_http_timeouts_total",
        Kind::Counter,
        "Connections closed because a wait lasted too long, by what they waited for.",
        &[
            (&[("wait", "head")], |shard| &shard.timeouts_head),
            (&[("wait", "body")], |shard| &shard.timeouts_body),
            (&[("wait", "idle")], |shard| &shard.timeouts_idle),
            (&[("wait", "write")], |shard| &shard.timeouts_write),
            (&[("wait", "linger")], |shard| &shard.timeouts_linger),
        ],
    );
    family(
        "purser_http_received_bytes_total",
        Kind::Counter,
        "Bytes read from clients.",
        &[(&[], |shard| &shard.bytes_in)],
    );
    family(
        "purser_http_sent_bytes_total",
        Kind::Counter,
        "Bytes written to clients.",
        &[(&[], |shard| &shard.bytes_out)],
    );
    family(
        "purser_http_service_requests_total",
        Kind::Counter,
        "Requests that were well-formed and reached the wallet.",
        &[(&[], |shard| &shard.requests)],
    );
    family(
        "purser_http_requests_in_flight",
        Kind::Gauge,
        "Requests that the wallet has and has not answered yet.",
        &[(&[], |shard| &shard.requests_in_flight)],
    );
    family(
        "purser_http_connections_queueing",
        Kind::Gauge,
        "Connections whose next request stays in the socket until there is room for it.",
        &[(&[], |shard| &shard.connections_queueing)],
    );
    family(
        "purser_http_requests_refused_total",
        Kind::Counter,
        "Requests answered 503 before their body was looked at: too many were in flight.",
        &[(&[], |shard| &shard.requests_refused_full)],
    );
    let mut rejections = text.family(
        "purser_http_rejections_total",
        Kind::Counter,
        "Requests refused by their head or framing, by HTTP status; 0 is any other status.",
    );
    for (shard, metrics) in shards.iter().enumerate() {
        let shard = shard.to_string();
        for (status, count) in metrics.rejections.iter() {
            rejections.sample(&[("shard", &shard), ("status", &status.to_string())], count);
        }
    }
}

/// Writes how often the configuration was read again.
#[must_use]
pub fn reload_exporter(reloads: Arc<ReloadMetrics>) -> MetricsSource {
    Box::new(move |text| {
        let mut family = text.family(
            "purser_config_reloads_total",
            Kind::Counter,
            "Times that the configuration was read again, and whether it took effect.",
        );
        family.sample(&[("result", "done")], reloads.done.get());
        family.sample(&[("result", "refused")], reloads.refused.get());
    })
}

/// Writes how many lines of the log were dropped.
#[must_use]
pub fn log_exporter() -> MetricsSource {
    Box::new(|text| {
        text.family(
            "purser_log_lines_dropped_total",
            Kind::Counter,
            "Lines of the log that were dropped because whoever reads it was too slow.",
        )
        .sample(&[], logging::lines_dropped());
    })
}

/// Writes how many slow requests were counted and not kept, in shard order.
#[must_use]
pub fn slow_exporter(ring: Arc<SlowRing>) -> MetricsSource {
    Box::new(move |text| {
        let mut missed = text.family(
            "purser_slow_requests_missed_total",
            Kind::Counter,
            "Slow requests that are counted and not listed: the list was read at that moment.",
        );
        for (shard, count) in ring.missed().enumerate() {
            missed.sample(&[("shard", &shard.to_string())], count);
        }
    })
}

/// Writes what all shards count of TLS, in shard order, and until when the certificate is
/// valid that new connections are shown. Without TLS there is no certificate and no sample.
#[must_use]
pub fn tls_exporter(settings: Arc<Live<Settings>>, shards: Vec<Arc<TlsMetrics>>) -> MetricsSource {
    Box::new(move |text| {
        let mut handshakes = text.family(
            "purser_tls_handshakes_total",
            Kind::Counter,
            "TLS handshakes, by how they ended: done, or what they failed for.",
        );
        for (shard, metrics) in shards.iter().enumerate() {
            let shard = shard.to_string();
            for end in Handshake::ALL {
                let count = metrics.handshakes(end);
                handshakes.sample(&[("shard", &shard), ("result", end.name())], count);
            }
        }
        let mut expiry = text.family(
            "purser_tls_certificate_expiry_timestamp_seconds",
            Kind::Gauge,
            "When the certificate of the wallet's listener expires, in seconds since 1970.",
        );
        if let Some(tls) = &settings.get().tls {
            expiry.sample(&[], u64::try_from(tls.expires_at_s()).unwrap_or_default());
        }
    })
}

fn write_wallet(text: &mut PrometheusText, shards: &[Arc<WalletMetrics>]) {
    let mut requests = text.family(
        "purser_http_requests_total",
        Kind::Counter,
        "Requests answered by the wallet, by operation and ErrorCode.",
    );
    for (op, code) in Endpoint::ALL
        .into_iter()
        .flat_map(|op| ErrorCode::ALL.map(|code| (op, code)))
    {
        let count: u64 = shards.iter().map(|shard| shard.requests(op, code)).sum();
        requests.sample(
            &[("op", op.name()), ("outcome", &code.number().to_string())],
            count,
        );
    }
    let mut durations = text.family(
        "purser_http_request_duration_seconds",
        Kind::Histogram,
        "From the last byte of a request to its complete answer, by operation.",
    );
    for (shard, metrics) in shards.iter().enumerate() {
        let shard = shard.to_string();
        for op in Endpoint::ALL {
            durations.durations(
                &[("shard", &shard), ("op", op.name())],
                metrics.duration(op),
            );
        }
    }
    let mut stages = text.family(
        "purser_http_stage_duration_seconds",
        Kind::Histogram,
        "Where the time of requests went, by the shard of the connection.",
    );
    for (shard, metrics) in shards.iter().enumerate() {
        let shard = shard.to_string();
        for stage in Stage::ALL {
            stages.durations(
                &[("shard", &shard), ("stage", stage.name())],
                metrics.stage(stage),
            );
        }
    }
    let mut slow = text.family(
        "purser_slow_requests_total",
        Kind::Counter,
        "Requests that the wallet worked on for longer than slow_request.",
    );
    for (shard, metrics) in shards.iter().enumerate() {
        slow.sample(&[("shard", &shard.to_string())], metrics.slow().get());
    }
    let mut unavailable = text.family(
        "purser_http_unavailable_total",
        Kind::Counter,
        "Requests answered 503, by reason.",
    );
    for (reason, name) in [
        (Unavailable::Busy, "busy"),
        (Unavailable::DiskFull, "disk_full"),
        (Unavailable::MemoryFull, "memory_full"),
        (Unavailable::Draining, "draining"),
        (Unavailable::NoAnswer, "no_answer"),
    ] {
        let count: u64 = shards.iter().map(|shard| shard.unavailable(reason)).sum();
        unavailable.sample(&[("reason", name)], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_and_endpoint_is_written() {
        let http: Vec<Arc<HttpMetrics>> = vec![Arc::default(), Arc::default()];
        http[1].connections_open.add(7);
        http[1].rejections.add(413);
        let mut text = PrometheusText::default();
        exporter(http, vec![Arc::default(), Arc::default()])(&mut text);
        let text = text.into_string();
        for line in [
            "purser_http_connections{shard=\"1\"} 7",
            "purser_http_rejections_total{shard=\"1\",status=\"413\"} 1",
            "purser_http_requests_total{op=\"balance\",outcome=\"-6\"} 0",
            "purser_http_request_duration_seconds_count{shard=\"0\",op=\"redeemtoken\"} 0",
            "purser_http_unavailable_total{reason=\"no_answer\"} 0",
            "purser_http_stage_duration_seconds_count{shard=\"1\",stage=\"commit\"} 0",
            "purser_slow_requests_total{shard=\"1\"} 0",
        ] {
            assert!(
                text.lines().any(|written| written == line),
                "{line} is missing in\n{text}"
            );
        }
    }
}
