use super::*;
use crate::audit::Audit;
use crate::summary::{
    CheckResult, Generator, Hops, RunFacts, ServerShare, Spread, ThreadShare, ThresholdResult,
};

fn spread(p95: f64) -> Metric {
    Metric::Trend(Spread {
        avg: 89.87,
        min: 1.2,
        med: 87.1,
        max: 1_203.4,
        p90: 106.92,
        p95,
        p99: 120.0,
        p999: 300.0,
        count: 666_462,
    })
}

/// A run with the reference's main figures.
pub(crate) fn example() -> Summary {
    let counter = |count, rate| Metric::Counter { count, rate };
    let users = Metric::Gauge {
        value: 100.0,
        min: 100.0,
        max: 100.0,
    };
    let metrics = [
        ("checks", Metric::rate(1_332_924, 0)),
        ("data_received", counter(262_000_000.0, 436_666.0)),
        ("http_req_duration", spread(112.31)),
        ("http_req_duration{requestType:balance}", spread(118.1)),
        ("http_req_failed", Metric::rate(0, 666_462)),
        (
            "http_req_tls_handshaking",
            Metric::Trend(Spread::from(&crate::trend::Trend::default())),
        ),
        ("http_reqs", counter(666_462.0, 1110.57)),
        ("vus", users),
    ];
    let check = |name: &str, fails| CheckResult {
        name: name.to_owned(),
        passes: 300,
        fails,
    };
    let met = |metric: &str, met| ThresholdResult {
        metric: metric.to_owned(),
        expression: "p(95)<112.31".to_owned(),
        met,
    };
    Summary {
        run: RunFacts {
            version: "0.1.0".to_owned(),
            started_at: "2026-11-22T16:30:00.000Z".to_owned(),
            scenario: "reference".to_owned(),
            pace: "closed loop".to_owned(),
            url: "http://127.0.0.1:9816".to_owned(),
            users: 100,
            accounts: 1_000,
            seed: 1,
            seconds: 600.1,
        },
        metrics: metrics
            .map(|(name, metric)| (name.to_owned(), metric))
            .into(),
        groups: vec![Group {
            name: "balance".to_owned(),
            checks: vec![check("is status 200", 0), check("is body errorCode 0", 1)],
        }],
        thresholds: vec![
            met("http_req_duration", true),
            met("http_req_duration{requestType:balance}", false),
        ],
        generator: Generator {
            threads: vec![ThreadShare {
                cpu: Some(1),
                share: 0.956,
            }],
            cpus: 0.97,
            late: None,
            dropped: 0,
            retries: 0,
        },
        server: Some(ServerShare {
            pid: 42,
            cpus: 0.5,
            us_per_request: 7.5,
        }),
        hops: Some(Hops {
            shards: 2,
            crossed: 10,
            own: 990,
            shard_aware: true,
        }),
        audit: Some(Audit {
            is_clean: true,
            currency: "EUR".to_owned(),
            accounts: 1_000,
            before: "1000000.00".to_owned(),
            acknowledged: "12.00".to_owned(),
            after: "1000012.00".to_owned(),
            by_type: [("placeBet".to_owned(), "5.00".to_owned())].into(),
            unsettled: 0,
            differences: Vec::new(),
            difference_count: 0,
            trial_balance: "not compared: no such page (404)".to_owned(),
        }),
        warnings: vec!["the generator was the bottleneck".to_owned()],
    }
}

#[test]
fn the_report_is_k6_s_summary_and_what_k6_does_not_say() {
    let expected = include_str!("golden.txt");
    assert_eq!(report(&example()), expected, "\n{}", report(&example()));
}
