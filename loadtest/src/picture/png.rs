//! A scene as PNG, for where pictures are pasted. Letters come rastered with a package, so
//! that no font of the system is needed and every machine draws the same.

use anyhow::Context;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Rect,
    Stroke, Transform,
};

use super::scene::{
    AREA_OPACITY, Anchor, CHARACTER_WIDTH, Ink, Point, Scene, Shape, Theme, Weight, width_of,
};

/// Pixels for each unit of the scene, so that a picture is sharp on today's screens.
const SCALE: f32 = 2.0;

/// The largest letters there are: at this scale they are as wide as a scene expects.
const LETTERS: RasterHeight = RasterHeight::Size32;
const _: () = assert!(
    get_raster_width(FontWeight::Regular, LETTERS) as f32 == CHARACTER_WIDTH * SCALE
        && get_raster_width(FontWeight::Bold, LETTERS) as f32 == CHARACTER_WIDTH * SCALE
);

/// From the top of a letter's raster to the line that letters stand on.
const BASELINE_PX: f32 = 25.0;

/// The picture in the light theme, on an opaque page: readable on any ground.
///
/// # Errors
/// The scene has no size, or memory for it is missing.
pub(crate) fn write(scene: &Scene) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (scene.width * SCALE, scene.height * SCALE);
    let mut pixmap = Pixmap::new(width as u32, height as u32).context("a picture without size")?;
    for shape in &scene.shapes {
        draw(&mut pixmap, shape);
    }
    pixmap.encode_png().context("write a PNG")
}

fn draw(pixmap: &mut Pixmap, shape: &Shape) {
    let transform = Transform::from_scale(SCALE, SCALE);
    match shape {
        Shape::Rect {
            at: (x, y),
            width,
            height,
            ink,
            title: _,
        } => {
            if let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) {
                pixmap.fill_rect(rect, &paint(*ink, 1.0), transform, None);
            }
        }
        Shape::Line { points, ink, width } => {
            let stroke = Stroke {
                width: *width,
                line_join: LineJoin::Round,
                ..Stroke::default()
            };
            if let Some(path) = path(points, false) {
                pixmap.stroke_path(&path, &paint(*ink, 1.0), &stroke, transform, None);
            }
        }
        Shape::Area { points, ink } => {
            if let Some(path) = path(points, true) {
                let paint = paint(*ink, AREA_OPACITY);
                pixmap.fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
        }
        Shape::Text {
            at,
            text,
            weight,
            anchor,
            ink,
        } => draw_text(pixmap, *at, text, *weight, *anchor, *ink),
    }
}

fn channels(ink: Ink) -> [u8; 3] {
    let [_, r, g, b] = ink.rgb(Theme::Light).to_be_bytes();
    [r, g, b]
}

fn paint(ink: Ink, opacity: f32) -> Paint<'static> {
    let [r, g, b] = channels(ink);
    let mut paint = Paint::default();
    let mut color = Color::from_rgba8(r, g, b, 255);
    color.apply_opacity(opacity);
    paint.set_color(color);
    paint
}

fn path(points: &[Point], closes: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    builder.move_to(first.0, first.1);
    for point in rest {
        builder.line_to(point.0, point.1);
    }
    if closes {
        builder.close();
    }
    builder.finish()
}

fn draw_text(pixmap: &mut Pixmap, at: Point, text: &str, weight: Weight, anchor: Anchor, ink: Ink) {
    let weight = match weight {
        Weight::Regular => FontWeight::Regular,
        Weight::Bold => FontWeight::Bold,
    };
    let start = match anchor {
        Anchor::Start => at.0,
        Anchor::Middle => at.0 - width_of(text) / 2.0,
        Anchor::End => at.0 - width_of(text),
    };
    let top = at.1 * SCALE - BASELINE_PX;
    let color = channels(ink);
    for (place, character) in text.chars().enumerate() {
        let left = ((start + place as f32 * CHARACTER_WIDTH) * SCALE).round();
        // The rasters have Latin letters: whatever else there is shows as a question.
        let raster =
            get_raster(character, weight, LETTERS).or_else(|| get_raster('?', weight, LETTERS));
        let Some(raster) = raster else { continue };
        for (y, row) in raster.rows().enumerate() {
            for (x, &strength) in row.iter().enumerate() {
                let place = (left as i64 + x as i64, top.round() as i64 + y as i64);
                blend(pixmap, place, color, strength);
            }
        }
    }
}

/// Lays a colour of some strength over an opaque pixel.
fn blend(pixmap: &mut Pixmap, (x, y): (i64, i64), color: [u8; 3], strength: u8) {
    let (width, height) = (i64::from(pixmap.width()), i64::from(pixmap.height()));
    if strength == 0 || !(0..width).contains(&x) || !(0..height).contains(&y) {
        return;
    }
    let pixel = &mut pixmap.pixels_mut()[(y * width + x) as usize];
    let mix = |below: u8, above: u8| {
        let (below, above, strength) = (u32::from(below), u32::from(above), u32::from(strength));
        ((below * (255 - strength) + above * strength) / 255) as u8
    };
    let mixed = PremultipliedColorU8::from_rgba(
        mix(pixel.red(), color[0]),
        mix(pixel.green(), color[1]),
        mix(pixel.blue(), color[2]),
        255,
    );
    if let Some(mixed) = mixed {
        *pixel = mixed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_areas_and_letters_leave_their_colour() {
        let mut scene = Scene::new(100.0, 40.0);
        scene.rect((0.0, 0.0), 10.0, 10.0, Ink::Series(2));
        scene.line(vec![(50.0, 0.0), (50.0, 40.0)], Ink::Series(1), 4.0);
        scene.text((60.0, 30.0), "Hé?", Weight::Bold, Anchor::Start, Ink::Text);
        let png = write(&scene).unwrap();
        let pixmap = Pixmap::decode_png(&png).unwrap();
        assert_eq!((pixmap.width(), pixmap.height()), (200, 80));
        let color = |x: u32, y: u32| {
            let pixel = pixmap.pixel(x, y).unwrap();
            [pixel.red(), pixel.green(), pixel.blue()]
        };
        assert_eq!(color(5, 5), channels(Ink::Series(2)));
        assert_eq!(color(100, 70), channels(Ink::Series(1)));
        assert_eq!(color(40, 60), channels(Ink::Page));
        let letters = (120..180).flat_map(|x| (30..64).map(move |y| (x, y)));
        let dark = letters.filter(|&(x, y)| color(x, y)[0] < 0x60).count();
        assert!(dark > 50, "{dark} dark pixels");
    }

    #[test]
    fn what_lies_outside_is_cut() {
        let mut scene = Scene::new(10.0, 10.0);
        scene.text(
            (-20.0, 5.0),
            "outside",
            Weight::Bold,
            Anchor::Start,
            Ink::Text,
        );
        scene.text(
            (8.0, 50.0),
            "below",
            Weight::Regular,
            Anchor::End,
            Ink::Text,
        );
        assert!(write(&scene).is_ok());
        assert!(write(&Scene::new(0.0, 0.0)).is_err());
    }
}
