//! Each fuzz target runs over its committed seeds, without a fuzzer. Make the seeds again with
//! `STRONGROOM_REGENERATE=1 cargo test --test fuzz_seeds`.

#![expect(clippy::disallowed_methods, reason = "seeds are files")]

use std::{fs, path::Path};

#[path = "../fuzz/src/lib.rs"]
pub mod targets;

#[test]
fn every_target_stands_its_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    if std::env::var_os("STRONGROOM_REGENERATE").is_some() {
        for seed in targets::seeds::all() {
            let folder = root.join(seed.target);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(seed.name), seed.bytes).expect("written");
        }
    }
    for (target, run) in targets::TARGETS {
        let mut seeds: Vec<_> =
            fs::read_dir(root.join(target)).expect("seeds").map(|entry| entry.unwrap().path()).collect();
        assert!(!seeds.is_empty(), "{target} has no seed");
        seeds.sort();
        for seed in seeds {
            println!("{}", seed.display());
            run(&fs::read(seed).expect("a seed"));
        }
    }
}
