//! What the server tells its operator: metrics and the trial balance.
//!
//! A run without the admin API is worth less and still a run: everything here gives a reason
//! instead of an error.

use crate::audit::Books;
use crate::client::{Client, Url};
use crate::prometheus::Scrape;

/// The admin API, if there is one.
#[derive(Debug)]
pub(crate) struct Admin {
    url: Url,
    token: String,
    client: Option<Client>,
}

impl Admin {
    pub(crate) fn new(url: &Url, token: &str) -> Self {
        Self {
            url: url.clone(),
            token: token.to_owned(),
            client: None,
        }
    }

    /// The metrics now, or why there are none.
    pub(crate) fn metrics(&mut self) -> Result<Scrape, String> {
        let body = self.get("/metrics")?;
        Ok(Scrape::parse(&String::from_utf8_lossy(&body)))
    }

    /// The sums of a domain, or why there are none.
    pub(crate) fn books(&mut self, domain: &str, digits: usize) -> Result<Books, String> {
        let body = self.get("/admin/v1/trial-balance")?;
        Books::read(&body, domain, digits).map_err(|error| format!("{error:#}"))
    }

    fn get(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let had_connection = self.client.is_some();
        match self.try_get(path) {
            // A connection that was idle may have been closed meanwhile.
            Err(_) if had_connection => {
                self.client = None;
                self.try_get(path)
            }
            outcome => outcome,
        }
    }

    fn try_get(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let client = match &mut self.client {
            Some(client) => client,
            None => {
                let client = Client::connect(&self.url).map_err(|error| {
                    format!("the admin API is not reachable (--admin-url): {error:#}")
                })?;
                self.client.insert(client)
            }
        };
        let token = path.starts_with("/admin/").then_some(&*self.token);
        match client.get(path, token) {
            Ok(answer) if answer.status == 200 => Ok(answer.body),
            Ok(answer) => Err(match answer.status {
                404 => format!("the server has no {path} (404)"),
                401 => format!("{path}: 401, is --admin-token right?"),
                status => format!("{path}: status {status}"),
            }),
            Err(error) => {
                self.client = None;
                Err(format!("{error:#}"))
            }
        }
    }
}
