//! Clients: each has one command at a time and sends it until it has an answer.

use super::Canary;
use super::effect::Verdict;
use super::world::{Event, World};
use crate::Unavailable;
use crate::ledger::{Command, Facts, Outcome};
use crate::mesh::{ReplyResult, SlotTicket};
use crate::types::Amount;

/// How long a client waits before it sends again; some answers come later.
const PATIENCE_US: u64 = 30_000;

/// The longest way from a client to a listener, and between two shards.
pub(super) const NETWORK_US: u64 = 400;

#[derive(Default)]
pub(super) struct Client {
    /// What it wants an answer to.
    command: Option<Command>,
    turn: u64,
    tries: u64,
}

impl Client {
    pub(super) fn is_idle(&self) -> bool {
        self.command.is_none()
    }
}

/// A request that was sent and has no answer yet.
pub(super) struct Request {
    client: usize,
    turn: u64,
    pub(super) command: Command,
    asked_at: u64,
    /// Where its answer will arrive.
    pub(super) waits: Option<(usize, SlotTicket)>,
}

impl World {
    /// Sends what has no answer yet, or something new.
    pub(super) fn client_turn(&mut self, client: usize, turn: u64) -> Verdict {
        if self.clients[client].turn != turn {
            return Ok(());
        }
        let command = match &self.clients[client].command {
            Some(command) => {
                let command = command.clone();
                self.figures.retries += 1;
                if self.random.one_in(2) {
                    self.hang_up(client);
                }
                command
            }
            None if self.commands_left == 0 => return Ok(()),
            None => {
                self.commands_left -= 1;
                self.clients[client].tries = 0;
                let now = self.clock();
                self.traffic.next(&mut self.random, now)
            }
        };
        self.clients[client].command = Some(command.clone());
        let copies = 1 + u64::from(self.random.one_in(8));
        for _ in 0..copies {
            self.send(client, &command);
        }
        let waits_us = PATIENCE_US / 2 + self.random.below(PATIENCE_US);
        self.next_turn(client, waits_us);
        Ok(())
    }

    fn next_turn(&mut self, client: usize, in_us: u64) {
        self.clients[client].turn += 1;
        let turn = self.clients[client].turn;
        self.after(in_us, Event::Client { client, turn });
    }

    fn send(&mut self, client: usize, command: &Command) {
        let number = self.figures.requests;
        self.figures.requests += 1;
        self.clients[client].tries += 1;
        let request = Request {
            client,
            turn: self.clients[client].turn,
            command: command.clone(),
            asked_at: self.oracle.asked(command),
            waits: None,
        };
        self.requests.insert(number, request);
        let front = self.random.below(self.nodes.len() as u64) as usize;
        self.tell(|| format!("client {client} sends request {number}: {command:?}"));
        self.within(
            NETWORK_US,
            Event::Arrives {
                request: number,
                front,
            },
        );
    }

    /// The client closes its connections: answers to what it sent fall away.
    fn hang_up(&mut self, client: usize) {
        let of_client = |request: &Request| request.client == client;
        let numbers: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, request)| of_client(request))
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(request) = self.requests.remove(&number) else {
            return;
        };
        if let Some((front, ticket)) = request.waits
            && let Some(node) = &mut self.nodes[front]
        {
            node.abandon(ticket, number);
        }
    }

    /// An answer leaves the server for a client that may still be there.
    pub(super) fn finish(&mut self, number: u64, mut result: ReplyResult) -> Verdict {
        let Some(request) = self.requests.remove(&number) else {
            return Ok(());
        };
        // The connection may break on the way.
        if self.random.one_in(24) {
            return Ok(());
        }
        if self.is(Canary::AnswerAltered) && self.random.one_in(16) {
            alter(&mut result);
        }
        self.tell(|| format!("request {number} is answered: {result:?}"));
        let Request {
            client,
            turn,
            command,
            asked_at,
            ..
        } = request;
        self.oracle.answered(&command, asked_at, &result)?;
        let current = self.clients[client].command.as_ref() == Some(&command)
            && self.clients[client].turn >= turn;
        match result {
            Ok(outcome) => {
                self.figures.answers += 1;
                self.mark(shown(&outcome));
                if current {
                    self.clients[client].command = None;
                    let thinks_us = self.random.below(1_000);
                    self.next_turn(client, thinks_us);
                }
            }
            Err(why) => {
                match why {
                    Unavailable::DiskFull => self.figures.full_disk_refusals += 1,
                    Unavailable::Busy => self.figures.busy_refusals += 1,
                    Unavailable::Draining | Unavailable::NoAnswer | Unavailable::MemoryFull => {}
                }
                if current {
                    let waits_us = 500 + self.random.below(10_000);
                    self.next_turn(client, waits_us);
                }
            }
        }
        Ok(())
    }
}

/// The balance of an answer, for the digest of the run.
fn shown(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Accepted(Facts::Funds(funds)) | Outcome::Repeated(Facts::Funds(funds)) => {
            funds.balance.cash.minor() as u64
        }
        Outcome::Accepted(Facts::Booked(booked)) | Outcome::Repeated(Facts::Booked(booked)) => {
            booked.funds.balance.cash.minor() as u64
        }
        Outcome::Accepted(_) => 1,
        Outcome::Repeated(_) => 2,
        Outcome::Refused(_) => 3,
    }
}

/// Takes the smallest amount that a balance is made of out of an answer.
fn alter(result: &mut ReplyResult) {
    if let Ok(Outcome::Accepted(Facts::Funds(funds)) | Outcome::Repeated(Facts::Funds(funds))) =
        result
    {
        let minor = funds.balance.cash.minor();
        if let Some(altered) = Amount::from_minor(minor & (minor - 1)) {
            funds.balance.cash = altered;
        }
    }
}
