use super::*;

fn looked(at: Instant, metrics: &str) -> Looked {
    Looked {
        at,
        metrics: Some(Scrape::parse(metrics)),
        server_cpu: None,
        own_cpu: None,
        cpus: Vec::new(),
    }
}

const BEFORE: &str = "purser_hops_total{shard=\"0\"} 100\npurser_own_commands_total{shard=\"0\"} 50\n\
    purser_postings_total{shard=\"0\"} 10\npurser_commit_batches_total{shard=\"0\"} 10\n\
    purser_commit_duration_seconds_bucket{shard=\"0\",le=\"0.001\"} 10\n\
    purser_commit_duration_seconds_bucket{shard=\"0\",le=\"+Inf\"} 10\n";

const AFTER: &str = "purser_accounts{shard=\"0\"} 600\npurser_accounts{shard=\"1\"} 400\n\
    purser_hops_total{shard=\"0\"} 300\npurser_own_commands_total{shard=\"0\"} 250\n\
    purser_mailbox_depth{shard=\"0\"} 3\n\
    purser_memory_bytes{owner=\"accounts\",shard=\"0\"} 64\n\
    purser_memory_bytes{owner=\"accounts\",shard=\"1\"} 36\n\
    purser_postings_total{shard=\"0\"} 210\npurser_commit_batches_total{shard=\"0\"} 30\n\
    purser_commit_duration_seconds_bucket{shard=\"0\",le=\"0.001\"} 25\n\
    purser_commit_duration_seconds_bucket{shard=\"0\",le=\"0.002\"} 28\n\
    purser_commit_duration_seconds_bucket{shard=\"0\",le=\"+Inf\"} 30\n";

#[test]
fn counters_become_rates_and_gauges_stay() {
    let start = Instant::now();
    let before = looked(start, BEFORE);
    let now = looked(start + Duration::from_secs(2), AFTER);
    let sample = sample(7, &Second::default(), &before, &now);
    assert_eq!(sample.objects["accounts"], 1_000.0);
    assert_eq!(sample.memory["owner accounts"], 100.0);
    let shards = sample.shards.unwrap();
    assert_eq!(
        (shards.hops, shards.own, shards.mailbox_depth),
        (100.0, 100.0, 3.0)
    );
    let log = sample.log.unwrap();
    assert_eq!((log.postings, log.batches), (100.0, 10.0));
    // 15 of 20 flushes took up to 1 ms, 18 up to 2 ms; beyond the last bound nothing is known.
    assert_eq!((log.flush_p50, log.flush_p95), (1.0, 2.0));
}

#[test]
fn without_metrics_there_is_the_generator_s_part() {
    let mut seen = Second {
        requests: 5,
        ..Second::default()
    };
    let trend = seen.durations[Kind::Balance.index()].get_or_insert_default();
    trend.record(Duration::from_millis(3));
    let look = || Looked {
        metrics: None,
        ..looked(Instant::now(), "")
    };
    let sample = sample(0, &seen, &look(), &look());
    assert_eq!(sample.requests, 5);
    assert_eq!(sample.latency["balance"].p95, 3.0);
    assert!(sample.objects.is_empty() && sample.log.is_none());
}

#[test]
fn a_recording_is_read_back_also_when_its_last_line_was_cut() {
    let home = tempfile::tempdir().unwrap();
    let admin = Admin::new(&"http://127.0.0.1:1".parse().unwrap(), "t");
    let mut recorder = Recorder::open(Some(home.path()), admin, Some(std::process::id())).unwrap();
    recorder.look_at_threads();
    for second in 0..3 {
        recorder.record(second, &Second::default()).unwrap();
    }
    let samples = read(home.path()).unwrap();
    assert_eq!(samples.len(), 3);
    assert!(samples[0].threads.unwrap().runnable >= 1.0);
    // Nobody looked in that second: the end of it counts.
    assert!(samples[1].threads.unwrap().runnable >= 1.0);
    assert!(samples[0].memory["resident"] > 0.0);
    let file = home.path().join(SAMPLES_FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() - 20]).unwrap();
    assert_eq!(read(home.path()).unwrap().len(), 2);
    std::fs::write(&file, text.replacen('{', "[", 1)).unwrap();
    assert!(read(home.path()).is_err());
}

#[test]
fn quantiles_of_no_flushes_are_zero() {
    let bucket = |bound: &str, count| (bound.to_owned(), count);
    let same = [bucket("0.001", 5.0), bucket("+Inf", 5.0)];
    assert_eq!(quantile(&same, &same, 0.95), 0.0);
    assert_eq!(quantile(&[], &[], 0.95), 0.0);
}
