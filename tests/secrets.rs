//! What is logged at the most talkative level that operators use, and what never is
//! (protocol.md section 5: secrets appear in no log). Slow requests are told of too.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{
    ADMIN_TOKEN, Admin, BALANCE, Client, Members, REDEEM_TOKEN, Request, Setup, Wallet, basic,
    now_millis, text, token_at,
};
use nix::sys::signal::Signal;

#[test]
fn no_password_token_or_session_key_is_ever_logged() {
    for log_level in ["info", "debug", "trace"] {
        let server = Setup {
            log_level,
            ..Setup::default()
        }
        .start();
        server.edit_config(|text| format!("slow_request = \"1ns\"\n{text}"));
        assert_eq!(server.reload(), "done");
        let mut admin = Admin::of(&server);
        admin.account("acme/p1", "7319.42");
        let key = admin.session("acme/p1");
        let mut wallet = Wallet::of("acme", &server);
        let token = wallet.token("acme/p1");
        wallet.redeem_token(&token);
        wallet.balance("acme/p1");
        // What goes wrong is what is logged: wrong passwords, tokens, bodies and bytes.
        Wallet::with_credentials("gw", "wr0ng-passw0rd", server.wallet).balance("acme/p1");
        Wallet::of("acme", &server).balance("gulf/p1");
        wallet.redeem_token(&token_at(&key, now_millis() - 3_600_000));
        wallet.redeem_token(&format!("{key}-XYZ"));
        let bad = Members::redeem_token(&token).with("Sequence", "true");
        wallet.post(REDEEM_TOKEN, bad.json());
        let cut = Members::redeem_token(&token).json();
        wallet.post(REDEEM_TOKEN, &cut[..cut.len() - 1]);
        let broken = wallet.request(BALANCE).field("Bad Name", "x").body("{}");
        wallet.client.call(&broken);
        for path in [format!("/{token}"), format!("/nowhere?token={token}")] {
            Client::connect(server.wallet).call(&Request::new("GET", &path));
        }
        Admin::with_token(&server, "wr0ng-t0ken").get("/admin/v1/accounts/acme/p1");
        admin.get(&format!("/admin/v1/sessions/{key}"));
        admin.log_out(&key);
        let slow_requests = admin.get("/admin/v1/slow-requests").body;
        // A connection that was told to close is waited for until its client has read that.
        drop(wallet);
        server.signal(Signal::SIGTERM);
        let ended = server.ended();
        let said = ended.stdout + &ended.stderr + &String::from_utf8(slow_requests).unwrap();
        assert!(said.contains("a slow request") && said.contains("\"redeemtoken\""));
        let encoded = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
        for secret in [
            "s3cret-of-",
            "with:two:colons",
            &encoded("gw", "s3cret-of-acme"),
            "wr0ng-passw0rd",
            &encoded("gw", "wr0ng-passw0rd"),
            ADMIN_TOKEN,
            "wr0ng-t0ken",
            &key,
            &token,
            // Of players nothing but ids.
            "7319",
        ] {
            assert!(
                !said.contains(secret),
                "{secret} at {log_level} in:\n{said}"
            );
        }
    }
}

#[test]
fn errors_do_not_repeat_secrets_to_the_caller() {
    let server = Setup::default().start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "5.00");
    let key = admin.session("acme/p1");
    let token = token_at(&key, now_millis() - 3_600_000);
    let members = Members::redeem_token(&token).with("IPAddress", &text(&basic("gw", "x")));
    let said = Wallet::of("acme", &server).post(REDEEM_TOKEN, members.json());
    assert!(!said.to_string().contains(&key), "{said}");
}
