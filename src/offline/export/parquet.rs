//! Apache Parquet. As in the other formats money is text in major units; beside it stands
//! the amount in minor units, so that it can be summed without reading text.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::{Row, RowWriter};

const SCHEMA: &str = "
    message movement {
        required int32 Shard (INTEGER(32, true));
        required int64 Lsn (INTEGER(64, true));
        required int64 At (TIMESTAMP(MILLIS, true));
        required binary Domain (STRING);
        required binary OperatorAccountID (STRING);
        required binary Kind (STRING);
        optional binary TransactionID (STRING);
        optional binary OriginalTransactionID (STRING);
        optional binary GameRoundID (STRING);
        optional binary GameID (STRING);
        required binary CurrencyCode (STRING);
        required binary Funds (STRING);
        required binary HouseAccount (STRING);
        required int64 AmountMinor (INTEGER(64, true));
        required binary Amount (STRING);
        required binary CashFunds (STRING);
        required binary BonusFunds (STRING);
    }
";

/// Rows of one group, held in memory until it is written: some 30 MB, and enough that
/// columns compress well.
const GROUP_ROWS_MAX: usize = 1 << 16;

pub(super) struct Writer {
    file: SerializedFileWriter<File>,
    group: Group,
}

/// Texts of a column that not all rows have.
#[derive(Default)]
struct Optional {
    /// Those that are there.
    texts: Vec<ByteArray>,
    /// For every row 1 if its text is there.
    levels: Vec<i16>,
}

impl Optional {
    fn push(&mut self, text: Option<&str>) {
        self.texts.extend(text.map(ByteArray::from));
        self.levels.push(i16::from(text.is_some()));
    }
}

/// Rows that wait, by column.
#[derive(Default)]
struct Group {
    shards: Vec<i32>,
    lsns: Vec<i64>,
    times: Vec<i64>,
    domains: Vec<ByteArray>,
    accounts: Vec<ByteArray>,
    kinds: Vec<ByteArray>,
    transactions: Optional,
    originals: Optional,
    rounds: Optional,
    games: Optional,
    currencies: Vec<ByteArray>,
    funds: Vec<ByteArray>,
    houses: Vec<ByteArray>,
    minors: Vec<i64>,
    amounts: Vec<ByteArray>,
    cash: Vec<ByteArray>,
    bonus: Vec<ByteArray>,
}

impl Writer {
    pub(super) fn new(file: File) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("purser ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        Ok(Self {
            file: SerializedFileWriter::new(file, schema, Arc::new(properties))?,
            group: Group::default(),
        })
    }

    fn flush(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        if group.shards.is_empty() {
            return Ok(());
        }
        let mut columns = self.file.next_row_group()?;
        // In the order of the schema.
        write::<Int32Type>(&mut columns, &group.shards, None)?;
        write::<Int64Type>(&mut columns, &group.lsns, None)?;
        write::<Int64Type>(&mut columns, &group.times, None)?;
        write::<ByteArrayType>(&mut columns, &group.domains, None)?;
        write::<ByteArrayType>(&mut columns, &group.accounts, None)?;
        write::<ByteArrayType>(&mut columns, &group.kinds, None)?;
        for column in [
            &group.transactions,
            &group.originals,
            &group.rounds,
            &group.games,
        ] {
            write::<ByteArrayType>(&mut columns, &column.texts, Some(&column.levels))?;
        }
        write::<ByteArrayType>(&mut columns, &group.currencies, None)?;
        write::<ByteArrayType>(&mut columns, &group.funds, None)?;
        write::<ByteArrayType>(&mut columns, &group.houses, None)?;
        write::<Int64Type>(&mut columns, &group.minors, None)?;
        write::<ByteArrayType>(&mut columns, &group.amounts, None)?;
        write::<ByteArrayType>(&mut columns, &group.cash, None)?;
        write::<ByteArrayType>(&mut columns, &group.bonus, None)?;
        columns.close()?;
        Ok(())
    }
}

fn write<T: DataType>(
    columns: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<()> {
    let Some(mut column) = columns.next_column()? else {
        unreachable!("the schema has a column for everything that is written")
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

impl Group {
    fn push(&mut self, row: &Row<'_>) {
        self.shards.push(i32::from(row.shard.0));
        // A log with more than 2^63 postings will not be written.
        self.lsns.push(row.lsn.0.cast_signed());
        self.times.push(row.at.0);
        self.domains.push(row.domain.into());
        self.accounts.push(row.account.into());
        self.kinds.push(row.kind.into());
        self.transactions.push(row.transaction);
        self.originals.push(row.original);
        self.rounds.push(row.round);
        self.games.push(row.game);
        self.currencies.push(row.currency.code().into());
        self.funds.push(row.funds().into());
        self.houses.push(row.house().into());
        self.minors.push(row.minor);
        self.amounts.push(row.major(row.minor).as_str().into());
        self.cash
            .push(row.major(row.cash_after_minor).as_str().into());
        self.bonus
            .push(row.major(row.bonus_after_minor).as_str().into());
    }
}

impl RowWriter for Writer {
    fn row(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        self.group.push(row);
        if self.group.shards.len() == GROUP_ROWS_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.flush()?;
        self.file.close()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::super::tests::awkward_row;
    use super::*;

    #[test]
    fn what_is_written_reads_back_over_several_groups() {
        let file = tempfile::tempfile().unwrap();
        let mut writer = Box::new(Writer::new(file.try_clone().unwrap()).unwrap());
        let rows = GROUP_ROWS_MAX + 1;
        for at in 0..rows {
            let mut row = awkward_row();
            row.minor = at as i64;
            if at % 2 == 1 {
                row.transaction = None;
            }
            writer.row(&row).unwrap();
        }
        writer.finish().unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let mut read = 0;
        for (at, row) in reader.get_row_iter(None).unwrap().enumerate() {
            let row = row.unwrap();
            assert_eq!(row.get_string(4).unwrap(), "acme/a,\"b\"");
            let transaction = row.get_string(6).ok().map(String::as_str);
            assert_eq!(transaction, (at % 2 == 0).then_some("d\n1"));
            assert!(row.get_string(7).is_err(), "there is no original");
            assert_eq!(row.get_string(8).unwrap(), "r,1");
            assert_eq!(row.get_long(13).unwrap(), at as i64);
            assert_eq!(row.get_string(15).unwrap(), "0.20");
            read += 1;
        }
        assert_eq!(read, rows);
    }
}
