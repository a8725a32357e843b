//! The dashboard: a page for the people on call, and the stream of figures that it draws.
//!
//! `GET /dashboard` and what it loads (`page.rs`, the files in `page/`) hold no data and
//! need no token. The page asks for the token once and reads `GET /admin/v1/live`
//! (`live.rs`): one event a second with every sample that `/metrics` has at that moment
//! (`samples.rs`), so a metric that somebody adds is there without a change here. Rates and
//! quantiles are the page's work, from one event to a later one.

mod live;
mod page;
mod samples;

pub(super) use live::{LiveStreams, live, run_live_streams};
pub(super) use page::{file, page};
