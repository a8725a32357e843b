//! Reads the small text files that a configuration consists of.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A hundred domains with a thousand games each stay far below this; a log
/// segment named by mistake does not.
pub(super) const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// A password or a token is a line; this is room for a very long one.
pub(super) const SECRET_BYTES_MAX: u64 = 4_096;

/// A chain of a dozen certificates, and the authorities of all platforms that call, are
/// far below this; so is a system's bundle of all roots there are.
pub(super) const PEM_BYTES_MAX: u64 = 1 << 20;

/// The text of a file of at most `bytes_max` bytes.
///
/// # Errors
/// A phrase that says why not.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("longer than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
}
