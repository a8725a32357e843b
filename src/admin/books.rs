//! The trial balance: what all players hold and where it came from, which sums to zero.
//!
//! Each shard answers with its own books at one moment, once all that they hold is
//! durable. The moments of two shards differ, but no money moves between shards, so the
//! sum of their books is zero as each of them is.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shards::ledger::{Book, Command, HouseAccount};
use shards::types::Currency;

use super::answer::Done;
use super::errors::AdminError;
use super::server::App;

/// `GET /admin/v1/trial-balance`.
pub(super) async fn trial_balance(
    State(app): State<App>,
) -> Result<Json<TrialBalanceBody>, AdminError> {
    // All are asked before the first is awaited, so that their moments are near.
    let asked: Vec<_> = app
        .control
        .shard_slots()
        .map(|slot| app.control.ask(Command::ReadBooks { slot }))
        .collect();
    let mut sums = Sums::default();
    for domain in app.domains().iter() {
        // A domain that nobody has played in yet is there too, with zeroes.
        sums.of(&domain.name, domain.currency);
    }
    for answer in asked {
        for book in Done::from_answer(answer.await)?.books()? {
            sums.add(&book);
        }
    }
    Ok(Json(sums.into_body()))
}

/// Books of several shards, by domain and currency.
#[derive(Default)]
struct Sums(BTreeMap<(String, String), (Currency, [i128; ACCOUNTS])>);

/// Cash and bonus of players, then the house accounts.
const ACCOUNTS: usize = 2 + HouseAccount::ALL.len();

impl Sums {
    fn of(&mut self, domain: &str, currency: Currency) -> &mut [i128; ACCOUNTS] {
        let key = (domain.to_owned(), currency.to_string());
        let sums = self.0.entry(key).or_insert((currency, [0; ACCOUNTS]));
        &mut sums.1
    }

    fn add(&mut self, book: &Book) {
        let players = [book.player_cash, book.player_bonus];
        let sums = self.of(&book.domain, book.currency);
        for (sum, minor) in sums.iter_mut().zip(players.into_iter().chain(book.house)) {
            *sum += minor;
        }
    }

    fn into_body(self) -> TrialBalanceBody {
        let domains = self
            .0
            .into_iter()
            .map(|((domain, code), (currency, sums))| {
                let major = |minor| major(minor, currency);
                let [player_cash, player_bonus, house @ ..] = sums.map(major);
                let [stakes, winnings, cashier, bonus, adjustments] = house;
                DomainBody {
                    domain,
                    currency_code: code,
                    accounts: AccountsBody {
                        player_cash,
                        player_bonus,
                        house_stakes: stakes,
                        house_winnings: winnings,
                        house_cashier: cashier,
                        house_bonus: bonus,
                        house_adjustments: adjustments,
                    },
                    total: major(sums.iter().sum()),
                }
            });
        TrialBalanceBody {
            domains: domains.collect(),
        }
    }
}

/// Sums in major units; those of the house are below zero where it paid.
fn major(minor: i128, currency: Currency) -> String {
    let digits = currency.fraction_digits() as usize;
    let sign = if minor < 0 { "-" } else { "" };
    let minor = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = minor.split_at(minor.len() - digits);
    match digits {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

/// The whole answer, by domain and then currency.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TrialBalanceBody {
    domains: Vec<DomainBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DomainBody {
    domain: String,
    currency_code: String,
    accounts: AccountsBody,
    total: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountsBody {
    player_cash: String,
    player_bonus: String,
    house_stakes: String,
    house_winnings: String,
    house_cashier: String,
    house_bonus: String,
    house_adjustments: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_the_digits_of_their_currency() {
        let cases = [
            (0, "GBP", "0.00"),
            (-5, "GBP", "-0.05"),
            (-1_050, "GBP", "-10.50"),
            (1_050, "JPY", "1050"),
            (-1, "JPY", "-1"),
            (0, "JPY", "0"),
            (-1_001, "KWD", "-1.001"),
            (
                i128::from(i64::MAX) * 1_000,
                "GBP",
                "92233720368547758070.00",
            ),
        ];
        for (minor, code, expected) in cases {
            assert_eq!(major(minor, Currency::parse(code).unwrap()), expected);
        }
    }

    #[test]
    fn the_books_of_all_shards_are_summed_by_domain_and_currency() {
        let book = |domain: &str, code, player_cash, cashier| Book {
            domain: domain.to_owned(),
            currency: Currency::parse(code).unwrap(),
            player_cash,
            player_bonus: 7,
            house: [1, 2, cashier, -7, -3],
        };
        let mut sums = Sums::default();
        sums.of("zen", Currency::parse("JPY").unwrap());
        for book in [
            book("acme", "GBP", 100, -100),
            book("acme", "EUR", 5, -5),
            book("acme", "GBP", 50, -49),
        ] {
            sums.add(&book);
        }
        let body = serde_json::to_value(sums.into_body()).unwrap();
        let row = |at: usize| &body["Domains"][at];
        assert_eq!(body["Domains"].as_array().unwrap().len(), 3);
        assert_eq!(
            (&row(0)["CurrencyCode"], &row(0)["Total"]),
            (&"EUR".into(), &"0.00".into())
        );
        let pounds = serde_json::json!({
            "Domain": "acme",
            "CurrencyCode": "GBP",
            "Accounts": {
                "PlayerCash": "1.50",
                "PlayerBonus": "0.14",
                "HouseStakes": "0.02",
                "HouseWinnings": "0.04",
                "HouseCashier": "-1.49",
                "HouseBonus": "-0.14",
                "HouseAdjustments": "-0.06",
            },
            "Total": "0.01",
        });
        assert_eq!(*row(1), pounds);
        assert_eq!(row(2)["Accounts"]["HouseStakes"], "0");
    }
}
