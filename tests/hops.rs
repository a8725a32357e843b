//! Connections land on any shard, accounts live on one: whatever the connection,
//! the answer is about the account that was asked for (design.md section 4).

mod common;

use std::thread;

use common::{Admin, BALANCE, Members, Server, Setup, Wallet, now_millis, token_at};

const ACCOUNTS: usize = 60;
const CONNECTIONS: usize = 12;
const ROUNDS: usize = 3;

/// Every account has a balance of its own: 1.00, 2.00, …
fn account(number: usize) -> (String, String) {
    (format!("acme/player-{number}"), format!("{number}.00"))
}

fn start(shards: usize) -> (Server, Vec<String>) {
    let setup = Setup {
        shards,
        ..Setup::default()
    };
    let server = setup.start();
    let mut admin = Admin::of(&server);
    let keys = (1..=ACCOUNTS)
        .map(|number| {
            let (id, cash) = account(number);
            admin.account(&id, &cash);
            admin.session(&id)
        })
        .collect();
    (server, keys)
}

fn everybody_gets_their_own_answer(shards: usize) {
    let (server, keys) = start(shards);
    let ready = &server.greeting.join("\n");
    assert!(ready.contains(&format!("{shards} shards")), "{ready}");
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (server, keys) = (&server, &keys);
            scope.spawn(move || {
                let mut wallet = Wallet::of("acme", server);
                for step in 0..ROUNDS * ACCOUNTS {
                    // Each connection goes round in strides of its own.
                    let at = (step * (2 * connection + 1) + connection) % ACCOUNTS;
                    let (id, cash) = account(at + 1);
                    let balance = wallet.balance(&id);
                    assert_eq!(balance["Balance"]["CashFunds"], *cash, "{id}: {balance}");
                    if step % 5 == 0 {
                        assert_eq!(wallet.token(&id)[..36], keys[at], "{id}");
                        let redeemed = wallet.redeem_token(&token_at(&keys[at], now_millis()));
                        let owner = &redeemed["Result"]["OperatorAccountID"];
                        assert_eq!(*owner, *id, "{redeemed}");
                    }
                }
            });
        }
    });
    let mut admin = Admin::of(&server);
    assert!(admin.metric_sum("purser_hops_total") > 0.0);
}

#[test]
fn on_two_shards_everybody_gets_their_own_answer() {
    everybody_gets_their_own_answer(2);
}

#[test]
fn on_five_shards_everybody_gets_their_own_answer() {
    everybody_gets_their_own_answer(5);
}

#[test]
fn on_one_shard_nothing_hops() {
    let (server, _) = start(1);
    let mut wallet = Wallet::of("acme", &server);
    for number in 1..=ACCOUNTS {
        let (id, cash) = account(number);
        assert_eq!(wallet.balance(&id)["Balance"]["CashFunds"], *cash);
    }
    assert_eq!(Admin::of(&server).metric_sum("purser_hops_total"), 0.0);
}

#[test]
fn pipelined_answers_come_in_order_whoever_owns_the_accounts() {
    let (server, _) = start(5);
    thread::scope(|scope| {
        for connection in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let mut wallet = Wallet::of("acme", server);
                let order: Vec<usize> = (0..2 * ACCOUNTS)
                    .map(|step| (step * 7 + connection) % ACCOUNTS + 1)
                    .collect();
                let mut bytes = Vec::new();
                for &number in &order {
                    let body = Members::balance(&account(number).0).json();
                    bytes.extend(wallet.request(BALANCE).body(body).bytes());
                }
                wallet.client.send(&bytes);
                for number in order {
                    let answer = wallet.client.answer().json();
                    assert_eq!(
                        answer["Balance"]["CashFunds"],
                        account(number).1,
                        "{answer}"
                    );
                }
            });
        }
    });
}

#[test]
fn a_deposit_shows_at_once_on_every_connection() {
    let (server, _) = start(2);
    let mut admin = Admin::of(&server);
    // Enough connections that both shards hold some.
    let mut wallets: Vec<Wallet> = (0..8).map(|_| Wallet::of("acme", &server)).collect();
    for step in 1..=10 {
        let answer = admin.deposit("acme/player-1", &format!("d-{step}"), "1.00");
        assert_eq!(answer.json()["CashFunds"], format!("{}.00", 1 + step));
        for wallet in &mut wallets {
            let balance = wallet.balance("acme/player-1");
            let expected = format!("{}.00", 1 + step);
            assert_eq!(balance["Balance"]["CashFunds"], expected, "{balance}");
        }
    }
}
