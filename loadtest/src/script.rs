//! One virtual user's place in its flow: what to ask next, and whether the answer is right.
//!
//! Invariants:
//! * a booking's id is made once, and every attempt at it carries the same id;
//! * what a booking did to the funds is counted once, at its first definitive answer.

use std::io::Write;
use std::time::Instant;

use crate::flow::{Flow, Step};
use crate::kind::Kind;
use crate::money;
use crate::random::Random;
use crate::scan::Body;
use crate::tally::{Check, Effects};
use crate::template::{Slot, Values};
use crate::wall_clock::WallClock;
use crate::world::{Scenario, World};

/// Stakes in minor units: 0.10 to 2.00 where a currency has two fraction digits.
const STAKES: std::ops::RangeInclusive<u64> = 10..=200;

/// Answers with the checks of one request and whether each was passed.
pub(crate) type Checked = [Option<bool>; Check::COUNT];

/// What an answer means for the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The request was done or refused, once and for all.
    Settled,
    /// Whether it was done is not known: only the same request again can tell.
    Unknown,
}

/// What comes after a settled request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Step,
    /// The flow is at its end.
    Done,
}

/// A virtual user's flow.
#[derive(Debug)]
pub(crate) struct Script {
    /// From 1, as k6 counts them.
    vu: u64,
    target: usize,
    /// Flows begun so far.
    iteration: u64,
    current: Option<Round>,
}

#[derive(Debug)]
struct Round {
    flow: &'static Flow,
    player: u32,
    step: usize,
    /// The step was answered, and is sent once more.
    is_repeat: bool,
    /// The same in the ids of this round's requests.
    number: u64,
    stake: i64,
}

impl Script {
    pub(crate) fn new(vu: u64, target: usize) -> Self {
        Self {
            vu,
            target,
            iteration: 0,
            current: None,
        }
    }

    pub(crate) fn is_between_flows(&self) -> bool {
        self.current.is_none()
    }

    /// Begins the next flow.
    pub(crate) fn begin(&mut self, world: &World, random: &mut Random) {
        assert!(self.current.is_none());
        let (flow, player) = world.choose(self.target, (self.vu, self.iteration), random);
        let stakes = STAKES.end() - STAKES.start() + 1;
        self.current = Some(Round {
            flow,
            player,
            step: 0,
            is_repeat: false,
            number: self.vu * ITERATIONS_MAX + self.iteration,
            stake: (STAKES.start() + random.below(stakes)) as i64,
        });
        self.iteration += 1;
    }

    fn round(&self) -> &Round {
        self.current.as_ref().expect("a flow that was begun")
    }

    fn step(&self) -> &Step {
        let round = self.round();
        &round.flow.steps[round.step]
    }

    /// The flow's name, for complaints.
    pub(crate) fn flow_name(&self) -> &'static str {
        self.round().flow.name
    }

    pub(crate) fn kind(&self) -> Kind {
        self.step().kind
    }

    /// What the step does to the funds of its player when it is booked, in minor units.
    pub(crate) fn effect(&self) -> (u32, i64) {
        let Round {
            player,
            stake,
            is_repeat,
            ..
        } = *self.round();
        let change = match self.kind() {
            _ if is_repeat => 0,
            Kind::PlaceBet => -stake,
            Kind::AwardWinnings => 2 * stake,
            Kind::RollbackBet | Kind::VoidBet | Kind::Credit => stake,
            _ => 0,
        };
        (player, change)
    }

    /// Writes the request of the current step.
    pub(crate) fn render(
        &self,
        world: &World,
        clock: &mut WallClock,
        now: Instant,
        out: &mut Vec<u8>,
    ) {
        let round = self.round();
        let step = self.step();
        let account = &world.accounts[round.player as usize];
        let ids = Ids::new(world.run_id, round.number, step.kind);
        let amount = match step.kind {
            Kind::AwardWinnings => 2 * round.stake,
            _ => round.stake,
        };
        let amount = money::text(amount, world.fraction_digits);
        let mut token = [0; TOKEN_BYTES_MAX];
        let token = fresh_token(&account.session_key, clock.unix_ms(now), &mut token);
        let mut values = Values::default();
        values
            .set(Slot::Sequence, &ids.sequence)
            .set(Slot::Timestamp, clock.timestamp(now))
            .set(Slot::Account, account.id.as_bytes())
            .set(Slot::SessionKey, account.session_key.as_bytes())
            .set(Slot::Token, token)
            .set(Slot::Round, &ids.round)
            .set(Slot::Transaction, &ids.transaction)
            .set(Slot::Original, &ids.bet)
            .set(Slot::Amount, amount.as_bytes())
            .set_flag(Slot::StartRound, step.start_round)
            .set_flag(Slot::EndRound, step.end_round);
        world.templates[step.kind.index()].render(&values, out);
    }

    /// Judges a complete answer; effects of what was booked go to `effects`.
    pub(crate) fn judge(
        &self,
        world: &World,
        status: u16,
        body: Option<&Body<'_>>,
        effects: &mut Effects,
    ) -> (Checked, Meaning) {
        let step = self.step();
        let code = body.and_then(|body| body.error_code);
        let mut checked = Checked::default();
        checked[Check::Status200.index()] = Some(status == 200);
        checked[Check::of_code(step.expects).index()] = Some(code == Some(step.expects));
        if world.scenario == Scenario::Full {
            let is_as_promised = body.is_some_and(|body| self.is_as_promised(world, body));
            checked[Check::Body.index()] = Some(is_as_promised);
        }
        let meaning = match (status, code) {
            (200, Some(code)) => {
                let (player, change) = self.effect();
                if code == 0 {
                    effects.booked(step.kind, player, change);
                }
                Meaning::Settled
            }
            // Refused as HTTP, before the wallet saw it.
            (400..=407 | 409..=499, _) => Meaning::Settled,
            _ if step.kind.is_booking() || step.kind == Kind::End => Meaning::Unknown,
            // Nothing depends on what a read did.
            _ => Meaning::Settled,
        };
        (checked, meaning)
    }

    /// Whether the members of protocol.md section 3 are there and say what was asked.
    fn is_as_promised(&self, world: &World, body: &Body<'_>) -> bool {
        let round = self.round();
        let kind = self.kind();
        let digits = world.fraction_digits;
        let amount = |text: Option<&[u8]>| text.and_then(|text| money::minor_units(text, digits));
        let is_done = body.error_code == Some(0);
        let has_balance = body.currency == Some(world.currency.as_bytes())
            && amount(body.cash_funds).is_some()
            && amount(body.bonus_funds).is_some();
        match kind {
            Kind::RedeemToken => {
                let id = &world.accounts[round.player as usize].id;
                body.account == Some(id.as_bytes())
            }
            Kind::CreateToken => body.session_token.is_some_and(|token| !token.is_empty()),
            Kind::Alert => is_done,
            _ if !has_balance => false,
            _ if !is_done || !kind.is_booking() => true,
            _ => {
                let ids = Ids::new(world.run_id, round.number, kind);
                let split = amount(body.split_cash).zip(amount(body.split_bonus));
                body.transaction_reference == Some(&ids.transaction[..])
                    && match (kind, split) {
                        (Kind::PlaceBet, Some((cash, bonus))) => cash + bonus == round.stake,
                        (Kind::PlaceBet, None) => false,
                        _ => true,
                    }
            }
        }
    }

    /// Goes on after a settled request; `is_right` says that its checks were passed. A flow
    /// whose answer was wrong ends there: its other steps would only be wrong too.
    pub(crate) fn advance(&mut self, world: &World, is_right: bool, random: &mut Random) -> Next {
        let is_booking = self.kind().is_booking();
        let round = self.current.as_mut().expect("a flow that was begun");
        let repeats = is_right && is_booking && !round.is_repeat && random.chance(world.repeats);
        round.is_repeat = repeats;
        if repeats {
            return Next::Step;
        }
        round.step += 1;
        let goes_on = is_right || world.scenario == Scenario::Reference;
        if goes_on && round.step < round.flow.steps.len() {
            return Next::Step;
        }
        self.current = None;
        Next::Done
    }
}

/// A virtual user begins fewer flows than this: 11 days at a million a second.
const ITERATIONS_MAX: u64 = 1_000_000_000_000;

/// A session key (36), `-` and 16 hexadecimal digits fit; longer keys are cut, and the
/// server will say so.
const TOKEN_BYTES_MAX: usize = 128;

/// Session key, `-`, Unix milliseconds in lower-case hexadecimal (protocol.md section 6).
fn fresh_token<'a>(key: &str, unix_ms: u64, buffer: &'a mut [u8; TOKEN_BYTES_MAX]) -> &'a [u8] {
    let mut rest = &mut buffer[..];
    // What does not fit is cut.
    let _ = write!(rest, "{key}-{unix_ms:x}");
    let left = rest.len();
    &buffer[..TOKEN_BYTES_MAX - left]
}

/// Digits of a round's number: virtual user and iteration.
const NUMBER_DIGITS: usize = 18;
/// `lt-`, the run in 8 hexadecimal digits, `-`, the number, `-` and a letter.
const ID_BYTES: usize = 3 + 8 + 1 + NUMBER_DIGITS + 2;

/// The ids of a step, all of the same length.
struct Ids {
    sequence: [u8; ID_BYTES],
    round: [u8; ID_BYTES],
    transaction: [u8; ID_BYTES],
    /// Of the round's bet.
    bet: [u8; ID_BYTES],
}

impl Ids {
    fn new(run_id: u32, number: u64, kind: Kind) -> Self {
        let mut id = *b"lt-00000000-000000000000000000-.";
        let mut rest = run_id;
        for place in id[3..11].iter_mut().rev() {
            *place = b"0123456789abcdef"[(rest % 16) as usize];
            rest /= 16;
        }
        let mut rest = number;
        for place in id[12..12 + NUMBER_DIGITS].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let with = |letter: u8| {
            let mut id = id;
            id[ID_BYTES - 1] = letter;
            id
        };
        let own = match kind {
            Kind::PlaceBet => b'b',
            Kind::AwardWinnings => b'w',
            Kind::RollbackBet => b'r',
            Kind::VoidBet => b'v',
            Kind::Credit => b'c',
            Kind::Balance => b'q',
            Kind::RedeemToken => b't',
            Kind::CreateToken => b'n',
            Kind::End => b'e',
            Kind::Alert => b'a',
        };
        Self {
            sequence: with(own),
            round: with(b'g'),
            transaction: with(own),
            bet: with(b'b'),
        }
    }
}

#[cfg(test)]
mod tests;
