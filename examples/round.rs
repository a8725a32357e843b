//! Plays one round against a purser wallet, with retries the right way.
//!
//! Needs nothing but the standard library. Against `purser serve --demo`:
//!
//! ```sh
//! cargo run --example round
//! ```
//!
//! What matters here is what happens when an answer does not come:
//!
//! * A request is sent again exactly as it was, with the same transaction id: the wallet
//!   books an id once and answers every copy with success.
//! * The pause doubles, and has chance in it, or all workers come back at once.
//! * A bet whose fate stays unknown is rolled back, which settles it: 0 means that it was
//!   booked and is reversed, -8 that it never was and never will be.
//! * Winnings, rollbacks and the end of a round are owed, and never given up: a real
//!   platform keeps them in its own storage and goes on sending them.
//!
//! JSON is written and read by hand, which is enough for members whose form is known; a
//! real client takes a library for it.

#![expect(clippy::print_stdout, reason = "what is played is told there")]

use std::env;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const STAKE: &str = "2.00";
const WINNINGS: &str = "5.00";

/// How long one answer may take; the wallet itself gives up after 30 s.
const TIMEOUT: Duration = Duration::from_secs(35);
/// A player waits for a bet, so it is tried for a few seconds only.
const BET_ATTEMPTS: u32 = 5;
/// What is owed is tried for minutes here; a real platform would never stop.
const OWED_ATTEMPTS: u32 = 12;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Why the round cannot go on.
enum Problem {
    /// No attempt brought an answer: it may have been booked, or not.
    Unknown(&'static str),
    /// The wallet said no, and will say it again until something is mended.
    Refused(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(path) => write!(f, "still owed, keep it and send it again: {path}"),
            Self::Refused(answer) => write!(f, "refused: {answer}"),
        }
    }
}

/// One kept-alive connection. A pool of these serves many players.
struct Wallet {
    host: String,
    authorization: String,
    stream: Option<TcpStream>,
}

impl Wallet {
    fn new(base_url: &str, username: &str, password: &str) -> Self {
        Self {
            host: base_url.trim_start_matches("http://").to_owned(),
            authorization: format!("Basic {}", base64(&format!("{username}:{password}"))),
            stream: None,
        }
    }

    /// Sends one request until it is answered, and gives the answer's body.
    fn call(
        &mut self,
        path: &'static str,
        members: &str,
        attempts: u32,
    ) -> Result<String, Problem> {
        // Made once: every copy has the same bytes, the same id and the same Timestamp.
        let now = since_1970().as_millis();
        let body = format!(
            r#"{{"PlatformKey":"demo","Sequence":"{}","Timestamp":{now},{members}}}"#,
            unique()
        );
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            self.authorization,
            body.len()
        );
        let mut pause = PAUSE_FIRST;
        for attempt in 0..attempts {
            if attempt > 0 {
                let chance = f64::from(since_1970().subsec_nanos() % 1_000) / 2_000.0;
                sleep(pause.mul_f64(0.5 + chance));
                pause = (pause * 2).min(PAUSE_MAX);
            }
            match self.try_once(&request) {
                Ok((200, body)) if code(&body) != Some(-1) => return Ok(body),
                Ok((200 | 408 | 503, _)) => {}
                // The request itself is wrong: sent again, it would be just as wrong.
                Ok((status, body)) => {
                    return Err(Problem::Refused(format!("{path}: HTTP {status}: {body}")));
                }
                // Whatever is still on its way on this connection must not be taken for
                // the answer to the next request.
                Err(_) => self.stream = None,
            }
            eprintln!("  no answer to {path} in attempt {}", attempt + 1);
        }
        Err(Problem::Unknown(path))
    }

    /// The HTTP status and the whole body.
    fn try_once(&mut self, request: &str) -> io::Result<(u16, String)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(&self.host)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                none.insert(stream)
            }
        };
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let head_end = loop {
            match answer.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => read_more(stream, &mut answer)?,
            }
        };
        let head = String::from_utf8_lossy(&answer[..head_end]).to_ascii_lowercase();
        let broken = || io::Error::other("no HTTP answer");
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|length| length.trim().parse::<usize>().ok())
            .ok_or_else(broken)?;
        while answer.len() < head_end + length {
            read_more(stream, &mut answer)?;
        }
        let body = String::from_utf8_lossy(&answer[head_end..]).into_owned();
        let closes = head.contains("connection: close");
        if closes {
            self.stream = None;
        }
        Ok((status.ok_or_else(broken)?, body))
    }
}

fn read_more(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = [0; 4_096];
    match stream.read(&mut bytes)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            answer.extend_from_slice(&bytes[..count]);
            Ok(())
        }
    }
}

fn play(wallet: &mut Wallet, account: &str) -> Result<(), Problem> {
    // The player opens the game: a token, and with it the session.
    let player = format!(r#""OperatorAccountID":"{account}","GameID":"roulette""#);
    let created = wallet.call("/v1.0/session/createtoken", &player, BET_ATTEMPTS)?;
    let token = text(expect_success(&created)?, "SessionToken")?;
    let redeem = format!(r#""SessionToken":"{token}","IPAddress":"203.0.113.7""#);
    let redeemed = wallet.call("/v1.0/session/redeemtoken", &redeem, BET_ATTEMPTS)?;
    let session = text(expect_success(&redeemed)?, "GatewaySessionToken")?;
    let currency = text(&redeemed, "CurrencyCode")?;

    // Ids come from us and are written down before anything is sent.
    let id = unique();
    let round = format!(
        r#"{player},"GameRoundID":"r-{id}","CurrencyCode":"{currency}","GatewaySessionToken":"{session}""#
    );

    let bet = format!(
        r#"{round},"GameRoundTransactionID":"b-{id}","Amount":"{STAKE}","StartRound":true,"EndRound":false"#
    );
    let answer = match wallet.call("/v1.0/gameround/placebet", &bet, BET_ATTEMPTS) {
        Ok(answer) => answer,
        Err(Problem::Unknown(_)) => {
            roll_back(wallet, &round, &id)?;
            println!("the fate of the bet was unknown: rolled back, the round is not played");
            return Ok(());
        }
        Err(refused) => return Err(refused),
    };
    let cash = text(expect_success(&answer)?, "CashFunds")?;
    println!("bet {STAKE}, cash now {cash}");

    let award = format!(
        r#"{round},"GameRoundTransactionID":"a-{id}","Amount":"{WINNINGS}","StartRound":false,"EndRound":false"#
    );
    let answer = wallet.call("/v1.0/gameround/awardwinnings", &award, OWED_ATTEMPTS)?;
    let cash = text(expect_success(&answer)?, "CashFunds")?;
    println!("won {WINNINGS}, cash now {cash}");

    // Repeating an end is success as well.
    let answer = wallet.call("/v1.0/gameround/end", &round, OWED_ATTEMPTS)?;
    expect_success(&answer)?;
    println!("the round is over");
    Ok(())
}

fn roll_back(wallet: &mut Wallet, round: &str, id: &str) -> Result<(), Problem> {
    let rollback = format!(
        r#"{round},"GameRoundTransactionID":"k-{id}","OriginalBetGameRoundTransactionID":"b-{id}","Amount":"{STAKE}","EndRound":true"#
    );
    let answer = wallet.call("/v1.0/gameround/rollbackbet", &rollback, OWED_ATTEMPTS)?;
    match code(&answer) {
        Some(-8) => Ok(()),
        _ => expect_success(&answer).map(|_| ()),
    }
}

fn expect_success(answer: &str) -> Result<&str, Problem> {
    match code(answer) {
        Some(0) => Ok(answer),
        _ => Err(Problem::Refused(answer.to_owned())),
    }
}

/// The `ErrorCode` of an answer, which is always its first member.
fn code(answer: &str) -> Option<i32> {
    let rest = answer.split_once("\"ErrorCode\":")?.1;
    let end = rest.find([',', '}'])?;
    rest[..end].trim().parse().ok()
}

/// A member that is a string without escapes.
fn text(answer: &str, name: &str) -> Result<String, Problem> {
    let found = answer.split_once(&format!("\"{name}\":\""));
    let value = found.and_then(|(_, rest)| rest.split_once('"'));
    value
        .map(|(value, _)| value.to_owned())
        .ok_or_else(|| Problem::Refused(format!("no {name} in {answer}")))
}

fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// An id that nobody has used: the time and our process.
fn unique() -> String {
    format!("{}-{}", since_1970().as_nanos(), std::process::id())
}

/// RFC 4648 section 4.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            let is_padding = place > three.len();
            encoded.push(if is_padding { '=' } else { char::from(letter) });
        }
    }
    encoded
}

fn main() -> ExitCode {
    let variable = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let mut wallet = Wallet::new(
        &variable("BASE_URL", "http://127.0.0.1:9816"),
        &variable("USERNAME", "demo"),
        &variable("PASSWORD", "demo"),
    );
    match play(&mut wallet, &variable("ACCOUNT", "demo/player-1")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
