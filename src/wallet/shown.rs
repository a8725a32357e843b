//! What a description repeats of a request.

/// As much of a text as is repeated: enough to find it in a log.
const CHARS_MAX: usize = 40;

/// The beginning of a text.
#[must_use]
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The beginning of a text, between quotes.
#[must_use]
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(text))
}
