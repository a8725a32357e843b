//! Pictures of a run: drawn once as shapes, written as SVG and as PNG.
//!
//! `scene` is what there is to draw, `svg` and `png` write it, `chart` draws one panel with
//! axes, `panels` knows which panels a recording makes, and `flame` draws stacks.

pub(crate) mod chart;
pub(crate) mod flame;
pub(crate) mod panels;
pub(crate) mod png;
pub(crate) mod scene;
pub(crate) mod svg;
