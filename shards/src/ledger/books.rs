//! The operator's books: what all players of a domain hold, and the house accounts
//! that money came from or went to. For each domain and currency the sum is zero.

use super::{EntryMisfit, HouseAccount, Movement, PlayerFunds};
use crate::types::Currency;

/// The books of one domain in one currency on one shard, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// The domain.
    pub domain: String,
    /// The currency.
    pub currency: Currency,
    /// All cash funds of players.
    pub player_cash: i128,
    /// All bonus funds of players.
    pub player_bonus: i128,
    /// In the order of [`HouseAccount::ALL`].
    pub house: [i128; HouseAccount::ALL.len()],
}

impl Book {
    /// Player and house accounts together: zero, or money was made or lost.
    #[must_use]
    pub fn total(&self) -> i128 {
        self.player_cash + self.player_bonus + self.house.iter().sum::<i128>()
    }

    fn post(&mut self, movement: Movement) {
        let minor = i128::from(movement.minor);
        match movement.player {
            PlayerFunds::Cash => self.player_cash += minor,
            PlayerFunds::Bonus => self.player_bonus += minor,
        }
        self.house[movement.house as usize] -= minor;
    }
}

/// Position of a book in its shard.
pub(super) type BookIndex = u16;

/// All books of a shard. There are as many as domains, a handful.
#[derive(Default)]
pub(super) struct Books(Vec<Book>);

impl Books {
    /// The book of a domain and currency, if there is one.
    pub(super) fn find(&self, domain: &str, currency: Currency) -> Option<BookIndex> {
        let at = self
            .0
            .iter()
            .position(|book| book.domain == domain && book.currency == currency)?;
        // Configuration allows far fewer domains (65,536 brands of one operator).
        Some(BookIndex::try_from(at).unwrap_or_else(|_| unreachable!("more than 2^16 books")))
    }

    /// The book of a domain and currency, opened if it is new.
    pub(super) fn find_or_open(&mut self, domain: &str, currency: Currency) -> BookIndex {
        self.find(domain, currency).unwrap_or_else(|| {
            self.0.push(Book {
                domain: domain.to_owned(),
                currency,
                player_cash: 0,
                player_bonus: 0,
                house: [0; HouseAccount::ALL.len()],
            });
            self.find(domain, currency)
                .unwrap_or_else(|| unreachable!("just opened"))
        })
    }

    /// Adds a book from a checkpoint.
    pub(super) fn restore(&mut self, book: Book) -> Result<(), EntryMisfit> {
        if self.find(&book.domain, book.currency).is_some() {
            return Err(EntryMisfit::Twice("book"));
        }
        if self.0.len() > usize::from(BookIndex::MAX) {
            return Err(EntryMisfit::Impossible("number of books"));
        }
        self.0.push(book);
        Ok(())
    }

    pub(super) fn post(&mut self, at: BookIndex, movement: Movement) {
        self.0[usize::from(at)].post(movement);
    }

    pub(super) fn all(&self) -> &[Book] {
        &self.0
    }
}
