//! The bookings of one account, newest first, read back from its shard's log.
//!
//! Each booking says where the account's one before stands, so this follows a chain and
//! needs no index. The way in is the account's last booking, as its shard told it once it
//! was durable; so everything that is reached from there is durable, too. Reading waits
//! for the disk: never call this on the thread that serves.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shards::ledger::Posting;
use shards::routing;
use shards::types::{AccountId, Lsn, ShardId, UnixMillis};
use shards::wal::{DataSet, OpenError, PostingReader};

/// Reads the bookings of all accounts.
pub(super) struct Bookings {
    data: DataSet,
    /// By shard. What a reader remembers is worth more than a reader for each request.
    readers: Vec<Mutex<PostingReader>>,
}

/// A booking that a page ended with. To clients it is opaque. It names the shard, so that
/// one from before a reshard, or of an account elsewhere, is not taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    shard: ShardId,
    lsn: Lsn,
}

impl Cursor {
    /// Reads what [`Cursor`]'s `Display` wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (shard, lsn) = text.split_once('-')?;
        let cursor = Self {
            shard: ShardId(shard.parse().ok()?),
            lsn: Lsn(lsn.parse().ok()?),
        };
        // A number can be written in several ways, a cursor in one.
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard, self.lsn)
    }
}

/// Which bookings of which account.
pub(super) struct Wanted {
    pub(super) account: AccountId,
    /// As its shard told it.
    pub(super) last_booking: Lsn,
    /// Those before this booking, which is not among them; without it, from the last one on.
    pub(super) before: Option<Cursor>,
    /// As many at the most.
    pub(super) rows_max: usize,
    /// The first that was booked earlier ends the list.
    pub(super) since: UnixMillis,
    /// After that long a page with a row in it is full.
    pub(super) time_max: Duration,
}

/// Some bookings of an account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Newest first, each of them a booking of the account.
    pub(super) postings: Vec<Posting>,
    /// Where the next page goes on: the last of these. `None` when there is no more.
    pub(super) before: Option<Cursor>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// What it was to go on from is no booking of the account.
    #[error("no booking of this account")]
    NoBooking,
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The chain of bookings leads to something else.
    #[error("shard {shard}: the bookings of {account} lead to LSN {lsn}, which is none before")]
    Broken {
        shard: ShardId,
        account: AccountId,
        lsn: Lsn,
    },
}

impl Bookings {
    pub(super) fn new(data: DataSet) -> Self {
        let manifest = *data.manifest();
        let shards = (0..manifest.slot_map.shards()).map(ShardId);
        let readers = shards.map(|shard| Mutex::new(PostingReader::new(manifest, shard)));
        Self {
            readers: readers.collect(),
            data,
        }
    }

    /// Reads a page. A cursor whose booking is not kept any more is behind the end of the
    /// list, whoever's it was.
    ///
    /// # Errors
    /// [`PageError`].
    pub(super) fn page(&self, wanted: &Wanted) -> Result<Page, PageError> {
        let shard = self.shard_of(&wanted.account);
        let storage = self.data.storage().as_ref();
        let mut reader = self.readers[shard.index()].lock();
        let mut next = match wanted.before {
            None => wanted.last_booking,
            // Whatever is behind the last booking may not be durable, or not be at all.
            Some(cursor)
                if cursor.shard != shard
                    || cursor.lsn == Lsn::NONE
                    || cursor.lsn > wanted.last_booking =>
            {
                return Err(PageError::NoBooking);
            }
            Some(cursor) => match reader.posting(storage, cursor.lsn)? {
                None => Lsn::NONE,
                Some(posting) => {
                    previous_of(&posting, &wanted.account).ok_or(PageError::NoBooking)?
                }
            },
        };
        let began = Instant::now();
        let mut page = Page::default();
        let mut last = Lsn::NONE;
        // The row behind the last one is read as well, to know whether there is one.
        while next != Lsn::NONE {
            let Some(posting) = reader.posting(storage, next)? else {
                break;
            };
            // A chain that does not go back would never end.
            let previous = previous_of(&posting, &wanted.account).filter(|lsn| *lsn < next);
            let previous = previous.ok_or_else(|| PageError::Broken {
                shard,
                account: wanted.account.clone(),
                lsn: next,
            })?;
            if posting.at < wanted.since {
                break;
            }
            let is_late = last != Lsn::NONE && began.elapsed() >= wanted.time_max;
            if page.postings.len() == wanted.rows_max || is_late {
                page.before = Some(Cursor { shard, lsn: last });
                break;
            }
            page.postings.push(posting);
            last = next;
            next = previous;
        }
        Ok(page)
    }

    fn shard_of(&self, account: &AccountId) -> ShardId {
        let slot = routing::slot_of(account);
        self.data.manifest().slot_map.owner(slot)
    }
}

/// Where the account's booking before stands; `None` when this is no booking of it.
fn previous_of(posting: &Posting, account: &AccountId) -> Option<Lsn> {
    posting
        .change
        .previous_booking()
        .filter(|_| posting.account == *account)
}

#[cfg(test)]
mod tests {
    use shards::ledger::{Cashed, Change};
    use shards::storage::MemoryDisk;
    use shards::types::{Amount, Balance, TransactionId};
    use shards::wal::{Batch, Progress};

    use super::*;

    const SHARD: ShardId = ShardId(0);

    fn deposit(account: &str, previous: u64, at: i64) -> Posting {
        Posting {
            at: UnixMillis(at),
            account: AccountId::parse(account).unwrap(),
            change: Change::Deposited(Cashed {
                transaction: TransactionId::parse("d").unwrap(),
                amount: Amount::from_minor(1).unwrap(),
                previous_booking: Lsn(previous),
            }),
            balance_after: Balance::default(),
        }
    }

    fn logged_out(account: &str, at: i64) -> Posting {
        Posting {
            change: Change::SessionLoggedOut {
                key: shards::types::SessionKey::from_bits(1),
            },
            ..deposit(account, 0, at)
        }
    }

    /// A log of one shard with these postings, each in a frame of its own.
    fn log(postings: &[Posting]) -> (Bookings, MemoryDisk) {
        let (data, disk) = DataSet::in_memory(1).unwrap();
        let progress = Progress::default();
        let mut visitor = |_: Lsn, _: Posting| Ok(());
        let mut log = data.recover(SHARD, &progress, &mut visitor).unwrap().log;
        for (lsn, posting) in (1..).zip(postings) {
            let mut batch = Batch::default();
            batch.push(Lsn(lsn), posting);
            log.supply_from(&disk).unwrap();
            log.append(&batch).unwrap();
        }
        (Bookings::new(data), disk)
    }

    /// Bookings of a at 1, 4, 5 and 6, of b at 2.
    fn of_two() -> Vec<Posting> {
        vec![
            deposit("acme/a", 0, 10),
            deposit("acme/b", 0, 20),
            logged_out("acme/a", 30),
            deposit("acme/a", 1, 40),
            deposit("acme/a", 4, 50),
            deposit("acme/a", 5, 60),
        ]
    }

    fn wanted(before: Option<u64>, rows_max: usize) -> Wanted {
        Wanted {
            account: AccountId::parse("acme/a").unwrap(),
            last_booking: Lsn(6),
            before: before.map(|lsn| Cursor {
                shard: SHARD,
                lsn: Lsn(lsn),
            }),
            rows_max,
            since: UnixMillis(0),
            time_max: Duration::MAX,
        }
    }

    /// Times of the rows, and the cursor; or what is wrong.
    fn told(page: Result<Page, PageError>) -> String {
        match page {
            Ok(page) => {
                let times: Vec<i64> = page.postings.iter().map(|posting| posting.at.0).collect();
                format!("{times:?} {:?}", page.before.map(|cursor| cursor.lsn.0))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_page_follows_the_chain_from_its_cursor_back() {
        let (bookings, _) = log(&of_two());
        for (before, rows_max, expected) in [
            (None, 9, "[60, 50, 40, 10] None"),
            (None, 4, "[60, 50, 40, 10] None"),
            (None, 3, "[60, 50, 40] Some(4)"),
            (None, 1, "[60] Some(6)"),
            (Some(6), 2, "[50, 40] Some(4)"),
            (Some(4), 2, "[10] None"),
            (Some(1), 2, "[] None"),
            // Another account's, a posting that is no booking, and none at all.
            (Some(2), 2, "no booking of this account"),
            (Some(3), 2, "no booking of this account"),
            (Some(0), 2, "no booking of this account"),
            (Some(7), 2, "no booking of this account"),
            (Some(u64::MAX), 2, "no booking of this account"),
        ] {
            let page = bookings.page(&wanted(before, rows_max));
            assert_eq!(told(page), expected, "{before:?} {rows_max}");
        }
        let of_another_shard = Wanted {
            before: Cursor::parse("1-4"),
            ..wanted(None, 9)
        };
        let found = told(bookings.page(&of_another_shard));
        assert_eq!(found, "no booking of this account");
        let nothing_yet = Wanted {
            last_booking: Lsn::NONE,
            ..wanted(None, 9)
        };
        assert_eq!(told(bookings.page(&nothing_yet)), "[] None");
    }

    #[test]
    fn a_cursor_is_written_in_one_way() {
        for text in ["0-1", "3-18446744073709551615"] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "-",
            "1",
            "0-",
            "-1",
            "+0-1",
            "0-+1",
            "0-01",
            "0-1-",
            "65536-1",
            "0-18446744073709551616",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_booked_before_the_window_is_not_listed() {
        let (bookings, _) = log(&of_two());
        for (since, before, rows_max, expected) in [
            (41, None, 9, "[60, 50] None"),
            (40, None, 9, "[60, 50, 40] None"),
            // The row behind the page is too old, so this is the end.
            (50, None, 2, "[60, 50] None"),
            (61, None, 9, "[] None"),
            (50, Some(4), 9, "[] None"),
        ] {
            let page = bookings.page(&Wanted {
                since: UnixMillis(since),
                ..wanted(before, rows_max)
            });
            assert_eq!(told(page), expected, "since {since}");
        }
    }

    #[test]
    fn a_page_that_took_long_is_short_and_never_empty() {
        let (bookings, _) = log(&of_two());
        let page = bookings.page(&Wanted {
            time_max: Duration::ZERO,
            ..wanted(Some(6), 9)
        });
        assert_eq!(told(page), "[50] Some(5)");
    }

    #[test]
    fn a_chain_that_leads_elsewhere_or_not_back_is_an_error() {
        for (previous, lsn) in [(2, 2), (3, 3), (5, 5), (6, 6)] {
            let mut postings = of_two();
            postings[4] = deposit("acme/a", previous, 50);
            let (bookings, _) = log(&postings);
            let found = told(bookings.page(&wanted(None, 9)));
            let expected = format!("lead to LSN {}", lsn.min(5));
            assert!(found.contains(&expected), "{previous}: {found}");
        }
    }

    #[test]
    fn a_damaged_log_is_refused_and_not_cut_short() {
        let (bookings, disk) = log(&of_two());
        let path = "shard-0/00000001.seg";
        let mut bytes = disk.contents(path).unwrap();
        // The fourth frame, one block each behind the header's.
        bytes[4 * 4_096 + 100] ^= 1;
        disk.set_contents(path, &bytes);
        let page = bookings.page(&wanted(None, 9));
        assert!(
            matches!(&page, Err(PageError::Log(OpenError::Refused(refusal)))
                if refusal.file.contains("00000001.seg") && refusal.offset == 4 * 4_096),
            "{page:?}"
        );
    }
}
