//! Thresholds as k6 writes them: `http_req_duration{requestType:balance}:p(95)<5`.
//!
//! A metric's name, a colon, a number of the metric, a comparison and a bound. Durations
//! are milliseconds, rates 0 to 1.

use std::fmt;
use std::str::FromStr;

use crate::summary::Metric;

/// One condition that a run must meet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    /// With its tag, as in `http_req_duration{requestType:balance}`.
    pub(crate) metric: String,
    number: String,
    comparison: Comparison,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The longer ones first: `<` is the start of `<=`.
const COMPARISONS: [(&str, Comparison); 7] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("===", Comparison::Equal),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Threshold {
    /// What stands behind the metric's name.
    pub(crate) fn expression(&self) -> String {
        let sign = COMPARISONS
            .iter()
            .rfind(|(_, comparison)| *comparison == self.comparison)
            .map_or("", |(sign, _)| sign);
        format!("{}{sign}{}", self.number, self.bound)
    }

    /// Whether the metric meets it.
    ///
    /// # Errors
    /// The metric has no such number.
    pub(crate) fn is_met(&self, metric: &Metric) -> Result<bool, String> {
        let Some(value) = metric.number(&self.number) else {
            return Err(format!(
                "{self}: {} has no {}; it has {}",
                self.metric,
                self.number,
                metric.numbers()
            ));
        };
        Ok(match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Greater => value > self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
            // A rate of 1 is a count by itself, and so exact.
            Comparison::Equal => value == self.bound,
            Comparison::NotEqual => value != self.bound,
        })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.metric, self.expression())
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "expected METRIC:NUMBER<BOUND, such as http_req_duration:p(95)<5, \
                            http_req_duration{requestType:balance}:p(99)<20 or checks:rate==1";
        let say = |what: &str| format!("{what} in {text:?}; {FORM}");
        // The tag has a colon of its own.
        let name_bytes = match text.find('{') {
            Some(open) => text[open..]
                .find('}')
                .map(|close| open + close + 1)
                .ok_or_else(|| say("no closing brace"))?,
            None => text.find(':').ok_or_else(|| say("no colon"))?,
        };
        let (metric, rest) = text.split_at(name_bytes);
        let rest = rest.strip_prefix(':').ok_or_else(|| say("no colon"))?;
        let (number, comparison, bound) = COMPARISONS
            .iter()
            .find_map(|(sign, comparison)| {
                let (number, bound) = rest.split_once(sign)?;
                Some((number.trim(), *comparison, bound.trim()))
            })
            .ok_or_else(|| say("no comparison"))?;
        if metric.trim().is_empty() || number.is_empty() {
            return Err(say("something is missing"));
        }
        let bound: f64 = bound
            .parse()
            .map_err(|_| say("a bound that is no number"))?;
        Ok(Self {
            metric: metric.trim().to_owned(),
            number: number.to_owned(),
            comparison,
            bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(threshold: &str, metric: &Metric) -> Result<bool, String> {
        threshold.parse::<Threshold>().unwrap().is_met(metric)
    }

    #[test]
    fn names_tags_and_expressions_are_told_apart() {
        let cases = [
            ("http_req_duration:p(95)<5", "http_req_duration", "p(95)<5"),
            (
                "http_req_duration{requestType:balance}:p(99.9)<=112.31",
                "http_req_duration{requestType:balance}",
                "p(99.9)<=112.31",
            ),
            ("checks: rate == 1", "checks", "rate==1"),
            ("checks:rate===1", "checks", "rate==1"),
            ("http_reqs:count>=10", "http_reqs", "count>=10"),
            ("x:avg!=0", "x", "avg!=0"),
            ("x:max>0", "x", "max>0"),
        ];
        for (text, metric, expression) in cases {
            let threshold: Threshold = text.parse().unwrap();
            assert_eq!(threshold.metric, metric, "{text}");
            assert_eq!(threshold.expression(), expression, "{text}");
        }
    }

    #[test]
    fn what_is_no_threshold_says_what_is_missing() {
        let cases = [
            ("checks", "no colon"),
            ("checks{a:b", "no closing brace"),
            ("checks{a:b}", "no colon"),
            ("checks:rate", "no comparison"),
            ("checks:rate<fast", "no number"),
            (":rate<1", "something is missing"),
            ("checks:<1", "something is missing"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Threshold>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_bound_is_compared_as_written() {
        let rate = Metric::rate(1, 1_000_000);
        assert_eq!(met("checks:rate==1", &Metric::rate(7, 0)), Ok(true));
        assert_eq!(met("checks:rate==1", &rate), Ok(false));
        let gauge = Metric::Gauge {
            value: 5.0,
            min: 5.0,
            max: 7.0,
        };
        for (expression, expected) in [
            ("value<5", false),
            ("value<=5", true),
            ("value>5", false),
            ("value>=5", true),
            ("value!=5", false),
            ("max>6", true),
        ] {
            assert_eq!(
                met(&format!("vus:{expression}"), &gauge),
                Ok(expected),
                "{expression}"
            );
        }
        let error = met("checks:p(95)<1", &rate).unwrap_err();
        assert!(
            error.contains("checks has no p(95); it has rate"),
            "{error}"
        );
    }
}
