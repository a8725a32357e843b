//! Waiting: how long for an answer, for one's turn, and for a signal of the same thread.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long an asker waits for an answer: longer than a disk stall that heals by
/// itself (reliability.md counts on 10 s), shorter than a platform's patience.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// Ends the executor's turn, so that it looks for I/O before it comes back here. Waking
/// oneself would not: a turn lasts while any task is runnable. For whatever could go on
/// for ever without waiting.
pub async fn let_io_run() {
    glommio::timer::sleep(Duration::from_nanos(1)).await;
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
