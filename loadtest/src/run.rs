//! `loadtest run`: prepare, load, look again, report.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::accounts::{self, Account};
use crate::admin::Admin;
use crate::arrivals::Arrivals;
use crate::audit::{self, Books, Funds, TrialBalance};
use crate::cli::RunOptions;
use crate::cpus;
use crate::layout;
use crate::profile::{self, Profiler};
use crate::prometheus::Scrape;
use crate::random::Random;
use crate::summary::{self, Generator, Hops, RunFacts, ServerShare, Spread, Summary, ThreadShare};
use crate::tally::{Effects, Tally};
use crate::telemetry::{self, process};
use crate::template::{Common, Template};
use crate::wall_clock;
use crate::worker::{self, Done, Task};
use crate::world::{Target, World};

pub(crate) mod live;
mod verdict;
mod warnings;

/// Everything that was read before the load.
struct Before {
    funds: Funds,
    books: Result<Books, String>,
    metrics: Result<Scrape, String>,
    started_at: String,
}

/// Runs and reports.
///
/// # Errors
/// It could not run; what the server does wrong is in the [`Summary`].
pub(crate) fn run(options: &RunOptions) -> anyhow::Result<Summary> {
    raise_open_files();
    let accounts = accounts::read(&options.accounts)?;
    let thresholds = verdict::thresholds(options)?;
    let server_pid = options
        .server_pid
        .or_else(|| process::listener_on(&options.url));
    let profiled_pid = profiled_pid(options, server_pid)?;
    let mut admin = Admin::new(&options.admin_url, &options.admin_token);
    let before = look_before(options, &accounts, &mut admin)?;
    let world = Arc::new(world(options, accounts, &before)?);
    let mut recorder = telemetry::Recorder::open(
        options.report.as_deref().or(options.telemetry.as_deref()),
        Admin::new(&options.admin_url, &options.admin_token),
        server_pid,
    )?;
    if let Some(list) = &options.cpus {
        cpus::pin_this_thread(&list.0)?;
    }

    let server_cpu_before = server_pid.and_then(|pid| cpus::process_cpu_time(Some(pid)));
    let own_cpu_before = cpus::process_cpu_time(None);
    let began = Instant::now();
    let profiler = profiled_pid
        .map(|pid| Profiler::start(pid, options.warmup, options.duration))
        .transpose()?;
    let done = load(options, &world, &mut recorder)?;
    let all_seconds = began.elapsed().as_secs_f64();

    let (mut tally, mut effects) = (Tally::default(), Effects::new(world.accounts.len()));
    for part in &done {
        tally.merge(&part.tally);
        effects.merge(&part.effects);
    }
    let elapsed = done
        .iter()
        .map(|part| part.elapsed)
        .max()
        .unwrap_or_default();
    let seconds = elapsed.as_secs_f64();
    let metrics = summary::metrics(&tally, seconds, u64::from(options.vus));
    let used = |before: Option<Duration>, after: Option<Duration>| {
        Some(after?.saturating_sub(before?).as_secs_f64())
    };
    let server = server_pid.and_then(|pid| {
        let cpu_s = used(server_cpu_before, cpus::process_cpu_time(Some(pid)))?;
        let requests = done
            .iter()
            .map(|part| part.requests_ever)
            .sum::<u64>()
            .max(1);
        Some(ServerShare {
            pid,
            cpus: cpu_s / all_seconds,
            us_per_request: cpu_s * 1e6 / requests as f64,
        })
    });
    let own_cpu_s = used(own_cpu_before, cpus::process_cpu_time(None)).unwrap_or(0.0);
    let generator = generator(&done, &tally, options, own_cpu_s / all_seconds);
    let hops = hops(
        &before.metrics,
        admin.metrics(),
        options.shard_aware.is_some(),
    );
    let audit = if options.no_audit {
        None
    } else {
        Some(look_after(options, &world, &before, &effects, &mut admin)?)
    };
    let mut summary = Summary {
        run: RunFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: before.started_at,
            scenario: options.scenario.name().to_owned(),
            pace: pace(options),
            url: format!("http://{}", options.url.authority),
            users: u64::from(options.vus),
            accounts: world.accounts.len() as u64,
            seed: options.seed,
            seconds,
        },
        thresholds: verdict::judge(&thresholds, &metrics)?,
        metrics,
        groups: summary::groups(&tally),
        generator,
        server,
        hops,
        audit,
        warnings: Vec::new(),
    };
    summary.warnings = warnings::of(&summary, options, &before.metrics, &done);
    if let Err(error) = write_profile(options, profiler) {
        // What the run found is worth more than its picture.
        summary.warnings.push(format!("no flame graph: {error:#}"));
    }
    write(options, &summary)?;
    Ok(summary)
}

/// The process to look into, where `--profile` asks for it and `perf` may.
fn profiled_pid(options: &RunOptions, server_pid: Option<u32>) -> anyhow::Result<Option<u32>> {
    if let Some(directory) = &options.report {
        profile::forget(directory)?;
    }
    if !options.profile {
        return Ok(None);
    }
    let pid = server_pid.context(
        "--profile looks into the server's process, which must be on this machine: \
         none was found by the port; --server-pid says which it is",
    )?;
    profile::check(pid)?;
    Ok(Some(pid))
}

/// Writes what the profiler saw to where the page is drawn from.
fn write_profile(options: &RunOptions, profiler: Option<Profiler>) -> anyhow::Result<()> {
    if let (Some(directory), Some(profiler)) = (&options.report, profiler) {
        let file = directory.join(profile::STACKS_FILE);
        std::fs::write(&file, profiler.finish()?.folded())
            .with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

/// Prints the report, and writes the files that were asked for.
fn write(options: &RunOptions, summary: &Summary) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(layout::report(summary).as_bytes())?;
    stdout.flush()?;
    let json = serde_json::to_vec_pretty(summary)?;
    if let Some(file) = &options.json {
        std::fs::write(file, &json).with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(directory) = options.report.as_ref().or(options.telemetry.as_ref()) {
        let file = directory.join(telemetry::SUMMARY_FILE);
        std::fs::write(&file, &json).with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(directory) = &options.report {
        for file in crate::page::draw(directory)? {
            writeln!(stdout, "     written: {}", file.display())?;
        }
    }
    Ok(())
}

/// Many users need many sockets; what the system refuses shows when they connect.
fn raise_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn pace(options: &RunOptions) -> String {
    match options.rate {
        None => "closed loop".to_owned(),
        Some(rate) => {
            format!("open loop, {rate} requests/s, {:?}", options.arrivals).to_lowercase()
        }
    }
}

fn common<'a>(options: &'a RunOptions, currency: &'a str) -> Common<'a> {
    Common {
        host: &options.url.authority,
        username: &options.username,
        password: &options.password,
        platform_key: &options.platform_key,
        game: &options.game,
        currency,
    }
}

fn balance_template(options: &RunOptions) -> Template {
    let templates = Template::all(&common(options, ""));
    templates[crate::kind::Kind::Balance.index()].clone()
}

fn look_before(
    options: &RunOptions,
    accounts: &[Account],
    admin: &mut Admin,
) -> anyhow::Result<Before> {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let started_at = wall_clock::iso8601(unix.as_millis() as u64);
    let template = balance_template(options);
    // One is enough to learn the currency, and whether the credentials are right.
    let asked = if options.no_audit {
        &accounts[..1]
    } else {
        accounts
    };
    let funds = Funds::read(&options.url, &template, asked).context("before the load")?;
    let books = admin.books(accounts[0].domain(), funds.fraction_digits);
    Ok(Before {
        books,
        metrics: admin.metrics(),
        started_at: String::from_utf8_lossy(&started_at).into_owned(),
        funds,
    })
}

fn look_after(
    options: &RunOptions,
    world: &World,
    before: &Before,
    effects: &Effects,
    admin: &mut Admin,
) -> anyhow::Result<audit::Audit> {
    let funds = Funds::read(&options.url, &balance_template(options), &world.accounts)
        .context("after the load")?;
    let domain = world.accounts[0].domain();
    let trial_balance = match (&before.books, admin.books(domain, world.fraction_digits)) {
        (Ok(before), Ok(after)) => TrialBalance::Read {
            before: before.clone(),
            after,
        },
        (Err(why), _) => TrialBalance::NotAsked(why.clone()),
        (_, Err(why)) => TrialBalance::NotAsked(why),
    };
    Ok(audit::compare(
        &world.accounts,
        &before.funds,
        &funds,
        effects,
        &trial_balance,
    ))
}

fn world(options: &RunOptions, accounts: Vec<Account>, before: &Before) -> anyhow::Result<World> {
    let address = options.url.address()?;
    let targets = match options.shard_aware {
        None => {
            let everybody = (0..accounts.len() as u32).collect();
            vec![Target::new(address, everybody, options.zipf)]
        }
        Some(base_port) => {
            let metrics = before.metrics.as_ref().map_err(|why| {
                anyhow::anyhow!("--shard-aware asks the server how many shards it has: {why}")
            })?;
            let shards = shards_of(metrics);
            let mut players = vec![Vec::new(); shards];
            for (at, account) in accounts.iter().enumerate() {
                players[account.owner(shards)].push(at as u32);
            }
            let mut targets = Vec::new();
            for (shard, players) in players.into_iter().enumerate() {
                if players.is_empty() {
                    bail!("--shard-aware: no account of the file belongs to shard {shard}");
                }
                let port = u16::try_from(usize::from(base_port) + shard)
                    .context("--shard-aware: ports end at 65535")?;
                let address = (address.ip(), port).into();
                targets.push(Target::new(address, players, options.zipf));
            }
            targets
        }
    };
    Ok(World {
        scenario: options.scenario,
        templates: Template::all(&common(options, &before.funds.currency)),
        accounts,
        targets,
        currency: before.funds.currency.clone(),
        fraction_digits: before.funds.fraction_digits,
        repeats: options.repeats,
        reorderings: options.reorderings,
        run_id: audit::fresh_run_id(),
    })
}

/// How many shards have counters.
fn shards_of(metrics: &Scrape) -> usize {
    metrics.by_label("purser_hops_total", "shard").len().max(1)
}

/// Starts the threads, shows what they do, and waits for them.
fn load(
    options: &RunOptions,
    world: &Arc<World>,
    recorder: &mut telemetry::Recorder,
) -> anyhow::Result<Vec<Done>> {
    let cpus = options.cpus.as_ref().map(|list| &list.0[..]);
    let users = options.vus as usize;
    let targets = world.targets.len();
    let asked = options
        .threads
        .map_or(cpus.map_or(1, <[usize]>::len), usize::from);
    let lanes = asked.min(users.div_ceil(targets)).max(1);
    // Time for all threads to be there.
    let start = Instant::now() + Duration::from_millis(20);
    let (seconds, collected) = mpsc::channel();
    let mut threads = Vec::new();
    for lane in 0..lanes {
        let task = Task {
            world: Arc::clone(world),
            lane,
            users: (0..users)
                .filter(|user| user / targets % lanes == lane)
                .map(|user| (user as u64 + 1, user % targets))
                .collect(),
            cpu: cpus.map(|cpus| cpus[lane % cpus.len()]),
            seed: options.seed,
            start,
            warmup: options.warmup,
            duration: options.duration,
            grace: options.grace,
            timeout: options.timeout,
            arrivals: options.rate.map(|rate| {
                let random = Random::new(options.seed, (lanes + lane + 1) as u64);
                Arrivals::new(options.arrivals, rate, (lane, lanes), start, random)
            }),
            seconds: seconds.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("load-{lane}"))
            .spawn(move || worker::run(task));
        threads.push(thread.context("start a thread")?);
    }
    drop(seconds);
    live::watch(options, start, &collected, recorder)?;
    threads
        .into_iter()
        .map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
        .collect()
}

fn generator(done: &[Done], tally: &Tally, options: &RunOptions, cpus: f64) -> Generator {
    let share = |part: &Done| part.cpu_time.as_secs_f64() / part.elapsed.as_secs_f64().max(1e-9);
    Generator {
        threads: done
            .iter()
            .map(|part| ThreadShare {
                cpu: part.cpu.map(|cpu| cpu as u64),
                share: share(part),
            })
            .collect(),
        cpus,
        late: options.rate.map(|_| Spread::from(&tally.late)),
        dropped: done.iter().map(|part| part.dropped).sum(),
        retries: tally.retries,
    }
}

/// The server's hop counters of the time between two scrapes.
fn hops(
    before: &Result<Scrape, String>,
    after: Result<Scrape, String>,
    shard_aware: bool,
) -> Option<Hops> {
    let (before, after) = (before.as_ref().ok()?, after.ok()?);
    // A server that was started meanwhile counts from zero.
    let started = "process_start_time_seconds";
    if before.sum(started) != after.sum(started) {
        return None;
    }
    let grown = |name| Some((after.sum(name)? - before.sum(name)?).max(0.0) as u64);
    Some(Hops {
        shards: shards_of(&after) as u64,
        crossed: grown("purser_hops_total")?,
        own: grown("purser_own_commands_total")?,
        shard_aware,
    })
}

#[cfg(test)]
mod tests;
