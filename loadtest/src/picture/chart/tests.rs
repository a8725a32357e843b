use super::*;

fn panel(scale: Scale, style: Style, series: &[&[f64]]) -> Panel {
    Panel {
        title: "t".to_owned(),
        unit: Unit::Count,
        scale,
        style,
        series: series
            .iter()
            .enumerate()
            .map(|(place, values)| Series {
                name: format!("n{place}"),
                values: values.iter().copied().map(Some).collect(),
                place,
            })
            .collect(),
    }
}

fn ticks(panel: &Panel) -> Vec<f64> {
    Axis::of(panel, &panel.series).ticks
}

#[test]
fn ticks_are_round_and_reach_the_highest_value() {
    let lines = |highest| panel(Scale::Linear, Style::Lines, &[&[highest]]);
    assert_eq!(ticks(&lines(9.0)), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    assert_eq!(
        ticks(&lines(1_000.0)),
        [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]
    );
    assert_eq!(ticks(&lines(0.0)), [0.0, 1.0]);
    let stacked = panel(Scale::Linear, Style::Stacked, &[&[3.0, 1.0], &[6.0, 1.0]]);
    assert_eq!(ticks(&stacked).last(), Some(&10.0));
    let log = panel(Scale::Log, Style::Lines, &[&[0.0, 30.0, 2_000.0]]);
    assert_eq!(ticks(&log), [10.0, 100.0, 1_000.0, 10_000.0]);
    assert_eq!(
        ticks(&panel(Scale::Log, Style::Lines, &[&[0.0]])),
        [1.0, 10.0]
    );
}

#[test]
fn everything_stays_inside_its_panel() {
    let values: Vec<f64> = (0..5_000).map(f64::from).collect();
    for (scale, style) in [
        (Scale::Linear, Style::Lines),
        (Scale::Log, Style::Lines),
        (Scale::Linear, Style::Stacked),
    ] {
        let panel = panel(scale, style, &[&values, &values, &[7.0]]);
        let mut scene = Scene::new(600.0, 300.0);
        let place = Place {
            at: (0.0, 0.0),
            width: 600.0,
            height: 300.0,
        };
        panel.draw(&mut scene, place, 5_000);
        for shape in &scene.shapes {
            let points = match shape {
                Shape::Line { points, .. } | Shape::Area { points, .. } => points.clone(),
                Shape::Text {
                    at, text, anchor, ..
                } => {
                    let width = width_of(text);
                    let start = match anchor {
                        Anchor::Start => at.0,
                        Anchor::Middle => at.0 - width / 2.0,
                        Anchor::End => at.0 - width,
                    };
                    vec![(start, at.1), (start + width, at.1)]
                }
                Shape::Rect { at, .. } => vec![*at],
            };
            assert!(points.len() <= 2 * POINTS_MAX);
            for (x, y) in points {
                assert!(
                    (0.0..=600.0).contains(&x) && (0.0..=300.0).contains(&y),
                    "{shape:?}"
                );
            }
        }
    }
}

#[test]
fn a_gap_in_the_values_is_a_gap_in_the_line() {
    let mut panel = panel(Scale::Linear, Style::Lines, &[&[1.0, 2.0, 3.0, 4.0]]);
    panel.series[0].values[2] = None;
    let mut scene = Scene::new(600.0, 300.0);
    let place = Place {
        at: (0.0, 0.0),
        width: 600.0,
        height: 300.0,
    };
    panel.draw(&mut scene, place, 4);
    let lines = scene.shapes.iter().filter(|shape| {
        matches!(
            shape,
            Shape::Line {
                ink: Ink::Series(0),
                ..
            }
        )
    });
    assert_eq!(lines.count(), 2);
}

#[test]
fn numbers_are_short() {
    let cases = [
        (0.0, "0"),
        (1.5, "1.5"),
        (12.34, "12.3"),
        (100.0, "100"),
        (9_999.0, "9999"),
        (12_345.0, "12.3k"),
        (4e6, "4M"),
    ];
    for (value, expected) in cases {
        assert_eq!(short(value), expected);
    }
    assert_eq!(Unit::PerSecond.text(20.0), "20/s");
    assert_eq!(Unit::Percent.text(99.6), "100%");
}
