//! The OpenAPI document as a judge: whether a request and its answer agree with it.
//!
//! The helpers for platforms and operators hand everything they send and get to
//! [`assert_agrees`], so each black-box test tests the document, too. A test need not say
//! that it sends something wrong on purpose: the server's answer says it, and the test
//! asserts that answer. Both ways are held:
//!
//! * What the server understood, the document allows.
//! * What the server refused for its form, the document forbids, unless the reason is one
//!   that no JSON Schema can express ([`UNSAID`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value};

use super::{Answer, Request};

const DOCUMENT: &str = include_str!("../../src/admin/openapi/openapi.json");

/// Which API was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Wallet,
    Admin,
}

impl Api {
    /// Its address as the document has it before a server fills it in.
    pub fn server(self) -> &'static str {
        match self {
            Self::Wallet => "http://127.0.0.1:9816",
            Self::Admin => "http://127.0.0.1:9817",
        }
    }
}

/// Parts of the sentences of refusals whose reason no schema can express.
const UNSAID: &[&str] = &[
    // They rest on more than the request.
    "Not authorised",
    "used before with other contents",
    "of a rollback must",
    "older than",
    "ahead of the wallet's clock",
    "in the future",
    "fraction digits",
    "no domain ",
    "has no bonus funds",
    "the Before of an answer",
    // Our reader takes the last of two.
    "duplicate field",
    // Days that are in no calendar, and more than 64 bits.
    "YYYY-MM-DDThh:mm:ss",
    "expected a time such as",
    "too large",
    // To JSON Schema 1e2 is an integer like 100.
    "got the number",
    "expected a whole number",
    // The path's two parts together, and what a percent escape stands for.
    "50 characters at most",
    "not UTF-8",
];

/// The document and what was compiled of it.
pub struct Document {
    pub root: Value,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The document of the repository, read once.
pub fn document() -> &'static Document {
    static DOCUMENT_READ: OnceLock<Document> = OnceLock::new();
    DOCUMENT_READ.get_or_init(|| Document {
        root: serde_json::from_str(DOCUMENT).expect("openapi.json is JSON"),
        compiled: Mutex::default(),
    })
}

/// One operation of the document.
#[derive(Clone, Debug)]
pub struct Operation {
    pub path: String,
    /// In lower case.
    pub method: String,
    /// The JSON pointer of the operation.
    pointer: String,
}

/// What the document says of a request.
#[derive(Debug)]
enum Verdict {
    Allowed,
    Forbidden(String),
    /// Nothing: our own reader of JSON does not take it, or the body came in chunks.
    Unknown,
}

/// Asserts that a request and its answer agree with the document.
pub fn assert_agrees(api: Api, request: &Request, answer: &Answer) {
    let (method, target, body) = request.parts();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let case = || {
        let body = String::from_utf8_lossy(body.unwrap_or_default());
        format!("{method} {target} {body}\n{answer:?}")
    };
    let document = document();
    let Some(operation) = document.find(api, method, path) else {
        document.assert_plain_error(api, answer, &case());
        return;
    };
    if let Err(why) = document.judge_answer(&operation, answer) {
        panic!("the document does not know this answer: {why}\n{}", case());
    }
    let verdict = document.judge_request(&operation, path, query, body);
    if was_understood(api, answer)
        && let Verdict::Forbidden(why) = verdict
    {
        panic!("understood, but the document forbids it: {why}\n{}", case());
    } else if let Some(sentence) = refused_for_form(api, answer)
        && let Verdict::Allowed = verdict
    {
        let is_unsaid = UNSAID.iter().any(|part| sentence.contains(part))
            || is_length_unsaid(&sentence, body.unwrap_or_default());
        assert!(
            is_unsaid,
            "refused for its form, but the document allows it: {}",
            case()
        );
    }
}

fn was_understood(api: Api, answer: &Answer) -> bool {
    match api {
        Api::Wallet => answer.status == 200 && code(answer) != Some(-6),
        Api::Admin => matches!(answer.status, 200..=299 | 409 | 422),
    }
}

/// The sentence of an answer that blames the request's form, or its contents.
fn refused_for_form(api: Api, answer: &Answer) -> Option<String> {
    let member = match api {
        Api::Wallet if answer.status == 200 && code(answer) == Some(-6) => "ErrorDescription",
        Api::Admin if answer.status == 400 => "Message",
        _ => return None,
    };
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(body[member].as_str()?.to_owned())
}

fn code(answer: &Answer) -> Option<i64> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body["ErrorCode"].as_i64()
}

/// JSON Schema counts characters, the wallet UTF-16 code units and digits of integers.
fn is_length_unsaid(sentence: &str, body: &[u8]) -> bool {
    if !sentence.contains("characters") {
        return false;
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return false;
    };
    let name = sentence.split(':').next().unwrap_or_default();
    match members.get(name) {
        Some(Value::String(text)) => text.chars().any(|c| c.len_utf16() > 1),
        Some(Value::Number(_)) => true,
        _ => false,
    }
}

impl Document {
    /// All operations of an API.
    pub fn operations(&self, api: Api) -> Vec<Operation> {
        let mut found = Vec::new();
        for (path, item) in self.root["paths"].as_object().expect("paths") {
            let servers = item["servers"].as_array().expect("servers of a path");
            if !servers.iter().any(|server| server["url"] == api.server()) {
                continue;
            }
            for method in ["get", "put", "post", "delete"] {
                if item.get(method).is_some() {
                    found.push(Operation {
                        pointer: format!("/paths/{}/{method}", escaped(path)),
                        path: path.clone(),
                        method: method.to_owned(),
                    });
                }
            }
        }
        found
    }

    fn find(&self, api: Api, method: &str, path: &str) -> Option<Operation> {
        self.operations(api).into_iter().find(|operation| {
            operation.method.eq_ignore_ascii_case(method)
                && values_of(&operation.path, path).is_some()
        })
    }

    /// What an operation says, or a part of it.
    pub fn of(&self, operation: &Operation, part: &str) -> Option<&Value> {
        self.root.pointer(&format!("{}{part}", operation.pointer))
    }

    /// All parameters: those of the path and those of the operation.
    pub fn parameters(&self, operation: &Operation) -> Vec<String> {
        let item = operation.pointer.rsplit_once('/').expect("a method").0;
        let lists = [item, &operation.pointer].map(|at| format!("{at}/parameters"));
        let mut found = Vec::new();
        for list in lists {
            let length = self.root.pointer(&list).and_then(Value::as_array);
            for at in 0..length.map_or(0, Vec::len) {
                found.push(self.follow(format!("{list}/{at}")));
            }
        }
        found
    }

    /// The pointer of what stands at a pointer, or of what its `$ref` names.
    pub fn follow(&self, pointer: String) -> String {
        let node = self.root.pointer(&pointer);
        let reference = node.and_then(|node| node.get("$ref"));
        match reference.and_then(Value::as_str) {
            Some(reference) => reference.trim_start_matches('#').to_owned(),
            None => pointer,
        }
    }

    fn judge_request(
        &self,
        operation: &Operation,
        path: &str,
        query: &str,
        body: Option<&[u8]>,
    ) -> Verdict {
        let placed = values_of(&operation.path, path).expect("the path that was found");
        let asked: Vec<(&str, &str)> = query
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .collect();
        let mut known = Vec::new();
        for pointer in self.parameters(operation) {
            let parameter = self.root.pointer(&pointer).expect("a parameter");
            let name = parameter["name"].as_str().expect("a name");
            let values = match parameter["in"].as_str() {
                Some("path") => &placed,
                Some("query") => &asked,
                _ => continue,
            };
            known.push(name);
            let schema = format!("{pointer}/schema");
            for (_, text) in values.iter().filter(|(asked, _)| *asked == name) {
                let value = match self.root.pointer(&schema).expect("a schema")["type"].as_str() {
                    Some("integer") => serde_json::from_str(text).unwrap_or(Value::Null),
                    _ => Value::from(*text),
                };
                if let Err(why) = self.validate(&schema, &value) {
                    return Verdict::Forbidden(format!("{name}: {why}"));
                }
            }
        }
        let mut names: Vec<&str> = asked.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return Verdict::Forbidden(format!("unknown parameter {name}"));
        }
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Verdict::Forbidden("a parameter twice".to_owned());
        }
        match (self.of(operation, "/requestBody/content"), body) {
            (Some(content), Some(body)) => {
                let content = content.as_object().expect("content");
                let at = format!("{}/requestBody/content", operation.pointer);
                self.judge_body(content, &at, body)
            }
            (Some(_), None) => Verdict::Unknown,
            (None, _) => Verdict::Allowed,
        }
    }

    fn judge_body(&self, content: &Map<String, Value>, at: &str, body: &[u8]) -> Verdict {
        let (media_type, media) = content.iter().next().expect("a media type");
        let at = format!("{at}/{}", escaped(media_type));
        if media.get("x-itemSchema").is_none() {
            return self.judge_json(&format!("{at}/schema"), body);
        }
        for line in body.split(|&byte| byte == b'\n') {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match self.judge_json(&format!("{at}/x-itemSchema"), line) {
                Verdict::Allowed => {}
                other => return other,
            }
        }
        Verdict::Allowed
    }

    fn judge_json(&self, schema: &str, json: &[u8]) -> Verdict {
        match serde_json::from_slice(json) {
            Ok(value) => match self.validate(schema, &value) {
                Ok(()) => Verdict::Allowed,
                Err(why) => Verdict::Forbidden(why),
            },
            Err(error) => {
                let why = error.to_string();
                let limits = ["recursion limit", "number out of range"];
                if limits.iter().any(|limit| why.contains(limit)) {
                    Verdict::Unknown
                } else {
                    Verdict::Forbidden(why)
                }
            }
        }
    }

    fn judge_answer(&self, operation: &Operation, answer: &Answer) -> Result<(), String> {
        let at = self.follow(format!("{}/responses/{}", operation.pointer, answer.status));
        let Some(response) = self.root.pointer(&at) else {
            return Err(format!("no status {}", answer.status));
        };
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            match answer.field(name) {
                Some(text) => {
                    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
                    let schema = format!("{at}/headers/{}/schema", escaped(name));
                    self.validate(&schema, &value)
                        .map_err(|why| format!("{name}: {why}"))?;
                }
                None if header["required"] == true => return Err(format!("no {name}")),
                None => {}
            }
        }
        let Some(content) = response["content"].as_object() else {
            let is_empty = answer.body.is_empty();
            return is_empty.then_some(()).ok_or("a body".to_owned());
        };
        let (media_type, media) = content.iter().next().expect("a media type");
        let kind = answer.field("Content-Type").unwrap_or_default();
        if kind.split(';').next() != Some(media_type) {
            return Err(format!("{kind} in place of {media_type}"));
        }
        let is_json = media_type == "application/json" || media.get("x-itemSchema").is_some();
        if !is_json {
            return Ok(());
        }
        match self.judge_body(content, &format!("{at}/content"), &answer.body) {
            Verdict::Allowed => Ok(()),
            Verdict::Forbidden(why) => Err(why),
            Verdict::Unknown => Err("JSON that our own reader does not take".to_owned()),
        }
    }

    /// For a path or a method that is not there.
    fn assert_plain_error(&self, api: Api, answer: &Answer, case: &str) {
        assert!(answer.status >= 400, "not in the document: {case}");
        if answer.body.is_empty() {
            return;
        }
        let schema = match api {
            Api::Wallet => "/components/schemas/Refusal",
            Api::Admin => "/components/schemas/Error",
        };
        if let Err(why) = self.validate(schema, &answer.json()) {
            panic!("no error as the document has it: {why}\n{case}");
        }
    }

    /// Validates by the schema at a pointer into the document.
    pub fn validate(&self, pointer: &str, value: &Value) -> Result<(), String> {
        let validator = self.compiled(pointer);
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.join("; "))
        }
    }

    fn compiled(&self, pointer: &str) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().unwrap();
        if let Some(validator) = compiled.get(pointer) {
            return Arc::clone(validator);
        }
        // A schema of its own, with the document's components where their `$ref`s look.
        let mut schema = self
            .root
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer}"))
            .clone();
        if let Value::Object(schema) = &mut schema {
            let components = self.root["components"].clone();
            schema.insert("components".to_owned(), components);
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .build(&schema)
            .unwrap_or_else(|error| panic!("{pointer}: {error}"));
        let validator = Arc::new(validator);
        compiled.insert(pointer.to_owned(), Arc::clone(&validator));
        validator
    }
}

/// The values in a path by the names of its template; `None` when it is another path.
fn values_of<'a>(template: &'a str, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut values = Vec::new();
    let mut parts = path.split('/');
    for wanted in template.split('/') {
        let part = parts.next()?;
        match wanted.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
            Some(_) if part.is_empty() => return None,
            Some(name) => values.push((name, part)),
            None if wanted == part => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(values)
}

/// A step of a JSON pointer (RFC 6901 section 3).
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
