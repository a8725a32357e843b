//! How requests end: answered, lost, or given up; and what that means for their users.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use nix::sys::epoll::EpollFlags;

use crate::answer::Framing;
use crate::scan;
use crate::script::{Meaning, Next};

use super::Worker;
use super::user::{COMPLAINTS_MAX, Heard, Phase};

/// First and longest pause before a booking is sent again.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

impl Worker {
    /// Something happened on a user's connection.
    pub(super) fn hear(
        &mut self,
        id: usize,
        flags: EpollFlags,
        woke: Instant,
    ) -> anyhow::Result<()> {
        let heard = self.users[id].hear(flags, woke);
        self.act_on(id, heard)
    }

    pub(super) fn act_on(&mut self, id: usize, heard: Heard) -> anyhow::Result<()> {
        match heard {
            Heard::Nothing => {}
            Heard::Lost(why) => self.lost(id, &why),
            Heard::Answer(head) => self.answered(id, &head),
        }
        Ok(())
    }

    fn answered(&mut self, id: usize, head: &Framing) {
        let user = &mut self.users[id];
        let body = scan::body(user.wire.body(head));
        let kind = user.script.kind();
        let world = &self.task.world;
        let (checked, meaning) =
            user.script
                .judge(world, head.status, body.as_ref(), &mut self.effects);
        let is_right = checked.iter().flatten().all(|&passed| passed);
        let complaint = (!is_right).then(|| user.complaint(head));
        self.current.bytes_in += (head.head_bytes + head.body_bytes) as u64;
        self.current.bytes_out += user.wire.request_bytes() as u64;
        user.wire.answer_done(head);
        let now = Instant::now();
        let timings = user.timings(now, self.task.arrivals.is_some());
        self.current.request(kind, head.status >= 400, &timings);
        self.current.checked(kind, &checked);
        if let Some(complaint) = complaint {
            self.complain(complaint);
        }
        if meaning == Meaning::Unknown {
            self.again(id, now);
        } else {
            self.settled(id, is_right, now);
        }
    }

    /// A connection broke, or nothing came in time.
    fn lost(&mut self, id: usize, why: &str) {
        let user = &mut self.users[id];
        user.wire.drop_connection();
        let kind = user.script.kind();
        let world = &self.task.world;
        // Status 0 is what k6 has where there is no answer.
        let (checked, meaning) = user.script.judge(world, 0, None, &mut self.effects);
        let now = Instant::now();
        self.current.bytes_out += user.wire.request_bytes() as u64;
        let timings = user.timings(now, self.task.arrivals.is_some());
        self.current.request(kind, true, &timings);
        self.current.checked(kind, &checked);
        self.complain(format!("{}: {why}", kind.name()));
        if meaning == Meaning::Unknown {
            self.again(id, now);
        } else {
            // Without a pause a server that is gone would be asked a million times a second.
            self.users[id].phase = Phase::Pausing { settled: true };
            self.retries.push(Reverse((now + RETRY_PAUSES[0], id)));
        }
    }

    /// Keeps what went wrong for the report, unless it was said before.
    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX && !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }

    /// The booking must be sent again until its answer is known.
    fn again(&mut self, id: usize, now: Instant) {
        let user = &mut self.users[id];
        user.phase = Phase::Pausing { settled: false };
        let doublings = user.attempts.saturating_sub(1).min(8);
        let pause = (RETRY_PAUSES[0] * (1 << doublings)).min(RETRY_PAUSES[1]);
        self.retries.push(Reverse((now + pause, id)));
    }

    pub(super) fn settled(&mut self, id: usize, is_right: bool, now: Instant) {
        let user = &mut self.users[id];
        user.phase = Phase::Idle { since: now };
        if user
            .script
            .advance(&self.task.world, is_right, &mut self.random)
            == Next::Done
        {
            self.current.iterations.record(now - user.iteration_since);
        }
        if self.task.arrivals.is_some() {
            self.idle.push_back(id);
        } else {
            self.ready.push(id);
        }
    }

    /// Gives up requests that wait too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        for id in 0..self.users.len() {
            if self.users[id].is_overdue(now) {
                let why = format!("no answer within {:?}", self.task.timeout);
                self.lost(id, &why);
            }
        }
    }
}
