//! Waiting: how long for an answer, for one's turn, and for a signal of the same thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glommio::timer::Timer;

/// How long an asker waits for an answer: longer than a disk stall that heals by
/// itself (reliability.md counts on 10 s), shorter than a platform's patience.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// Ends the executor's turn, so that it looks for I/O before it comes back here. Waking
/// oneself would not: a turn lasts while any task is runnable. For whatever could go on
/// for ever without waiting.
pub async fn let_io_run() {
    let mut wait = Duration::from_micros(1);
    let mut timer = Timer::new(wait);
    let mut has_waited = false;
    poll_fn(|cx| {
        if has_waited {
            return Poll::Ready(());
        }
        // A timer that is over when it is first asked is ready at once and ends no turn.
        while Pin::new(&mut timer).poll(cx).is_ready() {
            wait *= 2;
            timer = Timer::new(wait);
        }
        has_waited = true;
        Poll::Pending
    })
    .await;
}

/// Something happened, for one task of the same thread.
#[derive(Default)]
pub(super) struct Signal {
    raised: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Signal {
    pub(super) fn raise(&self) {
        if !self.raised.replace(true)
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// Ready once per raise, or burst of raises.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.raised.replace(false) {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Instant;

    use futures_lite::future::poll_once;
    use glommio::{LocalExecutor, LocalExecutorBuilder};

    use super::*;

    /// With a preempt timer that never fires, as in production.
    fn executor() -> LocalExecutor {
        LocalExecutorBuilder::default()
            .io_memory(64 << 10)
            .preempt_timer(Duration::from_secs(60))
            .make()
            .unwrap()
    }

    #[test]
    fn letting_io_run_always_waits() {
        executor().run(async {
            for time in 0..1_000 {
                assert!(poll_once(let_io_run()).await.is_none(), "time {time}");
            }
        });
    }

    #[test]
    fn letting_io_run_lets_timers_fire() {
        // It ends a hang, it does not judge speed.
        let patience = Duration::from_secs(20);
        executor().run(async {
            let fired = Rc::new(Cell::new(false));
            let timer = glommio::spawn_local({
                let fired = fired.clone();
                async move {
                    glommio::timer::sleep(Duration::from_millis(1)).await;
                    fired.set(true);
                }
            });
            let began = Instant::now();
            while !fired.get() {
                let_io_run().await;
                assert!(began.elapsed() < patience);
            }
            timer.await;
        });
    }
}
