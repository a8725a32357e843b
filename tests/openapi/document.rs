//! The document in itself: its references, its examples, its names.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let root = &document().root;
    let mut named = BTreeSet::new();
    walk(root, "", &mut |pointer, node| {
        if let Some(reference) = node.get("$ref") {
            let target = reference.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(root.pointer(target).is_some(), "{pointer}: {reference}");
            named.insert(target.to_owned());
        }
    });
    for kind in ["schemas", "responses", "parameters"] {
        for name in root["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(named.contains(&pointer), "nothing uses {pointer}");
        }
    }
}

#[test]
fn every_example_is_one_of_its_schema() {
    let document = document();
    let mut checked = 0;
    let mut check = |schema: &str, value: &Value| {
        if let Err(why) = document.validate(schema, value) {
            panic!("{schema}: {value}: {why}");
        }
        checked += 1;
    };
    walk(&document.root, "", &mut |pointer, node| {
        let schema = format!("{pointer}/schema");
        if document.root.pointer(&schema).is_some() {
            // A media type or a parameter.
            if let Some(example) = node.get("example") {
                check(&schema, example);
            }
            for example in node["examples"].as_object().into_iter().flatten() {
                check(&schema, &example.1["value"]);
            }
        }
        let of_schema = pointer.contains("/schemas/") && !pointer.ends_with("/properties");
        if of_schema && let Some(examples) = node.get("examples").and_then(Value::as_array) {
            for example in examples {
                check(pointer, example);
            }
        }
    });
    assert!(checked > 80, "only {checked} examples were found");
}

#[test]
fn operations_are_named_once_and_grouped_by_tags_that_exist() {
    let document = document();
    let group_tags: Vec<&Value> = document.root["x-tagGroups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["tags"].as_array().unwrap())
        .collect();
    let tags = document.root["tags"].as_array().unwrap();
    let tags: Vec<&Value> = tags.iter().map(|tag| &tag["name"]).collect();
    assert_eq!(group_tags, tags);
    let mut ids = BTreeMap::new();
    for api in [Api::Wallet, Api::Admin] {
        for operation in document.operations(api) {
            let tag = document.of(&operation, "/tags/0").unwrap();
            assert!(tags.contains(&tag), "{operation:?}");
            let id = document.of(&operation, "/operationId").unwrap().to_string();
            let path = operation.path;
            let before = ids.insert(id.clone(), path.clone());
            assert!(before.is_none_or(|other| other == path), "{id} twice");
        }
    }
}
