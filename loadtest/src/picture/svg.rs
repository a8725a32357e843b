//! A scene as SVG: small, sharp at any size, and in the theme of whoever looks.

use std::fmt::Write;

use super::scene::{
    AREA_OPACITY, Anchor, FONT_SIZE, Ink, Point, Scene, Shape, Theme, Weight, width_of,
};

/// The whole picture, with its own styles: it can stand alone or inside a page.
pub(crate) fn write(scene: &Scene, title: &str) -> String {
    let mut out = String::new();
    let (width, height) = (scene.width, scene.height);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lt\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{0}\">\n<title>{0}</title>\n<style>{1}</style>\n",
        escaped(title),
        styles()
    );
    for shape in &scene.shapes {
        write_shape(&mut out, shape);
        out.push('\n');
    }
    out.push_str("</svg>\n");
    out
}

fn styles() -> String {
    let mut out = String::from(
        ".lt text{font-family:'Noto Sans Mono',ui-monospace,Menlo,Consolas,monospace}\
         .lt text{pointer-events:none}.lt polyline{fill:none;stroke-linejoin:round}",
    );
    let colors = |out: &mut String, theme| {
        for ink in Ink::all() {
            let (class, rgb) = (ink.class(), ink.rgb(theme));
            let _ = write!(out, ".lt .{class}{{fill:#{rgb:06x}}}");
            let _ = write!(out, ".lt polyline.{class}{{fill:none;stroke:#{rgb:06x}}}");
        }
    };
    colors(&mut out, Theme::Light);
    out.push_str("@media(prefers-color-scheme:dark){");
    colors(&mut out, Theme::Dark);
    out.push('}');
    out
}

fn write_shape(out: &mut String, shape: &Shape) {
    let _ = match shape {
        Shape::Rect {
            at: (x, y),
            width,
            height,
            ink,
            title,
        } => {
            let _ = write!(
                out,
                "<rect class=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"",
                ink.class()
            );
            match title {
                Some(title) => write!(out, "><title>{}</title></rect>", escaped(title)),
                None => out.write_str("/>"),
            }
        }
        Shape::Line { points, ink, width } => write!(
            out,
            "<polyline class=\"{}\" stroke-width=\"{width}\" points=\"{}\"/>",
            ink.class(),
            coordinates(points)
        ),
        Shape::Area { points, ink } => write!(
            out,
            "<polygon class=\"{}\" fill-opacity=\"{AREA_OPACITY}\" points=\"{}\"/>",
            ink.class(),
            coordinates(points)
        ),
        Shape::Text {
            at: (x, y),
            text,
            weight,
            anchor,
            ink,
        } => {
            let weight = match weight {
                Weight::Regular => "400",
                Weight::Bold => "700",
            };
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            // Whatever font there is, the text takes the room that it was given.
            write!(
                out,
                "<text class=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{FONT_SIZE}\" \
                 font-weight=\"{weight}\" text-anchor=\"{anchor}\" textLength=\"{:.1}\" \
                 lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                ink.class(),
                width_of(text),
                escaped(text)
            )
        }
    };
}

fn coordinates(points: &[Point]) -> String {
    let mut out = String::new();
    for (x, y) in points {
        let _ = write!(out, "{x:.1},{y:.1} ");
    }
    out
}

/// Text that may stand in markup, also between quotes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_whole_escaped_and_has_both_themes() {
        let mut scene = Scene::new(10.0, 20.0);
        scene.line(vec![(0.0, 1.0), (2.5, 3.0)], Ink::Series(1), 1.5);
        scene.text(
            (1.0, 2.0),
            "a<b & \"c\"",
            Weight::Bold,
            Anchor::End,
            Ink::Text,
        );
        scene.shapes.push(Shape::Area {
            points: vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)],
            ink: Ink::Series(0),
        });
        scene.shapes.push(Shape::Rect {
            at: (0.0, 0.0),
            width: 4.0,
            height: 5.0,
            ink: Ink::Tint(3),
            title: Some("<T>::f".to_owned()),
        });
        let svg = write(&scene, "a \"run\"");
        for part in [
            "viewBox=\"0 0 10 20\"",
            "<title>a &quot;run&quot;</title>",
            "<polyline class=\"s1\" stroke-width=\"1.5\" points=\"0.0,1.0 2.5,3.0 \"/>",
            ">a&lt;b &amp; &quot;c&quot;</text>",
            "<polygon class=\"s0\"",
            "<rect class=\"t3\" x=\"0.0\" y=\"0.0\" width=\"4.0\" height=\"5.0\"><title>&lt;T&gt;::f</title></rect>",
            "prefers-color-scheme:dark",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<rect").count(), 2);
    }
}
