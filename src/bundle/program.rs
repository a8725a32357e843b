//! What other programs know: the log that systemd keeps, and how the unit is.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::collected::Collected;

/// How long one of them may take: a journal on a slow disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks whether it has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The lines of the log: hours of a server that has something to say.
const LOG_LINES: &str = "5000";

/// What is asked of the unit. Its environment is not: a secret may stand there.
const PROPERTIES: &str = "Id,LoadState,UnitFileState,ActiveState,SubState,Result,StatusText,\
    NRestarts,MainPID,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp,\
    WatchdogUSec,WatchdogTimestamp,MemoryCurrent,MemoryPeak,MemorySwapMax,TasksCurrent,\
    CPUUsageNSec,LimitNOFILE,LimitMEMLOCK,OOMScoreAdjust,CPUAffinity,AllowedCPUs,FragmentPath,\
    DropInPaths";

/// Adds what they say.
pub(super) fn collect(unit: &str, collected: &mut Collected) {
    collected.add(
        "log.txt",
        format!("the end of the log of {unit}, as journalctl has it"),
        run(
            "journalctl",
            &[
                "--no-pager",
                "--output=short-iso-precise",
                "--lines",
                LOG_LINES,
                "--unit",
                unit,
            ],
        ),
    );
    collected.add(
        "unit.txt",
        format!("how systemd has {unit}"),
        run(
            "systemctl",
            &["show", "--no-pager", "--property", PROPERTIES, unit],
        ),
    );
}

/// What a program prints, or why there is nothing.
fn run(program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{program}: {error}");
    // Into files, so that it never waits for us to read.
    let mut stdout = tempfile::tempfile().map_err(failed)?;
    let mut stderr = tempfile::tempfile().map_err(failed)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().map_err(failed)?)
        .stderr(stderr.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{program} did not end within {PATIENCE:?}"));
        }
        thread::sleep(LOOK_INTERVAL);
    };
    let read = |file: &mut std::fs::File| {
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map(|_| bytes)
            .map_err(failed)
    };
    let said = read(&mut stdout)?;
    let complaints = String::from_utf8_lossy(&read(&mut stderr)?)
        .trim()
        .to_owned();
    if !status.success() {
        return Err(format!("{program} ended with {status}: {complaints}"));
    }
    if said.trim_ascii().is_empty() || said.starts_with(b"-- No entries --") {
        return Err(format!("{program} has nothing: {complaints}"));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_absent_fails_or_is_silent_is_said() {
        assert_eq!(run("echo", &["said"]), Ok(b"said\n".to_vec()));
        for (program, arguments, why) in [
            ("purser-no-such-program", &[] as &[&str], "No such file"),
            ("sh", &["-c", "echo why >&2; exit 3"], "exit status: 3: why"),
            ("true", &[], "has nothing"),
            ("echo", &["-- No entries --"], "has nothing"),
        ] {
            let refused = run(program, arguments).unwrap_err();
            assert!(
                refused.starts_with(program) && refused.contains(why),
                "{refused}"
            );
        }
    }
}
