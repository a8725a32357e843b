//! Slow requests: which are kept, and what is known of each.

use super::*;
use crate::slow::SlowRequest;

/// A world in which every request takes too long.
fn slow_world() -> World {
    let world = World::new();
    world.live.replace(Settings {
        domains: Arc::clone(&world.live.get().domains),
        slow_request: std::time::Duration::ZERO,
        ..Settings::default()
    });
    world
}

fn kept(world: &World) -> Vec<SlowRequest> {
    world.slow.take()
}

#[test]
fn a_slow_request_is_kept_with_its_ids_and_its_times() {
    let world = slow_world();
    let token = token_at(KEY, NOW);
    let long = "s".repeat(50);
    let cases = [
        (Call::balance(), "balance", 0, Some("acme/p1"), true),
        // The session says whose it is.
        (
            Call::redeem_token().with("SessionToken", json!(token)),
            "redeemtoken",
            0,
            Some("acme/p1"),
            true,
        ),
        (
            Call::balance().with("OperatorAccountID", json!("nowhere/p1")),
            "balance",
            -5,
            Some("nowhere/p1"),
            false,
        ),
        (
            Call::balance().with("Timestamp", json!("never")),
            "balance",
            -6,
            None,
            false,
        ),
    ];
    for (call, op, code, account, asked) in cases {
        world.send(&call.with("Sequence", json!(long)));
        let [slow] = kept(&world).try_into().unwrap();
        assert_eq!((slow.op, slow.error_code), (op, code));
        assert_eq!(slow.account.as_deref(), account, "{op} {code}");
        assert_eq!(slow.sequence.as_deref(), Some(long.as_str()));
        assert_eq!(slow.at, UnixMillis(NOW));
        assert_eq!(slow.times.asked().is_some(), asked, "{op} {code}");
        assert!(slow.duration() > std::time::Duration::ZERO);
    }
    assert_eq!(world.metrics.slow().get(), 4);
}

#[test]
fn a_text_that_is_no_id_is_not_kept() {
    let world = slow_world();
    world.send(&Call::balance().with("Sequence", json!("s".repeat(51))));
    world.send(&Call::balance().with("OperatorAccountID", json!("p".repeat(2_000))));
    for slow in kept(&world) {
        assert_eq!((slow.error_code, slow.account.as_deref()), (-6, None));
        assert!(slow.sequence.is_none_or(|sequence| sequence.len() <= 50));
    }
    assert_eq!(world.metrics.slow().get(), 2);
}

#[test]
fn a_quick_request_is_not_slow() {
    let world = World::new();
    world.send(&Call::balance());
    assert_eq!((kept(&world).len(), world.metrics.slow().get()), (0, 0));
}
