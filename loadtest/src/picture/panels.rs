//! Which panels a recording makes, and how they share a picture.

use super::chart::{Panel, Place, Scale, Series, Style, Unit};
use super::scene::{Anchor, Ink, Scene, Weight};
use crate::kind::Kind;
use crate::telemetry::process::ThreadStates;
use crate::telemetry::{ALL_TYPES, Sample};

/// A picture with a name for its file.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) file: &'static str,
    pub(crate) title: String,
    pub(crate) scene: Scene,
}

pub(super) const WIDTH: f32 = 1_240.0;
const PANEL_HEIGHT: f32 = 330.0;
pub(super) const GAP: f32 = 16.0;
pub(super) const HEADING: f32 = 48.0;

/// All pictures of a recording; panels without a single value are left out.
pub(crate) fn pictures(samples: &[Sample], about: &str) -> Vec<Picture> {
    [
        ("telemetry", "telemetry", telemetry(samples)),
        ("load", "load", load(samples)),
        ("latency", "latency by request type", latency(samples)),
    ]
    .into_iter()
    .map(|(file, what, mut panels)| {
        panels.retain(|panel| !panel.series.is_empty());
        let title = format!("{what}: {about}");
        let scene = grid(&panels, &title, samples.len());
        Picture { file, title, scene }
    })
    .collect()
}

/// Two panels a row below a heading.
fn grid(panels: &[Panel], title: &str, seconds: usize) -> Scene {
    let rows = panels.len().div_ceil(2);
    let height = HEADING + rows as f32 * (PANEL_HEIGHT + GAP);
    let mut scene = Scene::new(WIDTH, height.max(HEADING + GAP));
    scene.text((GAP, 30.0), title, Weight::Bold, Anchor::Start, Ink::Text);
    let width = (WIDTH - 3.0 * GAP) / 2.0;
    for (at, panel) in panels.iter().enumerate() {
        let (row, column) = ((at / 2) as f32, (at % 2) as f32);
        let place = Place {
            at: (
                GAP + column * (width + GAP),
                HEADING + row * (PANEL_HEIGHT + GAP),
            ),
            width,
            height: PANEL_HEIGHT,
        };
        panel.draw(&mut scene, place, seconds);
    }
    scene
}

/// A series of what `value` finds in each sample; none when it never finds anything.
fn series(
    samples: &[Sample],
    name: &str,
    place: usize,
    value: impl Fn(&Sample) -> Option<f64>,
) -> Option<Series> {
    let values: Vec<Option<f64>> = samples.iter().map(value).collect();
    values.iter().any(Option::is_some).then(|| Series {
        name: name.to_owned(),
        values,
        place,
    })
}

/// The names in a map of the samples, in the order of the alphabet.
fn names<'a, V: 'a>(
    samples: &'a [Sample],
    map: impl Fn(&'a Sample) -> &'a std::collections::BTreeMap<String, V>,
) -> Vec<&'a str> {
    let all = samples.iter().flat_map(|sample| map(sample).keys());
    let unique: std::collections::BTreeSet<&str> = all.map(String::as_str).collect();
    unique.into_iter().collect()
}

fn panel(
    title: &str,
    unit: Unit,
    scale: Scale,
    style: Style,
    series: Vec<Option<Series>>,
) -> Panel {
    Panel {
        title: title.to_owned(),
        unit,
        scale,
        style,
        series: series.into_iter().flatten().collect(),
    }
}

/// How a sample calls memory by the label of its metric.
const OWNER: &str = "owner ";
const HEAP_STATE: &str = "state ";

/// How many threads are in one state.
type StateOf = fn(&ThreadStates) -> f64;

fn telemetry(samples: &[Sample]) -> Vec<Panel> {
    let objects = names(samples, |s| &s.objects)
        .into_iter()
        .enumerate()
        .map(|(place, name)| series(samples, name, place, |s| s.objects.get(name).copied()))
        .collect();
    let (owners, whole) = memory(samples);
    let states: [(&str, StateOf); 4] = [
        ("runnable", |threads| threads.runnable),
        ("blocked", |threads| threads.blocked),
        ("network I/O", |threads| threads.network),
        ("waiting", |threads| threads.waiting),
    ];
    // Green runs, red is stuck, blue waits for the network: as profilers have it.
    let colors = [2, 3, 0, 8];
    let threads = states
        .into_iter()
        .zip(colors)
        .map(|((name, of), place)| series(samples, name, place, |s| s.threads.as_ref().map(of)))
        .collect();
    let cpus = samples
        .iter()
        .map(|sample| sample.cpu_busy.len())
        .max()
        .unwrap_or(0);
    let mut cpu: Vec<Option<Series>> = vec![
        series(samples, "server", 0, |s| {
            s.server_cpus.map(|cpus| cpus * 100.0)
        }),
        series(samples, "generator", 1, |s| {
            s.generator_cpus.map(|cpus| cpus * 100.0)
        }),
    ];
    cpu.extend((0..cpus).map(|cpu| {
        let busy = move |s: &Sample| s.cpu_busy.get(cpu).map(|busy| busy * 100.0);
        series(samples, &format!("CPU {cpu} busy"), cpu + 2, busy)
    }));
    vec![
        panel("Memory", Unit::Bytes, Scale::Linear, Style::Lines, whole),
        panel(
            "Memory by owner",
            Unit::Bytes,
            Scale::Linear,
            Style::Stacked,
            owners,
        ),
        panel(
            "Live objects",
            Unit::Count,
            Scale::Log,
            Style::Lines,
            objects,
        ),
        panel(
            "Server threads by state",
            Unit::Count,
            Scale::Linear,
            Style::Stacked,
            threads,
        ),
        panel("CPU", Unit::Percent, Scale::Linear, Style::Lines, cpu),
    ]
}

/// Parts, which add up, and what there is of the whole process, which does not.
fn memory(samples: &[Sample]) -> (Vec<Option<Series>>, Vec<Option<Series>>) {
    let all = names(samples, |s| &s.memory);
    let (owners, whole): (Vec<&str>, _) = all.into_iter().partition(|name| name.starts_with(OWNER));
    let line = |(place, name): (usize, &str)| {
        let shown = match name.strip_prefix(HEAP_STATE) {
            Some(state) => format!("heap {state}"),
            None => name.trim_start_matches(OWNER).to_owned(),
        };
        series(samples, &shown, place, |s| s.memory.get(name).copied())
    };
    (
        owners.into_iter().enumerate().map(line).collect(),
        whole.into_iter().enumerate().map(line).collect(),
    )
}

fn load(samples: &[Sample]) -> Vec<Panel> {
    let requests = Kind::ALL
        .into_iter()
        .enumerate()
        .map(|(place, kind)| {
            let count = |s: &Sample| s.latency.get(kind.name()).map(|l| l.count as f64);
            series(samples, kind.name(), place, count)
        })
        .collect();
    let log =
        |value: fn(&crate::telemetry::Log) -> f64| move |s: &Sample| s.log.as_ref().map(value);
    let shards = |value: fn(&crate::telemetry::Shards) -> f64| {
        move |s: &Sample| s.shards.as_ref().map(value)
    };
    let per_batch = |log: &crate::telemetry::Log| {
        if log.batches > 0.0 {
            log.postings / log.batches
        } else {
            0.0
        }
    };
    // A line of zeros says less than no panel.
    let any_failed = samples.iter().any(|sample| sample.failed > 0);
    let failed = |s: &Sample| any_failed.then_some(s.failed as f64);
    let lines = Style::Lines;
    vec![
        panel(
            "Requests by type",
            Unit::PerSecond,
            Scale::Linear,
            Style::Stacked,
            requests,
        ),
        percentiles(samples, ALL_TYPES, "Latency of all requests"),
        panel(
            "Postings and batches",
            Unit::PerSecond,
            Scale::Linear,
            lines,
            vec![
                series(samples, "postings", 0, log(|log| log.postings)),
                series(samples, "batches", 1, log(|log| log.batches)),
            ],
        ),
        panel(
            "Postings per batch, postings not durable yet",
            Unit::Count,
            Scale::Linear,
            lines,
            vec![
                series(samples, "per batch", 0, log(per_batch)),
                series(samples, "not durable", 3, log(|log| log.lag_postings)),
            ],
        ),
        panel(
            "Flush time",
            Unit::Milliseconds,
            Scale::Linear,
            lines,
            vec![
                series(samples, "p50", 0, log(|log| log.flush_p50)),
                series(samples, "p95", 1, log(|log| log.flush_p95)),
            ],
        ),
        panel(
            "Commands: hops and own",
            Unit::PerSecond,
            Scale::Linear,
            Style::Stacked,
            vec![
                series(samples, "hops", 4, shards(|shards| shards.hops)),
                series(samples, "own shard", 2, shards(|shards| shards.own)),
            ],
        ),
        panel(
            "Mailbox depth",
            Unit::Count,
            Scale::Linear,
            lines,
            vec![series(
                samples,
                "commands waiting",
                5,
                shards(|shards| shards.mailbox_depth),
            )],
        ),
        panel(
            "Failed requests",
            Unit::PerSecond,
            Scale::Linear,
            lines,
            vec![series(samples, "failed", 3, failed)],
        ),
    ]
}

fn latency(samples: &[Sample]) -> Vec<Panel> {
    Kind::ALL
        .into_iter()
        .map(|kind| percentiles(samples, kind.name(), kind.name()))
        .collect()
}

fn percentiles(samples: &[Sample], key: &str, title: &str) -> Panel {
    let of = |value: fn(&crate::telemetry::Latency) -> f64| {
        move |s: &Sample| s.latency.get(key).map(value)
    };
    panel(
        title,
        Unit::Milliseconds,
        Scale::Log,
        Style::Lines,
        vec![
            series(samples, "p50", 2, of(|latency| latency.p50)),
            series(samples, "p95", 0, of(|latency| latency.p95)),
            series(samples, "p99", 3, of(|latency| latency.p99)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::scene::Shape;
    use crate::telemetry::Latency;

    fn titles(scene: &Scene) -> Vec<&str> {
        scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Text {
                    text,
                    weight: Weight::Bold,
                    ..
                } => Some(&**text),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn panels_without_a_value_are_left_out() {
        let mut sample = Sample::default();
        let latency = Latency {
            count: 5,
            p50: 1.0,
            p95: 2.0,
            p99: 3.0,
        };
        sample.latency.insert("balance".to_owned(), latency);
        sample.memory.insert("resident".to_owned(), 1e6);
        sample.memory.insert("owner accounts".to_owned(), 1e5);
        let pictures = pictures(&[sample.clone(), sample], "a run");
        let seen: Vec<_> = pictures
            .iter()
            .map(|p| (p.file, titles(&p.scene)))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "telemetry",
                    vec!["telemetry: a run", "Memory", "Memory by owner"]
                ),
                ("load", vec!["load: a run", "Requests by type"]),
                ("latency", vec!["latency by request type: a run", "balance"]),
            ]
        );
    }

    #[test]
    fn a_recording_of_nothing_makes_empty_pictures() {
        for picture in pictures(&[], "nothing") {
            assert!(picture.scene.height > 0.0, "{}", picture.file);
        }
    }
}
