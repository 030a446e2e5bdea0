//! Sealing and opening whole objects beside the bare ciphers, by turns: in each round everyone works on the same
//! number of bytes, one right after the other, and each ratio is the median of the ratios of the rounds. What
//! the machine does meanwhile falls on all of them, so that one part in a hundred can be told; `seal.rs`, where
//! one comes minutes after the other, has the other lengths.
//!
//! `cargo bench --bench beside`, with `--features bench-peers` beside the others and with `--features accelerated`
//! or `openssl` the objects sealed by aws-lc or OpenSSL. Prints a table of its own, which `zz_table.rs` shows again.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench fails loudly"
)]

#[path = "support/ciphers.rs"]
mod ciphers;
mod support;

use std::{fmt::Write as _, fs, hint::black_box, path::PathBuf, time::Duration};

use strongroom::crypto::{
    Context, HEADER_BYTES, ObjectKey, ObjectType, Opener, OsRandom, Place, SealBuffer, Secret,
};

use ciphers::{SEGMENT, TAG};

const LENGTHS: [usize; 3] = [SEGMENT, 1024 * 1024, 8 * 1024 * 1024];
/// What each contestant works on in its turn.
const TURN_BYTES: usize = 8 * 1024 * 1024;

type Contestant = (&'static str, Box<dyn FnMut(usize) -> Duration>);

fn context() -> Context {
    Context::new([1; 16], 0, ObjectType::Pack, "files", Place::Object([2; 16]))
}

fn plain_bytes(length: usize) -> usize {
    length - HEADER_BYTES - length.div_ceil(SEGMENT) * TAG
}

/// The time of `work` on as many inputs as make a turn, each made outside the measured time.
fn turn<I, O>(length: usize, mut make: impl FnMut() -> I, mut work: impl FnMut(I) -> O) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..TURN_BYTES / length {
        let input = black_box(make());
        let start = support::now();
        let output = work(input);
        spent += support::now() - start;
        black_box(output);
    }
    spent
}

/// The plaintext of an object of `length`, of which all that is sealed in one turn is a copy: whoever made it anew
/// each time would find less in the cache.
fn plain(length: usize) -> Vec<u8> {
    vec![7; plain_bytes(length)]
}

/// Full but for the last byte, which sealing appends.
fn filled(plain: &[u8]) -> SealBuffer {
    let mut buffer = SealBuffer::with_capacity(plain.len());
    buffer.append(&plain[1..]);
    buffer
}

/// Where an object has its plaintext too: behind a header that begins on a border of a page. And where it begins.
fn on_a_border(plain: &[u8]) -> (Vec<u8>, usize) {
    const PAGE: usize = 4096;
    let mut bytes = Vec::<u8>::with_capacity(PAGE + HEADER_BYTES + plain.len());
    let start = bytes.as_ptr().align_offset(PAGE) + HEADER_BYTES;
    bytes.resize(start, 0);
    bytes.extend_from_slice(plain);
    (bytes, start)
}

fn sealing() -> Vec<Contestant> {
    let key = ObjectKey::new(Secret::take(&mut [3; 32]));
    let object = move |length| {
        let (context, plain) = (context(), plain(length));
        let make = || (filled(&plain), context.clone());
        turn(length, make, |(buffer, context)| {
            buffer.seal(&key, context, &[5; 32], &[1], &mut OsRandom).unwrap()
        })
    };
    let mut all: Vec<Contestant> = vec![("object", Box::new(object))];
    all.extend(ciphers::all().into_iter().map(|(name, mut cipher)| {
        let bare = move |length| {
            let plain = plain(length);
            let make = || on_a_border(&plain);
            turn(length, make, |(mut bytes, start)| {
                bytes[start..].chunks_mut(SEGMENT).for_each(|segment| {
                    black_box(cipher.seal(segment));
                });
                bytes
            })
        };
        (name, Box::new(bare) as Box<dyn FnMut(usize) -> Duration>)
    }));
    all
}

fn opening() -> Vec<Contestant> {
    let object = |length| {
        let key = ObjectKey::new(Secret::take(&mut [3; 32]));
        let sealed = filled(&plain(length)).seal(&key, context(), &[5; 32], &[1], &mut OsRandom).unwrap();
        let context = context();
        turn(
            length,
            || sealed.bytes().to_vec(),
            |bytes| Opener::new(&key, &context, &bytes, length).unwrap().open(bytes).unwrap(),
        )
    };
    let mut all: Vec<Contestant> = vec![("object", Box::new(object))];
    all.extend(ciphers::all().into_iter().map(|(name, mut cipher)| {
        let bare = move |length| {
            let (sealed, tags) = ciphers::sealed(plain_bytes(length));
            let mut whole = vec![0; length];
            whole[HEADER_BYTES..][..sealed.len()].copy_from_slice(&sealed);
            let plain = HEADER_BYTES..HEADER_BYTES + sealed.len();
            turn(
                length,
                || whole.clone(),
                |mut bytes| {
                    bytes[plain.clone()]
                        .chunks_mut(SEGMENT)
                        .zip(&tags)
                        .for_each(|(segment, tag)| cipher.open(segment, tag));
                    bytes
                },
            )
        };
        (name, Box::new(bare) as Box<dyn FnMut(usize) -> Duration>)
    }));
    all
}

/// One line of Markdown: the speed of objects, and in terms of each of the others.
fn line(job: &str, length: usize, contestants: &mut [Contestant], rounds: usize) -> String {
    let times: Vec<Vec<f64>> = (0..rounds)
        .map(|round| {
            let mut times = vec![0.0; contestants.len()];
            // Who comes after whom changes from round to round.
            for place in 0..contestants.len() {
                let who = (round + place) % contestants.len();
                times[who] = contestants[who].1(length).as_secs_f64();
            }
            times
        })
        .collect();
    let median = |of: &dyn Fn(&Vec<f64>) -> f64| {
        let mut values: Vec<_> = times.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let mut line = format!("| {job} | {} KiB |", length / 1024);
    write!(line, " {:.2} |", median(&|times| TURN_BYTES as f64 / times[0] / 1e9)).unwrap();
    for other in 1..contestants.len() {
        write!(line, " {:.3} |", median(&|times| times[other] / times[0])).unwrap();
    }
    line + "\n"
}

fn main() {
    // `cargo test` only wants to see that it runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 151 } else { 1 };
    let (mut sealing, mut opening) = (sealing(), opening());
    let names: Vec<_> = sealing[1..].iter().map(|(name, _)| format!("object / {name}")).collect();
    let mut lines = format!("| job | length | object, GB/s | {} |\n", names.join(" | "));
    lines += &format!("|---|---|---|{}\n", "---|".repeat(names.len()));
    for (job, contestants) in [("seal", &mut sealing), ("open", &mut opening)] {
        for length in LENGTHS {
            lines += &line(job, length, contestants, rounds);
        }
    }
    println!("built as: {}\n\n{lines}", strongroom::crypto::cipher_build());
    let target: PathBuf = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("criterion");
    if target.is_dir() {
        fs::write(target.join("beside.md"), lines).unwrap();
    }
}
