#!/usr/bin/env bash
# kill -9 at random moments of a backup of 500 MB. Each next run has to succeed, to send at most 64 MiB more
# than the data once, and to leave a store that checks.
#   tests/heavy/kill9.sh [ROUNDS]       needs target/release/strongroom (cargo build --release --features cli)
set -euo pipefail
cd "$(dirname "$0")/../.."
S=$PWD/target/release/strongroom
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
mkdir "$W/data"
for n in $(seq 50); do head -c 10000000 /dev/urandom >"$W/data/$n.bin"; done
data=$(du -sb "$W/data" | cut -f1)
for round in $(seq "${1:-20}"); do
    rm -rf "$W/store" "$W/home" "$W/code"
    export STRONGROOM_STORE=file:$W/store STRONGROOM_HOME=$W/home
    "$S" --quiet init --code-file "$W/code"
    "$S" --quiet consent grant files
    "$S" --quiet backup files "$W/data" >/dev/null 2>&1 &
    pid=$!
    sleep "$(awk -v seed="$RANDOM" 'BEGIN { srand(seed); printf "%.3f", 0.05 + rand() * 1.6 }')"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    before=$(find "$W/store" -type f | wc -l)
    "$S" --quiet backup files "$W/data" >/dev/null
    sent=$(awk -F'\t' '{ sum += $5 } END { printf "%d", sum }' "$W/home/ledger")
    "$S" --quiet check --read-data >/dev/null
    echo "round $round: $before objects at the kill, sent $(((sent - data) / 1024)) KiB more than the data"
    [ "$sent" -le $((data + 64 * 1024 * 1024)) ] || { echo "too much was sent"; exit 1; }
done
echo "every next run succeeded"
