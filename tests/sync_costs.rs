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
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

use strongroom::{
    kinds::Kind,
    store::{DirectoryStore, MemoryStore, Store, Traffic},
    vault::{Job, NewDevice, Source, Vault},
};

/// Tells of each message whether it was read.
type IsRead = fn(u64) -> bool;

/// An export of the messages from `next` to `count`, made as it is asked for.
struct Export {
    count: u64,
    next: u64,
    is_read: IsRead,
    line: Vec<u8>,
}

impl Export {
    fn new(numbers: Range<u64>, is_read: IsRead) -> Self {
        let line = format!("<?xml version='1.0'?><smses count='{}'>", numbers.end - numbers.start);
        Self { count: numbers.end, next: numbers.start, is_read, line: line.into_bytes() }
    }
}

impl Read for Export {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.line.is_empty() && self.next <= self.count {
            let n = self.next;
            let read = u64::from((self.is_read)(n));
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

fn backup(vault: &Vault, numbers: Range<u64>, is_read: IsRead) {
    let mut stream = BufReader::new(Export::new(numbers, is_read));
    vault.backup(&Kind::MESSAGES, "messages.xml", Source::Stream(&mut stream), &Job::new()).unwrap();
}

/// So many devices that all have the same [`RECORDS`].
fn devices(store: &(impl Store + Clone + 'static), folder: &Path, devices: usize) -> Vec<Vault> {
    let device = |n: usize| NewDevice::named(format!("device {n}")).unwrap();
    let (first, code) = Vault::create(store.clone(), folder.join("0"), device(0)).unwrap();
    first.consent().grant(&Kind::MESSAGES).unwrap();
    backup(&first, 0..RECORDS, |_| false);
    let mut all = vec![first];
    for n in 1..devices {
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

const RECORDS: u64 = 1_000_000;

#[test]
#[ignore = "a measurement of some minutes"]
fn a_sync_costs_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let all = devices(&store, folder.path(), 5);
    let mut within = true;
    let before = store.traffic();
    all[4].sync(&Job::new()).unwrap();
    let nothing = store.traffic();
    let (read, sent) = (nothing.bytes_got - before.bytes_got, nothing.bytes_put - before.bytes_put);
    let requests = nothing.requests - before.requests;
    println!("nothing new: {read} bytes read, {sent} bytes sent, {requests} requests");
    assert!(read <= 5 * 16 * 1024 && sent == 0);
    let rounds: [(&str, u64, IsRead); 3] = [
        ("1,000 new messages", RECORDS + 1000, |_| false),
        ("the newest 1,000 were read", RECORDS + 1000, |n| n >= RECORDS),
        ("every thousandth was read", RECORDS + 1000, |n| n >= RECORDS || n % 1000 == 1),
    ];
    for (what, count, is_read) in rounds {
        let before = store.traffic();
        backup(&all[0], 0..count, is_read);
        let sent = store.traffic();
        let outcome = all[1].sync(&Job::new()).unwrap();
        let received = store.traffic();
        println!(
            "{what}: {} bytes sent and {} read by the sender, {} sent and {} read by the receiver",
            sent.bytes_put - before.bytes_put,
            sent.bytes_got - before.bytes_got,
            received.bytes_put - sent.bytes_put,
            received.bytes_got - sent.bytes_got,
        );
        let requests = |from: Traffic, to: Traffic| {
            let (puts, gets) = (to.puts - from.puts, to.gets - from.gets);
            format!("{puts} put, {gets} get, {} other", to.requests - from.requests - puts - gets)
        };
        println!("  requests: sender {}; receiver {}", requests(before, sent), requests(sent, received));
        assert_eq!(outcome.changed, 1000);
        let (written, read) = (received.bytes_put - before.bytes_put, received.bytes_got - before.bytes_got);
        // Pages of 8 KiB: what is spread over all of them costs about two pages a record.
        within &= what.starts_with("every") || (written <= 4 * 1024 * 1024 && read <= 4 * 1024 * 1024);
    }
    drop(all);
    drop(store);
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(DirectoryStore::open(folder.path()).unwrap());
    let state = tempfile::tempdir().unwrap();
    let all = devices(&store, state.path(), 5);
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
    assert!(within, "more than 4 MiB for 1,000 records");
}

/// What `work` took.
fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Two devices and a folder as the store. Both lie where temporary files lie. On a disk this measures the disk:
/// the sender waits for it some 25 times and the receiver 13 times, 4 ms each on a slow one. With
/// `TMPDIR=/dev/shm` it measures us.
#[test]
#[ignore = "a measurement of a minute"]
fn a_hundred_new_messages_among_a_million_take_less_than_a_tenth_of_a_second() {
    const NEW: u64 = 100;
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = std::sync::Arc::new(DirectoryStore::open(folder.path()).unwrap());
    let all = devices(&store, state.path(), 2);
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..5 {
        let first = RECORDS + round * NEW;
        times[0].push(time(|| backup(&all[0], first..first + NEW, |_| false)));
        times[1].push(time(|| drop(all[0].sync(&Job::new()).unwrap())));
        times[2].push(time(|| assert_eq!(all[1].sync(&Job::new()).unwrap().changed, NEW)));
    }
    let whole = time(|| backup(&all[0], 0..RECORDS + 5 * NEW, |_| false));
    for (what, times) in
        ["sender's backup of what is new", "sender's sync after it", "receiver's sync"].iter().zip(&mut times)
    {
        times.sort_unstable();
        println!(
            "{NEW} new messages, {what}: {:.1?} (median; {:.1?} to {:.1?})",
            times[2], times[0], times[4]
        );
    }
    println!("sender's backup of the whole export, nothing new: {whole:.1?}");
    assert!(times.iter().all(|times| times[2] < Duration::from_millis(100)));
}
