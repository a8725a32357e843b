//! The document has the paths and methods that there are, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::*;
use crate::common::ADMIN_TOKEN;

/// Parts of the pages are no interface.
const UNDOCUMENTED: [&str; 2] = ["/docs/{file}", "/dashboard/{file}"];

/// The paths that stand in a source file, up to its tests: string literals of that beginning.
fn paths_in(file: &str, beginnings: &[&str]) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let found = code.split('"').skip(1).step_by(2);
    found
        .filter(|literal| beginnings.iter().any(|start| literal.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

fn documented(api: Api) -> BTreeSet<String> {
    let operations = document().operations(api);
    operations
        .into_iter()
        .map(|operation| operation.path)
        .collect()
}

#[test]
fn every_path_of_the_wallet_is_in_the_document_and_the_other_way_round() {
    let served = paths_in("src/wallet/routes.rs", &["/v1.0/", "/healthz"]);
    assert_eq!(served.len(), 11, "{served:?}");
    assert_eq!(documented(Api::Wallet), served);
}

#[test]
fn every_path_of_the_admin_api_is_in_the_document_and_the_other_way_round() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/routes.rs"))
            .unwrap();
    let (guarded, open) = text
        .split_once("Router::new()")
        .and_then(|(_, rest)| rest.split_once("Router::new()"))
        .expect("two routers, the guarded one first");
    // What stands behind each `.route(`.
    let routes = |code: &str| -> Vec<String> {
        let calls = code.split(".route(").skip(1);
        let first_literal = |call: &str| call.split('"').nth(1).unwrap().to_owned();
        calls.map(first_literal).collect()
    };
    let guarded = routes(guarded)
        .into_iter()
        .map(|path| format!("/admin/v1{path}"));
    let served: BTreeSet<String> = guarded
        .chain(routes(open))
        .filter(|path| !UNDOCUMENTED.contains(&path.as_str()))
        .collect();
    assert!(served.len() >= 16, "{served:?}");
    assert_eq!(documented(Api::Admin), served);
}

#[test]
fn every_method_of_a_path_is_in_the_document_and_the_other_way_round() {
    let server = Server::start();
    for (api, address) in [(Api::Wallet, server.wallet), (Api::Admin, server.admin)] {
        let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for operation in document().operations(api) {
            let of_path = methods.entry(filled(&operation)).or_default();
            of_path.insert(operation.method.to_uppercase());
        }
        for (path, documented) in methods {
            let request = Request::new("PATCH", &path)
                .field("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
            let answer = Client::connect(address).call(&request);
            assert_eq!(answer.status, 405, "{path}: {answer:?}");
            let allowed = answer.field("Allow").unwrap().split(',');
            // HEAD is as GET, without the body (RFC 9110 section 9.3.2).
            let served: BTreeSet<String> = allowed
                .map(|method| method.trim().to_owned())
                .filter(|method| method != "HEAD")
                .collect();
            assert_eq!(documented, served, "{path}");
        }
    }
}
