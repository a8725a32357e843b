//! Shapes on a plane, in colours that have a meaning before they have a value.

/// How wide every character is: a picture is laid out without measuring. This is the width
/// of the largest letters that `png` has, at its scale.
pub(crate) const CHARACTER_WIDTH: f32 = 7.0;

/// The size of a font whose letters are that wide: most are 0.6 of it.
pub(crate) const FONT_SIZE: f32 = 11.7;

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Behind everything.
    Page,
    /// Behind one chart.
    Panel,
    Grid,
    Text,
    Muted,
    /// The lines and areas of data, by their place in a legend.
    Series(usize),
    /// The same colours as a ground for text.
    Tint(usize),
}

/// Light or dark surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

/// Distinct in both themes and for people who see few colours: hue and lightness change from
/// one to the next.
const SERIES: [[u32; 2]; 10] = [
    [0x1f6fb5, 0x5aa9e6],
    [0xd9761a, 0xf5a653],
    [0x2b8a57, 0x5fc98f],
    [0xb83a4b, 0xf07f8c],
    [0x7b55b8, 0xb597ec],
    [0x168a9a, 0x55c8d8],
    [0x8c6d1f, 0xd6b656],
    [0xb04a94, 0xe58fcd],
    [0x5c6570, 0xa9b4c0],
    [0x4d7c0f, 0xa3d15a],
];

impl Ink {
    /// All inks, for a style sheet.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [Self::Page, Self::Panel, Self::Grid, Self::Text, Self::Muted]
            .into_iter()
            .chain((0..SERIES.len()).map(Self::Series))
            .chain((0..SERIES.len()).map(Self::Tint))
    }

    /// Red, green and blue, eight bits each.
    pub(crate) fn rgb(self, theme: Theme) -> u32 {
        let of = |colors: [u32; 2]| match theme {
            Theme::Light => colors[0],
            Theme::Dark => colors[1],
        };
        of(match self {
            Self::Page => [0xffffff, 0x14181d],
            Self::Panel => [0xf6f8fa, 0x1c2229],
            Self::Grid => [0xd8dee4, 0x333c46],
            Self::Text => [0x1f2328, 0xe6edf3],
            Self::Muted => [0x57606a, 0x9aa5b1],
            Self::Series(place) => SERIES[place % SERIES.len()],
            Self::Tint(place) => [Theme::Light, Theme::Dark].map(|theme| {
                let (series, page) = (Self::Series(place).rgb(theme), Self::Page.rgb(theme));
                mixed(series, page, TINT_PERCENT)
            }),
        })
    }

    /// The name of its style.
    pub(crate) fn class(self) -> String {
        match self {
            Self::Page => "page".to_owned(),
            Self::Panel => "panel".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Muted => "muted".to_owned(),
            Self::Series(place) => format!("s{}", place % SERIES.len()),
            Self::Tint(place) => format!("t{}", place % SERIES.len()),
        }
    }
}

/// How much of a tint is its series' colour; the rest is the page's.
const TINT_PERCENT: u32 = 40;

/// A colour laid over another one.
fn mixed(above: u32, below: u32, percent: u32) -> u32 {
    let channel = |shift: u32| {
        let (above, below) = ((above >> shift) & 0xff, (below >> shift) & 0xff);
        ((above * percent + below * (100 - percent)) / 100) << shift
    };
    channel(16) | channel(8) | channel(0)
}

/// How strong the letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// How wide a text is, of either weight.
pub(crate) fn width_of(text: &str) -> f32 {
    text.chars().count() as f32 * CHARACTER_WIDTH
}

/// Which point of a text its `x` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

pub(crate) type Point = (f32, f32);

/// One thing to draw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Rect {
        at: Point,
        width: f32,
        height: f32,
        ink: Ink,
        /// What it is, for who points at it; a PNG has no place for it.
        title: Option<String>,
    },
    Line {
        points: Vec<Point>,
        ink: Ink,
        width: f32,
    },
    /// A filled polygon that lets the grid through.
    Area { points: Vec<Point>, ink: Ink },
    Text {
        /// The baseline.
        at: Point,
        text: String,
        weight: Weight,
        anchor: Anchor,
        ink: Ink,
    },
}

/// How much of what is below an area is hidden.
pub(crate) const AREA_OPACITY: f32 = 0.7;

/// A picture before it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scene {
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) shapes: Vec<Shape>,
}

impl Scene {
    pub(crate) fn new(width: f32, height: f32) -> Self {
        let page = Shape::Rect {
            at: (0.0, 0.0),
            width,
            height,
            ink: Ink::Page,
            title: None,
        };
        Self {
            width,
            height,
            shapes: vec![page],
        }
    }

    pub(crate) fn text(&mut self, at: Point, text: &str, weight: Weight, anchor: Anchor, ink: Ink) {
        self.shapes.push(Shape::Text {
            at,
            text: text.to_owned(),
            weight,
            anchor,
            ink,
        });
    }

    pub(crate) fn line(&mut self, points: Vec<Point>, ink: Ink, width: f32) {
        self.shapes.push(Shape::Line { points, ink, width });
    }

    pub(crate) fn rect(&mut self, at: Point, width: f32, height: f32, ink: Ink) {
        self.shapes.push(Shape::Rect {
            at,
            width,
            height,
            ink,
            title: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as the web's guidelines for contrast define it.
    fn luminance(rgb: u32) -> f64 {
        let channel = |shift: u32| {
            let value = f64::from((rgb >> shift) & 0xff) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
    }

    fn contrast(a: u32, b: u32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn texts_and_lines_can_be_read_in_light_and_dark() {
        for theme in [Theme::Light, Theme::Dark] {
            for ground in [Ink::Page, Ink::Panel] {
                for ink in [Ink::Text, Ink::Muted] {
                    let seen = contrast(ink.rgb(theme), ground.rgb(theme));
                    assert!(seen >= 4.5, "{ink:?} on {ground:?}, {theme:?}: {seen:.1}");
                }
                for place in 0..SERIES.len() {
                    let (text, tint) = (Ink::Text.rgb(theme), Ink::Tint(place).rgb(theme));
                    assert!(contrast(text, tint) >= 4.5, "tint {place}, {theme:?}");
                    let seen = contrast(Ink::Series(place).rgb(theme), ground.rgb(theme));
                    assert!(
                        seen >= 3.0,
                        "series {place} on {ground:?}, {theme:?}: {seen:.1}"
                    );
                }
            }
        }
    }
}
