//! The second pass of an import: every account is submitted, a bounded number at a time,
//! and the answer streams out.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_lite::future::poll_once;
use serde::Serialize;
use shards::Unavailable;
use shards::ledger::{Command, Outcome};
use shards::runtime::ControlReply;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::line::{self, ImportLine};
use super::lines::Lines;
use super::spool::SpoolReader;
use crate::admin::answer::Done;
use crate::admin::errors::AdminError;
use crate::admin::server::App;
use crate::admin::sessions;
use crate::admin::types::{ImportCounts, ImportedSession};
use crate::domain::Domains;

/// Accounts submitted and not answered: a quarter of the control plane's reply slots and
/// of a shard's mailbox, so that others find room, and enough for large batches.
const IN_FLIGHT_MAX: usize = 1_024;

/// How long to wait when a shard has no room: some bursts of its pump.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// How long a shard may have no room for one account before the import gives up.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);

/// The answer is sent in pieces of about this size.
const CHUNK_BYTES: usize = 32 << 10;

/// How long a client may leave a piece of the answer unread.
const CLIENT_PATIENCE: Duration = Duration::from_secs(30);

/// Why an import ended early.
enum Stop {
    /// The client went away, so there is nobody to tell.
    ClientGone,
    /// An account could not be imported; its line and why.
    Failed(u64, AdminError),
}

/// Submits all accounts of a checked file and tells the client what became of them.
pub(super) async fn run(
    app: App,
    domains: Arc<Domains>,
    file: SpoolReader,
    client: mpsc::Sender<Result<Bytes, Infallible>>,
) {
    let mut submission = Submission {
        app,
        domains,
        in_flight: VecDeque::with_capacity(IN_FLIGHT_MAX),
        counts: ImportCounts::default(),
        answer: Answer {
            chunk: Vec::new(),
            client,
        },
    };
    let told = match submission.submit_all(file).await {
        Ok(()) => submission.answer.end(&submission.counts).await,
        Err(Stop::Failed(line, error)) => {
            let message = format!(
                "{} at line {line}; repeat the import, it is idempotent",
                error.message
            );
            let error = AdminError {
                message: message.into(),
                ..error
            };
            submission.answer.end(&error.body()).await
        }
        Err(Stop::ClientGone) => Err(Stop::ClientGone),
    };
    let counts = submission.counts;
    if told.is_ok() {
        tracing::info!(?counts, "an import ended");
    } else {
        tracing::warn!(?counts, "an import ended because its client went away");
    }
}

struct Submission {
    app: App,
    /// By which the first pass judged.
    domains: Arc<Domains>,
    in_flight: VecDeque<InFlight>,
    counts: ImportCounts,
    answer: Answer,
}

/// An account that was submitted.
struct InFlight {
    line: u64,
    command: Command,
    wants_session: bool,
    reply: Reply,
}

enum Reply {
    Awaited(ControlReply),
    Known(Result<Outcome, Unavailable>),
}

impl Submission {
    async fn submit_all(&mut self, mut file: SpoolReader) -> Result<(), Stop> {
        let mut lines = Lines::default();
        loop {
            let block = match file.next_block().await {
                Ok(block) => block,
                Err(error) => {
                    tracing::error!(%error, "read back the temporary file of an import");
                    return Err(Stop::Failed(lines.next_number(), AdminError::internal()));
                }
            };
            let mut rest = block;
            while let Ok(Some((number, text))) = lines.next(&mut rest) {
                if let Some(line) = self.reread(number, text)? {
                    self.submit(number, line).await?;
                }
            }
            if block.is_empty() {
                break;
            }
        }
        if let Some((number, text)) = lines.last()
            && let Some(line) = self.reread(number, text)?
        {
            self.submit(number, line).await?;
        }
        while !self.in_flight.is_empty() {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    /// Reads a line that was fine in the first pass.
    fn reread(&self, number: u64, text: &[u8]) -> Result<Option<ImportLine>, Stop> {
        line::parse(text, &self.domains).map_err(|invalid| {
            tracing::error!(number, ?invalid, "the temporary file of an import changed");
            Stop::Failed(number, AdminError::internal())
        })
    }

    async fn submit(&mut self, number: u64, line: ImportLine) -> Result<(), Stop> {
        if self.in_flight.len() == IN_FLIGHT_MAX {
            self.settle_oldest().await?;
        }
        let wants_session = line.open_session;
        let session = wants_session
            .then(|| sessions::mint(&line.account))
            .transpose()
            .map_err(|error| Stop::Failed(number, error))?;
        let command = line.into_command(session);
        let started = Instant::now();
        // Not before this one is in the owner's mailbox does the next line follow, so the
        // first of two lines about an account is the one that counts.
        let reply = loop {
            match ask(&self.app, &command).await {
                Reply::Known(Err(Unavailable::Busy)) if started.elapsed() < BUSY_PATIENCE => {}
                reply => break reply,
            }
            if self.in_flight.is_empty() {
                tokio::time::sleep(BUSY_PAUSE).await;
            } else {
                self.settle_oldest().await?;
            }
        };
        self.in_flight.push_back(InFlight {
            line: number,
            command,
            wants_session,
            reply,
        });
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<(), Stop> {
        let Some(oldest) = self.in_flight.pop_front() else {
            unreachable!("callers have looked");
        };
        let failed = |error| Stop::Failed(oldest.line, error);
        let mut reply = oldest.reply;
        let started = Instant::now();
        let answer = loop {
            let answer = match reply {
                Reply::Awaited(reply) => reply.await,
                Reply::Known(answer) => answer,
            };
            match answer {
                Err(Unavailable::Busy) if started.elapsed() < BUSY_PATIENCE => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                    reply = ask(&self.app, &oldest.command).await;
                }
                answer => break answer,
            }
        };
        let done = Done::from_answer(answer).map_err(failed)?;
        self.counts.accounts += 1;
        if done.repeated {
            self.counts.existing += 1;
        } else {
            self.counts.created += 1;
        }
        if oldest.wants_session {
            let account = done.account().map_err(failed)?;
            let Some(key) = account.live_session else {
                tracing::error!(
                    account = account.account.as_str(),
                    "an import asked for a session and got none"
                );
                return Err(failed(AdminError::internal()));
            };
            self.counts.sessions += 1;
            let line = ImportedSession {
                operator_account_id: account.account.as_str(),
                session_key: key.to_string(),
            };
            self.answer.line(&line).await?;
        }
        Ok(())
    }
}

/// Submits a command and looks once: a mailbox that is full is known at once.
async fn ask(app: &App, command: &Command) -> Reply {
    let mut reply = app.control.ask(command.clone());
    match poll_once(&mut reply).await {
        Some(answer) => Reply::Known(answer),
        None => Reply::Awaited(reply),
    }
}

/// The lines of the answer on their way to the client.
struct Answer {
    chunk: Vec<u8>,
    client: mpsc::Sender<Result<Bytes, Infallible>>,
}

impl Answer {
    async fn line(&mut self, line: &impl Serialize) -> Result<(), Stop> {
        // Texts and numbers always serialize, and a vector takes whatever is written.
        let _ = serde_json::to_writer(&mut self.chunk, line);
        self.chunk.push(b'\n');
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn end(&mut self, line: &impl Serialize) -> Result<(), Stop> {
        self.line(line).await?;
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        self.client
            .send_timeout(Ok(chunk), CLIENT_PATIENCE)
            .await
            .map_err(|_| Stop::ClientGone)
    }
}
