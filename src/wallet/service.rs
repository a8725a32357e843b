//! The wallet's [`Service`]: the walk of one request, in the order of protocol.md section 4.
//!
//! Framing, path and method are behind us. What is left: the body parses and
//! validates, the domain is known, the caller may call, and the owner of the account
//! says the rest. Nothing borrowed from a body or from the reader's buffers lives
//! across a wait: a request owns what it needs before its shard is asked.
//!
//! This file has what all requests have in common; `sessions`, `reads` and `bookings`
//! have the steps of each family of endpoints.

mod bookings;
mod reads;
mod sessions;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use shards::ledger::{Command, Facts, Outcome, SessionFacts};
use shards::types::{AccountId, UnixMillis};
use shards::{Submit, Unavailable};

use super::address::{any_holds, client_address};
use super::auth::{Session, knows_platform};
use super::echo::Echo;
use super::error_code::ErrorCode;
use super::failure::Failure;
use super::json::JsonReader;
use super::members::Members;
use super::metrics::WalletMetrics;
use super::mint::TokenMint;
use super::refusal::Times;
use super::request::{self, Common, Read};
use super::response;
use super::routes::{self, Endpoint, Route};
use crate::domain::Domain;
use crate::http::{Answer, Rejection, Request, RequestHead, Service, Status};
use crate::live::{Snapshot, View};
use crate::settings::Settings;
use crate::slow::{SlowLog, SlowRequest};
use crate::stages::StageTimes;

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
    /// What requests are judged by, for the words of a refusal.
    pub times: Times,
    /// Gives session tokens their times; one for all shards.
    pub mint: Arc<TokenMint>,
    /// Where this shard's slow requests go.
    pub slow: SlowLog,
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
    /// Where its time goes.
    times: &'r mut StageTimes,
    /// Its `Sequence`, for logs.
    sequence: Echo,
    /// Whose request it says to be, for logs, once that has the form of an account id.
    account: Echo,
    /// The id of its booking, for the answer.
    transaction: Echo,
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
    type Target = Route;

    fn check_head(&self, head: &RequestHead<'_>) -> Result<Route, Rejection> {
        routes::check_head(head)
    }

    /// A full shard is not a dead one: a load balancer must not take it away.
    fn is_always_admitted(&self, route: Route) -> bool {
        route == Route::Health
    }

    async fn call(
        &self,
        session: &mut Session,
        route: Route,
        request: Request<'_>,
        body: &mut Vec<u8>,
    ) -> Answer {
        match route {
            Route::Health => {
                let answer = self.health(body);
                request.times.end(Instant::now());
                answer
            }
            Route::Endpoint(endpoint) => {
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
                    times: request.times,
                    sequence: Echo::new(),
                    account: Echo::new(),
                    transaction: Echo::new(),
                };
                self.answer(endpoint, caller, request.body, body).await
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
        let walked = self.walk(endpoint, &mut caller, body, out).await;
        let (code, answer) = match walked {
            Ok(()) => (ErrorCode::Success, Answer::OK),
            Err(failure) => {
                response::write_failure(&failure, out);
                (failure.code(), self.answer_of(&failure))
            }
        };
        caller.times.end(Instant::now());
        let took = caller.times.worked();
        self.parts.metrics.record(endpoint, code, caller.times);
        if took > caller.settings.slow_request {
            self.keep_slow(endpoint, code, &caller);
        }
        tracing::debug!(
            op = endpoint.name(),
            sequence = caller.sequence.get(),
            code = code.number(),
            status = answer.status.0,
            took_us = took.as_micros(),
            "answered"
        );
        answer
    }

    #[cold]
    fn keep_slow(&self, endpoint: Endpoint, code: ErrorCode, caller: &Caller<'_>) {
        let text = |echo: &Echo| echo.get().map(Box::from);
        let slow = SlowRequest {
            at: (self.parts.clock)(),
            op: endpoint.name(),
            sequence: text(&caller.sequence),
            account: text(&caller.account),
            shard: self.parts.slow.shard(),
            error_code: code.number(),
            times: *caller.times,
        };
        self.parts.slow.keep(slow, self.parts.metrics.slow());
    }

    fn answer_of(&self, failure: &Failure) -> Answer {
        match failure {
            Failure::Refused { .. } => Answer::OK,
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
                self.create_token(caller, request, out).await
            }
            Endpoint::RedeemToken => {
                let request = self.read(caller, body)?;
                self.redeem_token(caller, request, out).await
            }
            Endpoint::Balance => {
                let request = self.read(caller, body)?;
                self.read_balance(caller, request, out).await
            }
            Endpoint::PlaceBet => {
                let request = self.read(caller, body)?;
                self.place_bet(caller, request, out).await
            }
            Endpoint::AwardWinnings => {
                let request = self.read(caller, body)?;
                self.award_winnings(caller, request, out).await
            }
            Endpoint::RollbackBet => {
                let request = self.read(caller, body)?;
                self.roll_back_bet(caller, request, out).await
            }
            Endpoint::VoidBet => {
                let request = self.read(caller, body)?;
                self.void_bet(caller, request, out).await
            }
            Endpoint::End => {
                let request = self.read(caller, body)?;
                self.end_round(caller, request, out).await
            }
            Endpoint::Credit => {
                let request = self.read(caller, body)?;
                self.credit(caller, request, out).await
            }
            Endpoint::Alert => {
                let request = self.read(caller, body)?;
                self.answer_alert(caller, request, out).await
            }
        }
    }

    /// Body to request.
    fn read<R: Read>(&self, caller: &mut Caller<'_>, body: &mut [u8]) -> Result<R, Failure> {
        let mut reader = self.reader.borrow_mut();
        let mut members = Members::default();
        reader.read(body, &mut members)?;
        if let Some(sequence) = request::sequence(&members) {
            caller.sequence.set(sequence);
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
        caller.account.set(account.as_str());
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

    async fn submit(
        &self,
        caller: &mut Caller<'_>,
        command: Command,
    ) -> Result<Outcome, Unavailable> {
        let answered = self.parts.ledger.submit(command).await;
        caller.times.follow(&answered.course);
        answered.result
    }

    async fn ask(&self, caller: &mut Caller<'_>, command: Command) -> Result<Facts, Failure> {
        match self.submit(caller, command).await? {
            Outcome::Accepted(facts) | Outcome::Repeated(facts) => Ok(facts),
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn ask_session(
        &self,
        caller: &mut Caller<'_>,
        command: Command,
    ) -> Result<SessionFacts, Failure> {
        match self.ask(caller, command).await? {
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
