//! A flame graph: as wide as the time that was spent in it, each function upon the one that
//! called it.
//!
//! The root is at the bottom, then threads, then functions; neighbours are in the order of
//! the alphabet, so that two pictures can be compared. It is drawn here, with the shapes and
//! colours of the other pictures: the known tools draw for light pages only and put a script
//! into the picture, and the one for this language has a licence that deny.toml does not
//! allow. Where their zoom is wanted, they read the folded stacks beside the picture.

use std::collections::BTreeMap;

use super::panels::{GAP, HEADING, Picture, WIDTH};
use super::scene::{Anchor, CHARACTER_WIDTH, Ink, Scene, Shape, Weight, width_of};
use crate::profile::stacks::{KERNEL_MARK, Stacks};
use crate::units;

const ROW_HEIGHT: f32 = 17.0;
/// Between a row and the next, so that boxes are told apart.
const SEAM: f32 = 1.0;
/// From a box's edge to its text.
const INSET: f32 = 3.0;
const LEGEND_HEIGHT: f32 = 22.0;
/// Narrower ones are less than a pixel, and there are thousands.
const FRAME_WIDTH_MIN: f32 = 0.6;
/// A name cut shorter says nothing.
const LABEL_LENGTH_MIN: usize = 5;
/// What the compiler calls the bodies of asynchronous functions: the name before it says more.
const BODY: &str = "::{{closure}}";
/// For a name that was cut: the rasters of the PNG have no sign of one letter for it.
const CUT: &str = "..";

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Wallet,
    Executor,
    Library,
    Kernel,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Wallet, Self::Executor, Self::Library, Self::Kernel];

    fn of(frame: &str) -> Self {
        // `<purser::a::B as other::C>::d` is where `B` is.
        let path = frame.trim_start_matches(['<', '&']);
        let begins = |crates: &[&str]| {
            let of_crate = |name| path.strip_prefix(name).is_some_and(|f| f.starts_with("::"));
            crates.iter().any(of_crate)
        };
        match frame {
            _ if frame.ends_with(KERNEL_MARK) => Self::Kernel,
            _ if begins(&["purser", "shards"]) => Self::Wallet,
            _ if begins(&["glommio", "glommio_ng", "io_uring"]) => Self::Executor,
            _ => Self::Library,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Executor => "executor",
            Self::Library => "libraries",
            Self::Kernel => "kernel",
        }
    }

    /// Warm for what is ours to change.
    fn place(self) -> usize {
        match self {
            Self::Wallet => 1,
            Self::Executor => 2,
            Self::Library => 8,
            Self::Kernel => 0,
        }
    }
}

/// A function on one way to it.
#[derive(Debug, Default)]
struct Node<'a> {
    samples: u64,
    callees: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Node<'a> {
    fn depth(&self) -> usize {
        let callees = self.callees.values().map(Self::depth);
        1 + callees.max().unwrap_or(0)
    }

    fn tree(stacks: &'a Stacks) -> Self {
        let mut root = Self::default();
        for (frames, count) in stacks.iter() {
            root.samples += count;
            let mut node = &mut root;
            for frame in frames {
                node = node.callees.entry(frame).or_default();
                node.samples += count;
            }
        }
        root
    }
}

/// The picture of all stacks.
pub(crate) fn picture(stacks: &Stacks, about: &str) -> Picture {
    let root = Node::tree(stacks);
    let samples = units::grouped(root.samples);
    let title = format!("CPU time of the server, {samples} samples: {about}");
    let top = HEADING + LEGEND_HEIGHT;
    let height = top + root.depth() as f32 * ROW_HEIGHT + GAP;
    let mut scene = Scene::new(WIDTH, height);
    scene.text((GAP, 30.0), &title, Weight::Bold, Anchor::Start, Ink::Text);
    draw_legend(&mut scene, stacks);
    let mut drawing = Drawing {
        scene,
        all: root.samples.max(1),
        floor: height - GAP - ROW_HEIGHT,
    };
    drawing.draw("all", &root, 0, 0, Ink::Grid);
    Picture {
        file: "flame",
        title,
        scene: drawing.scene,
    }
}

/// How much of the time was spent in whose code itself, callees left out.
fn draw_legend(scene: &mut Scene, stacks: &Stacks) {
    let mut own: BTreeMap<&str, u64> = BTreeMap::new();
    for (frames, count) in stacks.iter() {
        if let Some(innermost) = frames.last() {
            *own.entry(Origin::of(innermost).name()).or_default() += count;
        }
    }
    let all = stacks.samples().max(1) as f64;
    let mut x = GAP;
    let y = HEADING;
    for origin in Origin::ALL {
        let share = own.get(origin.name()).copied().unwrap_or(0) as f64 / all;
        let text = format!("{} {:.0} %", origin.name(), share * 100.0);
        scene.rect((x, y - 9.0), 12.0, 10.0, Ink::Tint(origin.place()));
        scene.text(
            (x + 17.0, y),
            &text,
            Weight::Regular,
            Anchor::Start,
            Ink::Muted,
        );
        x += 17.0 + width_of(&text) + GAP;
    }
}

struct Drawing {
    scene: Scene,
    /// Samples of the whole width.
    all: u64,
    /// The top of the lowest row.
    floor: f32,
}

impl Drawing {
    /// Draws a box with `before` samples left of it, and what it calls above it.
    fn draw(&mut self, name: &str, node: &Node<'_>, before: u64, row: usize, ink: Ink) {
        let per_sample = (WIDTH - 2.0 * GAP) / self.all as f32;
        let width = node.samples as f32 * per_sample;
        if width < FRAME_WIDTH_MIN {
            return;
        }
        let (x, y) = (
            GAP + before as f32 * per_sample,
            self.floor - row as f32 * ROW_HEIGHT,
        );
        let percent = node.samples as f64 * 100.0 / self.all as f64;
        let shown = name.trim_end_matches(KERNEL_MARK);
        self.scene.shapes.push(Shape::Rect {
            at: (x, y),
            width: (width - SEAM).max(FRAME_WIDTH_MIN / 2.0),
            height: ROW_HEIGHT - SEAM,
            ink,
            title: Some(format!(
                "{shown}: {percent:.2} %, {} samples",
                units::grouped(node.samples)
            )),
        });
        let room = ((width - SEAM - 2.0 * INSET) / CHARACTER_WIDTH).max(0.0) as usize;
        if let Some(label) = label(shown, room) {
            let at = (x + INSET, y + ROW_HEIGHT - 5.0);
            self.scene
                .text(at, &label, Weight::Regular, Anchor::Start, Ink::Text);
        }
        let mut before = before;
        for (callee, node) in &node.callees {
            // The second row are threads.
            let ink = match row {
                0 => Ink::Grid,
                _ => Ink::Tint(Origin::of(callee).place()),
            };
            self.draw(callee, node, before, row + 1, ink);
            before += node.samples;
        }
    }
}

/// As much of a name as there is room for: as many of the last words of its path as fit.
fn label(name: &str, room: usize) -> Option<String> {
    if room < LABEL_LENGTH_MIN {
        return None;
    }
    let path = without_generics(name).replace(BODY, "");
    let length = |text: &str| text.chars().count();
    let mut rest = &*path;
    while length(rest) > room {
        match rest.split_once("::") {
            Some((_, after)) if !after.is_empty() => rest = after,
            _ => {
                let kept: String = rest.chars().take(room - CUT.len()).collect();
                return Some(kept + CUT);
            }
        }
    }
    Some(rest.to_owned())
}

/// `<a::B<T> as c::D>::e<F>` is `a::B::e`.
fn without_generics(name: &str) -> String {
    let mut out = String::new();
    // For each bracket that is open: whether its words are shown.
    let mut open: Vec<bool> = Vec::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let is_shown = open.iter().all(|&shown| shown);
        if is_shown && !open.is_empty() && rest.starts_with(" as ") {
            // The trait, up to the end of the bracket.
            open.pop();
            open.push(false);
        } else if c == '<' {
            // At the start of a path it holds the type, behind a name its arguments.
            open.push(is_shown && out.is_empty());
        } else if c == '>' && !open.is_empty() {
            open.pop();
        } else if is_shown {
            out.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_as_many_of_its_last_words_as_fit() {
        for (name, room, expected) in [
            (
                "purser::http::wire::Wire<IO>::fill::{{closure}}",
                99,
                "purser::http::wire::Wire::fill",
            ),
            (
                "purser::http::wire::Output::poll_send",
                20,
                "Output::poll_send",
            ),
            ("purser::http::wire::Output::poll_send", 16, "poll_send"),
            ("purser::http::wire::Output::poll_send", 6, "poll.."),
            ("purser::http", 5, "http"),
            ("tcp_sendmsg", 4, ""),
            ("<&a::B<T> as c::D<U>>::e<F>", 99, "&a::B::e"),
            ("<a::B<T>>::new::start", 99, "a::B::new::start"),
            ("<<a::B as c::D>::E as f::G>::h", 99, "a::B::E::h"),
            ("tcp_sendmsg", 11, "tcp_sendmsg"),
        ] {
            assert_eq!(label(name, room).unwrap_or_default(), expected, "{name}");
        }
    }

    #[test]
    fn frames_are_coloured_by_whose_code_they_are() {
        for (frame, origin) in [
            ("purser::http::wire::Output::poll_send", Origin::Wallet),
            (
                "<purser::readiness::Stream as futures_io::if_std::AsyncWrite>::poll_write",
                Origin::Wallet,
            ),
            ("shards::ledger::Ledger::decide", Origin::Wallet),
            ("purserish::x", Origin::Library),
            (
                "glommio_ng::task::raw::RawTask<F,R,S>::run",
                Origin::Executor,
            ),
            ("__send", Origin::Library),
            ("io_uring_enter_[k]", Origin::Kernel),
            (
                "<alloc::boxed::Box<purser::A> as core::ops::B>::c",
                Origin::Library,
            ),
        ] {
            assert_eq!(Origin::of(frame), origin, "{frame}");
        }
    }

    #[test]
    fn a_box_is_as_wide_as_its_time_and_stands_upon_its_caller() {
        let stacks = "shard-0;purser::a 30\nshard-0;purser::a;write_[k] 50\nshard-1;x 20\n";
        let stacks = Stacks::from_folded(stacks).unwrap();
        let picture = picture(&stacks, "a run");
        let boxes: Vec<(f32, f32, f32, &str)> = picture
            .scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Rect {
                    at,
                    width,
                    title: Some(title),
                    ..
                } => Some((at.0, at.1, *width, &**title)),
                _ => None,
            })
            .collect();
        let whole = WIDTH - 2.0 * GAP;
        let floor = picture.scene.height - GAP - ROW_HEIGHT;
        let expected = [
            (0.0, 0.0, 1.0, "all: 100.00 %, 100 samples"),
            (0.0, 1.0, 0.8, "shard-0: 80.00 %, 80 samples"),
            (0.0, 2.0, 0.8, "purser::a: 80.00 %, 80 samples"),
            (0.0, 3.0, 0.5, "write: 50.00 %, 50 samples"),
            (0.8, 1.0, 0.2, "shard-1: 20.00 %, 20 samples"),
            (0.8, 2.0, 0.2, "x: 20.00 %, 20 samples"),
        ];
        assert_eq!(boxes.len(), expected.len());
        for ((x, y, width, title), (from, row, share, expected)) in boxes.into_iter().zip(expected)
        {
            assert_eq!(title, expected);
            let is_near = |a: f32, b: f32| (a - b).abs() < 0.01;
            assert!(is_near(x, GAP + from * whole), "{title}: x {x}");
            assert!(is_near(y, floor - row * ROW_HEIGHT), "{title}: y {y}");
            assert!(
                is_near(width, share * whole - SEAM),
                "{title}: {width} wide"
            );
        }
        let legend = picture.scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Text { text, .. } if text.ends_with('%') => Some(&**text),
            _ => None,
        });
        let legend: Vec<&str> = legend.collect();
        assert_eq!(
            legend,
            [
                "wallet 30 %",
                "executor 0 %",
                "libraries 20 %",
                "kernel 50 %"
            ]
        );
    }
}
