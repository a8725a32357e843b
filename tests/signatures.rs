//! Requests that a domain's key has signed, over the wire.

mod common;

use common::{Admin, Answer, BALANCE, Members, Server, Setup, Wallet, refused};
use ring::hmac;

const OLD: &str = "old-key-of-the-domain-0123456789abcdef";
const NEW: &str = "new-key-of-the-domain-0123456789abcdef";

fn domains() -> String {
    format!(
        r#"
[[domain]]
name = "signed"
currency = "GBP"
credentials = [{{ user = "gw", password = "s3cret-of-signed" }}]
signature_keys = [{{ id = "old", key = "{OLD}" }}, {{ key = "{NEW}" }}]
"#
    )
}

fn serve() -> Server {
    let server = Setup {
        domains: domains(),
        log_level: "trace",
        ..Setup::default()
    }
    .start();
    let mut admin = Admin::of(&server);
    admin.account("signed/p1", "5.00");
    admin.account("acme/p1", "6.00");
    server
}

fn signature(key: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, body.as_bytes());
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

/// Posts a body with these lines of `X-Signature`.
fn post(wallet: &mut Wallet, body: &str, signatures: &[&str]) -> Answer {
    let request = signatures
        .iter()
        .fold(wallet.request(BALANCE), |request, signature| {
            request.field("X-Signature", signature)
        });
    wallet.client.call(&request.body(body))
}

#[test]
fn only_a_signed_body_is_answered_where_the_domain_asks_for_it() {
    let server = serve();
    let mut wallet = Wallet::of("signed", &server);
    let body = Members::balance("signed/p1").json();
    for key in [OLD, NEW, OLD] {
        let answer = post(&mut wallet, &body, &[&signature(key, &body)]).json();
        assert_eq!(answer["Balance"]["CashFunds"], "5.00", "{answer}");
    }
    let right = signature(NEW, &body);
    let other = signature(NEW, &Members::balance("signed/p2").json());
    let stranger = signature("key-of-somebody-else-0123456789abcdef", &body);
    let cases: &[&[&str]] = &[
        &[],
        &[""],
        &[&other],
        &[&stranger],
        &[&right[..70]],
        &[&right, &right],
        &[&right, &other],
    ];
    let mut sentences: Vec<String> = cases
        .iter()
        .map(|lines| {
            let answer = post(&mut wallet, &body, lines).json();
            refused(&answer, -6, &format!("{lines:?}"))
        })
        .collect();
    sentences.push(refused(
        &Wallet::with_credentials("gw", "wrong", server.wallet).balance("signed/p1"),
        -6,
        "a wrong password",
    ));
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "vague on purpose: {sentences:?}");
    for key in [OLD, NEW] {
        assert!(!server.output().contains(key), "a key in the log");
    }
}

#[test]
fn chunks_are_signed_as_the_body_that_they_carry() {
    let server = serve();
    let mut wallet = Wallet::of("signed", &server);
    let body = Members::balance("signed/p1").json();
    for size in [1, 7, 1_000] {
        let request = wallet
            .request(BALANCE)
            .field("X-Signature", &signature(OLD, &body))
            .chunked(body.as_bytes(), size);
        let answer = wallet.client.call(&request).json();
        assert_eq!(answer["ErrorCode"], 0, "chunks of {size}: {answer}");
    }
}

#[test]
fn other_domains_on_the_same_connection_need_none() {
    let server = serve();
    let mut wallet = Wallet::of("acme", &server);
    for signatures in [&[][..], &["nonsense"], &["a", "b"]] {
        let answer = post(&mut wallet, &Members::balance("acme/p1").json(), signatures).json();
        assert_eq!(answer["Balance"]["CashFunds"], "6.00", "{signatures:?}");
    }
    // What acme's request left behind signs nothing.
    let body = Members::balance("signed/p1").json();
    let _ = post(&mut wallet, &body, &[&signature(OLD, &body)]);
    let mut wallet = Wallet::of("signed", &server);
    refused(&post(&mut wallet, &body, &[]).json(), -6, "no signature");
}
