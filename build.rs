//! Tells the crate what the compiler does not: its own optimization level (`src/crypto/cipher_build.rs`), and
//! whether OpenSSL may seal (`src/crypto/aead.rs`).

fn main() {
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=STRONGROOM_OPT_LEVEL={level}");
    // Where its wide assembly is known to be built: other systems have assemblers that leave it out.
    let (os, arch) = (std::env::var("CARGO_CFG_TARGET_OS"), std::env::var("CARGO_CFG_TARGET_ARCH"));
    let is_built = os.as_deref() == Ok("linux") && arch.as_deref() == Ok("x86_64");
    println!("cargo::rustc-check-cfg=cfg(openssl_seals)");
    if is_built && std::env::var_os("CARGO_FEATURE_OPENSSL").is_some() {
        println!("cargo::rustc-cfg=openssl_seals");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
