//! What answers rest on: nothing is told before everything that it reveals is durable.

use super::*;

#[test]
fn refusals_and_repeats_rest_on_the_account_s_last_posting() {
    let mut story = Story::begin();
    story.tell(rollback("tomb", "late", 1));
    story.tell(bet("b", 10));
    let last = story.lsn;
    story.tell(award("a", 1).of("q"));
    for command in [
        Command::from(bet("b", 10)),
        bet("b", 11).into(),
        bet("late", 1).into(),
        bet("c", 1_000).into(),
        award("c", 1).currency("EUR").into(),
        rollback("tomb", "late", 1).into(),
        rollback("k", "b", 1).into(),
        end("s").into(),
        balance("p"),
    ] {
        story.tell(command.clone());
        assert!(story.posted.is_none(), "{command:?}");
        assert_eq!(story.rests_on, last, "{command:?}");
    }
}

#[test]
fn what_reveals_another_s_session_rests_on_its_owner_too() {
    let mut story = Story::begin();
    story.tell(log_out(2));
    let ended = story.lsn;
    let theirs = StatedSession::Own(key(2));
    for command in [
        Command::from(bet("b", 1).session(theirs)),
        // That the session is not live is told by what refuses behind it.
        award("a", 1).session(theirs).unknown_game().into(),
        EndRound {
            session: theirs,
            ..end("s")
        }
        .into(),
    ] {
        assert!(story.tell(command.clone()).starts_with("refused"));
        assert_eq!(story.rests_on, ended, "{command:?}");
    }
    // The account's own session reveals nothing more.
    story.tell(award("a", 1).unknown_game());
    assert!(story.rests_on < ended);
}

#[test]
fn that_a_session_was_forgotten_rests_on_what_forgot_it() {
    let mut story = Story::begin();
    for number in 100..100 + u16::from(SESSIONS_PER_ACCOUNT_MAX) {
        story.tell(Command::OpenSession {
            account: account("q"),
            key: key(number),
            country: country(),
            logout_at: None,
        });
    }
    let forgotten = story.lsn;
    let told = story.tell(bet("b", 1).session(StatedSession::Own(key(2))));
    assert_eq!(told, "refused SessionUnknown");
    assert_eq!(story.rests_on, forgotten);
}

#[test]
fn that_an_id_or_a_round_was_forgotten_rests_on_what_forgot_it() {
    let mut story = Story::begin();
    story.tell(bet("b", 1));
    // Windows of nine hours, of which ten are kept.
    let mut forgotten = Vec::new();
    let mut number = 0;
    while forgotten.len() < 3 {
        number += 1;
        story.wait(PAUSE);
        let before = story.ledger.counts();
        let filler = award(&format!("f-{number}"), 0).of("q");
        story.tell(filler.stated(story.now));
        if story.ledger.counts().transactions <= before.transactions {
            forgotten.push(story.lsn);
        }
    }
    let hours = story.now.0.abs_diff(NOW.0) / HOUR.as_millis() as u64;
    assert!((108..110).contains(&hours), "after {hours} hours");
    story.tell(bet("b", 1_000).stated(story.now));
    assert_eq!(story.rests_on, forgotten[2], "there is no such id any more");
    assert_eq!(story.tell(end("r")), "refused RoundNotFound");
    assert_eq!(story.rests_on, forgotten[0], "the round went with its bet");
    story.tell(balance("p"));
    assert_eq!(
        story.rests_on, forgotten[0],
        "and so did the count of rounds"
    );
}
