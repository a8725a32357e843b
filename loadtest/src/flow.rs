//! What players do, as data: the rounds of the scenario `full`.
//!
//! A flow is a row of steps of one account and one round. Each step says what it asks, which
//! `ErrorCode` the protocol promises, and so what happens to the player's funds.

use crate::kind::Kind;
use crate::random::Random;

/// One request of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    /// The `ErrorCode` of protocol.md that is right here.
    pub(crate) expects: i32,
    pub(crate) start_round: bool,
    pub(crate) end_round: bool,
}

/// A row of steps, and how often it is chosen.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    weight: u32,
    pub(crate) steps: &'static [Step],
}

const fn step(kind: Kind) -> Step {
    Step {
        kind,
        expects: 0,
        start_round: false,
        end_round: false,
    }
}

const BALANCE: Step = step(Kind::Balance);
const BET: Step = Step {
    start_round: true,
    ..step(Kind::PlaceBet)
};
/// A stake that is lost at once: one request for a whole round.
const BET_THAT_ENDS: Step = Step {
    end_round: true,
    ..BET
};
const WIN: Step = step(Kind::AwardWinnings);
const WIN_THAT_ENDS: Step = Step {
    end_round: true,
    ..WIN
};
const ROLLBACK: Step = step(Kind::RollbackBet);
const ROLLBACK_THAT_ENDS: Step = Step {
    end_round: true,
    ..ROLLBACK
};
const VOID_THAT_ENDS: Step = Step {
    end_round: true,
    ..step(Kind::VoidBet)
};
const END: Step = step(Kind::End);

/// A rollback that overtook its bet is remembered, and so is its answer (section 8).
const ROLLBACK_OF_NOTHING: Step = Step {
    expects: -8,
    ..ROLLBACK
};
/// The bet that comes after its rollback books nothing (section 8).
const BET_TOO_LATE: Step = Step { expects: -8, ..BET };

/// What players do most is read, then rounds of few requests. Winnings are twice the stake,
/// and weights, winnings and credits are such that a player gains a little on average: nobody
/// runs out of funds in a long run.
pub(crate) const FULL: &[Flow] = &[
    flow("balance", 20, &[BALANCE]),
    flow("redeemToken", 10, &[step(Kind::RedeemToken)]),
    flow("createToken", 4, &[step(Kind::CreateToken)]),
    flow("balance-bet", 8, &[BALANCE, BET_THAT_ENDS]),
    flow("bet-end", 8, &[BET, END]),
    flow("balance-bet-end", 8, &[BALANCE, BET, END]),
    flow("bet-win", 14, &[BET, WIN_THAT_ENDS]),
    flow("balance-bet-win-end", 12, &[BALANCE, BET, WIN, END]),
    flow("bet-rollback", 4, &[BET, ROLLBACK_THAT_ENDS]),
    flow(
        "balance-bet-rollback-end",
        3,
        &[BALANCE, BET, ROLLBACK, END],
    ),
    flow(
        "balance-bet-end-rollback",
        3,
        &[BALANCE, BET, END, ROLLBACK],
    ),
    flow("void", 2, &[VOID_THAT_ENDS]),
    flow("alert", 2, &[step(Kind::Alert)]),
    flow("credit", 2, &[step(Kind::Credit)]),
];

/// What a network does to the order of requests.
pub(crate) const REORDERED: &[Flow] = &[
    flow(
        "rollback-before-bet",
        1,
        &[ROLLBACK_OF_NOTHING, BET_TOO_LATE, ROLLBACK_OF_NOTHING],
    ),
    flow("win-before-bet", 1, &[WIN, BET, END]),
];

const fn flow(name: &'static str, weight: u32, steps: &'static [Step]) -> Flow {
    Flow {
        name,
        weight,
        steps,
    }
}

/// The reference's two requests, as `k6/reference.js` sends them.
pub(crate) const REFERENCE: &[Flow] = &[flow("reference", 1, &[BALANCE, step(Kind::RedeemToken)])];

/// Chooses a flow by weight.
pub(crate) fn choose(flows: &'static [Flow], random: &mut Random) -> &'static Flow {
    let all: u32 = flows.iter().map(|flow| flow.weight).sum();
    let mut left = random.below(u64::from(all)) as u32;
    for flow in flows {
        match left.checked_sub(flow.weight) {
            Some(rest) => left = rest,
            None => return flow,
        }
    }
    unreachable!("a number below the sum of all weights");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a flow does to the funds of its player, in stakes.
    fn gain(flow: &Flow) -> i32 {
        let effect = |step: &Step| match (step.expects, step.kind) {
            (0, Kind::PlaceBet) => -1,
            (0, Kind::AwardWinnings) => 2,
            (0, Kind::RollbackBet | Kind::VoidBet | Kind::Credit) => 1,
            _ => 0,
        };
        flow.steps.iter().map(effect).sum()
    }

    #[test]
    fn players_gain_on_average() {
        let sum: i32 = FULL
            .iter()
            .map(|flow| gain(flow) * flow.weight as i32)
            .sum();
        assert!(sum > 0, "{sum}");
        assert!(REORDERED.iter().all(|flow| gain(flow) >= 0));
    }

    #[test]
    fn every_round_that_starts_also_ends() {
        for flow in FULL.iter().chain(REORDERED) {
            let opens = flow
                .steps
                .iter()
                .any(|step| step.expects == 0 && matches!(step.kind, Kind::PlaceBet));
            let closes = flow
                .steps
                .iter()
                .any(|step| step.kind == Kind::End || step.end_round);
            assert!(!opens || closes, "{}", flow.name);
        }
    }

    #[test]
    fn every_kind_is_asked_for_and_weights_are_kept() {
        for kind in Kind::ALL {
            let is_asked = FULL
                .iter()
                .flat_map(|flow| flow.steps)
                .any(|step| step.kind == kind);
            assert!(is_asked, "{kind:?}");
        }
        let mut random = Random::new(1, 0);
        let draws = 100_000;
        let balances = (0..draws)
            .filter(|_| choose(FULL, &mut random).name == "balance")
            .count();
        // 20 of 100.
        assert!((19_000..21_000).contains(&balances), "{balances}");
    }
}
