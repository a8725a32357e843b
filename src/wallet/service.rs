//! The wallet's [`Service`]: the walk of one request, in the order of protocol.md section 4.
//!
//! Framing, path and method are behind us. What is left: the body parses and
//! validates, the domain is known, the caller may call, and the owner of the account
//! says the rest. Nothing borrowed from a body or from the reader's buffers lives
//! across a wait: a request owns what it needs before its shard is asked.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use compact_str::CompactString;
use shards::Submit;
use shards::ledger::{Command, Facts, Outcome, SessionFacts};
use shards::types::{AccountId, SessionToken, UnixMillis};

use super::address::{any_holds, client_address};
use super::auth::{Session, knows_platform};
use super::error_code::ErrorCode;
use super::failure::Failure;
use super::json::JsonReader;
use super::metrics::WalletMetrics;
use super::request::{self, Common, CreateToken, Read, ReadBalance, RedeemToken};
use super::response;
use super::routes::{self, Endpoint, Route};
use crate::domain::Domain;
use crate::http::{Answer, Rejection, Request, RequestHead, Service, Status};
use crate::live::{Snapshot, View};
use crate::settings::Settings;

/// How far ahead of our clock a token may be: clocks of two machines differ, and a
/// token may be minted on another one (protocol.md section 6).
const TOKEN_AHEAD_MAX: Duration = Duration::from_secs(5);

/// How long a spent token is remembered beyond its life, so that a clock that is set
/// back a little forgets none that lives again. A redeem looks at the clock before the
/// ledger does, and waits in between: as late as this it may still be spent, later the
/// ledger refuses it.
const SPENT_TOKEN_MARGIN: Duration = Duration::from_secs(30);

/// Seconds after which a client may try again when we cannot take its request:
/// overload passes in milliseconds and a restart in seconds, and 1 is the least
/// that `Retry-After` can say.
const RETRY_AFTER_S: u32 = 1;

/// What a [`WalletService`] is made of.
pub struct Parts<L> {
    /// Takes commands to the shards.
    pub ledger: L,
    /// The brands that are served and the proxies that are trusted, as they are now.
    pub settings: Rc<View<Settings>>,
    /// The wall clock.
    pub clock: Box<dyn Fn() -> UnixMillis>,
    /// Where this shard counts.
    pub metrics: Arc<WalletMetrics>,
    /// Set once the server stops taking requests.
    pub draining: Arc<AtomicBool>,
}

/// Answers the wallet's requests on one shard.
pub struct WalletService<L> {
    parts: Parts<L>,
    reader: RefCell<JsonReader>,
}

/// Who sent the request at hand, as far as we can tell.
struct Caller<'r> {
    /// By which all of the request is judged, whatever changes meanwhile.
    settings: &'r Snapshot<Settings>,
    session: &'r mut Session,
    authorization: Option<&'r [u8]>,
    forwarded_for: &'r [&'r [u8]],
    peer: IpAddr,
    /// The request's `Sequence`, kept only while a log wants it: it seldom fits
    /// into a value without an allocation.
    sequence: Option<CompactString>,
}

impl<'r> Caller<'r> {
    fn domain_of(&self, account: &AccountId) -> Result<&'r Domain, Failure> {
        let domain = self.settings.domains.get(account.domain());
        domain.ok_or(Failure::refused(
            ErrorCode::AccountNotFound,
            "OperatorAccountID: unknown domain",
        ))
    }
}

impl<L: Submit> Service for WalletService<L> {
    type Session = Session;

    fn check_head(&self, head: &RequestHead<'_>) -> Result<(), Rejection> {
        routes::check_head(head).map(|_| ())
    }

    /// A full shard is not a dead one: a load balancer must not take it away.
    fn is_always_admitted(&self, head: &RequestHead<'_>) -> bool {
        Route::of_path(head.path) == Some(Route::Health)
    }

    async fn call(
        &self,
        session: &mut Session,
        request: Request<'_>,
        body: &mut Vec<u8>,
    ) -> Answer {
        match Route::of_path(request.head.path) {
            Some(Route::Health) => self.health(body),
            Some(Route::Endpoint(endpoint)) => {
                let settings = self.parts.settings.get();
                if settings.domains.any_signed() {
                    session.signed.keep(request.signature, request.body);
                }
                let caller = Caller {
                    settings: &settings,
                    session,
                    authorization: request.authorization,
                    forwarded_for: request.forwarded_for,
                    peer: request.peer,
                    sequence: None,
                };
                self.answer(endpoint, caller, request.body, body).await
            }
            None => {
                let rejection = routes::unknown_path();
                self.write_rejection(&rejection, body);
                Answer {
                    status: rejection.status,
                    retry_after: None,
                }
            }
        }
    }

    fn write_rejection(&self, rejection: &Rejection, body: &mut Vec<u8>) {
        response::write_rejection(rejection, body);
    }
}

impl<L: Submit> WalletService<L> {
    /// A service for one shard; its buffers are its own.
    #[must_use]
    pub fn new(parts: Parts<L>) -> Self {
        Self {
            parts,
            reader: RefCell::default(),
        }
    }

    fn health(&self, out: &mut Vec<u8>) -> Answer {
        let draining = self.parts.draining.load(Ordering::Relaxed);
        response::write_health(draining, out);
        if draining { UNAVAILABLE } else { Answer::OK }
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        mut caller: Caller<'_>,
        body: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        let started_at = Instant::now();
        let walked = self.walk(endpoint, &mut caller, body, out).await;
        let (code, answer) = match walked {
            Ok(()) => (ErrorCode::Success, Answer::OK),
            Err(failure) => {
                response::write_error(failure.code(), failure.description(), out);
                (failure.code(), self.answer_of(&failure))
            }
        };
        let took = started_at.elapsed();
        self.parts.metrics.record(endpoint, code, took);
        tracing::debug!(
            endpoint = endpoint.name(),
            sequence = caller.sequence.as_deref(),
            code = code.number(),
            status = answer.status.0,
            took_us = took.as_micros(),
            "answered"
        );
        answer
    }

    fn answer_of(&self, failure: &Failure) -> Answer {
        match failure {
            Failure::Refused(..) => Answer::OK,
            Failure::Unavailable(reason) => {
                self.parts.metrics.record_unavailable(*reason);
                UNAVAILABLE
            }
        }
    }

    /// Writes the answer of a success, and nothing on a failure.
    async fn walk(
        &self,
        endpoint: Endpoint,
        caller: &mut Caller<'_>,
        body: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match endpoint {
            Endpoint::CreateToken => {
                let request = self.read(caller, body)?;
                let token = self.create_token(caller, request).await?;
                response::write_token(token, out);
            }
            Endpoint::RedeemToken => {
                let request = self.read(caller, body)?;
                let session = self.redeem_token(caller, request).await?;
                response::write_player(&session, out);
            }
            Endpoint::Balance => {
                let request = self.read(caller, body)?;
                self.read_balance(caller, request, out).await?;
            }
        }
        Ok(())
    }

    async fn create_token(
        &self,
        caller: &mut Caller<'_>,
        request: CreateToken,
    ) -> Result<SessionToken, Failure> {
        self.admit(caller, &request.account, &request.common)?;
        let account = request.account;
        let session = self
            .ask_session(Command::ReadLatestSession { account })
            .await?;
        Ok(SessionToken {
            key: session.key,
            issued_at: (self.parts.clock)(),
        })
    }

    /// The one request whose domain is known only after a lookup: the session says
    /// whose it is, and how long its tokens live.
    async fn redeem_token(
        &self,
        caller: &mut Caller<'_>,
        request: RedeemToken,
    ) -> Result<SessionFacts, Failure> {
        let RedeemToken { common, token } = request;
        let now = (self.parts.clock)();
        if token.issued_at > now.after(TOKEN_AHEAD_MAX) {
            return Err(Failure::refused(
                ErrorCode::Refused,
                "SessionToken: its time is in the future",
            ));
        }
        let key = token.key;
        let session = self.ask_session(Command::ReadSession { key }).await?;
        let domain = caller.domain_of(&session.account)?;
        let expires_at = token.issued_at.after(domain.session_token_ttl);
        if now > expires_at {
            return Err(Failure::refused(
                ErrorCode::SessionNotFound,
                "SessionToken: older than its life, ask for a new one",
            ));
        }
        self.authorise(caller, domain, &common)?;
        if !domain.single_use_tokens {
            return Ok(session);
        }
        let expires_at = expires_at.after(SPENT_TOKEN_MARGIN);
        self.ask_session(Command::SpendToken { token, expires_at })
            .await
    }

    async fn read_balance(
        &self,
        caller: &mut Caller<'_>,
        request: ReadBalance,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let domain = self.admit(caller, &request.account, &request.common)?;
        let account = request.account;
        match self.ask(Command::ReadBalance { account }).await? {
            Facts::Funds(funds) => {
                response::write_balance(&funds, domain.funds_priority, out);
                Ok(())
            }
            facts => Err(Failure::unexpected(&facts)),
        }
    }

    /// Body to request.
    fn read<R: Read>(&self, caller: &mut Caller<'_>, body: &mut [u8]) -> Result<R, Failure> {
        let mut reader = self.reader.borrow_mut();
        let members = reader.read(body)?;
        if tracing::enabled!(tracing::Level::DEBUG) {
            caller.sequence = request::sequence(&members).map(CompactString::new);
        }
        Ok(R::read(&members)?)
    }

    /// Domain known, then caller authorised: for requests that name their account.
    fn admit<'r>(
        &self,
        caller: &mut Caller<'r>,
        account: &AccountId,
        common: &Common,
    ) -> Result<&'r Domain, Failure> {
        let domain = caller.domain_of(account)?;
        self.authorise(caller, domain, common)?;
        Ok(domain)
    }

    /// Client address, then credentials and signature, then platform key.
    fn authorise(
        &self,
        caller: &mut Caller<'_>,
        domain: &Domain,
        common: &Common,
    ) -> Result<(), Failure> {
        let Caller {
            settings,
            session,
            authorization,
            forwarded_for,
            peer,
            ..
        } = caller;
        let address = client_address(*peer, forwarded_for, &settings.trusted_proxies)
            .map_err(|_| Failure::not_authorised())?;
        let allowed = domain.allow.is_empty() || any_holds(&domain.allow, address);
        if allowed
            && session.admits(*authorization, domain, settings.generation())
            && session.signed.fits(&domain.signature_keys)
            && knows_platform(domain, &common.platform_key)
        {
            Ok(())
        } else {
            Err(Failure::not_authorised())
        }
    }

    async fn ask(&self, command: Command) -> Result<Facts, Failure> {
        match self.parts.ledger.submit(command).await? {
            Outcome::Accepted(facts) | Outcome::Repeated(facts) => Ok(facts),
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn ask_session(&self, command: Command) -> Result<SessionFacts, Failure> {
        match self.ask(command).await? {
            Facts::Session(session) => Ok(session),
            facts => Err(Failure::unexpected(&facts)),
        }
    }
}

const UNAVAILABLE: Answer = Answer {
    status: Status(503),
    retry_after: Some(RETRY_AFTER_S),
};

#[cfg(test)]
mod tests;
