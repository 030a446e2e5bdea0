//! What a sync costs in a large vault: a million records, five devices. A measurement, and the bounds that it
//! has to keep: `cargo test --release --test sync_costs -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

use std::{
    io::{BufReader, Read},
    time::Instant,
};

use strongroom::{
    kinds::Kind,
    store::{DirectoryStore, MemoryStore, Store},
    vault::{Job, NewDevice, Source, Vault},
};

/// An export of `count` messages, every `every`-th of them read since, made as it is asked for.
struct Export {
    count: u64,
    next: u64,
    every: u64,
    line: Vec<u8>,
}

impl Export {
    fn new(count: u64, every: u64) -> Self {
        let line = format!("<?xml version='1.0'?><smses count='{count}'>").into_bytes();
        Self { count, next: 0, every, line }
    }
}

impl Read for Export {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.line.is_empty() && self.next <= self.count {
            let n = self.next;
            let read = u64::from((n + 1).is_multiple_of(self.every));
            self.line = if n == self.count {
                b"</smses>".to_vec()
            } else {
                let date = 1_400_000_000_000 + n * 60_000;
                format!(
                    "<sms address='+15550{}' date='{date}' type='1' body='message {n}' read='{read}'/>",
                    n % 300
                )
                .into_bytes()
            };
            self.next += 1;
        }
        let length = self.line.len().min(buffer.len());
        let rest = self.line.split_off(length);
        buffer[..length].copy_from_slice(&self.line);
        self.line = rest;
        Ok(length)
    }
}

fn backup(vault: &Vault, count: u64, every: u64) {
    let mut stream = BufReader::new(Export::new(count, every));
    vault.backup(&Kind::MESSAGES, "messages.xml", Source::Stream(&mut stream), &Job::new()).unwrap();
}

/// Five devices that all have the same `count` records.
fn devices(store: &(impl Store + Clone + 'static), folder: &std::path::Path, count: u64) -> Vec<Vault> {
    let device = |n: usize| NewDevice::named(format!("device {n}")).unwrap();
    let (first, code) = Vault::create(store.clone(), folder.join("0"), device(0)).unwrap();
    first.consent().grant(&Kind::MESSAGES).unwrap();
    backup(&first, count, count + 1);
    let mut all = vec![first];
    for n in 1..5 {
        let vault = Vault::recover(store.clone(), folder.join(n.to_string()), &code, device(n)).unwrap();
        vault.consent().grant(&Kind::MESSAGES).unwrap();
        vault.sync(&Job::new()).unwrap();
        all.push(vault);
    }
    for _ in 0..2 {
        all.iter().for_each(|vault| drop(vault.sync(&Job::new()).unwrap()));
    }
    all
}

#[test]
#[ignore = "a measurement of some minutes"]
fn a_sync_costs_what_changed() {
    const RECORDS: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let all = devices(&store, folder.path(), RECORDS);
    let before = store.traffic();
    all[4].sync(&Job::new()).unwrap();
    let nothing = store.traffic();
    let (read, sent) = (nothing.bytes_got - before.bytes_got, nothing.bytes_put - before.bytes_put);
    println!("nothing new: {read} bytes read, {sent} bytes sent");
    assert!(read <= 5 * 16 * 1024 && sent == 0);
    let before = store.traffic();
    backup(&all[0], RECORDS, 1000);
    let written = store.traffic().bytes_put - before.bytes_put;
    println!("1,000 of a million records changed: {written} bytes sent");
    let before = store.traffic();
    let outcome = all[1].sync(&Job::new()).unwrap();
    let received = store.traffic().bytes_got - before.bytes_got;
    println!("and {received} bytes read by another device");
    assert_eq!(outcome.changed, 1000);
    assert!(written <= 4 * 1024 * 1024 && received <= 4 * 1024 * 1024);
    drop(all);
    drop(store);
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(DirectoryStore::open(folder.path()).unwrap());
    let state = tempfile::tempdir().unwrap();
    let all = devices(&store, state.path(), RECORDS);
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let start = Instant::now();
            all[3].sync(&Job::new()).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("nothing new, a folder as the store: {:?} to {:?}", times[0], times[19]);
    assert!(times[10].as_millis() < 50);
}
