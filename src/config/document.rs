//! Where every value of a configuration came from.
//!
//! The file and its overrides are parsed as one text laid end to end: the bytes
//! of a layer of overrides start where the layer below ends. So a span, which is
//! all that the TOML parser keeps of a value's origin, tells file and line, or
//! variable, or flag, whoever finds the value wrong and whenever.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::overrides::Override;
use super::raw;

/// What is wrong with a configuration, where, and with which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: String,
    key: String,
    problem: String,
}

impl ConfigError {
    pub(super) fn new(
        place: impl Into<String>,
        key: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            key: key.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn unreadable(path: &str, why: &str) -> Self {
        let problem = format!(
            "cannot read this configuration: {why}; `purser config example` prints one to start from"
        );
        Self::new(path, "", problem)
    }

    pub(super) fn admin_token_missing() -> Self {
        Self::new(
            "configuration",
            "admin.token",
            "the admin API needs a token: set token_file (or token) in [admin], \
             or the environment variable PURSER_ADMIN_TOKEN",
        )
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            place,
            key,
            problem,
        } = self;
        if key.is_empty() {
            write!(f, "{place}: {problem}")
        } else {
            write!(f, "{place}: {key}: {problem}")
        }
    }
}

impl std::error::Error for ConfigError {}

/// Overrides as TOML text whose bytes begin at a given offset.
pub(super) struct Layer {
    begin: usize,
    text: String,
    overrides: Vec<(usize, Override)>,
}

impl Layer {
    /// A layer on top of `begin` bytes of others.
    pub(super) fn after(begin: usize, overrides: Vec<Override>) -> Self {
        // Blanks stand for what lies below, which shifts every span of the parser.
        let mut text = " ".repeat(begin);
        let overrides = overrides
            .into_iter()
            .map(|one| {
                let at = text.len();
                text.push_str(&one.line());
                (at, one)
            })
            .collect();
        Self {
            begin,
            text,
            overrides,
        }
    }

    /// Where the next layer begins.
    pub(super) fn end(&self) -> usize {
        self.text.len()
    }

    fn origin_at(&self, offset: usize) -> Option<&str> {
        let (_, one) = self.overrides.iter().rev().find(|(at, _)| *at <= offset)?;
        Some(&one.origin)
    }
}

/// A parsed configuration that knows its origins.
pub(super) struct Document<'a> {
    name: &'a str,
    text: &'a str,
    layers: &'a [&'a Layer],
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses the file's text and lays each layer over what is below it.
    ///
    /// # Errors
    /// The text is no TOML.
    pub(super) fn parse(
        name: &'a str,
        text: &'a str,
        layers: &'a [&'a Layer],
    ) -> Result<Self, ConfigError> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            name,
            text,
            layers,
            root,
        };
        if let Some(error) = errors.first() {
            let at = error.span().map_or(0, |span| span.start);
            let key = document.key_on_line_of(at);
            let (written_key, value) = document.line_of_error(at);
            let key = if key.is_empty() {
                written_key.to_owned()
            } else {
                key
            };
            let problem = match value {
                Some("") => "the value is missing".to_owned(),
                // The parser's own words speak of `inf` to who wrote `info`.
                Some(word) if word.starts_with(char::is_alphabetic) => {
                    "string values must be quoted".to_owned()
                }
                _ => one_line(error.message()),
            };
            return Err(ConfigError::new(document.place_of(at), key, problem));
        }
        for layer in layers {
            let over =
                DeTable::parse(&layer.text).map_err(|error| document.parser_error(&error))?;
            lay_over(document.root.get_mut(), over.into_inner());
        }
        Ok(document)
    }

    /// The values by their names, not yet judged.
    ///
    /// # Errors
    /// An unknown key, a missing one, or a value of another type.
    pub(super) fn read(&self) -> Result<raw::Root, ConfigError> {
        serde::Deserialize::deserialize(toml::Deserializer::from(self.root.clone()))
            .map_err(|error: toml::de::Error| self.parser_error(&error))
    }

    /// An error about the value with that span.
    pub(super) fn error(&self, span: &Range<usize>, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.place_of(span.start), self.key_of(span), problem)
    }

    /// An error about something that stands nowhere in the text.
    pub(super) fn error_without_place(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.name, key, problem)
    }

    fn parser_error(&self, error: &toml::de::Error) -> ConfigError {
        self.error(&error.span().unwrap_or(0..0), in_our_words(error.message()))
    }

    fn place_of(&self, offset: usize) -> String {
        let layer = self.layers.iter().rev().find(|layer| layer.begin <= offset);
        match layer.and_then(|layer| layer.origin_at(offset)) {
            Some(origin) => origin.to_owned(),
            None => format!("{}:{}", self.name, self.line_of(offset)),
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The dotted name of the key or value with exactly that span.
    fn key_of(&self, span: &Range<usize>) -> String {
        let mut found = String::new();
        each_key(self.root.get_ref(), "", &mut |path, key, value| {
            if key == span || value == span {
                path.clone_into(&mut found);
            }
        });
        found
    }

    /// What stands before and after the first `=` on the line of a syntax error.
    fn line_of_error(&self, offset: usize) -> (&str, Option<&str>) {
        let line = self.text.lines().nth(self.line_of(offset) - 1);
        match line.and_then(|line| line.split_once('=')) {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => ("", None),
        }
    }

    /// The last key that begins on the line of a syntax error and not after it.
    fn key_on_line_of(&self, offset: usize) -> String {
        let mut found = (0, String::new());
        each_key(self.root.get_ref(), "", &mut |path, key, _| {
            let candidate = key.start <= offset && key.start >= found.0;
            if candidate && self.line_of(key.start) == self.line_of(offset) {
                found = (key.start, path.to_owned());
            }
        });
        found.1
    }
}

/// Visits the path, key span and value span of everything in a table, parents first.
fn each_key(
    table: &DeTable<'_>,
    parent: &str,
    visit: &mut impl FnMut(&str, &Range<usize>, &Range<usize>),
) {
    for (key, value) in table {
        let name = key.get_ref();
        let path = if parent.is_empty() {
            name.to_string()
        } else {
            format!("{parent}.{name}")
        };
        visit(&path, &key.span(), &value.span());
        each_child(value.get_ref(), &path, visit);
    }
}

fn each_child(
    value: &DeValue<'_>,
    path: &str,
    visit: &mut impl FnMut(&str, &Range<usize>, &Range<usize>),
) {
    match value {
        DeValue::Table(table) => each_key(table, path, visit),
        DeValue::Array(array) => each_item(array, path, visit),
        _ => {}
    }
}

fn each_item(
    array: &DeArray<'_>,
    path: &str,
    visit: &mut impl FnMut(&str, &Range<usize>, &Range<usize>),
) {
    for (index, value) in array.iter().enumerate() {
        let path = format!("{path}[{index}]");
        visit(&path, &value.span(), &value.span());
        each_child(value.get_ref(), &path, visit);
    }
}

/// Puts every value of `over` in the place of the one below it.
fn lay_over<'a>(below: &mut DeTable<'a>, over: DeTable<'a>) {
    for (key, value) in over {
        // A token from above replaces a token file below, and the reverse.
        match key.get_ref().as_ref() {
            "token" => drop(below.remove("token_file")),
            "token_file" => drop(below.remove("token")),
            _ => {}
        }
        let name: &str = key.get_ref();
        let replaced = match below.get_mut(name).map(Spanned::get_mut) {
            None => value,
            Some(DeValue::Table(old)) => match value.into_inner() {
                DeValue::Table(new) => {
                    lay_over(old, new);
                    continue;
                }
                _ => unreachable!("no scalar key has the name of a table"),
            },
            // The file has a plain value where a table belongs: reading says so.
            Some(_) if matches!(value.get_ref(), DeValue::Table(_)) => continue,
            Some(_) => value,
        };
        // Removed first: inserting over an equal key would keep the old key's span.
        below.remove(name);
        below.insert(key, replaced);
    }
}

fn one_line(message: &str) -> String {
    message
        .split('\n')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Says serde's messages in the words of a configuration, without the value: a
/// value of the wrong type may be a secret in the wrong place.
fn in_our_words(message: &str) -> String {
    let message = one_line(message)
        .replace("unknown field `", "unknown key `")
        .replace("missing field `", "missing key `");
    let Some(types) = message.strip_prefix("invalid type: ") else {
        return message;
    };
    let Some((found, expected)) = types.rsplit_once(", expected ") else {
        return "has the wrong type".to_owned();
    };
    let expected = match expected {
        "i64" => "an integer",
        "a sequence" => "a list",
        other => other,
    };
    let found = match found.split([' ', '`']).next() {
        Some("integer") => "an integer",
        Some("floating") => "a number with a point",
        Some("boolean") => "true or false",
        Some("map") => "a table",
        Some("sequence") => "a list",
        Some("string") => "a string",
        _ => "something else",
    };
    format!("expected {expected}, found {found}")
}
