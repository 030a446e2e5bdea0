//! What decides how fast this build seals: facts that the compiler knows, and of OpenSSL, which is asked whether
//! it seals, the processor. Nothing here is timed.
//!
//! A build that is slow seals the same bytes; only who ships it can do anything about it, so he can ask.

const OPT_LEVEL: &str = env!("STRONGROOM_OPT_LEVEL");
const ACCELERATED: bool = cfg!(feature = "accelerated");
const AVX512: bool = cfg!(all(target_arch = "x86_64", chacha20_avx512));

/// The implementation that seals on this processor, and the flags it was built with, in one line for people.
#[must_use]
pub fn cipher_build() -> String {
    let cipher = match (ACCELERATED, AVX512) {
        (true, _) if is_wide() => "OpenSSL",
        (true, _) => "aws-lc",
        (false, true) => "chacha20poly1305 with AVX-512",
        (false, false) => "chacha20poly1305",
    };
    format!("{cipher}, opt-level {OPT_LEVEL}")
}

fn is_wide() -> bool {
    #[cfg(openssl_seals)]
    let wide = super::aead::wide::algorithm().is_some();
    #[cfg(not(openssl_seals))]
    let wide = false;
    wide
}

/// Why this build seals slower than the processor could, if so: a test of an app asserts that it is `None`.
///
/// The optimization level is this crate's own; dependencies usually share it. Debug builds pass at level 1.
#[must_use]
pub fn slow_cipher_build() -> Option<&'static str> {
    match OPT_LEVEL {
        "0" => Some("opt-level 0: up to 250 times slower"),
        "s" | "z" => Some("built for size: up to 13 times slower"),
        _ if cfg!(target_arch = "x86_64") && !AVX512 && !ACCELERATED => {
            Some("no AVX-512: build with RUSTFLAGS=\"--cfg chacha20_avx512\"")
        }
        _ => None,
    }
}
