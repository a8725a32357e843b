//! A sequence as a list that a person reads.

use shards::ledger::{Command, Outcome, RoundBooking, StatedAmount, StatedSession};
use shards::types::UnixMillis;

use super::sequence::Sequence;

/// One command a line, with the time since the one before.
pub(crate) fn of(sequence: &Sequence) -> String {
    let hours = sequence.settings.idempotency_window.as_secs() / 3_600;
    let mut before = sequence.steps.first().map_or(UnixMillis(0), |s| s.now);
    let mut words = format!("idempotency window {hours} h, from {} ms\n", before.0);
    for (number, step) in sequence.steps.iter().enumerate() {
        let passed = (step.now.0 - before.0) as f64 / 1_000.0;
        before = step.now;
        words += &format!(
            "{number:3} {passed:+12.3} s  {}\n",
            line(&step.command, step.now)
        );
    }
    words
}

/// Takes the padding out of long ids.
pub(crate) fn without_padding(words: &str) -> String {
    words
        .replace(&"x".repeat(40), "~")
        .replace(&format!("-{:036}", 0), "")
}

/// What kind of command was answered in which way: "bet refused SessionLimit".
pub(crate) fn answer(command: &Command, outcome: &Outcome) -> String {
    let kind = match command {
        Command::PlaceBet(bet) if bet.free_play => "free bet",
        Command::PlaceBet(_) => "bet",
        Command::AwardWinnings(_) => "award",
        Command::RollBackBet(_) => "rollback",
        Command::VoidBet(_) => "void",
        Command::EndRound(_) => "end",
        Command::Credit(_) => "credit",
        Command::AnswerAlert(_) => "alert",
        Command::Deposit { .. } => "deposit",
        Command::Withdraw { .. } => "withdrawal",
        Command::GrantBonus { .. } => "bonus",
        Command::SetLimits { .. } => "limits",
        Command::SetStatus { .. } => "status",
        Command::OpenAccount { .. } => "open",
        Command::ImportAccount { .. } => "import",
        Command::OpenSession { .. } => "session",
        Command::LogOutSession { .. } => "logout",
        Command::SpendToken { .. } => "token",
        Command::ReadBalance { .. }
        | Command::ReadAccount { .. }
        | Command::ReadSession { .. }
        | Command::ReadLatestSession { .. }
        | Command::ReadBooks { .. } => "read",
    };
    match outcome {
        Outcome::Accepted(_) => format!("{kind} accepted"),
        Outcome::Repeated(_) => format!("{kind} repeated"),
        Outcome::Refused(refusal) => format!("{kind} refused {:?}", refusal.reason),
    }
}

fn line(command: &Command, now: UnixMillis) -> String {
    match command {
        Command::PlaceBet(bet) => format!(
            "bet {} {:?}{}",
            round(&bet.round, now),
            bet.funds_order,
            if bet.free_play { ", free play" } else { "" },
        ),
        Command::AwardWinnings(award) => format!("award {}", round(&award.round, now)),
        Command::RollBackBet(rollback) => format!(
            "rollback of {} {}",
            rollback.bet.as_str(),
            round(&rollback.round, now)
        ),
        Command::VoidBet(void) => format!("void {}", round(&void.round, now)),
        Command::EndRound(end) => format!(
            "end {} {} {:?} {}",
            end.account,
            end.round.as_str(),
            end.currency,
            session(end.session),
        ),
        Command::Credit(credit) => format!(
            "credit {} {} {} {:?}, stated {:+} ms",
            credit.account,
            credit.transaction.as_str(),
            amount(credit.amount),
            credit.currency,
            credit.stated_at.0 - now.0,
        ),
        other => format!("{other:?}"),
    }
}

fn round(round: &RoundBooking, now: UnixMillis) -> String {
    let currency = match round.currency {
        Some(currency) => currency.to_string(),
        None => "no currency".to_owned(),
    };
    format!(
        "{} {} {} {currency} {}/{}{}, {}, stated {:+} ms{}",
        round.account,
        round.transaction.as_str(),
        amount(round.amount),
        round.round.as_str(),
        round.game.as_str(),
        if round.game_known { "" } else { " (unknown)" },
        session(round.session),
        round.stated_at.0 - now.0,
        if round.end_round { ", end," } else { "," },
    )
}

fn amount(amount: StatedAmount) -> String {
    match amount {
        StatedAmount::Exact(amount) => amount.minor().to_string(),
        other => format!("{other:?}"),
    }
}

fn session(session: StatedSession) -> String {
    match session {
        StatedSession::Own(key) => {
            let text = key.text();
            format!("session {}", String::from_utf8_lossy(&text[..8]))
        }
        other => format!("session {other:?}"),
    }
}
