//! A player at play: the calls that a platform makes for one, and what it is told, in short.

use serde_json::Value;

use super::wallet::{
    AWARD_WINNINGS, CREDIT, END, Members, PLACE_BET, ROLLBACK_BET, VOID_BET, Wallet, text,
};
use super::{Admin, Server};

/// One player with a session, and who acts for them.
pub struct Play {
    pub admin: Admin,
    pub wallet: Wallet,
    pub account: String,
    /// The session's key.
    pub key: String,
    currency: &'static str,
}

/// A request that may be changed, and sent as often as one likes.
#[derive(Clone)]
pub struct Call {
    pub path: &'static str,
    pub members: Members,
    /// What the answer must echo.
    reference: Option<String>,
}

impl Call {
    /// With a member set to JSON text.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if matches!(name, "GameRoundTransactionID" | "AccountTransactionID") {
            self.reference = serde_json::from_str(value).ok();
        }
        self.members = self.members.with(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.members = self.members.without(name);
        self
    }
}

impl Play {
    /// Creates the account with its cash, opens a session and connects a platform.
    pub fn start(server: &Server, account: &str, cash: &str) -> Self {
        let mut admin = Admin::of(server);
        admin.account(account, cash);
        let key = admin.session(account);
        Self::with_key(server, account, key)
    }

    /// A player who is there already.
    pub fn with_key(server: &Server, account: &str, key: String) -> Self {
        let domain = account.split('/').next().unwrap();
        Self {
            admin: Admin::of(server),
            wallet: Wallet::of(domain, server),
            account: account.to_owned(),
            key,
            currency: match domain {
                "nippon" => "JPY",
                "gulf" => "KWD",
                _ => "GBP",
            },
        }
    }

    fn booking(&self) -> Members {
        Members::booking(&self.account, self.currency)
    }

    fn round(&self, path: &'static str, id: &str, round: &str, amount: &str) -> Call {
        Call {
            path,
            members: self
                .booking()
                .with("GameRoundID", &text(round))
                .with("GameRoundTransactionID", &text(id))
                .with("GameID", r#""chess""#)
                .with("Amount", &text(amount))
                .with("EndRound", "false"),
            reference: Some(id.to_owned()),
        }
    }

    pub fn bet(&self, id: &str, round: &str, amount: &str) -> Call {
        self.round(PLACE_BET, id, round, amount)
            .with("StartRound", "true")
            .with("GatewaySessionToken", &text(&self.key))
    }

    pub fn award(&self, id: &str, round: &str, amount: &str) -> Call {
        self.round(AWARD_WINNINGS, id, round, amount)
            .with("StartRound", "false")
    }

    pub fn rollback(&self, id: &str, round: &str, bet: &str, amount: &str) -> Call {
        self.round(ROLLBACK_BET, id, round, amount)
            .with("OriginalBetGameRoundTransactionID", &text(bet))
    }

    pub fn void(&self, id: &str, round: &str, amount: &str) -> Call {
        self.round(VOID_BET, id, round, amount)
    }

    pub fn end(&self, round: &str) -> Call {
        Call {
            path: END,
            members: self
                .booking()
                .with("GameRoundID", &text(round))
                .with("GameID", r#""chess""#),
            reference: None,
        }
    }

    pub fn credit(&self, id: &str, amount: &str) -> Call {
        Call {
            path: CREDIT,
            members: self
                .booking()
                .with("AccountTransactionID", &text(id))
                .with("AccountTransactionTypeID", r#""gift""#)
                .with("Amount", &text(amount)),
            reference: Some(id.to_owned()),
        }
    }

    /// Sends a call: the whole body, which must have the members that its code has.
    pub fn send(&mut self, call: &Call) -> Value {
        let body = self.wallet.post(call.path, call.members.json());
        assert_members(call, &body);
        body
    }

    /// Sends a call and gives what is told in short: the code, then the funds as
    /// `cash+bonus` where they are shown, then `took cash+bonus` of a stake.
    pub fn told(&mut self, call: &Call) -> String {
        let body = self.send(call);
        let mut told = body["ErrorCode"].to_string();
        if let Some(balance) = body["Balance"].as_object() {
            told += &pair(&balance["CashFunds"], &balance["BonusFunds"]);
        }
        if let Some(split) = body["Result"]["OperatorTransactionSplit"].as_object() {
            told += " took";
            told += &pair(&split["CashAmount"], &split["BonusAmount"]);
        }
        told
    }

    /// Sends the calls in order and compares what is told.
    pub fn check(&mut self, steps: &[(Call, &str)]) {
        for (at, (call, expected)) in steps.iter().enumerate() {
            let told = self.told(call);
            let members = call.members.json();
            assert_eq!(told, *expected, "step {at}: {} {members}", call.path);
        }
    }

    /// The description of a call that must be refused so.
    pub fn refusal(&mut self, call: &Call, code: i64) -> String {
        let body = self.send(call);
        assert_eq!(body["ErrorCode"], code, "{body}");
        body["ErrorDescription"].as_str().unwrap().to_owned()
    }
}

fn pair(cash: &Value, bonus: &Value) -> String {
    format!(" {}+{}", cash.as_str().unwrap(), bonus.as_str().unwrap())
}

/// Which members an answer has, by its code (protocol.md section 3).
fn assert_members(call: &Call, body: &Value) {
    let code = body["ErrorCode"].as_i64().unwrap();
    let mut expected = vec!["ErrorCode"];
    match code {
        0 => {
            expected.push("Balance");
            if let Some(reference) = &call.reference {
                expected.push("Result");
                let echoed = &body["Result"]["OperatorTransactionReference"];
                assert_eq!(echoed, reference.as_str(), "{body}");
                let has_split = body["Result"]["OperatorTransactionSplit"].is_object();
                assert_eq!(has_split, call.path == PLACE_BET, "{body}");
            }
        }
        _ => {
            expected.push("ErrorDescription");
            let is_logged_out = || {
                let words = body["ErrorDescription"].as_str().unwrap();
                words.contains("logged out")
            };
            let with_balance = match code {
                -2 | -8 | -9 | -12 | -13 | -14 | -15 => true,
                -3 => is_logged_out(),
                _ => false,
            };
            if with_balance {
                expected.push("Balance");
            }
        }
    }
    expected.sort_unstable();
    let mut found: Vec<&str> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{body}");
}
