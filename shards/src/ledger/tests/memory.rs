//! Time: how old a request may be, and how long ids and rounds are remembered.

use super::*;

#[test]
fn requests_are_as_old_as_the_window_at_most_and_hardly_ahead() {
    let at = |ms: i64| UnixMillis(NOW.0 + ms);
    let window = WINDOW.as_millis() as i64;
    let skew = SKEW.as_millis() as i64;
    let too_old = Some("refused RequestTooOld");
    let in_future = Some("refused RequestInFuture");
    for (stated_at, refused) in [
        (at(0), None),
        (at(-window), None),
        (at(-window - 1), too_old),
        (UnixMillis(i64::MIN), too_old),
        (at(skew), None),
        (at(skew + 1), in_future),
        (UnixMillis(i64::MAX), in_future),
    ] {
        let requests = [
            Command::from(bet("t", 1).stated(stated_at)),
            award("t", 1).stated(stated_at).into(),
            rollback("t", "b", 1).stated(stated_at).into(),
            void("t", 1).stated(stated_at).into(),
            Credit {
                stated_at,
                ..credit("t", 1)
            }
            .into(),
        ];
        for command in requests {
            let mut story = Story::begin();
            story.tell(bet("b", 1));
            story.now = NOW;
            let told = story.tell(command.clone());
            match refused {
                Some(refused) => assert_eq!(told, refused, "{command:?}"),
                None => assert!(told.starts_with("accepted"), "{told}: {command:?}"),
            }
        }
    }
}

#[test]
fn a_repeat_that_is_too_old_is_not_looked_up() {
    let mut story = Story::begin();
    story.tell(bet("b", 1));
    story.wait(WINDOW);
    story.check(&[
        (bet("b", 1).into(), "refused RequestTooOld"),
        (
            bet("b", 1).stated(NOW.after(HOUR)).into(),
            "repeated 99+5 took 1+0",
        ),
    ]);
}

/// A request from the future is not too old before its id may be forgotten: nothing is
/// ever booked twice.
#[test]
fn no_id_is_forgotten_while_its_request_would_be_taken() {
    let skew_s = SKEW.as_secs() as i64;
    for offset_s in [-skew_s, 0, skew_s] {
        let mut story = Story::begin();
        let stated_at = UnixMillis(story.now.0 + offset_s * 1_000);
        let once = void("once", 1).stated(stated_at);
        assert_eq!(story.tell(once.clone()), "accepted 101+5");
        for hour in 1..200 {
            pass(&mut story, 1);
            let told = story.tell(once.clone());
            let is_taken = stated_at.after(WINDOW) >= UnixMillis(story.now.0 - 1);
            let expected = if is_taken {
                "repeated 101+5"
            } else {
                "refused RequestTooOld"
            };
            assert_eq!(told, expected, "after {hour} hours");
        }
    }
}

/// A clock that is set ahead by more than a window of the memory, several times within one
/// idempotency window, and set right again.
#[test]
fn a_clock_that_jumps_ahead_several_times_books_no_retry_twice() {
    let mut story = Story::begin();
    story.tell(void("once", 1));
    for _ in 0..8 {
        pass(&mut story, 1);
        story.wait(10 * HOUR);
        pass(&mut story, 1);
        story.now.0 -= 10 * HOUR.as_millis() as i64;
        // The platform retries with the time of its own clock, which is right.
        let retry = void("once", 1).stated(story.now);
        assert_eq!(story.tell(retry), "repeated 101+5");
    }
}

#[test]
fn a_tombstone_lasts_as_long_as_the_window_and_is_renewed_by_another_rollback() {
    let mut story = Story::begin();
    let early =
        |story: &Story, number: u32| rollback(&format!("k-{number}"), "b", 1).stated(story.now);
    story.tell(early(&story, 1));
    pass(&mut story, 60);
    story.tell(early(&story, 2));
    pass(&mut story, 72);
    let late = bet("b", 1).stated(story.now);
    assert_eq!(story.tell(late), "refused RolledBackBefore");
    pass(&mut story, 40);
    let late = bet("b", 1).stated(story.now);
    assert_eq!(story.tell(late), "accepted 99+5 took 1+0");
}

#[test]
fn rounds_are_remembered_from_their_last_booking_on_and_counts_follow() {
    let mut story = Story::begin();
    for number in 0..10 {
        let round = format!("r-{number}");
        story.tell(bet(&format!("b-{number}"), 1).round(&round));
    }
    assert_eq!(story.open_rounds(), 10);
    pass(&mut story, 60);
    // One of them is touched, and so lives on.
    let touch = award("a", 0).round("r-3").stated(story.now);
    story.tell(touch);
    pass(&mut story, 13);
    assert_eq!(story.open_rounds(), 10);
    pass(&mut story, 27);
    assert_eq!(story.open_rounds(), 1);
    story.check(&[
        (end("r-2").into(), "refused RoundNotFound"),
        (end("r-3").into(), "accepted 90+5"),
    ]);
    assert_eq!(story.open_rounds(), 0);
    pass(&mut story, 100);
    assert_eq!(story.ledger.counts().rounds, 1, "that of the other player");
}

/// Two with each posting, and what is not forgotten yet is known.
#[test]
fn many_old_rounds_are_forgotten_a_few_at_a_time() {
    let mut story = Story::begin();
    for number in 0..50 {
        let round = format!("r-{number}");
        story.tell(bet(&format!("b-{number}"), 1).round(&round));
    }
    pass(&mut story, 81);
    let mut open = story.open_rounds();
    assert_eq!(open, 50);
    while open > 0 {
        story.wait(PAUSE);
        story.tell(
            award(&format!("f-{}", story.now.0), 0)
                .of("q")
                .stated(story.now),
        );
        let now_open = story.open_rounds();
        assert!(open - now_open <= 2, "{open} to {now_open}");
        open = now_open;
    }
}

#[test]
fn winnings_of_a_forgotten_round_are_cash() {
    let mut story = Story::begin();
    let stake = bet("b", 5).order(FundsOrder::BonusFirst);
    story.check(&[(stake.into(), "accepted 100+0 took 0+5")]);
    pass(&mut story, 110);
    let late = award("a", 10).stated(story.now);
    story.check(&[(late.into(), "accepted 110+0")]);
}

/// A ledger that books little keeps what it booked in as many steps as windows have.
#[test]
fn what_is_remembered_is_bounded_however_rare_bookings_are() {
    let mut story = Story::begin();
    for number in 0..1_000 {
        let id = number.to_string();
        let request = bet(&id, 0).round(&id).stated(story.now);
        story.tell(request);
        story.wait(HOUR);
    }
    let counts = story.ledger.counts();
    // Ten windows of 64 steps.
    assert!(counts.transactions <= 640, "{counts:?}");
    assert!(counts.rounds <= 640, "{counts:?}");
    assert_eq!(story.open_rounds() as usize, counts.rounds);
}
