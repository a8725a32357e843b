//! One JSON object a line. Money is a string in major units, as everywhere outside.

use std::fs::File;
use std::io::{BufWriter, Write};

use serde::Serialize;

use super::{Row, RowWriter};

pub(super) struct Writer(BufWriter<File>);

impl Writer {
    pub(super) fn new(file: File) -> Self {
        Self(BufWriter::new(file))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    shard: u16,
    lsn: u64,
    at: String,
    domain: &'a str,
    #[serde(rename = "OperatorAccountID")]
    account: &'a str,
    kind: &'a str,
    #[serde(rename = "TransactionID")]
    transaction: Option<&'a str>,
    #[serde(rename = "OriginalTransactionID")]
    original: Option<&'a str>,
    #[serde(rename = "GameRoundID")]
    round: Option<&'a str>,
    #[serde(rename = "GameID")]
    game: Option<&'a str>,
    currency_code: &'a str,
    funds: &'a str,
    house_account: &'a str,
    amount: String,
    cash_funds: String,
    bonus_funds: String,
}

impl<'a> From<&'a Row<'a>> for Line<'a> {
    fn from(row: &'a Row<'a>) -> Self {
        Self {
            shard: row.shard.0,
            lsn: row.lsn.0,
            at: row.at(),
            domain: row.domain,
            account: row.account,
            kind: row.kind,
            transaction: row.transaction,
            original: row.original,
            round: row.round,
            game: row.game,
            currency_code: row.currency.code(),
            funds: row.funds(),
            house_account: row.house(),
            amount: row.major(row.minor),
            cash_funds: row.major(row.cash_after_minor),
            bonus_funds: row.major(row.bonus_after_minor),
        }
    }
}

impl RowWriter for Writer {
    fn row(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.0, &Line::from(row))?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.0.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::awkward_row;
    use super::*;

    #[test]
    fn a_row_is_one_line_with_all_members() {
        let line = serde_json::to_string(&Line::from(&awkward_row())).unwrap();
        assert_eq!(
            line,
            r#"{"Shard":1,"Lsn":7,"At":"2026-11-18T11:06:40.001Z","Domain":"acme","OperatorAccountID":"acme/a,\"b\"","Kind":"Deposit","TransactionID":"d\n1","OriginalTransactionID":null,"GameRoundID":"r,1","GameID":"g","CurrencyCode":"GBP","Funds":"Cash","HouseAccount":"HouseCashier","Amount":"-1.05","CashFunds":"0.20","BonusFunds":"0.03"}"#
        );
    }
}
