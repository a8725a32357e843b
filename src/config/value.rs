//! Judges one value of a configuration by its kind: a number, a duration, a word
//! of a list, an address, a network, a secret in a file. What the bounds are is
//! `validate`'s to say.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hashbrown::HashSet;
use ipnet::{IpNet, Ipv4Net};
use toml::Spanned;

use super::document::{ConfigError, Document};
use super::raw::{Item, List};
use super::text_file;

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

/// Judges values of one document, and says where a wrong one stands.
pub(super) struct Judge<'a> {
    pub(super) document: &'a Document<'a>,
}

impl Judge<'_> {
    pub(super) fn error(&self, span: &Range<usize>, problem: impl Into<String>) -> ConfigError {
        self.document.error(span, problem)
    }

    /// An error about an item, or about its key where the text does not have it.
    pub(super) fn wrong<T>(
        &self,
        item: Option<&Spanned<T>>,
        key: &str,
        problem: String,
    ) -> ConfigError {
        match item {
            Some(item) => self.error(&item.span(), problem),
            None => self.document.error_without_place(key, problem),
        }
    }

    pub(super) fn integer<T: TryFrom<i64>>(
        &self,
        item: Option<&Spanned<i64>>,
        range: &RangeInclusive<i64>,
        default: T,
    ) -> Result<T> {
        let Some(item) = item else { return Ok(default) };
        let number = *item.get_ref();
        let typed = T::try_from(number).ok().filter(|_| range.contains(&number));
        typed.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let problem = format!("expected an integer from {least} to {most}, got {number}");
            self.error(&item.span(), problem)
        })
    }

    pub(super) fn duration(
        &self,
        item: Item<String>,
        range: &RangeInclusive<Duration>,
        default: Duration,
    ) -> Result<Duration> {
        let Some(item) = item else { return Ok(default) };
        let text = item.get_ref();
        let parsed = humantime::parse_duration(text).ok();
        parsed.filter(|parsed| range.contains(parsed)).ok_or_else(|| {
            let (least, most) = (
                humantime::format_duration(*range.start()),
                humantime::format_duration(*range.end()),
            );
            let problem = format!(
                "expected a duration from {least} to {most}, such as \"10s\" or \"1h 30m\", got {text:?}"
            );
            self.error(&item.span(), problem)
        })
    }

    pub(super) fn word<T: Copy>(
        &self,
        item: Item<String>,
        table: &[(&str, T)],
        default: T,
    ) -> Result<T> {
        let Some(item) = item else { return Ok(default) };
        let text = item.get_ref();
        let row = table.iter().find(|(word, _)| word == text);
        row.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = table.iter().map(|(word, _)| format!("{word:?}")).collect();
            let problem = format!("expected one of {}, got {text:?}", words.join(", "));
            self.error(&item.span(), problem)
        })
    }

    pub(super) fn path(&self, item: Item<String>, default: PathBuf) -> Result<PathBuf> {
        match item {
            None => Ok(default),
            Some(item) if item.get_ref().is_empty() => {
                Err(self.error(&item.span(), "expected the path of a directory, got \"\""))
            }
            Some(item) => Ok(PathBuf::from(item.into_inner())),
        }
    }

    pub(super) fn address(
        &self,
        item: Option<&Spanned<String>>,
        default: SocketAddr,
    ) -> Result<SocketAddr> {
        let Some(item) = item else { return Ok(default) };
        let text = item.get_ref();
        text.parse().map_err(|_| {
            let problem = format!(
                "expected an IP address and a port such as \"127.0.0.1:9816\" or \"[::1]:9816\", got {text:?}"
            );
            self.error(&item.span(), problem)
        })
    }

    pub(super) fn networks(&self, list: List<String>, default: Vec<IpNet>) -> Result<Vec<IpNet>> {
        let Some(list) = list else { return Ok(default) };
        list.iter()
            .map(|item| {
                network(item.get_ref()).map_err(|problem| self.error(&item.span(), problem))
            })
            .collect()
    }

    /// The text of a secret file without its last line end.
    pub(super) fn secret_in(&self, file: &Spanned<String>) -> Result<Spanned<String>> {
        let text = self.text_in(file, text_file::SECRET_BYTES_MAX)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        Ok(Spanned::new(file.span(), line.to_owned()))
    }

    /// A secret that stands in the text or in a file, of the table with that span.
    pub(super) fn secret(
        &self,
        table: &Range<usize>,
        name: &str,
        text: Item<String>,
        file: Item<String>,
    ) -> Result<Spanned<String>> {
        match (text, file) {
            (Some(text), None) => Ok(text),
            (None, Some(file)) => self.secret_in(&file),
            (None, None) => Err(self.error(table, format!("{name} or {name}_file is missing"))),
            (Some(_), Some(file)) => {
                let problem = format!("{name} is set too; keep one of the two");
                Err(self.error(&file.span(), problem))
            }
        }
    }

    /// The text of a PEM file.
    pub(super) fn pem_in(&self, file: &Spanned<String>) -> Result<String> {
        self.text_in(file, text_file::PEM_BYTES_MAX)
    }

    fn text_in(&self, file: &Spanned<String>, bytes_max: u64) -> Result<String> {
        let path = file.get_ref();
        text_file::read(Path::new(path), bytes_max)
            .map_err(|why| self.error(&file.span(), format!("cannot read {path}: {why}")))
    }

    pub(super) fn texts(
        &self,
        list: List<String>,
        units: &RangeInclusive<usize>,
    ) -> Result<HashSet<String>> {
        let list = list.unwrap_or_default();
        for item in &list {
            self.text_length(item, units)?;
        }
        Ok(list.into_iter().map(Spanned::into_inner).collect())
    }

    /// Lengths count UTF-16 code units (protocol.md section 2).
    pub(super) fn text_length(
        &self,
        item: &Spanned<String>,
        units: &RangeInclusive<usize>,
    ) -> Result<()> {
        let text = item.get_ref();
        if units.contains(&text.encode_utf16().count()) {
            return Ok(());
        }
        let (least, most) = (units.start(), units.end());
        let problem = format!("expected {least} to {most} characters, got {text:?}");
        Err(self.error(&item.span(), problem))
    }
}

/// A network in CIDR notation, or one address. IPv4 networks written as
/// IPv4-mapped IPv6 become IPv4, as addresses do (protocol.md section 5).
fn network(text: &str) -> std::result::Result<IpNet, String> {
    let parsed = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let Ok(network) = parsed else {
        return Err(format!(
            "expected a network such as \"10.0.0.0/8\" or \"fd00::/8\", got {text:?}"
        ));
    };
    if network != network.trunc() {
        // Either half may be the slip; guessing could let strangers in.
        return Err(format!(
            "{text} has address bits beyond its prefix; the network is {}, the address alone is {}",
            network.trunc(),
            IpNet::from(network.addr()),
        ));
    }
    if let IpNet::V6(v6) = network
        && let (Some(v4), Some(prefix)) =
            (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
    {
        return Ipv4Net::new(v4, prefix)
            .map(IpNet::V4)
            .map_err(|error| error.to_string());
    }
    Ok(network)
}
