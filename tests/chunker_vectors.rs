//! The chunker is frozen: these cuts must come out on every platform and in every later version.
//!
//! `STRONGROOM_REGENERATE=1 cargo test --test chunker_vectors` writes the file anew, which only a new
//! format may do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "test code"
)]

use std::{fs, path::Path};

use serde_json::{Value, json};
use strongroom::{content::Chunker, crypto::Secret};

struct Case {
    key_text: &'static str,
    epoch: u32,
    parts: &'static [Part],
}

struct Part {
    seed_text: &'static str,
    length: usize,
    times: usize,
}

const fn case(key_text: &'static str, epoch: u32, parts: &'static [Part]) -> Case {
    Case { key_text, epoch, parts }
}

const fn part(seed_text: &'static str, length: usize, times: usize) -> Part {
    Part { seed_text, length, times }
}

const CASES: &[Case] = &[
    case("one", 0, &[part("random", 9_000_000, 1)]),
    case("one", 1, &[part("random", 9_000_000, 1)]),
    case("two", 0, &[part("random", 9_000_000, 1)]),
    case(
        "two",
        u32::MAX,
        &[part("head", 1_000_000, 1), part("unit", 7, 800_000), part("tail", 2_000_000, 1)],
    ),
    case("three", 3, &[part("block", 300_000, 20)]),
    case("three", 3, &[part("byte", 1, 9_000_000)]),
    case("three", 3, &[part("small", 589_824, 1)]),
    case("three", 3, &[]),
];

impl Case {
    fn input(&self) -> Vec<u8> {
        let mut input = Vec::new();
        for part in self.parts {
            let mut bytes = vec![0; part.length];
            blake3::Hasher::new().update(part.seed_text.as_bytes()).finalize_xof().fill(&mut bytes);
            input.extend(bytes.repeat(part.times));
        }
        input
    }

    fn chunk_lengths(&self) -> Vec<usize> {
        let mut key = *blake3::hash(self.key_text.as_bytes()).as_bytes();
        let chunker = Chunker::new(&Secret::take(&mut key), self.epoch);
        let input = self.input();
        let mut rest = input.as_slice();
        std::iter::from_fn(|| {
            let length = chunker.next_cut(rest, true)?;
            rest = rest.split_at(length).1;
            Some(length)
        })
        .collect()
    }

    fn to_json(&self) -> Value {
        let part =
            |part: &Part| json!({ "seed_text": part.seed_text, "length": part.length, "times": part.times });
        json!({
            "key_text": self.key_text,
            "epoch": self.epoch,
            "parts": self.parts.iter().map(part).collect::<Vec<_>>(),
            "chunk_lengths": self.chunk_lengths(),
        })
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the vectors when asked to")]
fn the_cuts_are_those_of_the_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/chunker.json");
    let vectors = json!({
        "about": "Lengths of the chunks of an input. The key is BLAKE3 of `key_text`. The input is its \
                  parts in order; each is the first `length` bytes of the extendable output of BLAKE3 of \
                  `seed_text`, repeated `times`.",
        "cases": CASES.iter().map(Case::to_json).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    if std::env::var_os("STRONGROOM_REGENERATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let frozen: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(vectors, frozen);
}
