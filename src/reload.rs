//! Reading the configuration again while the server runs: on SIGHUP, on a thread of its
//! own, all or nothing.
//!
//! A configuration that is not valid, or that changes what is decided once at the start,
//! is refused whole: the one before stays in force, the log says why, and it is counted.
//! A good one replaces the [`Settings`] of all shards at once; each takes them up between
//! two requests, and no connection ends for it. It is reported when every shard has them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use hashbrown::HashMap;
use shards::metrics::Counter;
use shards::types::Currency;

use crate::cli::ServeOptions;
use crate::config::{Config, other_currency};
use crate::http::Seats;
use crate::live::Live;
use crate::logging::LevelSwitch;
use crate::service;
use crate::settings::Settings;

/// How long the shards may take before a reload is reported without them: twenty times as
/// long as one that has nothing to do waits until it looks.
const TAKE_UP_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at how far they are.
const TAKE_UP_INTERVAL: Duration = Duration::from_millis(5);

/// What is counted of reloads.
#[derive(Debug, Default)]
pub struct ReloadMetrics {
    /// Those that took effect, also when nothing had changed.
    pub done: Counter,
    /// Those that were refused.
    pub refused: Counter,
}

/// What a reload works on.
pub struct Reloader {
    /// What the server was started with.
    pub options: ServeOptions,
    /// The configuration in force.
    pub config: Config,
    /// The settings of all shards and of the admin API.
    pub settings: Arc<Live<Settings>>,
    /// Of the wallet's listener.
    pub seats: Arc<Seats>,
    /// The level of the log.
    pub log_level: LevelSwitch,
    /// Where reloads are counted.
    pub metrics: Arc<ReloadMetrics>,
}

impl Reloader {
    /// Reads the configuration again for each message, until nobody sends any more.
    pub fn run(mut self, hangups: &Receiver<()>) {
        // Of every domain that was ever served: one that was removed and comes back has
        // its accounts still.
        let mut currencies = HashMap::new();
        remember(&self.config, &mut currencies);
        for () in hangups {
            service::reloading();
            let status = match self.reload(&currencies) {
                Ok(changes) => {
                    remember(&self.config, &mut currencies);
                    self.metrics.done.add(1);
                    tracing::info!(changes, "the configuration was read again");
                    "serving"
                }
                Err(reason) => {
                    self.metrics.refused.add(1);
                    tracing::error!(
                        reason,
                        "the configuration was read again and refused; \
                         the one before stays in force"
                    );
                    "serving; the configuration was refused, the one before stays in force"
                }
            };
            service::ready(status);
        }
    }

    /// What has changed, or why nothing has.
    fn reload(&mut self, currencies: &HashMap<String, Currency>) -> Result<String, String> {
        let mut next = self.options.load().map_err(|error| error.to_string())?;
        let changes = self.config.changes_to(&next)?;
        for domain in next.domains.iter() {
            let before = currencies.get(&domain.name);
            if before.is_some_and(|before| *before != domain.currency) {
                return Err(other_currency(domain));
            }
        }
        if changes.is_empty() {
            return Ok("none".to_owned());
        }
        // Clients that hold tickets of an identity that is still the same can use them.
        if let (Some(old), Some(new)) = (&self.config.listen.tls, &mut next.listen.tls)
            && old.identity == new.identity
        {
            new.identity = old.identity.clone();
        }
        self.take_effect(next);
        Ok(changes.into_iter().collect::<Vec<_>>().join("; "))
    }

    /// From here on nothing can fail.
    fn take_effect(&mut self, next: Config) {
        self.log_level.set(next.log_level);
        self.seats.set_max(
            next.limits.max_connections as usize,
            next.limits.max_connections_per_client as usize,
        );
        self.settings.replace(Settings::from(&next));
        self.config = next;
        let start = Instant::now();
        while !self.settings.is_taken_up() {
            if start.elapsed() > TAKE_UP_PATIENCE {
                tracing::warn!("a shard is busy and still works by the configuration of before");
                break;
            }
            std::thread::sleep(TAKE_UP_INTERVAL);
        }
    }
}

fn remember(config: &Config, currencies: &mut HashMap<String, Currency>) {
    for domain in config.domains.iter() {
        currencies.insert(domain.name.clone(), domain.currency);
    }
}
