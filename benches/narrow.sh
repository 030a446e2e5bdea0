#!/usr/bin/env bash
# The chunker as a lesser processor runs it, measured on this one (x86-64 with AVX-512 and VAES).
#   narrow.sh aes-ni      AVX2, and AES instructions for one block at a time
#   narrow.sh portable    no vector registers beyond the baseline, no AES instructions
# What a processor has is found at run time, and no flag hides it. So copies of the two crates that look for it
# take their place for this build, and find less: a condition more that no processor in use fulfils. The figure
# to compare with is that of `cargo bench --bench content`, taken at the same time.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/narrow

fail() { echo "narrow.sh: $*" >&2; exit 1; }

# A copy of crate $1 as it is locked, at the path that is printed.
copy() {
    local manifest
    manifest=$(cargo metadata --format-version 1 --filter-platform x86_64-unknown-linux-gnu |
        grep -o "\"manifest_path\":\"[^\"]*/$1-[0-9.]*/Cargo.toml\"" | sort -V | tail -1 | cut -d'"' -f4)
    [ -n "$manifest" ] || fail "no crate $1"
    rm -rf "${out:?}/$1" && mkdir -p "$out" && cp -r "$(dirname "$manifest")" "$out/$1"
}

# Changes file $1 by the expression $2, which must not be without effect.
change() {
    cp "$1" "$1.before" && sed -i "$2" "$1"
    ! cmp -s "$1" "$1.before" || fail "$1 looks different from what this script knows"
}

copy aes
copy fearless_simd
no='"avx512er"' # only ever in Xeon Phi
case ${1-} in
    aes-ni)
        change "$out/aes/src/lib.rs" "/new!(features_vaes/s/\"vaes\"/&, $no/"
        change "$out/fearless_simd/src/lib.rs" 's/std::arch::is_x86_feature_detected!("adx")/false/' ;;
    portable)
        change "$out/aes/src/lib.rs" "/new!(features_/s/\"v\?aes\"/&, $no/"
        change "$out/fearless_simd/src/lib.rs" 's/std::arch::is_x86_feature_detected!("\(adx\|avx2\)")/false/' ;;
    *) fail "aes-ni or portable?" ;;
esac
CRITERION_HOME=$out/criterion cargo bench --config "paths=[\"$out/aes\", \"$out/fearless_simd\"]" --bench content
