//! A value that can be replaced while threads use it: one writer, and a view for each
//! shard that costs one load to be up to date.
//!
//! A shard asks its [`View`] between requests. As long as nothing was replaced that is one
//! relaxed load of a counter that nobody writes; after a replacement the next look takes
//! the new value under a lock, once. A request keeps the [`Snapshot`] that it began with,
//! so it is judged by one value from its first check to its last.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

/// The value and who has taken it up.
pub struct Live<T> {
    /// Of the value. On a cache line of its own: all shards read it all the time.
    generation: CachePadded<AtomicU64>,
    value: Mutex<Arc<T>>,
    /// By view: the generation that it has.
    taken_up: Box<[AtomicU64]>,
}

impl<T> Live<T> {
    /// A value for that many views, each of which is to be made.
    #[must_use]
    pub fn new(value: T, views: usize) -> Arc<Self> {
        Arc::new(Self {
            generation: CachePadded::new(AtomicU64::new(1)),
            value: Mutex::new(Arc::new(value)),
            taken_up: (0..views).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The value as it is now, for threads that may wait for a lock.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.value.lock())
    }

    /// Puts another value in the place of the one that is there.
    pub fn replace(&self, value: T) {
        let mut place = self.value.lock();
        *place = Arc::new(value);
        // Under the lock, so that a view never takes a value for a newer one than it is.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether every view has the value as it is now.
    #[must_use]
    pub fn is_taken_up(&self) -> bool {
        let generation = self.generation.load(Ordering::Acquire);
        self.taken_up
            .iter()
            .all(|taken_up| taken_up.load(Ordering::Acquire) == generation)
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// One generation of the value.
#[derive(Debug)]
pub struct Snapshot<T> {
    generation: u64,
    value: Arc<T>,
}

impl<T> Snapshot<T> {
    /// Which one: grows with each replacement.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// One shard's look at the value; it stays on its thread.
pub struct View<T> {
    live: Arc<Live<T>>,
    index: usize,
    current: RefCell<Rc<Snapshot<T>>>,
    on_change: Box<dyn Fn(&T)>,
}

impl<T> View<T> {
    /// The view of that index, each of which is to be made once. `on_change` is called
    /// with the value of now, and with each one that the view takes up later.
    #[must_use]
    pub fn new(live: &Arc<Live<T>>, index: usize, on_change: impl Fn(&T) + 'static) -> Self {
        let view = Self {
            live: Arc::clone(live),
            index,
            current: RefCell::new(Rc::new(Snapshot {
                generation: 0,
                value: live.get(),
            })),
            on_change: Box::new(on_change),
        };
        view.take_up();
        view
    }

    /// A view of a value that nobody replaces.
    #[must_use]
    pub fn fixed(value: T) -> Self {
        Self::new(&Live::new(value, 1), 0, |_| {})
    }

    /// The value as it is now.
    #[must_use]
    pub fn get(&self) -> Rc<Snapshot<T>> {
        // Relaxed: the lock orders the value itself, and a look that comes a moment too
        // early sees the value of before the replacement, whole.
        let generation = self.live.generation.load(Ordering::Relaxed);
        if self.current.borrow().generation != generation {
            self.take_up();
        }
        Rc::clone(&self.current.borrow())
    }

    #[cold]
    fn take_up(&self) {
        let snapshot = {
            let value = self.live.value.lock();
            Snapshot {
                generation: self.live.generation.load(Ordering::Relaxed),
                value: Arc::clone(&value),
            }
        };
        let generation = snapshot.generation;
        (self.on_change)(&snapshot);
        self.current.replace(Rc::new(snapshot));
        self.live.taken_up[self.index].store(generation, Ordering::Release);
    }
}

impl<T> fmt::Debug for View<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_view_sees_a_replacement_at_its_next_look_and_a_snapshot_never() {
        let live = Live::new("old", 1);
        let view = View::new(&live, 0, |_| {});
        let before = view.get();
        live.replace("new");
        assert_eq!((**before, **view.get()), ("old", "new"));
        assert_eq!(*live.get(), "new");
        assert!(view.get().generation() > before.generation());
    }

    #[test]
    fn a_value_is_taken_up_when_every_view_has_looked() {
        let live = Live::new(0, 2);
        assert!(!live.is_taken_up(), "no view is there yet");
        let views = [0, 1].map(|index| View::new(&live, index, |_| {}));
        assert!(live.is_taken_up());
        live.replace(1);
        assert!(!live.is_taken_up());
        let _ = views[0].get();
        assert!(!live.is_taken_up());
        let _ = views[1].get();
        assert!(live.is_taken_up());
    }

    #[test]
    fn what_depends_on_the_value_is_told_of_each_change_once() {
        let live = Live::new(7, 1);
        let told = Rc::new(Cell::new((0, 0)));
        let its_told = Rc::clone(&told);
        let view = View::new(&live, 0, move |&value| {
            its_told.set((value, its_told.get().1 + 1));
        });
        assert_eq!(told.get(), (7, 1));
        live.replace(8);
        assert_eq!(told.get(), (7, 1), "before the view has looked");
        for _ in 0..3 {
            let _ = view.get();
        }
        assert_eq!(told.get(), (8, 2));
    }

    #[test]
    fn views_of_many_threads_end_with_the_last_value() {
        const LAST: u64 = 2_000;
        let live = Live::new(0, 4);
        std::thread::scope(|scope| {
            for index in 0..4 {
                let live = &live;
                scope.spawn(move || {
                    let view = View::new(live, index, |_| {});
                    let mut seen = 0;
                    while seen < LAST {
                        let now = **view.get();
                        assert!(now >= seen, "{now} after {seen}");
                        seen = now;
                    }
                });
            }
            for value in 1..=LAST {
                live.replace(value);
            }
        });
        assert!(live.is_taken_up());
    }
}
