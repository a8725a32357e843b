//! Rounds: what opens and closes them, and which of them have a result.

use super::*;

/// Tells commands and expects how many rounds are open behind each.
fn check_open(steps: &[(Command, u32)]) {
    let mut story = Story::begin();
    for (number, (command, open_rounds)) in steps.iter().enumerate() {
        let told = story.tell(command.clone());
        assert!(!told.starts_with("refused"), "{told}: {command:?}");
        assert_eq!(
            story.open_rounds(),
            *open_rounds,
            "step {number}: {command:?}"
        );
    }
}

#[test]
fn bets_and_awards_open_rounds_and_leave_closed_ones_open() {
    check_open(&[
        (bet("b-1", 1).into(), 1),
        (bet("b-2", 1).into(), 1),
        (bet("b-3", 1).round("s").into(), 2),
        (award("a-1", 1).round("t").into(), 3),
        (award("a-2", 1).into(), 3),
        (end("r").into(), 2),
        (bet("b-4", 1).into(), 3),
        (end("r").into(), 2),
        (award("a-3", 1).into(), 3),
        // A repeat changes nothing.
        (end("r").into(), 2),
        (bet("b-1", 1).into(), 2),
        (award("a-2", 1).into(), 2),
    ]);
}

#[test]
fn the_end_comes_behind_the_booking_that_brings_it() {
    check_open(&[
        (bet("b-1", 1).ends().into(), 0),
        (bet("b-2", 1).into(), 1),
        (award("a-1", 1).ends().into(), 0),
        (award("a-2", 1).round("s").ends().into(), 0),
        (bet("b-3", 1).free().into(), 1),
        (bet("b-4", 1).free().ends().into(), 0),
    ]);
}

#[test]
fn rollbacks_and_voids_open_nothing_and_close_what_is_open() {
    check_open(&[
        (void("v-1", 1).into(), 0),
        (void("v-2", 1).ends().into(), 0),
        (bet("b-1", 1).into(), 1),
        (bet("b-2", 1).into(), 1),
        (rollback("k-1", "b-1", 1).into(), 1),
        (rollback("k-2", "b-2", 1).ends().into(), 0),
        (void("v-3", 1).into(), 0),
        (bet("b-3", 1).into(), 1),
        (void("v-4", 1).into(), 1),
        (void("v-5", 1).ends().into(), 0),
        (bet("b-4", 1).into(), 1),
        // A second rollback is a repeat, which changes nothing.
        (rollback("k-3", "b-1", 1).ends().into(), 1),
    ]);
}

#[test]
fn an_end_closes_and_says_whether_it_records_a_loss() {
    // How the round came to be, and what its end records: nothing when it was closed.
    let paths: [(&str, Vec<Command>, Option<bool>); 9] = [
        ("a bet", vec![bet("b", 1).into()], Some(true)),
        ("a free bet", vec![bet("b", 1).free().into()], Some(true)),
        ("a bet with its end", vec![bet("b", 1).ends().into()], None),
        (
            "an award",
            vec![bet("b", 1).into(), award("a", 1).into()],
            Some(false),
        ),
        (
            "an award of nothing",
            vec![bet("b", 1).into(), award("a", 0).into()],
            Some(false),
        ),
        (
            "an award with its end",
            vec![award("a", 0).ends().into()],
            None,
        ),
        (
            "a bet behind a bet with its end",
            vec![bet("b", 1).ends().into(), bet("c", 1).into()],
            Some(false),
        ),
        (
            "a rollback",
            vec![bet("b", 1).into(), rollback("k", "b", 1).into()],
            Some(true),
        ),
        (
            "a rollback with its end",
            vec![bet("b", 1).into(), rollback("k", "b", 1).ends().into()],
            None,
        ),
    ];
    for (path, commands, records) in paths {
        let mut story = Story::begin();
        for command in commands {
            story.tell(command);
        }
        let told = story.tell(end("r"));
        let recorded = match story.posted.take().map(|posting| posting.change) {
            Some(Change::RoundEnded(end)) => Some(end.zero_loss),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(recorded, records, "{path}");
        let word = if records.is_some() {
            "accepted"
        } else {
            "repeated"
        };
        assert!(told.starts_with(word), "{path}: {told}");
        assert!(
            story.tell(end("r")).starts_with("repeated"),
            "{path}, again"
        );
        assert!(story.posted.is_none(), "{path}, again");
        assert_eq!(story.open_rounds(), 0, "{path}");
    }
}

#[test]
fn an_end_asks_for_session_currency_and_round() {
    let bent = |bend: fn(&mut EndRound)| {
        let mut end = end("r");
        bend(&mut end);
        Command::from(end)
    };
    check(&[
        (end("r").into(), "refused RoundNotFound"),
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (
            bent(|end| end.account = account("x")),
            "refused AccountNotFound",
        ),
        (
            bent(|end| end.account = account("q")),
            "refused RoundNotFound",
        ),
        (
            bent(|end| {
                end.session = StatedSession::Own(key(2));
                end.currency = None;
            }),
            "refused SessionOfAnotherAccount",
        ),
        (
            bent(|end| {
                end.currency = None;
                end.round = GameRoundId::parse("s").unwrap();
            }),
            "refused CurrencyMismatch",
        ),
        // The game is not looked up, and not compared either.
        (
            bent(|end| end.game = GameId::parse("another").unwrap()),
            "accepted 90+5",
        ),
    ]);
}

#[test]
fn a_refused_bet_opens_no_round() {
    check(&[
        (bet("b-1", 106).into(), "refused InsufficientFunds"),
        (end("r").into(), "refused RoundNotFound"),
        (bet("b-1", 105).into(), "accepted 0+0 took 100+5"),
    ]);
}
