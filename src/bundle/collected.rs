//! What was collected, what was not, and the guard against secrets.

use memchr::memmem;

use crate::config::Config;

/// The bytes kept of one item: far above what a healthy machine's have, and small enough
/// for an e-mail of several.
pub(super) const ITEM_BYTES_MAX: usize = 8 << 20;

/// Secrets shorter than this are not looked for: such a word may stand anywhere by chance,
/// as `demo` does.
const SECRET_BYTES_MIN: usize = 8;

/// Everything that goes into the archive.
pub(super) struct Collected {
    pub(super) items: Vec<Item>,
    pub(super) missing: Vec<Missing>,
    secrets: Vec<Vec<u8>>,
}

/// One file of the archive.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) bytes: Vec<u8>,
}

/// What could not be collected.
pub(super) struct Missing {
    pub(super) name: String,
    pub(super) why: String,
}

impl Collected {
    /// Nothing yet; `config` has the secrets to look for.
    pub(super) fn new(config: Option<&Config>) -> Self {
        Self {
            items: Vec::new(),
            missing: Vec::new(),
            secrets: config.map(secrets_of).unwrap_or_default(),
        }
    }

    /// An item, or why there is none. One that holds a secret is left out, and one that is
    /// too long loses its beginning: of a log, the end says more.
    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        about: impl Into<String>,
        bytes: Result<Vec<u8>, String>,
    ) {
        let name = name.into();
        let mut bytes = match bytes {
            Ok(bytes) => bytes,
            Err(why) => return self.miss(name, &why),
        };
        if self.holds_secret(&bytes) {
            return self.miss(name, "it holds a secret of the configuration");
        }
        let too_many = bytes.len().saturating_sub(ITEM_BYTES_MAX);
        bytes.drain(..too_many);
        self.items.push(Item {
            name,
            about: about.into(),
            bytes,
        });
    }

    /// Something that is not there.
    pub(super) fn miss(&mut self, name: impl Into<String>, why: &str) {
        self.missing.push(Missing {
            name: name.into(),
            why: why.to_owned(),
        });
    }

    fn holds_secret(&self, bytes: &[u8]) -> bool {
        self.secrets
            .iter()
            .any(|secret| memmem::find(bytes, secret).is_some())
    }
}

fn secrets_of(config: &Config) -> Vec<Vec<u8>> {
    let token = config.admin.token.iter().map(|token| token.expose().into());
    let of_domains = config.domains.iter().flat_map(|domain| {
        let passwords = domain.credentials.iter().filter_map(|credential| {
            let mut parts = credential.as_bytes().splitn(2, |byte| *byte == b':');
            parts.nth(1).map(<[u8]>::to_vec)
        });
        let keys = domain.signature_keys.iter();
        passwords.chain(keys.map(|key| key.expose().as_bytes().to_vec()))
    });
    token
        .chain(of_domains)
        .filter(|secret: &Vec<u8>| secret.len() >= SECRET_BYTES_MIN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_secrets(secrets: &[&str]) -> Collected {
        let mut collected = Collected::new(None);
        collected.secrets = secrets
            .iter()
            .map(|secret| secret.as_bytes().to_vec())
            .collect();
        collected
    }

    #[test]
    fn an_item_that_holds_a_secret_is_left_out_whole() {
        let mut collected = with_secrets(&["hunter2hunter2"]);
        collected.add("log", "", Ok(b"password=hunter2hunter2;".to_vec()));
        collected.add("other", "", Ok(b"hunter2 alone".to_vec()));
        assert_eq!(collected.missing[0].name, "log");
        assert!(collected.missing[0].why.contains("secret"));
        assert_eq!(collected.items.len(), 1);
    }

    #[test]
    fn the_end_of_a_long_item_is_kept() {
        let mut collected = with_secrets(&[]);
        let mut long = vec![b'a'; ITEM_BYTES_MAX];
        long.extend_from_slice(b"the end");
        collected.add("log", "", Ok(long));
        let kept = &collected.items[0].bytes;
        assert_eq!(kept.len(), ITEM_BYTES_MAX);
        assert!(kept.ends_with(b"the end"));
    }

    #[test]
    fn passwords_tokens_and_keys_are_secrets() {
        let toml = r#"
[admin]
token = "the-admin-token"
[[domain]]
name = "acme"
currency = "GBP"
credentials = [{ user = "gw", password = "pass:word-of-acme" }, { user = "x", password = "short" }]
signature_keys = [{ key = "0123456789abcdef0123456789abcdef" }]
"#;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("purser.toml");
        std::fs::write(&path, toml).unwrap();
        let source = crate::config::Source::File(&path);
        let config = Config::load(source, [], &crate::config::Flags::default()).unwrap();
        let expected = [
            "the-admin-token",
            "pass:word-of-acme",
            "0123456789abcdef0123456789abcdef",
        ];
        assert_eq!(
            secrets_of(&config),
            expected.map(|secret| secret.as_bytes().to_vec())
        );
    }
}
