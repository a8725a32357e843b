//! The money audit: what was acknowledged is what the balances say, to the last minor unit.
//!
//! Every player's funds before the load, plus what each acknowledged booking did, must be the
//! funds after it. Bookings without an answer were sent again with the same id until they
//! had one; what is still open at the end makes its player's sum a range, and is said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::accounts::Account;
use crate::client::{Answer, Client, Url};
use crate::kind::Kind;
use crate::money;
use crate::random::Random;
use crate::scan;
use crate::tally::Effects;
use crate::template::{Slot, Template, Values};
use crate::wall_clock::WallClock;

/// Balances asked for at once on one connection: below the server's bound for a connection's
/// requests in flight.
const BATCH: usize = 16;

/// Differences that are listed; more of them say no more.
const SHOWN_MAX: usize = 10;

/// How long a server that is busy, as it may be right after a load, is asked again.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);

/// And how often.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What all players have, in minor units, in the order of the accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Funds {
    pub(crate) currency: String,
    pub(crate) fraction_digits: usize,
    pub(crate) of_player: Vec<i64>,
}

impl Funds {
    /// Asks the wallet for the balance of every account.
    ///
    /// # Errors
    /// An answer is no balance, or the players have different currencies.
    pub(crate) fn read(
        url: &Url,
        template: &Template,
        accounts: &[Account],
    ) -> anyhow::Result<Self> {
        let mut client = Client::connect(url)?;
        let mut clock = WallClock::new();
        let mut funds: Option<Self> = None;
        for accounts in accounts.chunks(BATCH) {
            let mut sums = vec![0; accounts.len()];
            let mut unread: Vec<usize> = (0..accounts.len()).collect();
            let deadline = Instant::now() + BUSY_PATIENCE;
            while !unread.is_empty() {
                let mut requests = Vec::new();
                for &at in &unread {
                    let mut request = Vec::new();
                    let mut values = Values::default();
                    values
                        .set(Slot::Sequence, b"lt-audit")
                        .set(Slot::Timestamp, clock.timestamp(Instant::now()))
                        .set(Slot::Account, accounts[at].id.as_bytes());
                    template.render(&values, &mut request);
                    requests.extend_from_slice(&request);
                }
                client.send(&requests)?;
                let mut busy = Vec::new();
                for at in unread {
                    let answer = client.receive()?;
                    if answer.status == 503 && Instant::now() < deadline {
                        busy.push(at);
                        continue;
                    }
                    let (currency, digits, sum) = balance_of(&accounts[at], &answer)?;
                    let funds = funds.get_or_insert_with(|| Self {
                        currency: currency.clone(),
                        fraction_digits: digits,
                        of_player: Vec::new(),
                    });
                    if (&funds.currency, funds.fraction_digits) != (&currency, digits) {
                        let account = &accounts[at].id;
                        bail!("{account} has another currency than those before it");
                    }
                    sums[at] = sum;
                }
                if !busy.is_empty() {
                    std::thread::sleep(BUSY_PAUSE);
                }
                unread = busy;
            }
            if let Some(funds) = &mut funds {
                funds.of_player.extend(sums);
            }
        }
        funds.context("no accounts")
    }
}

/// Currency, its fraction digits and all funds, in minor units.
fn balance_of(account: &Account, answer: &Answer) -> anyhow::Result<(String, usize, i64)> {
    let read = || {
        let body = scan::body(&answer.body)?;
        let currency = std::str::from_utf8(body.currency?).ok()?.to_owned();
        let digits = money::fraction_digits(body.cash_funds?)?;
        let cash = money::minor_units(body.cash_funds?, digits)?;
        let bonus = money::minor_units(body.bonus_funds?, digits)?;
        Some((currency, digits, cash.checked_add(bonus)?))
    };
    read().with_context(|| {
        format!(
            "the balance of {}: status {}, {}",
            account.id,
            answer.status,
            String::from_utf8_lossy(&answer.body)
        )
    })
}

/// What the audit found. Amounts are decimal text in the players' currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Audit {
    pub(crate) is_clean: bool,
    pub(crate) currency: String,
    pub(crate) accounts: u64,
    /// Of all players together.
    pub(crate) before: String,
    pub(crate) acknowledged: String,
    pub(crate) after: String,
    /// Sums of acknowledged bookings by request type.
    pub(crate) by_type: BTreeMap<String, String>,
    /// Bookings that never had an answer.
    pub(crate) unsettled: u64,
    /// Sentences; the first ones of many.
    pub(crate) differences: Vec<String>,
    pub(crate) difference_count: u64,
    pub(crate) trial_balance: String,
}

/// Compares the funds before and after with what was acknowledged between them.
pub(crate) fn compare(
    accounts: &[Account],
    before: &Funds,
    after: &Funds,
    effects: &Effects,
    trial_balance: &TrialBalance,
) -> Audit {
    let digits = before.fraction_digits;
    let text = |minor| money::text(minor, digits);
    // What open bookings may have done to each player: least and most.
    let mut open: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for &(player, change) in &effects.unsettled {
        let range = open.entry(player).or_default();
        range.0 += change.min(0);
        range.1 += change.max(0);
    }
    let mut differences = Vec::new();
    for (at, account) in accounts.iter().enumerate() {
        let expected = before.of_player[at] + effects.net[at];
        let found = after.of_player[at];
        let (least, most) = open.get(&(at as u32)).copied().unwrap_or_default();
        if !(expected + least..=expected + most).contains(&found) {
            differences.push(format!(
                "{}: {} before, {} acknowledged, so {} expected; the wallet says {}",
                account.id,
                text(before.of_player[at]),
                text(effects.net[at]),
                text(expected),
                text(found)
            ));
        }
    }
    let sums: (i64, i64) = (before.of_player.iter().sum(), after.of_player.iter().sum());
    let open_sum = (
        open.values().map(|range| range.0).sum::<i64>(),
        open.values().map(|range| range.1).sum::<i64>(),
    );
    let (trial_balance, trial_problem) =
        trial_balance.judge(digits, effects.sum(), open_sum, sums.1);
    differences.extend(trial_problem);
    let by_type = Kind::ALL
        .into_iter()
        .filter(|kind| kind.is_booking() && effects.by_kind[kind.index()] != 0)
        .map(|kind| (kind.name().to_owned(), text(effects.by_kind[kind.index()])))
        .collect();
    let difference_count = differences.len() as u64;
    differences.truncate(SHOWN_MAX);
    Audit {
        is_clean: difference_count == 0,
        currency: before.currency.clone(),
        accounts: accounts.len() as u64,
        before: text(sums.0),
        acknowledged: text(effects.sum()),
        after: text(sums.1),
        by_type,
        unsettled: effects.unsettled.len() as u64,
        differences,
        difference_count,
        trial_balance,
    }
}

/// The operator's own sums, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrialBalance {
    /// Why they could not be asked for.
    NotAsked(String),
    Read {
        before: Books,
        after: Books,
    },
}

/// The sums of one domain in `GET /admin/v1/trial-balance` (operator.md section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// Over all accounts of the currency: zero at every moment.
    total: i64,
    /// Cash and bonus of all players.
    players: i64,
}

impl Books {
    /// Reads the answer's part for one domain.
    ///
    /// # Errors
    /// It has another form than the page says.
    pub(crate) fn read(answer: &[u8], domain: &str, digits: usize) -> anyhow::Result<Self> {
        let json: serde_json::Value = serde_json::from_slice(answer)?;
        let domains = json["Domains"].as_array().context("no Domains in it")?;
        let book = domains
            .iter()
            .find(|book| book["Domain"] == domain)
            .with_context(|| format!("no domain {domain} in it"))?;
        let amount = |value: &serde_json::Value| -> anyhow::Result<i64> {
            let text = value
                .as_str()
                .with_context(|| format!("{value} is no amount"))?;
            // Books have a sign: what the house paid, it owes.
            let (sign, size) = match text.strip_prefix('-') {
                Some(size) => (-1, size),
                None => (1, text),
            };
            let minor = money::minor_units(size.as_bytes(), digits);
            Ok(sign * minor.with_context(|| format!("{text} is no amount"))?)
        };
        let accounts = &book["Accounts"];
        let players = amount(&accounts["PlayerCash"])? + amount(&accounts["PlayerBonus"])?;
        Ok(Self {
            total: amount(&book["Total"])?,
            players,
        })
    }
}

impl TrialBalance {
    /// What it says for the report, and a difference if there is one.
    fn judge(
        &self,
        digits: usize,
        acknowledged: i64,
        open: (i64, i64),
        wallet_sum: i64,
    ) -> (String, Option<String>) {
        let text = |minor: i64| money::text(minor, digits);
        let (before, after) = match self {
            Self::NotAsked(why) => return (format!("not compared: {why}"), None),
            Self::Read { before, after } => (before, after),
        };
        let change = after.players.abs() - before.players.abs();
        let range = acknowledged + open.0..=acknowledged + open.1;
        let says = format!(
            "total {}, players {} (the accounts of this run have {}), changed by {}",
            text(after.total),
            text(after.players.abs()),
            text(wallet_sum),
            text(change)
        );
        let problem = if after.total != 0 {
            Some(format!(
                "the trial balance is {} and not zero",
                text(after.total)
            ))
        } else if !range.contains(&change) {
            Some(format!(
                "the trial balance's players changed by {}, {} was acknowledged (did anybody \
                 else use the server?)",
                text(change),
                text(acknowledged)
            ))
        } else {
            None
        };
        (says, problem)
    }
}

/// An id that no run before had, so that its transactions are new ones.
pub(crate) fn fresh_run_id() -> u32 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ns = since_1970.unwrap_or_default().as_nanos() as u64;
    Random::new(ns, u64::from(std::process::id())).next() as u32
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::template::Common;

    fn funds(of_player: &[i64]) -> Funds {
        Funds {
            currency: "EUR".to_owned(),
            fraction_digits: 2,
            of_player: of_player.to_vec(),
        }
    }

    fn accounts() -> Vec<Account> {
        let account = |n| Account {
            id: format!("demo/p{n}"),
            session_key: "k".to_owned(),
        };
        (1..=2).map(account).collect()
    }

    fn audit(after: &[i64], unsettled: &[(u32, i64)], trial: &TrialBalance) -> Audit {
        let mut effects = Effects::new(2);
        effects.booked(Kind::PlaceBet, 0, -150);
        effects.booked(Kind::AwardWinnings, 0, 300);
        effects.booked(Kind::PlaceBet, 1, -50);
        for &(player, change) in unsettled {
            effects.unsettled(player, change);
        }
        compare(
            &accounts(),
            &funds(&[1_000, 1_000]),
            &funds(after),
            &effects,
            trial,
        )
    }

    #[test]
    fn a_busy_server_is_asked_again_for_the_balances_that_it_did_not_tell() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            let mut answer = |asked_of: &str, status: &str, body: &str| {
                // Each request names its account.
                while !String::from_utf8_lossy(&received).contains(asked_of) {
                    let mut bytes = [0; 4_096];
                    let count = stream.read(&mut bytes).unwrap();
                    assert!(count > 0, "nobody asked for {asked_of}");
                    received.extend_from_slice(&bytes[..count]);
                }
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all((head + body).as_bytes()).unwrap();
                received.clear();
            };
            let balance = |cash| {
                format!(
                    r#"{{"ErrorCode":0,"Balance":{{"CurrencyCode":"EUR","CashFunds":"{cash}","BonusFunds":"0.00"}}}}"#
                )
            };
            answer("demo/p1", "503 Busy", r#"{"ErrorCode":-1}"#);
            answer("", "200 OK", &balance("2.00"));
            answer("demo/p1", "200 OK", &balance("1.00"));
        });
        let template = Template::all(&Common {
            host: "audit",
            username: "demo",
            password: "demo",
            platform_key: "LT",
            game: "game-1",
            currency: "EUR",
        });
        let template = &template[Kind::Balance.index()];
        let read = Funds::read(&url, template, &accounts()).unwrap();
        assert_eq!(read, funds(&[100, 200]));
        server.join().unwrap();
    }

    fn not_asked() -> TrialBalance {
        TrialBalance::NotAsked("no such page (404)".to_owned())
    }

    #[test]
    fn funds_that_are_what_was_acknowledged_are_clean() {
        let audit = audit(&[1_150, 950], &[], &not_asked());
        assert!(audit.is_clean);
        assert_eq!(
            (&*audit.before, &*audit.acknowledged, &*audit.after),
            ("20.00", "1.00", "21.00")
        );
        assert_eq!(audit.by_type["placeBet"], "2.00");
        assert_eq!(audit.by_type["awardWinnings"], "3.00");
        assert_eq!(audit.trial_balance, "not compared: no such page (404)");
    }

    #[test]
    fn one_minor_unit_is_a_difference_also_where_sums_agree() {
        let audit = audit(&[1_151, 949], &[], &not_asked());
        assert!(!audit.is_clean);
        assert_eq!(audit.difference_count, 2);
        assert_eq!(
            audit.differences[0],
            "demo/p1: 10.00 before, 1.50 acknowledged, so 11.50 expected; the wallet says 11.51"
        );
    }

    #[test]
    fn an_open_booking_is_either_there_or_not() {
        let open = [(1, -30)];
        for (found, is_clean) in [(950, true), (920, true), (919, false), (951, false)] {
            let audit = audit(&[1_150, found], &open, &not_asked());
            assert_eq!((audit.is_clean, audit.unsettled), (is_clean, 1), "{found}");
        }
    }

    fn books(total: &str, players: &str) -> Books {
        let answer = format!(
            r#"{{"Domains":[{{"Domain":"other"}},{{"Domain":"demo","CurrencyCode":"EUR","Accounts":{{"PlayerCash":"{players}","PlayerBonus":"0.00","HouseStakes":"-1.00"}},"Total":"{total}"}}]}}"#
        );
        Books::read(answer.as_bytes(), "demo", 2).unwrap()
    }

    #[test]
    fn the_trial_balance_must_be_zero_and_move_as_acknowledged() {
        let cases = [
            ("0.00", "121.00", None),
            ("0.01", "121.00", Some("0.01 and not zero")),
            (
                "0.00",
                "121.01",
                Some("changed by 1.01, 1.00 was acknowledged"),
            ),
        ];
        for (total, players, says) in cases {
            let trial = TrialBalance::Read {
                before: books("0.00", "120.00"),
                after: books(total, players),
            };
            let audit = audit(&[1_150, 950], &[], &trial);
            assert_eq!(audit.is_clean, says.is_none(), "{audit:?}");
            if let Some(says) = says {
                assert!(audit.differences[0].contains(says), "{audit:?}");
            }
        }
    }

    #[test]
    fn books_of_another_form_are_refused() {
        for answer in [
            "{}",
            r#"{"Domains":[]}"#,
            r#"{"Domains":[{"Domain":"demo","Total":0}]}"#,
        ] {
            assert!(
                Books::read(answer.as_bytes(), "demo", 2).is_err(),
                "{answer}"
            );
        }
    }

    #[test]
    fn runs_have_ids_of_their_own() {
        let ids: std::collections::BTreeSet<u32> = (0..100).map(|_| fresh_run_id()).collect();
        assert!(ids.len() > 90);
    }
}
