//! The last slow requests of the wallet, with the stages of each.
//!
//! Shards put them into a ring that hands each out only once, so what was read of it is kept
//! here for the next who asks.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use parking_lot::Mutex;
use serde::Serialize;

use super::server::App;
use super::types::rfc3339;
use crate::slow::{SLOW_REQUESTS_KEPT, SlowRequest, SlowRing, micros};
use crate::stages::Stage;

/// What was read of the ring so far.
#[derive(Debug)]
pub(super) struct SlowRequests {
    ring: Arc<SlowRing>,
    /// The newest is the last.
    kept: Mutex<VecDeque<SlowRequest>>,
}

impl SlowRequests {
    pub(super) fn new(ring: Arc<SlowRing>) -> Self {
        Self {
            ring,
            kept: Mutex::default(),
        }
    }

    /// All that are kept, newest first.
    fn newest_first(&self) -> Vec<SlowRequest> {
        let mut kept = self.kept.lock();
        kept.extend(self.ring.take());
        let too_many = kept.len().saturating_sub(SLOW_REQUESTS_KEPT);
        kept.drain(..too_many);
        kept.iter().rev().cloned().collect()
    }
}

/// `GET /admin/v1/slow-requests`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SlowRequestsBody {
    slow_requests: Vec<SlowRequestBody>,
}

/// A slow request.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SlowRequestBody {
    at: String,
    op: &'static str,
    sequence: Option<Box<str>>,
    #[serde(rename = "OperatorAccountID")]
    operator_account_id: Option<Box<str>>,
    shard: u16,
    owner_shard: Option<u16>,
    error_code: i16,
    hopped: bool,
    duration_micros: u64,
    stages: StagesBody,
}

/// How long each stage took, in microseconds.
#[derive(Serialize)]
struct StagesBody {
    read: u64,
    parse: u64,
    queue: u64,
    apply: u64,
    commit: u64,
    hop: u64,
    write: u64,
}

impl From<SlowRequest> for SlowRequestBody {
    fn from(request: SlowRequest) -> Self {
        let asked = request.times.asked();
        let stage = |stage| micros(request.times.of(stage));
        Self {
            at: rfc3339(request.at),
            op: request.op,
            shard: request.shard.0,
            owner_shard: asked.map(|asked| asked.owner.0),
            error_code: request.error_code,
            hopped: asked.is_some_and(|asked| asked.hopped),
            duration_micros: micros(request.duration()),
            stages: StagesBody {
                read: stage(Stage::Read),
                parse: stage(Stage::Parse),
                queue: stage(Stage::Queue),
                apply: stage(Stage::Apply),
                commit: stage(Stage::Commit),
                hop: stage(Stage::Hop),
                write: stage(Stage::Write),
            },
            sequence: request.sequence,
            operator_account_id: request.account,
        }
    }
}

/// `GET /admin/v1/slow-requests`: the last hundred of all shards, newest first.
pub(super) async fn list(State(app): State<App>) -> Json<SlowRequestsBody> {
    let newest_first = app.slow_requests.newest_first().into_iter();
    Json(SlowRequestsBody {
        slow_requests: newest_first.map(SlowRequestBody::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use shards::types::{ShardId, UnixMillis};

    use super::*;
    use crate::stages::StageTimes;

    fn request(at: i64) -> SlowRequest {
        let begun_at = Instant::now();
        let mut times = StageTimes::begin(begun_at, begun_at + Duration::from_micros(3));
        times.end(begun_at + Duration::from_millis(12));
        SlowRequest {
            at: UnixMillis(at),
            op: "placebet",
            sequence: Some("s-1".into()),
            account: None,
            shard: ShardId(1),
            error_code: -6,
            times,
        }
    }

    #[test]
    fn what_was_read_is_there_for_the_next_who_asks() {
        let ring = Arc::new(SlowRing::new(2));
        let slow = SlowRequests::new(Arc::clone(&ring));
        let read = || -> Vec<i64> { slow.newest_first().iter().map(|slow| slow.at.0).collect() };
        assert!(read().is_empty());
        ring.push(request(1));
        ring.push(request(2));
        assert_eq!(read(), [2, 1]);
        ring.push(request(3));
        assert_eq!(read(), [3, 2, 1]);
        for at in 4..=200 {
            ring.push(request(at));
            if at == 150 {
                read();
            }
        }
        assert_eq!(read(), (101..=200).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_request_is_shown_with_all_its_stages() {
        let shown = serde_json::to_value(SlowRequestBody::from(request(1_795_354_145_678)));
        let expected = serde_json::json!({
            "At": "2026-11-22T13:29:05.678Z",
            "Op": "placebet",
            "Sequence": "s-1",
            "OperatorAccountID": null,
            "Shard": 1,
            "OwnerShard": null,
            "ErrorCode": -6,
            "Hopped": false,
            "DurationMicros": 11_997,
            "Stages": {
                "read": 3, "parse": 11_997, "queue": 0, "apply": 0, "commit": 0, "hop": 0,
                "write": 0
            }
        });
        assert_eq!(shown.unwrap(), expected);
    }
}
