//! Whether the process lives and whether it is ready, for load balancers and people.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use parking_lot::RwLock;
use serde::Serialize;

use super::server::App;

/// What the server says of itself. Whoever boots and drains it sets this.
#[derive(Debug)]
pub struct Readiness(RwLock<Phase>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    NotReady(String),
    Ready,
    Draining,
}

impl Readiness {
    /// Not ready yet, for a reason that people read.
    #[must_use]
    pub fn not_ready(reason: impl Into<String>) -> Self {
        Self(RwLock::new(Phase::NotReady(reason.into())))
    }

    /// All shards are there.
    pub fn set_ready(&self) {
        self.set(Phase::Ready);
    }

    /// Some shard is not there.
    pub fn set_not_ready(&self, reason: impl Into<String>) {
        self.set(Phase::NotReady(reason.into()));
    }

    /// The server is on its way out, and nothing brings it back.
    pub fn set_draining(&self) {
        self.set(Phase::Draining);
    }

    /// Whether requests are welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.0.read() == Phase::Ready
    }

    /// Whether the server is on its way out.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.read() == Phase::Draining
    }

    fn set(&self, phase: Phase) {
        let mut now = self.0.write();
        // A shard that reports late must not call a leaving server ready again.
        if *now != Phase::Draining {
            *now = phase;
        }
    }
}

/// The body of both endpoints.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HealthBody {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

type Answer = (StatusCode, Json<HealthBody>);

fn answer(status: StatusCode, word: &'static str, reason: Option<String>) -> Answer {
    let body = HealthBody {
        status: word,
        reason,
    };
    (status, Json(body))
}

fn draining() -> Answer {
    answer(
        StatusCode::SERVICE_UNAVAILABLE,
        "draining",
        Some("the server is stopping".to_owned()),
    )
}

/// `GET /healthz`: the process lives, and is not on its way out.
pub(super) async fn healthz(State(app): State<App>) -> Answer {
    if app.readiness.is_draining() {
        draining()
    } else {
        answer(StatusCode::OK, "ok", None)
    }
}

/// `GET /readyz`: all shards are there.
pub(super) async fn readyz(State(app): State<App>) -> Answer {
    let phase = app.readiness.0.read().clone();
    match phase {
        Phase::Ready => answer(StatusCode::OK, "ready", None),
        Phase::NotReady(reason) => {
            answer(StatusCode::SERVICE_UNAVAILABLE, "not_ready", Some(reason))
        }
        Phase::Draining => draining(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_is_final() {
        let readiness = Readiness::not_ready("shard 1 recovers");
        assert!(!readiness.is_ready());
        readiness.set_ready();
        assert!(readiness.is_ready());
        readiness.set_draining();
        readiness.set_ready();
        readiness.set_not_ready("late");
        assert!(readiness.is_draining());
    }
}
