//! Which branches of the code an input reached, in builds that count them.
//!
//! `fuzz/guided.sh` has the compiler put a counter of eight bits on every edge between
//! basic blocks of the crates behind this one (LLVM's SanitizerCoverage, which stable
//! rustc can run).
//! Each object file hands over its counters when the program starts. In any other build
//! there are none, and no input reaches anything new.

/// What the inputs so far reached: of each counter, how high it was, in classes.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// A bit a class and a byte a counter, in the order of the counters.
    seen: Vec<u8>,
}

impl Coverage {
    /// Sets all counters to 0, so that [`Coverage::add`] sees one input alone.
    pub(crate) fn start(&mut self) {
        let mut at = 0;
        counters::each(|counters| {
            counters.fill(0);
            at += counters.len();
        });
        self.seen.resize(at, 0);
    }

    /// Adds what was counted since [`Coverage::start`]: whether anything of it is new.
    pub(crate) fn add(&mut self) -> bool {
        let mut is_new = false;
        let mut rest = self.seen.as_mut_slice();
        counters::each(|counters| {
            let (seen, behind) = std::mem::take(&mut rest).split_at_mut(counters.len());
            rest = behind;
            is_new |= add(seen, counters);
        });
        is_new
    }

    /// Edges that some input took.
    pub(crate) fn edges(&self) -> usize {
        self.seen.iter().filter(|&&classes| classes != 0).count()
    }
}

fn add(seen: &mut [u8], counters: &[u8]) -> bool {
    let mut is_new = false;
    for (seen, &count) in seen.iter_mut().zip(counters) {
        let class = class(count);
        is_new |= class & !*seen != 0;
        *seen |= class;
    }
    is_new
}

/// One more turn of a loop of a hundred is nothing new; the classes are AFL's.
fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 1 << 1,
        3 => 1 << 2,
        4..=7 => 1 << 3,
        8..=15 => 1 << 4,
        16..=31 => 1 << 5,
        32..=127 => 1 << 6,
        128.. => 1 << 7,
    }
}

#[cfg(purser_coverage)]
mod counters {
    #![allow(
        unsafe_code,
        reason = "the compiler hands its counters over by pointers"
    )]

    use std::sync::Mutex;

    /// First counter and number of counters of each object file.
    static REGIONS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

    /// Called once for each object file, before `main`, by what the compiler put there.
    #[unsafe(no_mangle)]
    extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
        let region = (start.expose_provenance(), stop.addr() - start.addr());
        let mut regions = REGIONS.lock().unwrap_or_else(|lock| lock.into_inner());
        // Every object file names the one section that the linker made of all of them.
        if region.1 > 0 && !regions.contains(&region) {
            regions.push(region);
        }
    }

    pub(super) fn each(mut with: impl FnMut(&mut [u8])) {
        let regions = REGIONS.lock().unwrap_or_else(|lock| lock.into_inner());
        for &(start, len) in &*regions {
            let start = std::ptr::with_exposed_provenance_mut(start);
            // SAFETY: the counters are there as long as the program, and only this thread
            // counts in them, in code of other crates: never while `with` runs.
            with(unsafe { std::slice::from_raw_parts_mut(start, len) });
        }
    }
}

#[cfg(not(purser_coverage))]
mod counters {
    pub(super) fn each(_: impl FnMut(&mut [u8])) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_new_once_in_its_class() {
        let mut seen = [0; 3];
        assert!(add(&mut seen, &[0, 1, 0]));
        assert!(!add(&mut seen, &[0, 1, 0]));
        assert!(add(&mut seen, &[0, 2, 0]));
        assert!(add(&mut seen, &[0, 4, 0]));
        assert!(!add(&mut seen, &[0, 7, 0]));
        assert!(add(&mut seen, &[0, 200, 1]));
        assert_eq!(seen, [0, 0b1000_1011, 1]);
    }

    #[test]
    fn every_count_but_none_has_one_class() {
        assert_eq!(class(0), 0);
        assert!((1..=255).all(|count| class(count).is_power_of_two()));
        assert!((1..255).all(|count| class(count) <= class(count + 1)));
    }
}
