//! Accounts, sessions and tokens.

use super::*;
use crate::types::SessionToken;

fn open(player: &str) -> Command {
    Command::OpenAccount {
        account: account(player),
        currency: Currency::parse("GBP").unwrap(),
        country: country(),
    }
}

fn deposit(player: &str, id: &str, minor: i64) -> Command {
    Command::Deposit {
        account: account(player),
        transaction: TransactionId::parse(id).unwrap(),
        amount: amount(minor),
        currency: Currency::parse("GBP").unwrap(),
    }
}

fn session(player: &str, key: SessionKey, logout_at: Option<UnixMillis>) -> Command {
    Command::OpenSession {
        account: account(player),
        key,
        country: country(),
        logout_at,
    }
}

fn latest(player: &str) -> Command {
    Command::ReadLatestSession {
        account: account(player),
    }
}

fn spend(key: SessionKey, issued_at: i64) -> Command {
    Command::SpendToken {
        token: SessionToken {
            key,
            issued_at: UnixMillis(issued_at),
        },
        expires_at: UnixMillis(issued_at + 60_000),
    }
}

/// Runs commands and writes down what came of each.
fn run(story: &mut Story, commands: &[Command]) -> Vec<String> {
    commands
        .iter()
        .map(|command| story.tell(command.clone()))
        .collect()
}

fn check(commands: &[Command], expected: &[&str]) {
    assert_eq!(run(&mut Story::empty(), commands), expected);
}

#[test]
fn an_account_opens_once_and_starts_empty() {
    check(
        &[balance("p"), open("p"), open("p"), balance("p")],
        &[
            "refused AccountNotFound",
            "accepted 0+0 live=false",
            "repeated 0+0 live=false",
            "accepted 0+0",
        ],
    );
}

#[test]
fn a_deposit_is_booked_once_per_id_and_account() {
    check(
        &[
            deposit("p", "d", 100),
            open("p"),
            open("q"),
            deposit("p", "d", 100),
            deposit("p", "d", 100),
            deposit("p", "d", 101),
            deposit("p", "e", 1),
            deposit("p", "d", 100),
            deposit("q", "d", 7),
        ],
        &[
            "refused AccountNotFound",
            "accepted 0+0 live=false",
            "accepted 0+0 live=false",
            "accepted 100+0",
            "repeated 100+0",
            "refused TransactionIdReused",
            "accepted 101+0",
            "repeated 101+0",
            "accepted 7+0",
        ],
    );
}

/// The configuration of a domain may change its currency; its old accounts keep theirs.
#[test]
fn a_deposit_in_another_currency_is_booked_nowhere() {
    let mut story = Story::empty();
    run(&mut story, &[import("p", 100, None)]);
    let Command::Deposit {
        account,
        transaction,
        amount,
        ..
    } = deposit("p", "d", 1)
    else {
        panic!("a deposit is a deposit");
    };
    let currency = Currency::parse("JPY").unwrap();
    let other = Command::Deposit {
        account,
        transaction,
        amount,
        currency,
    };
    let told = run(&mut story, &[other, balance("p"), deposit("p", "d", 1)]);
    let expected = [
        "refused CurrencyMismatch",
        "accepted 100+5",
        "accepted 101+5",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_deposit_that_would_overflow_is_booked_nowhere() {
    check(
        &[
            import("p", i64::MAX, None),
            deposit("p", "d", 1),
            balance("p"),
        ],
        &[
            "accepted 9223372036854775807+5 live=false",
            "refused BalanceOverflow",
            "accepted 9223372036854775807+5",
        ],
    );
}

#[test]
fn a_repeated_import_keeps_funds_and_fills_in_a_missing_session() {
    check(
        &[
            import("p", 100, None),
            deposit("p", "d", 1),
            import("p", 999, Some(key(1))),
            import("p", 999, Some(key(2))),
            Command::ReadSession { key: key(2) },
        ],
        &[
            "accepted 100+5 live=false",
            "accepted 101+5",
            "repeated 101+5 live=true",
            "repeated 101+5 live=true",
            "refused SessionNotFound",
        ],
    );
}

#[test]
fn a_key_that_is_known_is_not_opened_again_by_an_import() {
    check(
        &[
            import("p", 100, Some(key(1))),
            Command::LogOutSession { key: key(1) },
            import("p", 100, Some(key(1))),
            Command::ReadSession { key: key(1) },
        ],
        &[
            "accepted 100+5 live=true",
            "accepted live=false",
            "repeated 100+5 live=false",
            "accepted live=false",
        ],
    );
}

#[test]
fn a_clock_that_is_set_back_revives_no_session() {
    let mut story = Story::empty();
    let log_out = Command::LogOutSession { key: key(1) };
    run(&mut story, &[import("p", 1, Some(key(1))), log_out.clone()]);
    let before = UnixMillis(NOW.0 - 3_600_000);
    let Decision::Answer { outcome, .. } = story.ledger.decide(&log_out, before) else {
        panic!("it ends twice");
    };
    let Outcome::Repeated(Facts::Session(facts)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(!facts.live);
}

#[test]
fn the_latest_session_counts_and_only_while_it_is_live() {
    check(
        &[
            open("p"),
            latest("p"),
            session("p", key(1), None),
            session("p", key(2), Some(UnixMillis(NOW.0 + 5))),
            latest("p"),
            latest("p"),
            Command::ReadSession { key: key(1) },
            Command::LogOutSession { key: key(1) },
            Command::LogOutSession { key: key(1) },
            Command::LogOutSession { key: key(9) },
        ],
        &[
            "accepted 0+0 live=false",
            "refused NoLiveSession",
            "accepted live=true",
            "accepted live=true",
            "accepted live=true",
            "refused NoLiveSession",
            "accepted live=true",
            "accepted live=false",
            "repeated live=false",
            "refused SessionNotFound",
        ],
    );
}

#[test]
fn a_token_is_spent_once_even_of_a_session_that_ended() {
    check(
        &[
            open("p"),
            session("p", key(1), Some(NOW)),
            spend(key(1), NOW.0),
            spend(key(1), NOW.0),
            spend(key(1), NOW.0 + 1),
            spend(key(2), NOW.0),
        ],
        &[
            "accepted 0+0 live=false",
            "accepted live=false",
            "accepted live=false",
            "refused TokenSpent",
            "accepted live=false",
            "refused SessionNotFound",
        ],
    );
}

#[test]
fn spent_tokens_are_bounded_and_forgotten_when_their_life_ends() {
    let mut story = Story::empty();
    let mut commands = vec![open("p"), session("p", key(1), None)];
    commands.extend((0..=SPENT_TOKENS_PER_SESSION_MAX as i64).map(|n| spend(key(1), NOW.0 + n)));
    let told = run(&mut story, &commands);
    assert_eq!(told.last().unwrap(), "refused TooManyTokens");
    let refused = told.iter().filter(|line| line.starts_with("refused"));
    assert_eq!(refused.count(), 1);
    let later = UnixMillis(NOW.0 + 120_000);
    assert!(matches!(
        story.ledger.decide(&spend(key(1), later.0), later),
        Decision::Post(..)
    ));
}

#[test]
fn a_token_whose_spending_may_be_forgotten_is_refused() {
    let mut story = Story::empty();
    let first = spend(key(1), NOW.0);
    run(
        &mut story,
        &[open("p"), session("p", key(1), None), first.clone()],
    );
    // The life of the first ends, and the next spending forgets it.
    let later = UnixMillis(NOW.0 + 60_000);
    let Decision::Post(posting, _) = story.ledger.decide(&spend(key(1), later.0), later) else {
        panic!("a fresh token is spent");
    };
    story.ledger.apply(Lsn(4), &posting);
    let Decision::Answer { outcome, .. } = story.ledger.decide(&first, later) else {
        panic!("the first token was spent twice");
    };
    assert!(matches!(outcome, Outcome::Refused(r) if r.reason == RefusalReason::TokenExpired));
}

#[test]
fn the_oldest_session_is_forgotten_when_an_account_opens_one_too_many() {
    let mut story = Story::empty();
    let last = u16::from(SESSIONS_PER_ACCOUNT_MAX);
    let mut commands = vec![open("p")];
    commands.extend((0..=last).map(|number| session("p", key(number), None)));
    run(&mut story, &commands);
    let told = run(
        &mut story,
        &[0, 1, last].map(|number| Command::ReadSession { key: key(number) }),
    );
    let expected = [
        "refused SessionNotFound",
        "accepted live=true",
        "accepted live=true",
    ];
    assert_eq!(told, expected);
    assert_eq!(
        story.ledger.counts().sessions,
        usize::from(SESSIONS_PER_ACCOUNT_MAX)
    );
}

#[test]
fn answers_rest_on_the_account_s_last_posting() {
    let mut story = Story::empty();
    run(
        &mut story,
        &[open("p"), session("p", key(1), None), deposit("p", "d", 5)],
    );
    for command in [
        balance("p"),
        latest("p"),
        Command::ReadSession { key: key(1) },
        Command::ReadAccount {
            account: account("p"),
        },
        deposit("p", "d", 5),
        deposit("p", "d", 6),
        import("p", 1, None),
    ] {
        match story.ledger.decide(&command, NOW) {
            Decision::Answer { rests_on, .. } => assert_eq!(rests_on, Lsn(3), "{command:?}"),
            Decision::Post(posting, _) => panic!("{command:?} posted {posting:?}"),
        }
    }
}

#[test]
fn that_a_session_is_unknown_rests_on_what_made_it_so() {
    let mut story = Story::empty();
    let rests_on = |story: &Story, command: &Command| match story.ledger.decide(command, NOW) {
        Decision::Answer { rests_on, .. } => rests_on,
        Decision::Post(posting, _) => panic!("{command:?} posted {posting:?}"),
    };
    let about_the_first = [
        Command::ReadSession { key: key(0) },
        Command::LogOutSession { key: key(0) },
        spend(key(0), NOW.0),
    ];
    for command in &about_the_first {
        assert_eq!(rests_on(&story, command), Lsn::NONE, "{command:?}");
    }
    let last = u16::from(SESSIONS_PER_ACCOUNT_MAX);
    let mut commands = vec![open("p")];
    commands.extend((0..=last).map(|number| session("p", key(number), None)));
    run(&mut story, &commands);
    for command in &about_the_first {
        let forgotten_at = Lsn(commands.len() as u64);
        assert_eq!(rests_on(&story, command), forgotten_at, "{command:?}");
    }
}

#[test]
#[should_panic(expected = "balance after LSN 2")]
fn a_posting_with_another_balance_after_stops_everything() {
    let mut story = Story::empty();
    run(&mut story, &[open("p")]);
    let Decision::Post(mut posting, _) = story.ledger.decide(&deposit("p", "d", 5), NOW) else {
        panic!("a deposit posts");
    };
    posting.balance_after.cash = amount(6);
    story.ledger.apply(Lsn(2), &posting);
}
