//! The players of `--demo`: a thousand accounts with funds and a session each, and the
//! file that load tests read them from (operator.md section 3).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use shards::ledger::{Command, Facts, Outcome};
use shards::mesh::{MAILBOX_DEPTH, REPLY_SLOTS};
use shards::routing::mint_session_key;
use shards::runtime::{ControlHandle, ControlReply};
use shards::types::{AccountId, Amount, Balance, CountryCode, Currency};

/// How many players there are.
const PLAYERS: u32 = 1_000;

// They are all asked for at once.
const _: () = assert!(PLAYERS as usize <= MAILBOX_DEPTH && PLAYERS as usize <= REPLY_SLOTS);

/// What each player starts with, in major units.
const CASH: &str = "1000.00";

/// The file's name inside the data directory.
const FILE_NAME: &str = "demo-accounts.json";

/// One line of the file.
#[derive(Serialize)]
struct Player {
    #[serde(rename = "OperatorAccountID")]
    account: String,
    #[serde(rename = "SessionKey")]
    session_key: String,
}

/// Creates the players that are absent, gives each a live session, and writes the file.
/// The control handle's pump must be running.
///
/// # Errors
/// The file could not be written, or the shards could not be reached.
pub async fn create_players(control: &ControlHandle, data_dir: &Path) -> anyhow::Result<PathBuf> {
    let imports: Vec<ControlReply> = (1..=PLAYERS)
        .map(|number| Ok(control.ask(import(number)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut players = Vec::with_capacity(imports.len());
    for reply in imports {
        players.push(player_of(reply).await?);
    }
    let file = data_dir.join(FILE_NAME);
    write_file(&file, &players).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

fn import(number: u32) -> anyhow::Result<Command> {
    let account = AccountId::parse(&format!("demo/player-{number}")).context("an account id")?;
    let currency = Currency::parse("EUR").context("a currency")?;
    let session = mint_session_key(&account).context("the system's random source failed")?;
    Ok(Command::ImportAccount {
        account,
        currency,
        country: CountryCode::parse("DE").context("a country")?,
        balance: Balance {
            cash: Amount::parse(CASH, currency)?,
            bonus: Amount::ZERO,
        },
        session: Some(session),
    })
}

async fn player_of(reply: ControlReply) -> anyhow::Result<Player> {
    match reply.await.context("create the players of --demo")? {
        Outcome::Accepted(Facts::Account(facts)) | Outcome::Repeated(Facts::Account(facts)) => {
            let key = facts
                .live_session
                .context("a player of --demo without a session")?;
            Ok(Player {
                account: facts.account.to_string(),
                session_key: key.to_string(),
            })
        }
        other => bail!("create the players of --demo: {other:?}"),
    }
}

/// Readable by its owner only: session keys are credentials. Written beside and renamed,
/// so that a load test never reads half of it.
fn write_file(file: &Path, players: &[Player]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut temporary, players)?;
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    fs::File::open(folder)?.sync_all()
}

/// A request that works as printed.
#[must_use]
pub fn curl(wallet: SocketAddr) -> String {
    format!(
        "curl -sS -u demo:demo -H 'Content-Type: application/json' http://{wallet}/v1.0/balance \\\n  \
         -d '{{\"PlatformKey\":\"demo\",\"Sequence\":\"1\",\"Timestamp\":\"2026-01-01T00:00:00Z\",\
         \"OperatorAccountID\":\"demo/player-1\"}}'"
    )
}
