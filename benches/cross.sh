#!/usr/bin/env bash
# Builds and runs this crate for another processor, under emulation, with Debian's or Ubuntu's packages.
#   cross.sh setup                      fetch C compiler, emulator, standard library (root, once), or say why not
#   cross.sh library                    fetch the standard library alone: enough for `check`
#   cross.sh check [ARGS]               cargo check for $TARGET
#   cross.sh test|bench|build [ARGS]    the cargo command for $TARGET, what is built runs emulated
#   cross.sh instructions [WORK...]     instructions a byte, with vector units and without
# TARGET: aarch64-unknown-linux-gnu (default), armv7-unknown-linux-gnueabihf, riscv64gc-unknown-linux-gnu;
#         x86_64-unknown-linux-gnu for `instructions`.
# Times under emulation say nothing about the processor; counts of instructions are exact.
set -euo pipefail
cd "$(dirname "$0")/.."
TARGET=${TARGET:-aarch64-unknown-linux-gnu}
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/cross

fail() { echo "cross.sh: $*" >&2; exit 1; }

# `cpu` is pinned: which instructions a program chooses depends on it.
case $TARGET in
    aarch64-*) deb=arm64 gnu=aarch64-linux-gnu emulator=qemu-aarch64 cpu=cortex-a72 ;;
    armv7-*) deb=armhf gnu=arm-linux-gnueabihf emulator=qemu-arm cpu=cortex-a15 ;;
    riscv64gc-*) deb=riscv64 gnu=riscv64-linux-gnu emulator=qemu-riscv64 cpu=rv64 ;;
    x86_64-*) deb=amd64 gnu=x86_64-linux-gnu emulator=qemu-x86_64 cpu=max ;;
    *) fail "no recipe for TARGET $TARGET" ;;
esac
need=(qemu-user gcc libc6-dev)
[ "$deb" = amd64 ] || need=(qemu-user "gcc-$gnu" "libc6-dev-$deb-cross")

installed() { dpkg -s "${need[@]}" >/dev/null 2>&1; }

packages() {
    installed && return
    command -v apt-get >/dev/null || fail "no apt here to install ${need[*]} with"
    [ "$(id -u)" = 0 ] || fail "needs root, once, for: apt-get install ${need[*]}"
    apt-get -qq -o DPkg::Lock::Timeout=600 update || echo "cross.sh: some package lists did not load; going on" >&2
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 install \
        --no-install-recommends "${need[@]}" >/dev/null || fail "could not install ${need[*]}"
}

# The target's standard library: from rustup where it may fetch one, otherwise Debian's `rustc-web`,
# unpacked under `target` with the library of the same version; the system's own compiler stays.
library() {
    [ "$deb" != amd64 ] || return 0
    if rustup target add "$TARGET" >/dev/null 2>&1; then return; fi
    sysroot=$out/debian-rust-$deb
    [ -x "$sysroot/bin/rustdoc" ] || debian_rust
    export RUSTC=$sysroot/bin/rustc RUSTDOC=$sysroot/bin/rustdoc CARGO_TARGET_DIR=$out
}

apt_private() { # apt with lists of its own, so that no architecture is added to the system
    local tool=$1
    shift
    "$tool" -qq -o Dir::State="$out/apt" -o Dir::State::status="$out/apt/status" -o Dir::Cache="$out/apt" \
        -o Dir::Etc::sourcelist="$out/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o APT::Sandbox::User=root -o APT::Architectures="amd64,$deb" "$@"
}

version() { # the first one of package $1 with $2 in it
    apt_private apt-cache madison "$1" | awk -v part="$2" '!found && index($3, part) { print $3; found = 1 }'
}

debian_rust() {
    local ID VERSION_ID VERSION_CODENAME own upstream std llvm folder file tool
    . /etc/os-release
    [ "$ID" = debian ] || fail "rustup has no standard library for $TARGET, and only Debian packages one"
    command -v apt-get >/dev/null || fail "rustup has no standard library for $TARGET, and there is no apt"
    mkdir -p "$out"/apt/{lists,archives}/partial "$sysroot/bin"
    : >"$out/apt/status"
    # The system's own sources, and the next release: one architecture's index may be missing from the first.
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' | sort -u |
        awk -v own="$VERSION_CODENAME" '{ print "deb", $1, $2, "main" } $2 == own { print "deb", $1, "trixie main" }' \
        >"$out/apt/sources.list"
    apt_private apt-get update 2>/dev/null || echo "cross.sh: some package lists did not load; going on" >&2
    own=$(version rustc-web "deb$VERSION_ID")
    upstream=${own%%+*}
    std=$(version "libstd-rust-web-dev:$deb" "$upstream+")
    [ -n "$own" ] && [ -n "$std" ] || fail "Debian has no standard library for $TARGET that fits its newest compiler"
    llvm=$(apt_private apt-cache depends "libstd-rust-web-${upstream%.*}=$own" |
        awk '!found && match($0, "libllvm[0-9]+") { print substr($0, RSTART, RLENGTH); found = 1 }')
    llvm=$llvm=$(version "$llvm" "deb$VERSION_ID")
    folder=$(mktemp -d)
    (cd "$folder" && apt_private apt-get download "rustc-web=$own" "libstd-rust-web-${upstream%.*}:amd64=$own" \
        "libstd-rust-web-dev:amd64=$own" "libstd-rust-web-dev:$deb=$std" "$llvm" "libz3-4/$VERSION_CODENAME")
    for file in "$folder"/*.deb; do dpkg -x "$file" "$sysroot"; done
    rm -r "$folder"
    for tool in rustc rustdoc; do
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s --sysroot %s "$@"\n' \
            "$sysroot/usr/lib/x86_64-linux-gnu" "$sysroot/usr/bin/$tool" "$sysroot/usr" >"$sysroot/bin/$tool"
        chmod +x "$sysroot/bin/$tool"
    done
}

portable='--cfg chacha20_backend="soft" --cfg poly1305_backend="soft" --cfg aes_backend="soft"'
plain_blake3=blake3/pure,blake3/no_avx512,blake3/no_avx2,blake3/no_sse41,blake3/no_sse2

program() { # builds the program of fixed work and prints where it lies
    cargo bench --quiet --no-run --target "$TARGET" --bench instructions --message-format json "$@" |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

count() { # instructions that PROGRAM executes for UNITS of WORK
    env -i "$emulator" -cpu "$cpu" -L "$libraries" -plugin "$out/count.so" "$@" 2>&1 | tail -1
}

instructions() { # 2N units less N units: what starts and prepares the program falls out
    local api vector plain lc work program
    api=$("$emulator" --version | awk '{ print ($3 + 0 < 9) ? 1 : 2; exit }')
    mkdir -p "$out"
    cc -shared -fPIC -O2 -DAPI="$api" -o "$out/count.so" benches/count.c
    vector=$(program)
    plain=$(RUSTFLAGS=$portable program --features "$plain_blake3")
    lc=$(program --features accelerated)
    echo "$TARGET, $emulator -cpu $cpu, $("${RUSTC:-rustc}" --version | cut -d' ' -f1-2)"
    echo "| instructions a byte | portable | default build | ratio | accelerated | ratio |"
    echo "|---|---|---|---|---|---|"
    for work in "$@"; do
        for program in "$plain" "$vector" "$lc"; do
            echo "$work $(count "$program" "$work" 1) $(count "$program" "$work" 2)"
        done | awk '{ cost[NR] = ($3 - $2) / 8388608 }
            END { printf "| %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", $1,
                cost[1], cost[2], cost[1] / cost[2], cost[3], cost[1] / cost[3] }'
    done
}

command=${1:-setup}
[ $# -eq 0 ] || shift
[ "$(uname -sm)" = "Linux x86_64" ] || fail "runs on Linux x86_64 only; on the processor itself use cargo"
command -v cargo >/dev/null || fail "no cargo here: install Rust first"
case $command in check | library) ;; *) packages ;; esac
library
upper=${TARGET^^} upper=${upper//-/_} lower=${TARGET//-/_}
libraries=/
if [ "$deb" != amd64 ]; then
    libraries=/usr/$gnu
    export "CARGO_TARGET_${upper}_LINKER=$gnu-gcc" "CARGO_TARGET_${upper}_RUNNER=$emulator -L $libraries"
    export "CC_$lower=$gnu-gcc" "AR_$lower=$gnu-ar"
    # A check links nothing: where there is no compiler for them, the C parts may stay uncompiled.
    [ "$command" != check ] || installed || export "CC_$lower=true" "AR_$lower=true"
fi
case $command in
    setup | library) "${RUSTC:-rustc}" --version ;;
    check | test | bench | build) exec cargo "$command" --target "$TARGET" "$@" ;;
    instructions)
        [ $# -gt 0 ] || set -- seal open chunk hash chacha20poly1305 chacha20 poly1305 aes128
        instructions "$@"
        ;;
    *) sed -n '2,10p' "$0" >&2; exit 2 ;;
esac
