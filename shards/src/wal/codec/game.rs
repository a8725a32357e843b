//! Postings of game platforms as bytes: bets, awards, rollbacks, voids, ends of rounds,
//! credits, alerts.
//!
//! All but credits and alerts begin with a byte of flags, which says what is there. How
//! an amount was split between cash and bonus is told by its bonus part.

use super::DecodeError;
use super::fields::{Reader, put_i64, put_id, put_jackpot, put_lsn, put_text};
use crate::ledger::{
    AlertFacts, BetPlaced, BetRolledBack, BetVoided, Credited, RollbackFacts, RoundEnded,
    RoundFacts, WinningsAwarded,
};
use crate::types::{Amount, Balance};

/// The bits of the first byte.
mod flag {
    /// The request closed the round.
    pub(super) const END_ROUND: u8 = 1;
    /// The request said that it begins a round.
    pub(super) const START_ROUND: u8 = 2;
    /// Nothing was taken, or is to be given back.
    pub(super) const FREE_PLAY: u8 = 4;
    /// The offer of a free game is there.
    pub(super) const OFFER: u8 = 8;
    /// A jackpot contribution is there.
    pub(super) const CONTRIBUTION: u8 = 16;
    /// Jackpot winnings are there.
    pub(super) const WINNINGS: u8 = 32;
    /// The end of a round records a loss.
    pub(super) const ZERO_LOSS: u8 = 64;
}

fn bit(flag: u8, set: bool) -> u8 {
    if set { flag } else { 0 }
}

pub(super) fn put_bet(out: &mut Vec<u8>, bet: &BetPlaced) {
    let flags = bit(flag::START_ROUND, bet.start_round)
        | bit(flag::FREE_PLAY, bet.free_play)
        | bit(flag::CONTRIBUTION, bet.jackpot_contribution.is_some());
    put_facts(out, &bet.facts, flags);
    put_i64(out, bet.taken.bonus.minor());
    put_lsn(out, bet.previous_booking);
    put_jackpot(out, bet.jackpot_contribution);
}

pub(super) fn bet(reader: &mut Reader<'_>) -> Result<BetPlaced, DecodeError> {
    let (flags, facts) = facts(
        reader,
        flag::START_ROUND | flag::FREE_PLAY | flag::CONTRIBUTION,
    )?;
    let free_play = flags & flag::FREE_PLAY != 0;
    Ok(BetPlaced {
        start_round: flags & flag::START_ROUND != 0,
        free_play,
        taken: split(&facts, reader.amount()?, free_play)?,
        previous_booking: reader.lsn()?,
        jackpot_contribution: reader.jackpot(flags & flag::CONTRIBUTION != 0)?,
        facts,
    })
}

pub(super) fn put_award(out: &mut Vec<u8>, award: &WinningsAwarded) {
    let flags = bit(flag::START_ROUND, award.start_round)
        | bit(flag::WINNINGS, award.jackpot_winnings.is_some());
    put_facts(out, &award.facts, flags);
    put_i64(out, award.paid.bonus.minor());
    put_lsn(out, award.previous_booking);
    put_jackpot(out, award.jackpot_winnings);
}

pub(super) fn award(reader: &mut Reader<'_>) -> Result<WinningsAwarded, DecodeError> {
    let (flags, facts) = facts(reader, flag::START_ROUND | flag::WINNINGS)?;
    Ok(WinningsAwarded {
        start_round: flags & flag::START_ROUND != 0,
        paid: split(&facts, reader.amount()?, false)?,
        previous_booking: reader.lsn()?,
        jackpot_winnings: reader.jackpot(flags & flag::WINNINGS != 0)?,
        facts,
    })
}

pub(super) fn put_rollback(out: &mut Vec<u8>, booked: &BetRolledBack) {
    put_rollback_facts(
        out,
        &booked.rollback,
        bit(flag::FREE_PLAY, booked.free_play),
    );
    put_i64(out, booked.returned.bonus.minor());
    put_lsn(out, booked.previous_booking);
}

pub(super) fn rollback(reader: &mut Reader<'_>) -> Result<BetRolledBack, DecodeError> {
    let (flags, rollback) = any_rollback_facts(reader, flag::FREE_PLAY)?;
    let free_play = flags & flag::FREE_PLAY != 0;
    Ok(BetRolledBack {
        free_play,
        returned: split(&rollback.facts, reader.amount()?, free_play)?,
        previous_booking: reader.lsn()?,
        rollback,
    })
}

pub(super) fn put_rollback_facts(out: &mut Vec<u8>, rollback: &RollbackFacts, more: u8) {
    let flags = more | bit(flag::CONTRIBUTION, rollback.jackpot_contribution.is_some());
    put_facts(out, &rollback.facts, flags);
    put_id(out, rollback.bet.as_str());
    put_jackpot(out, rollback.jackpot_contribution);
}

pub(super) fn rollback_facts(reader: &mut Reader<'_>) -> Result<RollbackFacts, DecodeError> {
    any_rollback_facts(reader, 0).map(|(_, rollback)| rollback)
}

fn any_rollback_facts(
    reader: &mut Reader<'_>,
    more: u8,
) -> Result<(u8, RollbackFacts), DecodeError> {
    let (flags, facts) = facts(reader, more | flag::CONTRIBUTION)?;
    let rollback = RollbackFacts {
        facts,
        bet: reader.transaction()?,
        jackpot_contribution: reader.jackpot(flags & flag::CONTRIBUTION != 0)?,
    };
    Ok((flags, rollback))
}

pub(super) fn put_void(out: &mut Vec<u8>, void: &BetVoided) {
    let flags = bit(flag::CONTRIBUTION, void.jackpot_contribution.is_some());
    put_facts(out, &void.facts, flags);
    put_lsn(out, void.previous_booking);
    put_jackpot(out, void.jackpot_contribution);
}

pub(super) fn void(reader: &mut Reader<'_>) -> Result<BetVoided, DecodeError> {
    let (flags, facts) = facts(reader, flag::CONTRIBUTION)?;
    Ok(BetVoided {
        facts,
        previous_booking: reader.lsn()?,
        jackpot_contribution: reader.jackpot(flags & flag::CONTRIBUTION != 0)?,
    })
}

pub(super) fn put_end(out: &mut Vec<u8>, end: &RoundEnded) {
    out.push(
        bit(flag::ZERO_LOSS, end.zero_loss)
            | bit(flag::CONTRIBUTION, end.jackpot_contribution.is_some())
            | bit(flag::WINNINGS, end.jackpot_winnings.is_some()),
    );
    put_id(out, end.round.as_str());
    put_id(out, end.game.as_str());
    put_jackpot(out, end.jackpot_contribution);
    put_jackpot(out, end.jackpot_winnings);
}

pub(super) fn end(reader: &mut Reader<'_>) -> Result<RoundEnded, DecodeError> {
    let flags = reader.flags(flag::ZERO_LOSS | flag::CONTRIBUTION | flag::WINNINGS)?;
    Ok(RoundEnded {
        round: reader.round()?,
        game: reader.game()?,
        zero_loss: flags & flag::ZERO_LOSS != 0,
        jackpot_contribution: reader.jackpot(flags & flag::CONTRIBUTION != 0)?,
        jackpot_winnings: reader.jackpot(flags & flag::WINNINGS != 0)?,
    })
}

pub(super) fn put_credit(out: &mut Vec<u8>, credit: &Credited) {
    put_i64(out, credit.amount.minor());
    put_id(out, credit.transaction.as_str());
    put_text(out, &credit.type_id);
    put_lsn(out, credit.previous_booking);
}

pub(super) fn credit(reader: &mut Reader<'_>) -> Result<Credited, DecodeError> {
    Ok(Credited {
        amount: reader.amount()?,
        transaction: reader.transaction()?,
        type_id: reader.text()?,
        previous_booking: reader.lsn()?,
    })
}

pub(super) fn put_alert(out: &mut Vec<u8>, alert: &AlertFacts) {
    let AlertFacts {
        source,
        action_id,
        action_reference,
        reference,
        regulator_code,
        kind,
        method,
        data,
    } = alert;
    for text in [
        source,
        action_id,
        action_reference,
        reference,
        regulator_code,
        kind,
        method,
        data,
    ] {
        put_text(out, text);
    }
}

pub(super) fn alert(reader: &mut Reader<'_>) -> Result<AlertFacts, DecodeError> {
    Ok(AlertFacts {
        source: reader.text()?,
        action_id: reader.text()?,
        action_reference: reader.text()?,
        reference: reader.text()?,
        regulator_code: reader.text()?,
        kind: reader.text()?,
        method: reader.text()?,
        data: reader.text()?,
    })
}

/// `flags u8 | amount i64 | transaction, round and game ids | offer text, if flagged`.
fn put_facts(out: &mut Vec<u8>, facts: &RoundFacts, more: u8) {
    let flags = more
        | bit(flag::END_ROUND, facts.end_round)
        | bit(flag::OFFER, facts.free_game_offer.is_some());
    out.push(flags);
    put_i64(out, facts.amount.minor());
    put_id(out, facts.transaction.as_str());
    put_id(out, facts.round.as_str());
    put_id(out, facts.game.as_str());
    if let Some(offer) = &facts.free_game_offer {
        put_text(out, offer);
    }
}

/// The facts of a round, and all flags, of which `more` may be set beside theirs.
fn facts(reader: &mut Reader<'_>, more: u8) -> Result<(u8, RoundFacts), DecodeError> {
    let flags = reader.flags(more | flag::END_ROUND | flag::OFFER)?;
    let facts = RoundFacts {
        amount: reader.amount()?,
        transaction: reader.transaction()?,
        round: reader.round()?,
        game: reader.game()?,
        free_game_offer: (flags & flag::OFFER != 0)
            .then(|| reader.text())
            .transpose()?,
        end_round: flags & flag::END_ROUND != 0,
    };
    Ok((flags, facts))
}

/// An amount with its bonus part as cash and bonus; free play moves neither.
fn split(facts: &RoundFacts, bonus: Amount, free_play: bool) -> Result<Balance, DecodeError> {
    let cash = match free_play {
        true if bonus.is_zero() => Some(Amount::ZERO),
        true => None,
        false => facts.amount.checked_sub(bonus),
    };
    let cash = cash.ok_or(DecodeError::Invalid("bonus part"))?;
    Ok(Balance { cash, bonus })
}
