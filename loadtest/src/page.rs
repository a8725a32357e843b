//! `loadtest report`: the pictures and the page of a recording.
//!
//! The page is one file: pictures inside it, no script, nothing from the network. It follows
//! the light or dark setting of whoever reads it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::compare;
use crate::layout;
use crate::picture::{flame, panels, png, svg};
use crate::profile::{self, stacks::Stacks};
use crate::summary::Summary;
use crate::telemetry;

/// The page's name in the directory of a recording.
const PAGE_FILE: &str = "report.html";

const STYLE: &str = "\
    :root{color-scheme:light dark;--ground:#ffffff;--ink:#1f2328;--muted:#57606a;--edge:#d8dee4;--panel:#f6f8fa}\
    @media(prefers-color-scheme:dark){:root{--ground:#14181d;--ink:#e6edf3;--muted:#9aa5b1;--edge:#333c46;--panel:#1c2229}}\
    body{margin:2rem auto;max-width:1240px;padding:0 1rem;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\
    h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}\
    p.about{color:var(--muted);margin-top:0}\
    pre{background:var(--panel);border:1px solid var(--edge);padding:1rem;overflow-x:auto;font-size:12.5px;line-height:1.45}\
    svg{width:100%;height:auto;display:block}\
    ul.facts{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.6rem}\
    ul.facts li{border:1px solid var(--edge);background:var(--panel);padding:.5rem .9rem}\
    ul.facts b{display:block;font-size:1.15rem}ul.facts span{color:var(--muted);font-size:.85rem}";

/// Draws everything into the directory, and gives the files that were written.
///
/// # Errors
/// The recording is missing or damaged, or a file cannot be written.
pub(crate) fn draw(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let samples = telemetry::read(directory)?;
    let summary = compare::read(&directory.join(telemetry::SUMMARY_FILE))?;
    if samples.is_empty() {
        bail!(
            "{}: no samples; a run of 2 s and more has some",
            directory.display()
        );
    }
    let run = &summary.run;
    let about = format!(
        "{}, {}, {} users, {}",
        run.scenario, run.pace, run.users, run.started_at
    );
    let mut pictures = panels::pictures(&samples, &about);
    pictures.extend(stacks(directory)?.map(|stacks| flame::picture(&stacks, &about)));
    let mut written = Vec::new();
    let mut write = |name: String, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        written.push(path);
        anyhow::Ok(())
    };
    let mut drawn = Vec::new();
    for picture in &pictures {
        let text = svg::write(&picture.scene, &picture.title);
        write(format!("{}.svg", picture.file), text.as_bytes())?;
        write(
            format!("{}.png", picture.file),
            &png::write(&picture.scene)?,
        )?;
        drawn.push(text);
    }
    write(
        PAGE_FILE.to_owned(),
        page(&summary, &about, &drawn).as_bytes(),
    )?;
    Ok(written)
}

/// The stacks of a run with `--profile`.
fn stacks(directory: &Path) -> anyhow::Result<Option<Stacks>> {
    let path = directory.join(profile::STACKS_FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("read {}", path.display()))?,
    };
    let stacks = Stacks::from_folded(&text);
    stacks
        .map(Some)
        .with_context(|| format!("read {}", path.display()))
}

fn page(summary: &Summary, about: &str, pictures: &[String]) -> String {
    let facts: String = facts(summary)
        .into_iter()
        .map(|(value, what)| {
            format!(
                "<li><b>{}</b><span>{what}</span></li>",
                svg::escaped(&value)
            )
        })
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Load test: {about}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Load test</h1>\n<p class=\"about\">{about}</p>\n<ul class=\"facts\">{facts}</ul>\n\
         <h2>Pictures</h2>\n{}\n<h2>Report</h2>\n<pre>{}</pre>\n</body>\n</html>\n",
        pictures.join("\n"),
        svg::escaped(&layout::report(summary)),
        about = svg::escaped(about),
    )
}

/// What people look for first.
fn facts(summary: &Summary) -> Vec<(String, &'static str)> {
    use crate::summary::Metric;
    use crate::units;
    let mut facts = Vec::new();
    if let Some(Metric::Counter { rate, .. }) = summary.metrics.get("http_reqs") {
        facts.push((units::grouped(*rate as u64), "requests per second"));
    }
    if let Some(Metric::Trend(spread)) = summary.metrics.get("http_req_duration") {
        facts.push((units::duration(spread.med), "median"));
        facts.push((units::duration(spread.p95), "p(95)"));
        facts.push((units::duration(spread.p99), "p(99)"));
    }
    if let Some(Metric::Rate { rate, .. }) = summary.metrics.get("checks") {
        // Cut, so that only all of them are 100 %.
        facts.push((
            format!("{:.2} %", (rate * 1e4).trunc() / 1e2),
            "checks passed",
        ));
    }
    if let Some(server) = &summary.server {
        facts.push((
            format!("{:.2} µs", server.us_per_request),
            "server CPU per request",
        ));
    }
    facts.push((
        format!("{:.2}", summary.generator.cpus),
        "CPUs of the generator",
    ));
    if let Some(audit) = &summary.audit {
        let verdict = if audit.is_clean { "clean" } else { "DIFFERENT" };
        facts.push((verdict.to_owned(), "money audit"));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::example;
    use crate::telemetry::Sample;

    #[test]
    fn a_recording_becomes_pictures_and_one_page_without_links() {
        let home = tempfile::tempdir().unwrap();
        let mut summary = example();
        summary.warnings = vec!["<script> & co".to_owned()];
        let json = serde_json::to_vec(&summary).unwrap();
        std::fs::write(home.path().join(telemetry::SUMMARY_FILE), json).unwrap();
        let sample = |second| {
            let memory = [("resident".to_owned(), 1e6 * (1.0 + second as f64))].into();
            serde_json::to_string(&Sample {
                second,
                memory,
                ..Sample::default()
            })
            .unwrap()
        };
        let samples = [sample(0), sample(1)].join("\n");
        std::fs::write(home.path().join(telemetry::SAMPLES_FILE), samples).unwrap();
        let written = draw(home.path()).unwrap();
        assert_eq!(written.len(), 7);
        for file in &written {
            assert!(file.metadata().unwrap().len() > 500, "{}", file.display());
        }
        std::fs::write(home.path().join(profile::STACKS_FILE), "shard-0;a::b 3\n").unwrap();
        let written = draw(home.path()).unwrap();
        assert_eq!(written.len(), 9);
        let page = std::fs::read_to_string(home.path().join(PAGE_FILE)).unwrap();
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(page.contains("a::b: 100.00 %, 3 samples"));
        assert!(page.contains("&lt;script&gt; &amp; co"));
        assert!(!page.contains("<script"));
        let outside = page
            .replace("http://www.w3.org/2000/svg", "")
            .replace("http://127.0.0.1:9816", "");
        assert!(!outside.contains("://"), "a link to somewhere");
    }

    #[test]
    fn a_directory_without_a_recording_says_what_makes_one() {
        let home = tempfile::tempdir().unwrap();
        let error = format!("{:#}", draw(home.path()).unwrap_err());
        assert!(error.contains("run --telemetry"), "{error}");
    }
}
