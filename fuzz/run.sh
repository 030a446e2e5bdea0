#!/usr/bin/env bash
# Fuzzes each target, or those named, for SECONDS each. Exits non-zero when one finds something.
set -uo pipefail
usage="usage: fuzz/run.sh SECONDS [TARGET…]"
seconds=${1:?$usage}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "$usage" >&2; exit 2; }
shift
cd "$(dirname "$0")/.."
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list)
fi
cargo +nightly fuzz build || exit 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
found=0
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    # The newly found inputs go to the first folder; the seeds are only read.
    if cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=65536 \
        -print_final_stats=1 -verbosity=1 >"$log" 2>&1; then
        verdict=ok
    else
        verdict=FOUND
        found=1
        tail -n 40 "$log" >&2
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-16s %10s executions  %s\n' "$target" "${executions:-?}" "$verdict"
done
exit "$found"
