//! The business rules: synchronous, deterministic, free of I/O and clocks.

mod command;
mod posting;

pub use command::{
    AccountFacts, AccountStatus, Command, Facts, Funds, Outcome, Refusal, RefusalReason,
    SessionFacts,
};
pub use posting::{Change, HouseAccount, Movement, PlayerFunds, Posting};
