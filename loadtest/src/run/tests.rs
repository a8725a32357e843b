use super::*;

fn scrape(started: f64, hops: [u64; 2], own: [u64; 2]) -> Scrape {
    let mut text = format!("process_start_time_seconds {started}\n");
    for shard in 0..2 {
        text += &format!("purser_hops_total{{shard=\"{shard}\"}} {}\n", hops[shard]);
        text += &format!(
            "purser_own_commands_total{{shard=\"{shard}\"}} {}\n",
            own[shard]
        );
    }
    Scrape::parse(&text)
}

#[test]
fn hops_are_what_the_counters_grew_by() {
    let before = Ok(scrape(1.5, [10, 20], [1, 2]));
    let after = scrape(1.5, [30, 40], [41, 22]);
    let hops = hops(&before, Ok(after), true).unwrap();
    assert_eq!((hops.shards, hops.crossed, hops.own), (2, 40, 60));
    // Without knowing the owners half of them would have crossed.
    assert_eq!(hops.avoided(), 10);
}

#[test]
fn a_server_that_started_anew_has_no_hops_to_compare() {
    let before = Ok(scrape(1.5, [10, 20], [1, 2]));
    assert_eq!(
        hops(&before, Ok(scrape(2.5, [30, 40], [41, 22])), false),
        None
    );
    assert_eq!(
        hops(
            &Err("gone".to_owned()),
            Ok(scrape(1.5, [1, 1], [1, 1])),
            false
        ),
        None
    );
    assert_eq!(hops(&before, Err("gone".to_owned()), false), None);
}
