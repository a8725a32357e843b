//! Durations, sizes and counts as k6's summary writes them.

/// A duration in milliseconds: `0s`, `830ns`, `12.5µs`, `1.23ms`, `4.5s`, `1m30s`, `2h0m5s`.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        _ if ms <= 0.0 => "0s".to_owned(),
        _ if ms < 0.001 => format!("{}ns", (ms * 1e6).trunc()),
        _ if ms < 1.0 => format!("{}µs", two_places(ms * 1e3)),
        _ if ms < 1e3 => format!("{}ms", two_places(ms)),
        _ if ms < 60e3 => format!("{}s", two_places(ms / 1e3)),
        _ => {
            let seconds = (ms / 1e3).trunc() as u64;
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            match hours {
                0 => format!("{minutes}m{}s", seconds % 60),
                _ => format!("{hours}h{minutes}m{}s", seconds % 60),
            }
        }
    }
}

/// Two fraction digits, cut and not rounded, without zeros at the end.
fn two_places(number: f64) -> String {
    // A tiny push keeps 1.23, which is stored a little below, from becoming 1.22.
    let cut = (number * 100.0 + 1e-6).trunc() / 100.0;
    let text = format!("{cut:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes with a decimal unit: `512 B`, `4.1 kB`, `262 MB`.
pub(crate) fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 999.5 {
        return format!("{count:.0} B");
    }
    let mut value = count / 1e3;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    let places = usize::from(value < 9.95);
    format!("{value:.places$} {}", UNITS[unit])
}

/// A count with a comma behind every third digit: `1,332,924`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        let cases = [
            (0.0, "0s"),
            (0.000_83, "830ns"),
            (0.012_5, "12.5µs"),
            (0.999_999, "999.99µs"),
            (1.0, "1ms"),
            (1.23, "1.23ms"),
            (112.319, "112.31ms"),
            (4_500.0, "4.5s"),
            (90_000.0, "1m30s"),
            (7_205_000.0, "2h0m5s"),
        ];
        for (ms, expected) in cases {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        let cases = [
            (0.0, "0 B"),
            (512.0, "512 B"),
            (999.6, "1.0 kB"),
            (4_096.0, "4.1 kB"),
            (262_144_000.0, "262 MB"),
            (1.5e12, "1.5 TB"),
        ];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn long_counts_are_grouped() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_332_924, "1,332,924"),
        ] {
            assert_eq!(grouped(count), expected);
        }
    }
}
