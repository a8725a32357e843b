//! Log messages: events at the rim, to stderr, as lines for people or as JSON.
//!
//! Set up once, before anything else runs. A level says what a person has to do, and
//! docs/logs.md has every message from `warn` on. Whoever logs never waits: `log_lines`
//! writes. Nothing logs per request but a sample of the slow ones, unless asked to at `debug`.

use std::io::{self, IsTerminal, stderr};
use std::sync::OnceLock;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

use crate::config::{LogFormat, LogLevel};
use crate::log_lines::LogLines;

/// The lines of this process, once logging is set up.
static LINES: OnceLock<LogLines> = OnceLock::new();

/// Changes the level while messages are written.
#[derive(Clone, Debug)]
pub struct LevelSwitch(reload::Handle<LevelFilter, Registry>);

impl LevelSwitch {
    /// From now on messages of at least `level` are written.
    ///
    /// # Panics
    /// When what [`init`] set up is gone, which never is.
    pub fn set(&self, level: LogLevel) {
        self.0
            .reload(filter(level))
            .expect("logging is for the life of the process");
    }
}

/// Sends all messages of at least `level` to stderr, from now on and for ever. A panic
/// writes what was said before it first.
///
/// # Errors
/// The kernel gives no thread to write with.
///
/// # Panics
/// When called twice: only the program's entry sets up logging.
pub fn init(level: LogLevel, format: LogFormat) -> io::Result<LevelSwitch> {
    let color = stderr().is_terminal();
    let lines = LogLines::start(stderr())?;
    let (subscriber, switch) = subscriber(level, format, color, lines.clone());
    tracing::subscriber::set_global_default(subscriber).expect("logging is set up once");
    assert!(LINES.set(lines).is_ok(), "logging is set up once");
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // On a stderr that nobody reads to say more would be to wait for ever.
        if flush() {
            say(panic);
        }
    }));
    Ok(switch)
}

/// Writes whatever was logged, for whoever ends the process. Waits for seconds at most, and
/// tells whether stderr takes more.
pub fn flush() -> bool {
    LINES.get().is_none_or(LogLines::flush)
}

/// How many lines were dropped because whoever reads them was too slow.
#[must_use]
pub fn lines_dropped() -> u64 {
    LINES.get().map_or(0, LogLines::dropped)
}

fn subscriber<W>(
    level: LogLevel,
    format: LogFormat,
    color: bool,
    writer: W,
) -> (Box<dyn Subscriber + Send + Sync>, LevelSwitch)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(level));
    let filtered = tracing_subscriber::registry().with(filter);
    let common = tracing_subscriber::fmt::layer().with_writer(writer);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
        LogFormat::Text => Box::new(filtered.with(common.with_ansi(color))),
        LogFormat::Json => Box::new(filtered.with(common.json().flatten_event(true))),
    };
    (subscriber, LevelSwitch(handle))
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
        let (subscriber, _) = subscriber(level, format, false, writer);
        tracing::subscriber::with_default(subscriber, || {
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
    fn the_level_changes_under_those_who_log() {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let (subscriber, switch) = subscriber(LogLevel::Warn, LogFormat::Text, false, writer);
        tracing::subscriber::with_default(subscriber, || {
            for (round, level) in [LogLevel::Debug, LogLevel::Error, LogLevel::Info]
                .into_iter()
                .enumerate()
            {
                tracing::debug!("round {round}");
                tracing::info!("round {round}");
                switch.set(level);
            }
            tracing::info!("the end");
        });
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let said: Vec<&str> = text.lines().map(|line| &line[line.len() - 7..]).collect();
        assert_eq!(said, ["round 1", "round 1", "the end"]);
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
