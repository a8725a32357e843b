//! Answers of the wallet, as long as purser's (protocol.md section 3).

use serde::Serialize;

/// Everything that a rival says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Answer<'a> {
    pub error_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Booked<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Balance {
    pub currency_code: &'static str,
    pub cash_funds: String,
    pub bonus_funds: &'static str,
    pub funds_priority: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Booked<'a> {
    pub operator_transaction_reference: &'a str,
    pub operator_transaction_split: Split,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Split {
    pub bonus_amount: &'static str,
    pub cash_amount: String,
}

/// Cents as text in euros.
fn major(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

impl<'a> Answer<'a> {
    /// A balance.
    #[must_use]
    pub fn balance(cash_minor: i64) -> Self {
        Self {
            error_code: 0,
            balance: Some(Balance {
                currency_code: "EUR",
                cash_funds: major(cash_minor),
                bonus_funds: "0.00",
                funds_priority: "CashFundsFirst",
            }),
            result: None,
        }
    }

    /// A stake that was taken, under its id.
    #[must_use]
    pub fn booked(reference: &'a str, stake_minor: i64, cash_minor: i64) -> Self {
        Self {
            result: Some(Booked {
                operator_transaction_reference: reference,
                operator_transaction_split: Split {
                    bonus_amount: "0.00",
                    cash_amount: major(stake_minor),
                },
            }),
            ..Self::balance(cash_minor)
        }
    }

    /// A refusal by its code, without words.
    #[must_use]
    pub fn refused(code: i32) -> Self {
        Self {
            error_code: code,
            balance: None,
            result: None,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // Text and numbers only: nothing here can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_what_purser_says() {
        let text = |answer: &Answer<'_>| String::from_utf8(answer.bytes()).unwrap();
        assert_eq!(
            text(&Answer::balance(99_905)),
            r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"EUR","CashFunds":"999.05","BonusFunds":"0.00","FundsPriority":"CashFundsFirst"}}"#
        );
        assert!(text(&Answer::booked("t-1", 1, 99_999)).ends_with(
            r#""Result":{"OperatorTransactionReference":"t-1","OperatorTransactionSplit":{"BonusAmount":"0.00","CashAmount":"0.01"}}}"#
        ));
        assert_eq!(text(&Answer::refused(-5)), r#"{"ErrorCode":-5}"#);
    }
}
