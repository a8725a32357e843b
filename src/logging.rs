//! Log messages: events at the rim, to stderr, as lines for people or as JSON.
//!
//! Set up once, before anything else runs. Nothing logs per request, so writing
//! from the thread that logs is good enough; what happens per request is counted.

use std::io::{IsTerminal, stderr};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, LogLevel};

/// Sends all messages of at least `level` to stderr, from now on and for ever.
///
/// # Panics
/// When called twice: only the program's entry sets up logging.
pub fn init(level: LogLevel, format: LogFormat) {
    let color = stderr().is_terminal();
    tracing::subscriber::set_global_default(subscriber(level, format, color, stderr))
        .expect("logging is set up once");
}

fn subscriber<W>(
    level: LogLevel,
    format: LogFormat,
    color: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let common = tracing_subscriber::fmt()
        .with_max_level(filter(level))
        .with_writer(writer);
    match format {
        LogFormat::Text => Box::new(common.with_ansi(color).finish()),
        LogFormat::Json => Box::new(common.json().flatten_event(true).finish()),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use super::*;

    /// What is written when one message of each kind is logged.
    fn written(level: LogLevel, format: LogFormat) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        tracing::subscriber::with_default(subscriber(level, format, false, writer), || {
            tracing::debug!("a detail");
            tracing::info!(shard = 3, "it \"runs\"");
            tracing::error!("it broke");
        });
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn messages_below_the_level_are_dropped() {
        for (level, lines) in [
            (LogLevel::Error, 1),
            (LogLevel::Warn, 1),
            (LogLevel::Info, 2),
            (LogLevel::Debug, 3),
            (LogLevel::Trace, 3),
        ] {
            let text = written(level, LogFormat::Text);
            assert_eq!(text.lines().count(), lines, "{level:?}: {text}");
        }
    }

    #[test]
    fn text_is_plain_without_a_terminal() {
        let text = written(LogLevel::Info, LogFormat::Text);
        assert!(text.contains("INFO"), "{text}");
        assert!(text.contains("it \"runs\" shard=3"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = written(LogLevel::Info, LogFormat::Json);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["level"], "INFO");
        assert_eq!(first["message"], "it \"runs\"");
        assert_eq!(first["shard"], 3);
    }
}
