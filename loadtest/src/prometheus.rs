//! Reads what `GET /metrics` says: the Prometheus text format, version 0.0.4.

/// One scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scrape(Vec<Sample>);

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Scrape {
    /// Reads a scrape; lines that are no samples are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// Over all labels; `None` when there is no such metric.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        self.0
            .iter()
            .filter(|sample| sample.name == name)
            .map(|sample| sample.value)
            .reduce(|a, b| a + b)
    }

    /// Sums by the value of one label, in the order of their first appearance.
    pub(crate) fn by_label(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            let Some((_, value)) = sample.labels.iter().find(|(known, _)| known == label) else {
                continue;
            };
            match sums.iter_mut().find(|(known, _)| known == value) {
                Some((_, sum)) => *sum += sample.value,
                None => sums.push((value.clone(), sample.value)),
            }
        }
        sums
    }
}

/// `name{label="value",…} number`, with an optional time behind it.
fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let name_bytes = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_bytes);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        let mut left = inside;
        rest = loop {
            left = left.trim_start_matches([',', ' ']);
            if let Some(behind) = left.strip_prefix('}') {
                break behind;
            }
            let (label, value) = left.split_once("=\"")?;
            let (value, behind) = quoted(value)?;
            labels.push((label.to_owned(), value));
            left = behind;
        };
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The text up to the closing quote, its escapes resolved, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP hops Hops.\n# TYPE hops counter\nhops{shard=\"0\"} 7\n\
        hops{shard=\"1\"} 8\nready 1\nodd{a=\"x,\\\"y\\\"}\",b=\"1\"} 2.5 1700000000\n\
        d_sum{shard=\"0\"} 61.000005\nbroken{a=\"b 1\nnonsense\n";

    #[test]
    fn numbers_are_found_by_name_and_label() {
        let scrape = Scrape::parse(TEXT);
        assert_eq!(scrape.sum("hops"), Some(15.0));
        assert_eq!(scrape.sum("ready"), Some(1.0));
        assert_eq!(scrape.sum("d_sum"), Some(61.000_005));
        assert_eq!(scrape.sum("hop"), None);
        let by_shard = scrape.by_label("hops", "shard");
        assert_eq!(by_shard, [("0".to_owned(), 7.0), ("1".to_owned(), 8.0)]);
        assert_eq!(scrape.by_label("odd", "a"), [("x,\"y\"}".to_owned(), 2.5)]);
        assert_eq!(scrape.by_label("odd", "b"), [("1".to_owned(), 2.5)]);
        assert!(scrape.by_label("ready", "shard").is_empty());
        assert_eq!(scrape.0.len(), 5);
    }
}
