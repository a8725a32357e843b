//! RFC 4180: a line of names, then a line a row; lines end with CR LF, and a field with a
//! comma, a quote or a line break in it is quoted.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::{Row, RowWriter};

const NAMES: [&str; 16] = [
    "Shard",
    "Lsn",
    "At",
    "Domain",
    "OperatorAccountID",
    "Kind",
    "TransactionID",
    "OriginalTransactionID",
    "GameRoundID",
    "GameID",
    "CurrencyCode",
    "Funds",
    "HouseAccount",
    "Amount",
    "CashFunds",
    "BonusFunds",
];

pub(super) struct Writer(BufWriter<File>);

impl Writer {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let mut out = BufWriter::new(file);
        write_line(&mut out, &NAMES)?;
        Ok(Self(out))
    }
}

impl RowWriter for Writer {
    fn row(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        Ok(write_row(&mut self.0, row)?)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.0.flush()?)
    }
}

fn write_row(out: &mut impl Write, row: &Row<'_>) -> io::Result<()> {
    write_line(
        out,
        &[
            &row.shard.to_string(),
            &row.lsn.to_string(),
            &row.at(),
            row.domain,
            row.account,
            row.kind,
            row.transaction.unwrap_or_default(),
            row.original.unwrap_or_default(),
            row.round.unwrap_or_default(),
            row.game.unwrap_or_default(),
            row.currency.code(),
            row.funds(),
            row.house(),
            &row.major(row.minor),
            &row.major(row.cash_after_minor),
            &row.major(row.bonus_after_minor),
        ],
    )
}

fn write_line(out: &mut impl Write, fields: &[&str; NAMES.len()]) -> io::Result<()> {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        if field.contains([',', '"', '\r', '\n']) {
            write!(out, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            out.write_all(field.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::awkward_row;
    use super::*;

    #[test]
    fn fields_that_would_break_the_line_are_quoted() {
        let mut out = Vec::new();
        write_row(&mut out, &awkward_row()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1,7,2026-11-18T11:06:40.001Z,acme,\"acme/a,\"\"b\"\"\",Deposit,\"d\n1\",,\"r,1\",g,GBP,Cash,\
             HouseCashier,-1.05,0.20,0.03\r\n"
        );
    }
}
