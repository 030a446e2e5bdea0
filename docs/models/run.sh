#!/usr/bin/env bash
# Runs every model, or those named, and compares each query's result with the expected one:
# in the order of the queries, a letter for what is asked, and 0 (holds) or 1 (an attack was
# found). Exits 0 only if all are as expected. VERIFPAL names the prover if it is not in PATH.
set -uo pipefail
cd "$(dirname "$0")" || exit 2
verifpal=${VERIFPAL:-verifpal}
version=$("$verifpal" --version) || { echo "no prover: cargo install verifpal --version 1.6.7 --locked" >&2; exit 2; }
[ "$version" = "verifpal 1.6.7" ] || { echo "the models are written for verifpal 1.6.7, this is $version" >&2; exit 2; }
out=$(mktemp)
err=$(mktemp)
trap 'rm -f "$out" "$err"' EXIT
TIMEFORMAT='%U'
named=" $* "
ran=0
wrong=0

model() { # NAME SESSIONS EXPECTED
    [ "$named" = "  " ] || [[ $named == *" $1 "* ]] || return 0
    ran=$((ran + 1))
    { time nice "$verifpal" verify "$1.vp" --sessions "$2" --result-code --quiet >"$out"; } 2>"$err"
    local result spent verdict=ok
    result=$(tail -n 1 "$out")
    spent=$(tail -n 1 "$err")
    if [ "$result" != "$3" ]; then
        verdict="WRONG, expected $3"
        wrong=1
        sed '$d' "$err" >&2
    fi
    printf '%-26s sessions %s  %-18s %5.0f s  %s\n' "$1" "$2" "${result:-nothing}" "$spent" "$verdict"
}

model enrollment               2 c0c0c0a0a0a0a0f0e0
model enrollment-photographed  2 c0c0c0a0a0a0f0e0
model enrollment-no-comparison 2 c1a1e1
model enrollment-replaced      1 c0a0e0a1c1c0
model enrollment-grinding      2 c0
model enrollment-no-commitment 2 c1
model revocation               2 c0c0c0a0a0a0c1
model revocation-commits       2 a0a0
model revocation-no-cut        1 a1a0
model epoch-announced          2 c0c0e0
model epoch-not-announced      1 c1c0
model recovery-code            2 c0c0c0a0a0c1
model recovery-code-old-roster 1 a1c1c0
[ "$ran" -gt 0 ] || { echo "no model is named $*" >&2; exit 2; }
exit "$wrong"
