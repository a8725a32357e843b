//! The order of checks (protocol.md section 4): of all rules that a request breaks, the
//! most fundamental one answers.

use super::*;

/// Ways to break a rule, the most fundamental first, and what each is answered. A request
/// that breaks several is answered for the first.
type Faults = [(fn(Request) -> Request, &'static str)];

fn check_order(story: &mut Story, request: &Request, faults: &Faults) {
    for first in 0..faults.len() {
        let broken = faults[first..]
            .iter()
            .rev()
            .fold(request.clone(), |request, (fault, _)| fault(request));
        let expected = faults[first].1;
        assert_eq!(story.tell(broken), expected, "from fault {first} on");
        assert!(story.posted.is_none());
        let alone = faults[first].0(request.clone());
        assert_eq!(story.tell(alone), expected, "fault {first} alone");
    }
    let told = story.tell(request.clone());
    assert!(told.starts_with("accepted"), "without a fault: {told}");
}

fn unknown_account(request: Request) -> Request {
    request.with(|booking| booking.account = account("x"))
}

fn too_old(request: Request) -> Request {
    request.stated(UnixMillis(NOW.0 - 2 * WINDOW.as_millis() as i64))
}

fn used_id(request: Request) -> Request {
    request.with(|booking| booking.transaction = id("used"))
}

fn no_session(request: Request) -> Request {
    request.session(StatedSession::None)
}

fn others_session(request: Request) -> Request {
    request.session(StatedSession::Own(key(2)))
}

fn other_currency(request: Request) -> Request {
    request.currency("EUR")
}

fn too_precise(request: Request) -> Request {
    request.amount(StatedAmount::TooPrecise)
}

#[test]
fn of_a_bet() {
    let mut story = Story::begin();
    let mut used = bet("used", 1);
    story.tell(used.clone());
    story.tell(rollback("k", "late", 10));
    used = bet("b", 10);
    check_order(
        &mut story,
        &used,
        &[
            (unknown_account, "refused AccountNotFound"),
            (too_old, "refused RequestTooOld"),
            (used_id, "refused TransactionIdReused"),
            (no_session, "refused SessionUnknown"),
            (other_currency, "refused CurrencyMismatch"),
            (too_precise, "refused AmountTooPrecise"),
            (Request::unknown_game, "refused GameNotFound"),
            (
                |request| request.with(|booking| booking.transaction = id("late")),
                "refused RolledBackBefore",
            ),
            (
                |request| request.amount(StatedAmount::Exact(amount(106))),
                "refused InsufficientFunds",
            ),
        ],
    );
}

/// The rules that belong to the account rather than to the request.
#[test]
fn of_what_restricts_a_bet() {
    let mut story = Story::begin();
    let all = LimitsChange {
        loss_daily: Some(Some(amount(0))),
        session_s: Some(Some(0)),
        ..LimitsChange::default()
    };
    story.tell(limit("p", all));
    story.tell(suspend("p"));
    story.wait(Duration::from_secs(1));
    let without_session_limit = LimitsChange {
        session_s: Some(None),
        ..LimitsChange::default()
    };
    let without_limit = LimitsChange {
        loss_daily: Some(None),
        ..LimitsChange::default()
    };
    let active = Command::SetStatus {
        account: account("p"),
        status: AccountStatus::Active,
    };
    let too_much = || Command::from(bet("b", 106));
    let done = "accepted 100+5 live=true";
    let too_large = bet("b", 0).amount(StatedAmount::TooLarge);
    story.check(&[
        (rollback("k", "late", 1).into(), "refused BetNotFound"),
        (bet("late", 106).into(), "refused RolledBackBefore"),
        (too_much(), "refused AccountSuspended"),
        (active, done),
        (too_much(), "refused SessionLimit"),
        (limit("p", without_session_limit), done),
        (too_much(), "refused LossLimit(Day)"),
        (too_large.into(), "refused LossLimit(Day)"),
        (limit("p", without_limit), done),
        (too_much(), "refused InsufficientFunds"),
    ]);
}

#[test]
fn of_awards_and_voids() {
    for (used, request) in [
        (award("used", 1), award("t", 10)),
        (void("used", 1), void("t", 10)),
    ] {
        let mut story = Story::begin();
        story.tell(used);
        check_order(
            &mut story,
            &request,
            &[
                (unknown_account, "refused AccountNotFound"),
                (too_old, "refused RequestTooOld"),
                (used_id, "refused TransactionIdReused"),
                (others_session, "refused SessionOfAnotherAccount"),
                (other_currency, "refused CurrencyMismatch"),
                (too_precise, "refused AmountTooPrecise"),
                (Request::unknown_game, "refused GameNotFound"),
                (
                    |request| request.amount(StatedAmount::TooLarge),
                    "refused BalanceOverflow",
                ),
            ],
        );
    }
}

#[test]
fn of_a_rollback() {
    let mut story = Story::begin();
    story.tell(bet("b", 10));
    story.tell(rollback("used", "b", 10));
    story.tell(bet("b-2", 10));
    check_order(
        &mut story,
        &rollback("t", "b-2", 10),
        &[
            (unknown_account, "refused AccountNotFound"),
            (too_old, "refused RequestTooOld"),
            (used_id, "refused TransactionIdReused"),
            (others_session, "refused SessionOfAnotherAccount"),
            (other_currency, "refused CurrencyMismatch"),
            (too_precise, "refused AmountTooPrecise"),
            (Request::unknown_game, "refused GameNotFound"),
            (|request| request.round("s"), "refused RollbackMismatch"),
        ],
    );
}

#[test]
fn of_a_credit() {
    let bent = |bend: fn(&mut Credit)| {
        let mut credit = Credit {
            amount: StatedAmount::TooPrecise,
            currency: None,
            ..credit("c", 0)
        };
        bend(&mut credit);
        Command::from(credit)
    };
    check(&[
        (credit("used", 1).into(), "accepted 101+5"),
        (
            bent(|credit| {
                credit.account = account("x");
                credit.stated_at = UnixMillis(0);
            }),
            "refused AccountNotFound",
        ),
        (
            bent(|credit| {
                credit.stated_at = UnixMillis(0);
                credit.transaction = id("used");
            }),
            "refused RequestTooOld",
        ),
        (
            bent(|credit| credit.transaction = id("used")),
            "refused TransactionIdReused",
        ),
        (bent(|_| {}), "refused CurrencyMismatch"),
        (
            bent(|credit| credit.currency = Some(currency("GBP"))),
            "refused AmountTooPrecise",
        ),
    ]);
}

#[test]
fn the_session_of_a_bet_must_be_the_account_s_and_live() {
    let with = |session| Command::from(bet("b", 10).session(session));
    let unknown = "refused SessionUnknown";
    check(&[
        (with(StatedSession::None), unknown),
        (with(StatedSession::Foreign { live: true }), unknown),
        (with(StatedSession::Foreign { live: false }), unknown),
        (with(StatedSession::Own(key(9))), unknown),
        (with(StatedSession::Own(key(2))), unknown),
        (log_out(2), "accepted live=false"),
        (with(StatedSession::Own(key(2))), unknown),
        (log_out(1), "accepted live=false"),
        (with(StatedSession::Own(key(1))), "refused SessionLoggedOut"),
    ]);
}

#[test]
fn a_session_that_ends_by_its_time_bets_until_then() {
    let mut story = Story::begin();
    let until = NOW.after(Duration::from_secs(60));
    story.tell(Command::OpenSession {
        account: account("p"),
        key: key(3),
        country: country(),
        logout_at: Some(until),
    });
    let with = |id| bet(id, 10).session(StatedSession::Own(key(3)));
    story.check(&[(with("b-1").into(), "accepted 90+5 took 10+0")]);
    story.now = until;
    story.check(&[
        (with("b-2").into(), "refused SessionLoggedOut"),
        // An older session may be used as long as it is live.
        (bet("b-2", 10).into(), "accepted 80+5 took 10+0"),
    ]);
}

#[test]
fn anything_but_a_bet_asks_only_whether_the_session_is_live_and_another_s() {
    let requests = |number: u8, session| {
        let id = |kind| format!("{kind}-{number}");
        [
            award(&id("a"), 1).session(session),
            void(&id("v"), 1).session(session),
            rollback(&id("k"), &id("b"), 1).session(session),
        ]
    };
    let mut story = Story::begin();
    story.tell(log_out(1));
    for (number, (session, allowed)) in (0..).zip([
        (StatedSession::None, true),
        (StatedSession::Foreign { live: false }, true),
        (StatedSession::Foreign { live: true }, false),
        (StatedSession::Own(key(9)), true),
        (StatedSession::Own(key(1)), true),
        (StatedSession::Own(key(2)), false),
    ]) {
        for request in requests(number, session) {
            let told = story.tell(request);
            let refused = told == "refused SessionOfAnotherAccount";
            assert_eq!(!refused, allowed, "{session:?}: {told}");
        }
    }
    story.tell(log_out(2));
    let over = award("a", 1).session(StatedSession::Own(key(2)));
    assert!(story.tell(over).starts_with("accepted"));
}
