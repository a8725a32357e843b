//! The players of a run: `demo-accounts.json` (operator.md section 3), and who owns them.

use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

/// Slots of account ids: the number is fixed for ever.
const SLOTS: u64 = 16_384;

/// A player with a live session.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Account {
    #[serde(rename = "OperatorAccountID")]
    pub(crate) id: String,
    #[serde(rename = "SessionKey")]
    pub(crate) session_key: String,
}

impl Account {
    /// The shard that owns the account among `shards`.
    ///
    /// The slot is the low 14 bits of the XXH3 (64 bits, seed 0) of the id, and slots are
    /// spread evenly; the server's page on routing has the same test vectors as ours.
    pub(crate) fn owner(&self, shards: usize) -> usize {
        (slot_of(&self.id) * shards as u64 / SLOTS) as usize
    }

    /// The text before the first `/`.
    pub(crate) fn domain(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }
}

fn slot_of(id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(id.as_bytes()) % SLOTS
}

/// Reads the players.
///
/// # Errors
/// The file cannot be read, is not of that form, or holds nobody or players that a request
/// could not name as they are.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Account>> {
    let text = std::fs::read(file).with_context(|| {
        format!(
            "read the accounts from {} (--accounts): start `purser serve --demo` in this \
             directory, or name the demo-accounts.json of its data directory",
            file.display()
        )
    })?;
    let accounts: Vec<Account> = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{}: expected [{{\"OperatorAccountID\":\"…\",\"SessionKey\":\"…\"}}, …]",
            file.display()
        )
    })?;
    if accounts.is_empty() {
        bail!("{}: no accounts in it", file.display());
    }
    for account in &accounts {
        // They are put between quotes as they are.
        let is_plain = |text: &str| {
            !text.is_empty() && !text.contains(|c: char| c == '"' || c == '\\' || c < ' ')
        };
        if !is_plain(&account.id) || !is_plain(&account.session_key) {
            bail!(
                "{}: {:?} needs escapes, which this client does not write",
                file.display(),
                account.id
            );
        }
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> Account {
        Account {
            id: id.to_owned(),
            session_key: "k".to_owned(),
        }
    }

    /// The server's own vectors: accounts must be looked for where they are.
    #[test]
    fn slots_are_the_documented_ones() {
        for (id, slot) in [
            ("demo/player-1", 10_232),
            ("acme/p1", 7_353),
            ("a/é", 5_241),
        ] {
            assert_eq!(slot_of(id), slot, "{id}");
        }
    }

    #[test]
    fn the_owner_is_the_slot_s_share() {
        assert_eq!(account("demo/player-1").owner(1), 0);
        assert_eq!(account("demo/player-1").owner(2), 1);
        assert_eq!(account("acme/p1").owner(2), 0);
        assert_eq!(account("demo/player-1").owner(16_384), 10_232);
        let mut owned = [0; 4];
        for number in 0..4_000 {
            owned[account(&format!("demo/player-{number}")).owner(4)] += 1;
        }
        assert!(owned.iter().all(|n| (850..1_150).contains(n)), "{owned:?}");
    }

    #[test]
    fn files_of_another_form_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("accounts.json");
        let read_text = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(&file)
        };
        let one = r#"[{"OperatorAccountID":"demo/é","SessionKey":"k"}]"#;
        let accounts = read_text(one).unwrap();
        assert_eq!((accounts.len(), accounts[0].domain()), (1, "demo"));
        for (text, says) in [
            ("[]", "no accounts"),
            ("{}", "expected ["),
            (
                r#"[{"OperatorAccountID":"demo/\"","SessionKey":"k"}]"#,
                "escapes",
            ),
            (
                r#"[{"OperatorAccountID":"demo/a","SessionKey":""}]"#,
                "escapes",
            ),
        ] {
            let error = format!("{:#}", read_text(text).unwrap_err());
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(read(Path::new("/nowhere")).is_err());
    }
}
