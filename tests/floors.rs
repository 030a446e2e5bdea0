//! The floors of the house, held against the source: imports go down only, ciphers are named in one room,
//! pure rooms do no I/O, files stay readable. `docs/ARCHITECTURE.md` draws the picture.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "test code")]

use std::{fs, path::Path};

/// From the bottom up: a room may name the rooms before it, and itself.
const FLOORS: [&str; 12] = [
    "limits", "error", "crypto", "wire", "keys", "content", "tree", "history", "kinds", "privacy", "vault",
    "ffi",
];
/// Beside the floors: `store` knows only errors and limits; only who talks to a store knows it. `error` carries
/// a store's failure inside, so that a caller meets one error type.
const STORE_KNOWS: [&str; 2] = ["limits", "error"];
const KNOW_STORE: [&str; 4] = ["error", "privacy", "vault", "ffi"];
/// No I/O, no clock, no threads.
const PURE: [&str; 9] = ["limits", "error", "crypto", "wire", "keys", "content", "tree", "history", "kinds"];
const CIPHER_CRATES: [&str; 17] = [
    "chacha20poly1305",
    "aws_lc_rs",
    "chacha20",
    "poly1305",
    "hkdf",
    "sha2",
    "sha3",
    "shake",
    "hmac",
    "argon2",
    "blake2",
    "x25519_dalek",
    "ed25519_dalek",
    "x_wing",
    "ml_kem",
    "blake3",
    "aes",
];
const LINES_MAX: usize = 500;

/// A source file without its tests.
struct File {
    path: String,
    room: String,
    /// How many steps up it is to the crate's root.
    depth: usize,
    text: String,
    /// The text without comments.
    code: String,
}

/// Every file of the library and of the command, but not files of tests, nor generated ones.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            let parts: Vec<&str> = name.trim_end_matches(".rs").split('/').collect();
            if path.is_dir() {
                folders.push(path);
            } else if !parts.contains(&"tests") && name != "wire/messages.rs" {
                files.push(file(&name, &parts, &fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(files.len() > 50, "the source was found");
    files
}

fn file(name: &str, parts: &[&str], text: &str) -> File {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
    let depth = parts.len() - usize::from(parts.ends_with(&["mod"]));
    let (path, room) = (name.to_owned(), parts[0].to_owned());
    File { path, room, depth, text: text.to_owned(), code: code.join("\n") }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first names after `root::`, also those in braces: `crate::{a::B, c}` names `a` and `c`.
fn named<'c>(code: &'c str, root: &str) -> Vec<&'c str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{root}::")) {
        let after = &code[at + root.len() + 2..];
        if code[..at].ends_with(is_word) || code[..at].ends_with("::") {
            continue;
        }
        let Some(group) = after.strip_prefix('{') else {
            found.push(after.split(|c| !is_word(c)).next().unwrap());
            continue;
        };
        let (mut depth, mut start) = (0_usize, Some(0));
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = Some(at + 1),
                c if is_word(c) && start.is_some() => {
                    found.push(group[at..].split(|c| !is_word(c)).next().unwrap());
                    start = None;
                }
                _ => {}
            }
        }
    }
    found
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

/// Whether a file in `room` may name `other`.
fn may_name(room: &str, other: &str) -> bool {
    let floor = |room: &str| FLOORS.iter().position(|known| *known == room);
    match (room, other) {
        _ if room == other => true,
        ("lib", _) => true,
        ("store", _) => STORE_KNOWS.contains(&other),
        (_, "store") => KNOW_STORE.contains(&room),
        _ => floor(room) > floor(other) && floor(other).is_some(),
    }
}

#[test]
fn imports_go_down_only() {
    for file in files().iter().filter(|file| file.room != "bin") {
        for name in named(&file.code, "crate") {
            // What the root re-exports, such as `crate::Error`, comes from the room of errors.
            let room = if name.starts_with(char::is_uppercase) { "error" } else { name };
            assert!(may_name(&file.room, room), "{} names crate::{name}", file.path);
        }
        let way_out = "super::".repeat(file.depth);
        assert!(!file.code.contains(&way_out), "{} leaves its room with {way_out}", file.path);
    }
}

#[test]
fn only_the_crypto_room_names_a_cipher() {
    for file in files().iter().filter(|file| file.room != "crypto") {
        for name in CIPHER_CRATES {
            let used =
                has_word(&file.code, &format!("{name}::")) || has_word(&file.code, &format!("use {name}"));
            assert!(!used, "{} names {name}", file.path);
        }
    }
}

#[test]
fn pure_rooms_do_no_io_and_know_no_clock() {
    for file in files().iter().filter(|file| PURE.contains(&file.room.as_str())) {
        for name in named(&file.code, "std") {
            assert!(!["fs", "net", "thread", "process"].contains(&name), "{} names std::{name}", file.path);
        }
        for name in ["SystemTime", "Instant", "cap_std", "redb"] {
            assert!(!has_word(&file.code, name), "{} names {name}", file.path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    for file in files() {
        assert!(file.text.starts_with("//!"), "{} does not begin with what it is", file.path);
        assert!(!has_word(&file.code, "unsafe"), "{} has unsafe code", file.path);
        let lines = file.text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: split it by meaning", file.path);
    }
}

#[test]
fn the_reader_of_imports_reads_them() {
    let code =
        "use crate::{\n    Error, a::{B, c::D},\n    e,\n};\nlet x = crate::f::g(); mycrate::h; x::crate::i";
    assert_eq!(named(code, "crate"), ["Error", "a", "e", "f"]);
    assert!(may_name("vault", "store") && may_name("keys", "crypto") && may_name("store", "error"));
    assert!(!may_name("content", "store") && !may_name("store", "crypto") && !may_name("tree", "history"));
    assert!(!may_name("crypto", "nonsense") && !may_name("kinds", "privacy"));
}
