//! Tells the crate its own optimization level, which the compiler does not (`src/crypto/cipher_build.rs`).

fn main() {
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=STRONGROOM_OPT_LEVEL={level}");
    println!("cargo::rerun-if-changed=build.rs");
}
