//! A doorbell: wakes one task that waits for its queues, once per sleep.
//!
//! The waiting task arms the bell and looks at its queues again before it sleeps;
//! a sender rings after it has put something in. The two fences make sure that one
//! of them sees the other: either the sender finds the bell armed, or the waiter
//! finds what was sent. Only the ring that turns "armed" off wakes, so a burst of
//! messages costs one wake.

#[cfg(not(purser_loom))]
use atomic_waker::AtomicWaker;
#[cfg(purser_loom)]
use loom::future::AtomicWaker;
#[cfg(purser_loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(purser_loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Waker;

/// Wakes the one task that drains a peer's queues.
#[derive(Debug)]
pub struct Doorbell {
    armed: AtomicBool,
    waker: AtomicWaker,
}

impl Default for Doorbell {
    fn default() -> Self {
        Self {
            armed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }
}

impl Doorbell {
    /// Call before going to sleep, then look at the queues once more.
    pub fn arm(&self, waker: &Waker) {
        #[cfg(not(purser_loom))]
        self.waker.register(waker);
        #[cfg(purser_loom)]
        self.waker.register_by_ref(waker);
        self.armed.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Call after something was put into a queue. Tells whether it woke the task.
    pub fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        // The load keeps a burst from bouncing the cache line with swaps.
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            self.waker.wake();
            return true;
        }
        false
    }
}

#[cfg(all(test, purser_loom))]
mod loom_tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;

    use super::*;

    /// A queue reduced to what matters here: how much was put in.
    ///
    /// One sender is explored in full. With two, schedules of more than three forced
    /// switches are left out, or the search takes hours.
    fn receive_all(senders: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = (senders > 1).then_some(3);
        model.check(move || {
            let bell = Arc::new(Doorbell::default());
            let sent = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..senders)
                .map(|_| {
                    let (bell, sent) = (bell.clone(), sent.clone());
                    loom::thread::spawn(move || {
                        sent.fetch_add(1, Ordering::Release);
                        bell.ring();
                    })
                })
                .collect();
            // Hangs, which loom reports, if a wake is ever lost.
            loom::future::block_on(poll_fn(|cx| {
                if sent.load(Ordering::Acquire) == senders {
                    return Poll::Ready(());
                }
                bell.arm(cx.waker());
                if sent.load(Ordering::Acquire) == senders {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn no_wake_is_lost_with_one_sender() {
        receive_all(1);
    }

    #[test]
    fn no_wake_is_lost_with_two_senders() {
        receive_all(2);
    }
}

#[cfg(all(test, not(purser_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    struct CountingWaker(AtomicUsize);

    impl Wake for CountingWaker {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_burst_of_rings_wakes_once_and_only_when_armed() {
        let count = Arc::new(CountingWaker(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let bell = Doorbell::default();
        assert!(!bell.ring());
        bell.arm(&waker);
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.arm(&waker);
        assert!(bell.ring());
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
