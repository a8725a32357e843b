//! A share of several ledgers as the entries of one: how accounts change their shard.
//!
//! Everything of an account goes along: its funds, sessions, transactions and rounds. What
//! is told from whom is its slot, which all of these carry.
//!
//! House accounts belong to nobody, so their totals stay together on one shard. On the
//! others the cashier stands against what players hold there, and on that one it stands
//! that much lower: every book still sums to zero, and every total over all shards is what
//! it was.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::age::window_elsewhere;
use super::{Book, Entry, HouseAccount, Ledger, MemoryEntry, RoundEntry, TransactionEntry};
use crate::routing::slot_of;
use crate::types::{AccountId, Currency, Lsn, Slot};

/// Which share.
pub struct Share<'a> {
    /// Whether it has the accounts of a slot.
    pub owns: &'a dyn Fn(Slot) -> bool,
    /// Whether it has the totals of the house accounts. One share of all has.
    pub holds_house: bool,
    /// The last booking of each account, by its position in the new log.
    pub last_bookings: &'a HashMap<AccountId, Lsn>,
}

/// The books of a share, while accounts are counted.
struct Sums {
    book: Book,
    /// It has accounts, or must be there for its house accounts.
    is_there: bool,
}

/// Hands out the entries of a ledger with the share's part of all `ledgers`.
///
/// # Errors
/// The first one of `each`.
pub fn entries_of_share<E>(
    ledgers: &[Ledger],
    share: &Share<'_>,
    each: &mut dyn FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    for sums in books_of(ledgers, share) {
        if sums.is_there {
            each(Entry::Book(sums.book))?;
        }
    }
    for ledger in ledgers {
        let mut is_ours = false;
        ledger.entries(&mut |entry| match entry {
            Entry::Account(mut account) => {
                is_ours = (share.owns)(slot_of(&account.id));
                if !is_ours {
                    return Ok(());
                }
                let last_booking = share.last_bookings.get(&account.id);
                account.last_booking = last_booking.copied().unwrap_or(Lsn::NONE);
                each(Entry::Account(account))
            }
            Entry::Session(_) | Entry::SpentToken(_) if is_ours => each(entry),
            _ => Ok(()),
        })?;
    }
    let memory = memory_of(ledgers);
    each(Entry::Memory(memory.clone()))?;
    let Remembered {
        transactions,
        rounds,
    } = remembered(ledgers, share, &memory);
    for (number, transactions) in transactions {
        each(Entry::Window { number })?;
        for transaction in transactions.into_values() {
            each(Entry::Transaction(transaction))?;
        }
    }
    for (number, rounds) in rounds {
        each(Entry::RoundWindow { number })?;
        for round in rounds {
            each(Entry::Round(round))?;
        }
    }
    Ok(())
}

fn books_of(ledgers: &[Ledger], share: &Share<'_>) -> Vec<Sums> {
    let mut books: Vec<Sums> = Vec::new();
    // A handful: as many as domains.
    let mut sums_of = |domain: &str, currency: Currency, count: &mut dyn FnMut(&mut Sums)| {
        let is_it = |sums: &Sums| sums.book.domain == domain && sums.book.currency == currency;
        let at = books.iter().position(is_it).unwrap_or_else(|| {
            books.push(Sums {
                book: Book {
                    domain: domain.to_owned(),
                    currency,
                    player_cash: 0,
                    player_bonus: 0,
                    house: [0; HouseAccount::ALL.len()],
                },
                is_there: share.holds_house,
            });
            books.len() - 1
        });
        count(&mut books[at]);
    };
    let cashier = HouseAccount::Cashier as usize;
    for ledger in ledgers {
        let Ok(()) = ledger.entries::<std::convert::Infallible>(&mut |entry| {
            match entry {
                Entry::Book(book) if share.holds_house => {
                    sums_of(&book.domain, book.currency, &mut |sums| {
                        let totals = sums.book.house.iter_mut().zip(book.house);
                        totals.for_each(|(total, minor)| *total += minor);
                    });
                }
                Entry::Account(account) => {
                    let cash = i128::from(account.balance.cash.minor());
                    let bonus = i128::from(account.balance.bonus.minor());
                    let is_ours = (share.owns)(slot_of(&account.id));
                    sums_of(account.id.domain(), account.currency, &mut |sums| {
                        if is_ours {
                            sums.is_there = true;
                            sums.book.player_cash += cash;
                            sums.book.player_bonus += bonus;
                        }
                        match (share.holds_house, is_ours) {
                            (true, false) => sums.book.house[cashier] += cash + bonus,
                            (false, true) => sums.book.house[cashier] -= cash + bonus,
                            _ => {}
                        }
                    });
                }
                _ => {}
            }
            Ok(())
        });
    }
    books
}

/// An age that is none of the younger ones': the oldest, in the widest windows.
fn memory_of(ledgers: &[Ledger]) -> MemoryEntry {
    let mut memory = MemoryEntry {
        span_ms: 1,
        age_ms: 0,
        last_at: None,
        complete_from: None,
    };
    for of_one in ledgers.iter().map(|ledger| ledger.age.entry()) {
        memory.span_ms = memory.span_ms.max(of_one.span_ms);
        memory.age_ms = memory.age_ms.max(of_one.age_ms);
        memory.last_at = memory.last_at.max(of_one.last_at);
        memory.complete_from = memory.complete_from.max(of_one.complete_from);
    }
    memory
}

/// What a share remembers, by window. What two windows of one ledger know of the same id
/// may come into one, where the later one counts.
#[derive(Default)]
struct Remembered {
    transactions: BTreeMap<i64, BTreeMap<u128, TransactionEntry>>,
    rounds: BTreeMap<i64, Vec<RoundEntry>>,
}

fn remembered(ledgers: &[Ledger], share: &Share<'_>, memory: &MemoryEntry) -> Remembered {
    let mut remembered = Remembered::default();
    for ledger in ledgers {
        let age = ledger.age.entry();
        let mut window = 0;
        let Ok(()) = ledger.entries::<std::convert::Infallible>(&mut |entry| {
            match entry {
                Entry::Window { number } | Entry::RoundWindow { number } => {
                    window = window_elsewhere(number, &age, memory);
                }
                Entry::Transaction(transaction) if (share.owns)(transaction.slot()) => {
                    let of_window = remembered.transactions.entry(window).or_default();
                    of_window.insert(transaction.digest, transaction);
                }
                Entry::Round(round) if (share.owns)(slot_of(&round.account)) => {
                    remembered.rounds.entry(window).or_default().push(round);
                }
                _ => {}
            }
            Ok(())
        });
    }
    remembered
}
