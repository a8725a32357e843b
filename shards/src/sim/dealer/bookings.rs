//! What platforms ask for: bets, awards, rollbacks, voids, ends, credits, alerts.

use super::{Dealer, IdKind, Player, Taste, currency_of, minor, transaction_id};
use crate::ledger::{
    AnswerAlert, AwardWinnings, Command, Credit, EndRound, FundsOrder, PlaceBet, RollBackBet,
    RoundBooking, StatedAmount, StatedSession, VoidBet,
};
use crate::routing::slot_of;
use crate::sim::random::Random;
use crate::types::{Currency, GameId, GameRoundId, JackpotAmount, SessionKey, Text, UnixMillis};

/// Rounds of an account at a time: few, so that each sees several bets and awards.
const ROUNDS: u64 = 5;

impl Dealer {
    pub(super) fn bet(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        let mut bet = match self.players[at].ahead.pop() {
            // The bet whose rollback was there first.
            Some(rollback) if random.one_in(2) => PlaceBet {
                round: RoundBooking {
                    transaction: rollback.bet,
                    session: self.session(random, at),
                    stated_at: self.stated_at(random, now),
                    ..rollback.round
                },
                start_round: true,
                free_play: false,
                funds_order: self.players[at].order,
                jackpot_contribution: None,
            },
            _ => PlaceBet {
                round: self.round(random, at, IdKind::Bet, now),
                start_round: random.one_in(2),
                free_play: random.one_in(10),
                funds_order: self.players[at].order,
                jackpot_contribution: random.one_in(8).then(|| JackpotAmount::from_units(1)),
            },
        };
        if bet.free_play && random.one_in(2) {
            bet.round.free_game_offer = Text::parse("offer");
        }
        if random.one_in(25) {
            // The operator changed the domain's setting.
            bet.funds_order = any_order(random);
        }
        self.players[at].bets.push(bet.clone());
        Command::PlaceBet(Box::new(bet))
    }

    pub(super) fn award(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        let mut round = self.round(random, at, IdKind::Award, now);
        round.end_round = random.one_in(3);
        Command::AwardWinnings(Box::new(AwardWinnings {
            round,
            start_round: false,
            jackpot_winnings: None,
        }))
    }

    pub(super) fn rollback(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        let mut round = self.round(random, at, IdKind::Rollback, now);
        let bets = &self.players[at].bets;
        let late = bets.len().saturating_sub(4);
        let bet = match random.one_in(2) {
            true => random.pick(&bets[late..]),
            false => random.pick(bets),
        };
        let bet = match bet {
            Some(bet) if !random.one_in(5) => {
                let said = &bet.round;
                (round.round, round.game) = (said.round.clone(), said.game.clone());
                round.amount = said.amount;
                let id = said.transaction.clone();
                if random.one_in(12) {
                    spoil(&mut round, random);
                }
                id
            }
            _ => {
                // Of a bet that may come later.
                let id = self.players[at].transaction(random, IdKind::Bet);
                let rollback = RollBackBet {
                    round: round.clone(),
                    bet: id.clone(),
                    jackpot_contribution: None,
                };
                self.players[at].ahead.push(rollback);
                id
            }
        };
        Command::RollBackBet(Box::new(RollBackBet {
            round,
            bet,
            jackpot_contribution: None,
        }))
    }

    pub(super) fn void(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        Command::VoidBet(Box::new(VoidBet {
            round: self.round(random, at, IdKind::Void, now),
            jackpot_contribution: None,
        }))
    }

    pub(super) fn end(&mut self, random: &mut Random, at: usize) -> Command {
        Command::EndRound(Box::new(EndRound {
            account: self.players[at].id.clone(),
            round: round_id(random),
            game: game_id(random),
            currency: currency(random, &self.players[at]),
            session: self.session(random, at),
            jackpot_contribution: None,
            jackpot_winnings: None,
        }))
    }

    pub(super) fn credit(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        Command::Credit(Box::new(Credit {
            account: self.players[at].id.clone(),
            transaction: self.players[at].transaction(random, IdKind::Credit),
            type_id: text(&format!("type-{}", random.below(3))),
            stated_at: self.stated_at(random, now),
            currency: currency(random, &self.players[at]),
            amount: self.amount(random),
        }))
    }

    pub(super) fn alert(&mut self, at: usize) -> Command {
        let empty = || text("");
        Command::AnswerAlert(Box::new(AnswerAlert {
            account: self.players[at].id.clone(),
            source: text("game"),
            action_id: text("continue"),
            action_reference: empty(),
            reference: empty(),
            regulator_code: empty(),
            kind: empty(),
            method: empty(),
            data: empty(),
        }))
    }

    fn round(
        &mut self,
        random: &mut Random,
        at: usize,
        kind: IdKind,
        now: UnixMillis,
    ) -> RoundBooking {
        RoundBooking {
            account: self.players[at].id.clone(),
            transaction: self.players[at].transaction(random, kind),
            round: round_id(random),
            game: game_id(random),
            game_known: !random.one_in(40),
            stated_at: self.stated_at(random, now),
            currency: currency(random, &self.players[at]),
            amount: self.amount(random),
            session: self.session(random, at),
            end_round: random.one_in(6),
            free_game_offer: None,
        }
    }

    /// Mostly a moment ago; sometimes at the very edges of what is accepted.
    fn stated_at(&self, random: &mut Random, now: UnixMillis) -> UnixMillis {
        let ms = match random.below(80) {
            0 => -self.window_ms,
            1 => -self.window_ms - 1,
            2 => self.skew_ms,
            3 => self.skew_ms + 1,
            _ => -(random.below(2_000) as i64),
        };
        UnixMillis(now.0 + ms)
    }

    fn amount(&self, random: &mut Random) -> StatedAmount {
        let large = match self.taste {
            Taste::LargeAmounts => 4,
            _ => 60,
        };
        if random.one_in(large) {
            return match random.below(6) {
                0 => StatedAmount::TooPrecise,
                1 => StatedAmount::TooLarge,
                2 => StatedAmount::Exact(minor(i64::MAX - 1)),
                3 => StatedAmount::Exact(minor(i64::MAX / 2)),
                _ => StatedAmount::Exact(minor(i64::MAX)),
            };
        }
        let most = match random.below(12) {
            0 => 1,
            1 => 2_000,
            2..=5 => 300,
            _ => 40,
        };
        StatedAmount::Exact(minor(random.below(most) as i64))
    }

    fn session(&self, random: &mut Random, at: usize) -> StatedSession {
        let player = &self.players[at];
        let own = |key: Option<&SessionKey>| match key {
            Some(key) => StatedSession::Own(*key),
            None => StatedSession::None,
        };
        match random.below(40) {
            0 => StatedSession::None,
            1 => StatedSession::Foreign { live: true },
            2 => StatedSession::Foreign { live: false },
            3 => {
                let bits = u128::from(random.number());
                StatedSession::Own(SessionKey::mint(slot_of(&player.id), bits))
            }
            4 | 5 => {
                // Another account's of the same slot, where there is one.
                let slot = slot_of(&player.id);
                let mut players = self.players.iter().enumerate();
                let twin = players.find(|(other, p)| *other != at && slot_of(&p.id) == slot);
                own(twin.and_then(|(_, twin)| twin.sessions.last()))
            }
            6..=9 => own(random.pick(&player.sessions)),
            _ => own(player.sessions.last()),
        }
    }
}

/// The same request with something else in it: some of it is compared with the first
/// one, some is not.
pub(super) fn altered(command: Command, random: &mut Random, now: UnixMillis) -> Command {
    match command {
        Command::PlaceBet(mut bet) => {
            match random.below(5) {
                0 => bet.free_play = !bet.free_play,
                1 => bet.funds_order = any_order(random),
                _ => alter(&mut bet.round, random, now),
            }
            Command::PlaceBet(bet)
        }
        Command::AwardWinnings(mut award) => {
            alter(&mut award.round, random, now);
            Command::AwardWinnings(award)
        }
        Command::RollBackBet(mut rollback) => {
            match random.one_in(6) {
                true => rollback.bet = transaction_id(random.below(9)),
                false => alter(&mut rollback.round, random, now),
            }
            Command::RollBackBet(rollback)
        }
        Command::VoidBet(mut void) => {
            alter(&mut void.round, random, now);
            Command::VoidBet(void)
        }
        Command::Credit(mut credit) => {
            match random.below(3) {
                0 => credit.stated_at = now,
                1 => credit.type_id = text("another"),
                _ => credit.amount = StatedAmount::Exact(minor(random.below(40) as i64)),
            }
            Command::Credit(credit)
        }
        Command::Deposit {
            account,
            transaction,
            currency,
            ..
        } => Command::Deposit {
            account,
            transaction,
            amount: minor(1 + random.below(200) as i64),
            currency,
        },
        other => other,
    }
}

fn alter(round: &mut RoundBooking, random: &mut Random, now: UnixMillis) {
    match random.below(8) {
        0 => round.currency = Currency::parse("KWD"),
        1 => round.end_round = !round.end_round,
        2 => round.session = StatedSession::None,
        3 => round.game_known = !round.game_known,
        // A retry that states its own time: it may come when the first is forgotten.
        4 | 5 => round.stated_at = now,
        _ => spoil(round, random),
    }
}

/// Other contents.
fn spoil(round: &mut RoundBooking, random: &mut Random) {
    match random.below(3) {
        0 => round.round = round_id(random),
        1 => round.game = game_id(random),
        _ => round.amount = StatedAmount::Exact(minor(random.below(40) as i64)),
    }
}

fn any_order(random: &mut Random) -> FundsOrder {
    match random.below(3) {
        0 => FundsOrder::CashFirst,
        1 => FundsOrder::BonusFirst,
        _ => FundsOrder::CashOnly,
    }
}

/// The player's, but for a few mistakes.
fn currency(random: &mut Random, player: &Player) -> Option<Currency> {
    match random.below(60) {
        0 => None,
        1 => Some(currency_of("KWD")),
        _ => Some(player.currency),
    }
}

fn round_id(random: &mut Random) -> GameRoundId {
    let id = GameRoundId::parse(&format!("r{}", random.below(ROUNDS)));
    id.unwrap_or_else(|| unreachable!("short, and not empty"))
}

/// A round's bookings mostly name one game.
fn game_id(random: &mut Random) -> GameId {
    let number = u64::from(random.one_in(20));
    let id = GameId::parse(&format!("g{number}"));
    id.unwrap_or_else(|| unreachable!("short, and not empty"))
}

fn text(text: &str) -> Text {
    Text::parse(text).unwrap_or_else(|| unreachable!("short"))
}
