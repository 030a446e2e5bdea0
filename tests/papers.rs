//! The documents speak of tests and files that exist, and every attack that a test plays stands in
//! `docs/THREAT-MODEL.md`. `STRONGROOM_REGENERATE=1 cargo test --test papers` adds those that are missing.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test code")]

use std::{collections::BTreeMap, fs, path::Path};

const PAPERS: [&str; 9] = [
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/PROTOCOL.md",
    "docs/SCALE.md",
    "docs/TESTING.md",
    "docs/THREAT-MODEL.md",
];
const THREATS: &str = "docs/THREAT-MODEL.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every function of the source and the tests: its name, and the file it stands in.
fn functions() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root().join("src"), root().join("tests")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root()).unwrap().display().to_string();
            for line in fs::read_to_string(&path).unwrap().lines() {
                let name = line.trim_start().strip_prefix("fn ").and_then(|rest| rest.split('(').next());
                found.extend(name.map(|name| (name.to_owned(), file.clone())));
            }
        }
    }
    found
}

/// What stands between backticks, outside blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// The ids of attacks that a test's name begins with: F1 and F2 of `attack_f1_f2_…`.
fn ids(name: &str) -> impl Iterator<Item = String> {
    let rest = name.strip_prefix("attack_").unwrap_or_default();
    let is_id = |word: &&str| {
        word.starts_with(char::is_alphabetic) && word.chars().skip(1).all(char::is_numeric) && word.len() > 1
    };
    rest.split('_').take_while(is_id).map(str::to_uppercase)
}

#[test]
fn tests_and_files_that_the_documents_name_exist() {
    const FOLDERS: [&str; 7] = ["src/", "tests/", "docs/", "examples/", "proto/", ".ci/", "fuzz/"];
    let functions = functions();
    for paper in PAPERS {
        let text = fs::read_to_string(root().join(paper)).unwrap();
        for word in quoted(&text).iter().filter_map(|quoted| quoted.split(' ').next()) {
            let is_name = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if is_name && word.matches('_').count() >= 3 {
                assert!(functions.contains_key(word), "{paper} names {word}");
            } else if FOLDERS.iter().any(|folder| word.starts_with(folder)) {
                assert!(root().join(word).exists(), "{paper} names {word}");
            }
        }
    }
}

#[test]
fn every_attack_that_a_test_plays_stands_in_the_threat_model() {
    let mut text = fs::read_to_string(root().join(THREATS)).unwrap();
    let mut missing = Vec::new();
    for (name, id) in functions().keys().flat_map(|name| ids(name).map(move |id| (name, id))) {
        let start = format!("| {id} |");
        let row = text.lines().find(|line| line.starts_with(&start)).map(str::to_owned);
        let row = row.unwrap_or_else(|| panic!("{THREATS} has no row {start} for {name}"));
        if !row.contains(&format!("`{name}`")) {
            let cell = row.trim_end_matches('|').trim_end();
            let comma = if cell.ends_with('|') { "" } else { "," };
            text = text.replacen(&row, &format!("{cell}{comma} `{name}` |"), 1);
            missing.push(name.clone());
        }
    }
    if std::env::var_os("STRONGROOM_REGENERATE").is_some() {
        fs::write(root().join(THREATS), text).unwrap();
    } else {
        assert!(missing.is_empty(), "{THREATS} does not name {missing:?}");
    }
}
