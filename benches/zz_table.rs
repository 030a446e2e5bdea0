//! Prints what the other benches measured last as Markdown: medians, and in brackets the ratio of speeds to
//! the group's yardstick. Measures nothing; `cargo bench` runs it after them.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench fails loudly"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// What the ratios of a group compare with.
const YARDSTICKS: [(&str, &str); 5] = [
    ("seal", "chacha20poly1305"),
    ("open", "chacha20poly1305"),
    ("records", "one-file"),
    ("chunker", "plain-gear"),
    ("pipeline", "bound"),
];

/// One benchmark of the last run.
struct Figure {
    nanoseconds: f64,
    bytes: Option<f64>,
}

impl Figure {
    fn read(folder: &Path) -> Option<(String, String, String, Self)> {
        let json =
            |name: &str| -> Option<Value> { serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok() };
        let (about, estimates) = (json("benchmark.json")?, json("estimates.json")?);
        let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
        let figure = Self {
            nanoseconds: estimates["median"]["point_estimate"].as_f64()?,
            bytes: about["throughput"]["Bytes"].as_f64(),
        };
        Some((text("group_id"), text("value_str"), text("function_id"), figure))
    }

    fn text(&self) -> String {
        match self.bytes {
            Some(bytes) => format!("{:.2} GB/s", bytes / self.nanoseconds),
            None if self.nanoseconds < 1e6 => format!("{:.2} µs", self.nanoseconds / 1e3),
            None => format!("{:.1} ms", self.nanoseconds / 1e6),
        }
    }
}

/// By parameter (numbers in order), then by function.
type Group = BTreeMap<(u64, String), BTreeMap<String, Figure>>;

fn groups(root: &Path) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        if folder.ends_with("new") {
            if let Some((group, parameter, function, figure)) = Figure::read(&folder) {
                let row = (parameter.parse().unwrap_or(0), parameter);
                groups.entry(group).or_default().entry(row).or_default().insert(function, figure);
            }
        } else if let Ok(entries) = fs::read_dir(&folder) {
            open.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
        }
    }
    groups
}

fn print(name: &str, group: &Group) {
    let yardstick =
        YARDSTICKS.iter().find(|(group, _)| *group == name).map_or("", |(_, yardstick)| yardstick);
    let mut columns: Vec<&String> = group.values().flat_map(BTreeMap::keys).collect();
    columns.sort_by_key(|column| (*column != yardstick, *column));
    columns.dedup();
    println!("\n| {name} | {} |", columns.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
    for ((_, parameter), row) in group {
        let cell = |column: &&String| {
            let Some(figure) = row.get(*column) else { return String::new() };
            match row.get(yardstick).filter(|_| *column != yardstick) {
                Some(base) => format!("{} ({:.3})", figure.text(), base.nanoseconds / figure.nanoseconds),
                None => figure.text(),
            }
        };
        println!("| {parameter} | {} |", columns.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}

fn main() {
    let target: PathBuf = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    println!("built as: {}", strongroom::crypto::cipher_build());
    for (name, group) in groups(&target.join("criterion")) {
        print(&name, &group);
    }
    // Ratios of one round, where the medians above are of all rounds.
    for table in ["beside.md", "pipeline.md"] {
        if let Ok(ratios) = fs::read_to_string(target.join("criterion").join(table)) {
            println!("\n{ratios}");
        }
    }
}
