//! The players of a rival without a store: a hash map from account to cents.

use std::collections::HashMap;

use crate::answer::Answer;
use crate::request::ReadBalance;

/// As many as purser's demo has.
pub const PLAYERS: u32 = 1_000;

/// What each has at first: 1,000.00.
pub const CASH_MINOR: i64 = 100_000;

/// The account id of a player, 1 for the first.
#[must_use]
pub fn account(number: u32) -> String {
    format!("demo/player-{number}")
}

/// Accounts and what they hold.
#[derive(Debug)]
pub struct Book(HashMap<String, i64>);

impl Default for Book {
    /// All players with their first balance.
    fn default() -> Self {
        Self((1..=PLAYERS).map(|n| (account(n), CASH_MINOR)).collect())
    }
}

impl Book {
    /// The body that answers a balance request with these credentials.
    #[must_use]
    pub fn answer(&self, is_authorised: bool, body: &[u8]) -> Vec<u8> {
        if !is_authorised {
            return Answer::refused(-6).bytes();
        }
        let Ok(request) = serde_json::from_slice::<ReadBalance<'_>>(body) else {
            return Answer::refused(-6).bytes();
        };
        let answer = match self.0.get(request.operator_account_id) {
            Some(&cash_minor) => Answer::balance(cash_minor),
            None => Answer::refused(-5),
        };
        answer.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_authorised: bool, account: &str, begins: &str) {
        let body = format!(
            r#"{{"PlatformKey":"PB","Sequence":"1","Timestamp":1,"OperatorAccountID":"{account}"}}"#
        );
        let answer = Book::default().answer(is_authorised, body.as_bytes());
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(begins), "{answer}");
    }

    #[test]
    fn only_those_who_may_ask_hear_of_players() {
        check(true, "demo/player-1000", r#"{"ErrorCode":0,"Balance""#);
        check(true, "demo/player-1001", r#"{"ErrorCode":-5}"#);
        check(false, "demo/player-1", r#"{"ErrorCode":-6}"#);
    }
}
