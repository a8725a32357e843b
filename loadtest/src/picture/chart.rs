//! One panel: a title, a legend, two axes, and lines or stacked areas over time.

use super::scene::{Anchor, Ink, Point, Scene, Shape, Weight, width_of};
use crate::units;

/// What the numbers of a panel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    PerSecond,
    Bytes,
    Milliseconds,
    Percent,
}

impl Unit {
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Bytes => units::bytes(value),
            Self::Milliseconds => units::duration(value),
            Self::Percent => format!("{value:.0}%"),
            Self::PerSecond => format!("{}/s", short(value)),
            Self::Count => short(value),
        }
    }
}

/// `12`, `1.5`, `12.3k`, `4M`.
fn short(value: f64) -> String {
    let (value, suffix) = match value {
        _ if value >= 999_500.0 => (value / 1e6, "M"),
        _ if value >= 9_999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let places = match value {
        _ if value >= 99.95 => 0,
        _ if value >= 9.95 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{suffix}")
}

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten, for numbers that lie far apart.
    Log,
}

/// How series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Lines,
    Stacked,
}

/// One line or area.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// One for each sample; `None` where there was none.
    pub(crate) values: Vec<Option<f64>>,
    /// Its colour.
    pub(crate) place: usize,
}

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) scale: Scale,
    pub(crate) style: Style,
    pub(crate) series: Vec<Series>,
}

/// A rectangle of a scene.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) at: Point,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

/// More points than that are put together: a picture has no more columns.
const POINTS_MAX: usize = 600;

const PADDING: f32 = 14.0;
/// For the numbers left of the axis: `999.99ms` at most.
const LABELS_WIDTH: f32 = 70.0;
const LEGEND_LINE: f32 = 17.0;
const TICKS_Y: usize = 5;
const LINE_WIDTH: f32 = 1.6;

impl Panel {
    /// Draws the panel into its place; `seconds` is the length of the time axis.
    pub(crate) fn draw(&self, scene: &mut Scene, place: Place, seconds: usize) {
        let Place {
            at: (x, y),
            width,
            height,
        } = place;
        scene.rect((x, y), width, height, Ink::Panel);
        let left = x + PADDING;
        let mut baseline = y + PADDING + 10.0;
        scene.text(
            (left, baseline),
            &self.title,
            Weight::Bold,
            Anchor::Start,
            Ink::Text,
        );
        baseline = self.draw_legend(scene, (left, baseline + 22.0), width - 2.0 * PADDING);
        let top = baseline + 20.0;
        let plot = Place {
            at: (left + LABELS_WIDTH, top),
            width: width - 2.0 * PADDING - LABELS_WIDTH,
            height: y + height - PADDING - 20.0 - top,
        };
        let series = self.reduced();
        let axis = Axis::of(self, &series);
        axis.draw(scene, plot, self.unit);
        draw_times(scene, plot, seconds);
        match self.style {
            Style::Lines => draw_lines(scene, plot, &axis, &series),
            Style::Stacked => draw_stacked(scene, plot, &axis, &series),
        }
    }

    /// Names with their last and highest values, in as many lines as they need.
    fn draw_legend(&self, scene: &mut Scene, at: Point, width: f32) -> f32 {
        let (mut x, mut y) = at;
        for series in &self.series {
            let seen = || series.values.iter().flatten().copied();
            let highest = seen().fold(0.0, f64::max);
            let text = format!("{} (max {})", series.name, self.unit.text(highest));
            let entry = 16.0 + width_of(&text);
            if x > at.0 && x + entry > at.0 + width {
                (x, y) = (at.0, y + LEGEND_LINE);
            }
            scene.rect((x, y - 8.0), 10.0, 8.0, Ink::Series(series.place));
            scene.text(
                (x + 15.0, y),
                &text,
                Weight::Regular,
                Anchor::Start,
                Ink::Muted,
            );
            x += entry + 16.0;
        }
        y
    }

    /// The series with few enough points: of durations the longest, else the mean.
    fn reduced(&self) -> Vec<Series> {
        let reduce = |values: &[Option<f64>]| {
            let seen: Vec<f64> = values.iter().flatten().copied().collect();
            if seen.is_empty() {
                return None;
            }
            Some(match self.unit {
                Unit::Milliseconds => seen.iter().copied().fold(0.0, f64::max),
                _ => seen.iter().sum::<f64>() / seen.len() as f64,
            })
        };
        let mut series = self.series.clone();
        for series in &mut series {
            let together = series.values.len().div_ceil(POINTS_MAX).max(1);
            series.values = series.values.chunks(together).map(reduce).collect();
        }
        series
    }
}

/// The vertical axis: which value is at which height.
struct Axis {
    scale: Scale,
    bottom: f64,
    top: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn of(panel: &Panel, series: &[Series]) -> Self {
        let points = series
            .iter()
            .map(|series| series.values.len())
            .max()
            .unwrap_or(0);
        let values = || {
            series
                .iter()
                .flat_map(|series| series.values.iter().flatten().copied())
        };
        let highest = match panel.style {
            Style::Lines => values().fold(0.0, f64::max),
            Style::Stacked => (0..points)
                .map(|at| {
                    series
                        .iter()
                        .filter_map(|s| s.values.get(at).copied().flatten())
                        .sum()
                })
                .fold(0.0, f64::max),
        };
        match panel.scale {
            Scale::Linear => {
                let step = step_of(highest, panel.unit);
                let count = (highest / step).ceil().max(1.0);
                Self {
                    scale: Scale::Linear,
                    bottom: 0.0,
                    top: count * step,
                    ticks: (0..=count as usize)
                        .map(|tick| tick as f64 * step)
                        .collect(),
                }
            }
            Scale::Log => {
                let lowest = values()
                    .filter(|&value| value > 0.0)
                    .fold(f64::INFINITY, f64::min);
                let lowest = if lowest.is_finite() { lowest } else { 1.0 };
                let first = lowest.log10().floor() as i32;
                let last = (highest.max(lowest).log10().ceil() as i32).max(first + 1);
                let every = ((last - first) as usize).div_ceil(TICKS_Y + 1);
                Self {
                    scale: Scale::Log,
                    bottom: 10_f64.powi(first),
                    top: 10_f64.powi(last),
                    ticks: (first..=last)
                        .step_by(every)
                        .map(|power| 10_f64.powi(power))
                        .collect(),
                }
            }
        }
    }

    /// From 0 at the bottom to 1 at the top.
    fn share(&self, value: f64) -> f32 {
        let share = match self.scale {
            Scale::Linear => value / self.top,
            // What is zero lies on the ground.
            Scale::Log => {
                let value = value.max(self.bottom);
                (value / self.bottom).log10() / (self.top / self.bottom).log10()
            }
        };
        share.clamp(0.0, 1.0) as f32
    }

    fn y(&self, plot: Place, value: f64) -> f32 {
        plot.at.1 + plot.height * (1.0 - self.share(value))
    }

    fn draw(&self, scene: &mut Scene, plot: Place, unit: Unit) {
        for &tick in &self.ticks {
            let y = self.y(plot, tick);
            let (left, right) = (plot.at.0, plot.at.0 + plot.width);
            scene.line(vec![(left, y), (right, y)], Ink::Grid, 1.0);
            let text = unit.text(tick);
            scene.text(
                (left - 8.0, y + 4.0),
                &text,
                Weight::Regular,
                Anchor::End,
                Ink::Muted,
            );
        }
    }
}

/// A distance between ticks that people can read: 1, 2 or 5 times a power of ten.
fn step_of(highest: f64, unit: Unit) -> f64 {
    let rough = highest / TICKS_Y as f64;
    if rough <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power);
    let step = step
        .into_iter()
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(power * 10.0);
    // Half a byte or a quarter of an object is no tick.
    match unit {
        Unit::Bytes => step.max(1.0),
        _ => step,
    }
}

/// Ticks of time, at most six, at whole seconds or minutes.
fn draw_times(scene: &mut Scene, plot: Place, seconds: usize) {
    const STEPS: [usize; 14] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200,
    ];
    let step = STEPS
        .into_iter()
        .find(|step| seconds / step <= 6)
        .unwrap_or(seconds.div_ceil(6));
    let bottom = plot.at.1 + plot.height;
    for second in (0..=seconds).step_by(step.max(1)) {
        let x = x_of(plot, second as f32 / seconds.max(1) as f32);
        scene.line(vec![(x, bottom), (x, bottom + 4.0)], Ink::Grid, 1.0);
        let text = match second {
            _ if seconds < 120 => format!("{second}s"),
            _ => format!("{}:{:02}", second / 60, second % 60),
        };
        // The first and the last must not leave the panel.
        let half = width_of(&text) / 2.0;
        let x = x.min(plot.at.0 + plot.width - half);
        scene.text(
            (x, bottom + 17.0),
            &text,
            Weight::Regular,
            Anchor::Middle,
            Ink::Muted,
        );
    }
}

fn x_of(plot: Place, share: f32) -> f32 {
    plot.at.0 + plot.width * share
}

/// Where along the axis a point lies.
fn share_of(at: usize, points: usize) -> f32 {
    at as f32 / (points.max(2) - 1) as f32
}

fn draw_lines(scene: &mut Scene, plot: Place, axis: &Axis, series: &[Series]) {
    for (at, one) in series.iter().enumerate() {
        // Where two lines lie on each other, the one below shows at both sides.
        let width = LINE_WIDTH + 1.0 * (series.len() - 1 - at).min(3) as f32;
        let points = one.values.len();
        let mut line: Vec<Point> = Vec::new();
        // A gap in the values is a gap in the line.
        for (at, value) in one.values.iter().enumerate() {
            if let Some(value) = value {
                line.push((x_of(plot, share_of(at, points)), axis.y(plot, *value)));
            } else {
                finish(scene, &mut line, one.place, width);
            }
        }
        finish(scene, &mut line, one.place, width);
    }
}

fn finish(scene: &mut Scene, line: &mut Vec<Point>, place: usize, width: f32) {
    let mut points = std::mem::take(line);
    if let [(x, y)] = points[..] {
        // One point alone would be invisible.
        points.push((x + 2.0, y));
    }
    if !points.is_empty() {
        scene.line(points, Ink::Series(place), width);
    }
}

fn draw_stacked(scene: &mut Scene, plot: Place, axis: &Axis, series: &[Series]) {
    let points = series
        .iter()
        .map(|series| series.values.len())
        .max()
        .unwrap_or(0);
    let mut below = vec![0.0; points];
    for series in series {
        let mut above = below.clone();
        for (sum, value) in above.iter_mut().zip(&series.values) {
            *sum += value.unwrap_or(0.0);
        }
        let edge = |sums: &[f64]| -> Vec<Point> {
            sums.iter()
                .enumerate()
                .map(|(at, &sum)| (x_of(plot, share_of(at, points)), axis.y(plot, sum)))
                .collect()
        };
        let upper = edge(&above);
        let mut outline = upper.clone();
        outline.extend(edge(&below).into_iter().rev());
        if points > 1 {
            let ink = Ink::Series(series.place);
            scene.shapes.push(Shape::Area {
                points: outline,
                ink,
            });
            scene.line(upper, ink, 1.2);
        }
        below = above;
    }
}

#[cfg(test)]
mod tests;
