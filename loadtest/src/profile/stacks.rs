//! Stacks and how often each was seen: out of `perf script`, into folded lines and back.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Context;

/// Behind the name of a frame of the kernel, as other tools for folded stacks have it.
pub(crate) const KERNEL_MARK: &str = "_[k]";

/// A frame without a name.
const UNKNOWN: &str = "[unknown]";

/// Rust's own backtraces begin there: what is further out starts a thread and says nothing.
const BACKTRACE_BEGINS: &str = "__rust_begin_short_backtrace";

/// How often each stack was seen. A stack is a line: thread, outermost function, …, innermost
/// function, with semicolons between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stacks(BTreeMap<String, u64>);

impl Stacks {
    /// Reads what `perf script --fields comm,tid,ip,sym` writes: for each sample a line with
    /// its thread, a line for each frame from the innermost one, and an empty line.
    pub(crate) fn from_script(text: &str) -> Self {
        let mut stacks = Self::default();
        for sample in text.split("\n\n") {
            let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
            let Some(thread) = lines.next().and_then(thread) else {
                continue;
            };
            let mut frames: Vec<String> = lines.filter_map(frame).collect();
            // Of the thread's start only what Rust shows itself.
            if let Some(begin) = frames.iter().rposition(|f| f.contains(BACKTRACE_BEGINS)) {
                frames.truncate(begin + 1);
            }
            frames.push(thread);
            frames.reverse();
            // A row of unknown frames is as unknown as one.
            frames.dedup_by(|a, b| a == b && a.starts_with(UNKNOWN));
            *stacks.0.entry(frames.join(";")).or_default() += 1;
        }
        stacks
    }

    /// Reads folded lines.
    ///
    /// # Errors
    /// A line is none.
    pub(crate) fn from_folded(text: &str) -> anyhow::Result<Self> {
        let mut stacks = Self::default();
        for line in text.lines() {
            let parts = line.rsplit_once(' ');
            let parts = parts.and_then(|(stack, count)| Some((stack, count.parse::<u64>().ok()?)));
            let (stack, count) = parts.with_context(|| format!("no folded stack: {line}"))?;
            *stacks.0.entry(stack.to_owned()).or_default() += count;
        }
        Ok(stacks)
    }

    /// A line a stack.
    pub(crate) fn folded(&self) -> String {
        let mut out = String::new();
        for (stack, count) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{stack} {count}");
        }
        out
    }

    /// How many samples there are.
    pub(crate) fn samples(&self) -> u64 {
        self.0.values().sum()
    }

    /// The frames of each stack from the outermost one, its thread, and how often it was seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (impl Iterator<Item = &str>, u64)> {
        self.0
            .iter()
            .map(|(stack, &count)| (stack.split(';'), count))
    }
}

/// `shard-0 26711`: the name may have spaces itself.
fn thread(line: &str) -> Option<String> {
    let (name, tid) = line.trim().rsplit_once(char::is_whitespace)?;
    tid.parse::<u32>().ok()?;
    Some(name.trim().replace(';', ":"))
}

/// `ffffffff8226dbf9 tcp_sendmsg`: an address and a name.
fn frame(line: &str) -> Option<String> {
    let (address, name) = line.trim().split_once(' ')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    // Where finding frames ended because the copy of the stack did.
    if address == u64::MAX {
        return None;
    }
    // The upper half of all addresses is the kernel's, on every system that we run on.
    let mark = if address >> 63 == 1 { KERNEL_MARK } else { "" };
    Some(format!("{}{mark}", tidy(name)))
}

/// Without the hash that the compiler appends, and without what folded lines are made of.
fn tidy(name: &str) -> String {
    let name = name.trim().replace(';', ":");
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|c| c.is_ascii_hexdigit());
    match name.rsplit_once("::h") {
        Some((before, hash)) if is_hash(hash) => before.to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `perf` wrote it, some frames taken out.
    const RECORDED: &str = "shard-0 26711 \n\
        \tffffffff8226dbf9 _raw_spin_unlock_irqrestore\n\
        \tffffffff81e8435e sock_def_readable\n\
        \t          10aba4 __send\n\
        \t          51c365 purser::http::wire::Output::poll_send\n\
        \t          449252 std::sys::backtrace::__rust_begin_short_backtrace\n\
        \t          8724cb <std::sys::thread::unix::Thread>::new::thread_start\n\
        \t          1098eb clone3\n\
        \n\
        shard-0 26711 \n\
        \t          51c365 purser::http::wire::Output::poll_send\n\
        \t          449252 std::sys::backtrace::__rust_begin_short_backtrace::h0123456789abcdef\n\
        \tffffffffffffffff [unknown]\n\
        \n\
        a b 3\n\
        \t 1 [unknown]\n\
        \t 2 [unknown]\n\
        \t 5 f;g<'{ x, y }>\n\
        \n";

    const FOLDED: &str = "a b;f:g<'{ x, y }>;[unknown] 1\n\
        shard-0;std::sys::backtrace::__rust_begin_short_backtrace;purser::http::wire::Output::poll_send 1\n\
        shard-0;std::sys::backtrace::__rust_begin_short_backtrace;purser::http::wire::Output::poll_send;\
        __send;sock_def_readable_[k];_raw_spin_unlock_irqrestore_[k] 1\n";

    #[test]
    fn a_recorded_sample_is_folded_from_its_thread_inwards() {
        let stacks = Stacks::from_script(RECORDED);
        assert_eq!(stacks.folded(), FOLDED);
        assert_eq!(stacks.samples(), 3);
        assert_eq!(Stacks::from_folded(FOLDED).unwrap(), stacks);
    }

    #[test]
    fn equal_stacks_are_counted() {
        let stacks = Stacks::from_script(&RECORDED.repeat(3));
        assert_eq!(stacks.samples(), 9);
        assert_eq!(stacks.iter().count(), 3);
    }

    #[test]
    fn what_is_no_sample_is_passed_over_and_what_is_no_folded_line_is_not() {
        assert_eq!(
            Stacks::from_script("# a comment\n\n\n\nx y\n"),
            Stacks::default()
        );
        for text in ["a;b", "a;b x", ""] {
            assert_eq!(Stacks::from_folded(text).is_ok(), text.is_empty(), "{text}");
        }
    }
}
