//! The operator's side of a test: accounts, deposits and sessions over the admin API.

use serde_json::{Value, json};

use super::{ADMIN_TOKEN, Answer, Api, Client, Request, Server, assert_agrees};

/// One connection of the operator's back office.
pub struct Admin {
    client: Client,
    authorization: String,
}

impl Admin {
    pub fn of(server: &Server) -> Self {
        Self::with_token(server, ADMIN_TOKEN)
    }

    pub fn with_token(server: &Server, token: &str) -> Self {
        Self {
            client: Client::connect(server.admin),
            authorization: format!("Bearer {token}"),
        }
    }

    /// Calls an endpoint; a body is JSON text.
    pub fn call(&mut self, method: &str, target: &str, body: Option<&str>) -> Answer {
        let mut request = self.request(method, target);
        if let Some(body) = body {
            request = request.field("Content-Type", "application/json").body(body);
        }
        self.send(&request)
    }

    /// Sends a request, which must agree with the OpenAPI document, as must its answer.
    fn send(&mut self, request: &Request) -> Answer {
        let answer = self.client.call(request);
        assert_agrees(Api::Admin, request, &answer);
        answer
    }

    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(method, target).field("Authorization", &self.authorization)
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.call("GET", target, None)
    }

    /// Creates an account of country GB and deposits `cash` unless that is empty.
    pub fn account(&mut self, id: &str, cash: &str) {
        let target = format!("/admin/v1/accounts/{id}");
        let answer = self.call("PUT", &target, Some(r#"{"CountryCode":"GB"}"#));
        assert_eq!(answer.status, 201, "{answer:?}");
        if !cash.is_empty() {
            let answer = self.deposit(id, "opening", cash);
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        }
    }

    pub fn deposit(&mut self, id: &str, transaction: &str, amount: &str) -> Answer {
        self.money("deposits", id, transaction, amount)
    }

    /// Posts money: `deposits`, `withdrawals` or `bonuses`.
    pub fn money(&mut self, what: &str, id: &str, transaction: &str, amount: &str) -> Answer {
        let request = self.money_request(what, id, transaction, amount);
        self.send(&request)
    }

    /// A deposit to a server that may close the connection instead of an answer.
    pub fn try_deposit(&mut self, id: &str, transaction: &str, amount: &str) -> Option<Answer> {
        let request = self.money_request("deposits", id, transaction, amount);
        self.client.send(&request.bytes());
        let answer = self.client.try_answer()?;
        assert_agrees(Api::Admin, &request, &answer);
        Some(answer)
    }

    fn money_request(&self, what: &str, id: &str, transaction: &str, amount: &str) -> Request {
        let body = json!({"TransactionID": transaction, "Amount": amount}).to_string();
        self.request("POST", &format!("/admin/v1/accounts/{id}/{what}"))
            .field("Content-Type", "application/json")
            .body(body)
    }

    /// Gives bonus funds.
    pub fn bonus(&mut self, id: &str, transaction: &str, amount: &str) {
        let answer = self.money("bonuses", id, transaction, amount);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Puts `limits` or `status`; gives the account.
    pub fn put(&mut self, id: &str, what: &str, body: &Value) -> Value {
        let target = format!("/admin/v1/accounts/{id}/{what}");
        let answer = self.call("PUT", &target, Some(&body.to_string()));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub fn read(&mut self, id: &str) -> Value {
        let answer = self.get(&format!("/admin/v1/accounts/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The row of a domain in the trial balance; every row's total must be zero.
    pub fn trial_balance(&mut self, domain: &str) -> Value {
        let answer = self.get("/admin/v1/trial-balance");
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let rows = body["Domains"].as_array().unwrap();
        for row in rows {
            let total: String = row["Total"].as_str().unwrap().replace(['0', '.'], "");
            assert!(total.is_empty(), "{row}");
        }
        let row = rows.iter().find(|row| row["Domain"] == domain);
        row.unwrap_or_else(|| panic!("no {domain} in {body}"))
            .clone()
    }

    /// Opens a session of country GB and gives its key.
    pub fn session(&mut self, id: &str) -> String {
        self.open_session(id, &json!({"CountryCode": "GB", "LogoutAt": null}))["SessionKey"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub fn open_session(&mut self, id: &str, body: &Value) -> Value {
        let target = format!("/admin/v1/accounts/{id}/sessions");
        let answer = self.call("POST", &target, Some(&body.to_string()));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    pub fn log_out(&mut self, session_key: &str) {
        let answer = self.call("DELETE", &format!("/admin/v1/sessions/{session_key}"), None);
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// All samples of `/metrics`: the name with its labels, and the value.
    pub fn metrics(&mut self) -> Vec<(String, f64)> {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = String::from_utf8(answer.body).unwrap();
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
                (
                    name.to_owned(),
                    value.parse().unwrap_or_else(|e| panic!("{line}: {e}")),
                )
            })
            .collect()
    }

    /// The sum of all samples of one metric, over its labels.
    pub fn metric_sum(&mut self, name: &str) -> f64 {
        let samples = self.metrics();
        let of_name = |sample: &&(String, f64)| sample.0.split('{').next() == Some(name);
        assert!(
            samples.iter().any(|sample| of_name(&sample)),
            "no metric {name} among {samples:?}"
        );
        samples.iter().filter(of_name).map(|sample| sample.1).sum()
    }
}
