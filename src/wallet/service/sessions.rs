//! createtoken and redeemtoken (protocol.md section 6).

use std::time::Duration;

use shards::Submit;
use shards::ledger::Command;

use super::{Caller, WalletService};
use crate::domain::SESSION_TOKEN_TTL;
use crate::wallet::error_code::ErrorCode;
use crate::wallet::failure::Failure;
use crate::wallet::request::{CreateToken, RedeemToken};
use crate::wallet::response;

/// How far ahead of our clock a token may be: clocks of two machines differ, and a
/// token may be minted on another one (protocol.md section 6).
const TOKEN_AHEAD_MAX: Duration = Duration::from_secs(5);

/// How long a spent token is remembered beyond its life, so that a clock that is set
/// back a little forgets none that lives again. A redeem looks at the clock before the
/// ledger does, and waits in between: as late as this it may still be spent, later the
/// ledger refuses it.
const SPENT_TOKEN_MARGIN: Duration = Duration::from_secs(30);

impl<L: Submit> WalletService<L> {
    pub(super) async fn create_token(
        &self,
        caller: &mut Caller<'_>,
        request: CreateToken,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.admit(caller, &request.account, &request.common)?;
        let account = request.account;
        let session = self
            .ask_session(caller, Command::ReadLatestSession { account })
            .await?;
        let now = (self.parts.clock)();
        response::write_token(self.parts.mint.mint(session.key, now), out);
        Ok(())
    }

    /// The one request whose domain is known only after a lookup: the session says
    /// whose it is, and how long its tokens live.
    pub(super) async fn redeem_token(
        &self,
        caller: &mut Caller<'_>,
        request: RedeemToken,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let RedeemToken { common, token } = request;
        let now = (self.parts.clock)();
        if token.issued_at > now.after(TOKEN_AHEAD_MAX) {
            return Err(Failure::refused(
                ErrorCode::Refused,
                "SessionToken: its time is in the future",
            ));
        }
        let key = token.key;
        let mut session = self
            .ask_session(caller, Command::ReadSession { key })
            .await?;
        caller.account.set(session.account.as_str());
        let domain = caller.domain_of(&session.account);
        // The life comes before the domain; that of one that was removed is the usual one.
        let ttl = domain
            .as_ref()
            .map_or(SESSION_TOKEN_TTL, |domain| domain.session_token_ttl);
        let expires_at = token.issued_at.after(ttl);
        if now > expires_at {
            return Err(Failure::refused(
                ErrorCode::SessionNotFound,
                "SessionToken: older than its life, ask for a new one",
            ));
        }
        let domain = domain?;
        self.authorise(caller, domain, &common)?;
        if domain.single_use_tokens {
            let expires_at = expires_at.after(SPENT_TOKEN_MARGIN);
            session = self
                .ask_session(caller, Command::SpendToken { token, expires_at })
                .await?;
        }
        response::write_player(&session, out);
        Ok(())
    }
}
