#!/usr/bin/env bash
# Whole jobs of the command beside other tools, each at its default, on a folder of yours.
#   peers.sh run FOLDER WORK [ROUNDS]   runs every tool that is installed, round by round (default 5); appends to
#                                       WORK/results
#   peers.sh table RESULTS              medians, and how we compare with the best of the others
# Tools: strongroom (built here), bupstash, restic, rustic, borg, rclone (crypt); those in $PATH take part.
# FOLDER is copied to WORK first, since a hundred of its files are changed. WORK wants room for FOLDER, all stores
# and one restored copy; a file system in memory leaves out what the disk does. Needs GNU time.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
export LC_ALL=C

fail() { echo "peers.sh: $*" >&2; exit 1; }

# --- the tools: each knows init, backup, restore TARGET, single FILE, check; $R is its own folder ---

strongroom_init() {
    export STRONGROOM_STORE=file:$R/store STRONGROOM_HOME=$R/home
    strongroom init --code-file "$R/code" && strongroom consent grant files
}
strongroom_backup() { strongroom --quiet backup files "$source"; }
strongroom_restore() { strongroom --quiet restore --into "$1"; }
strongroom_single() { strongroom --quiet cat "files:source/$1"; }
strongroom_check() { strongroom --quiet check --read-data; }

bupstash_init() {
    export BUPSTASH_REPOSITORY=$R/store BUPSTASH_KEY=$R/key BUPSTASH_SEND_LOG=$R/sendlog BUPSTASH_QUERY_CACHE=$R/cache
    bupstash init && bupstash new-key -o "$R/key"
}
bupstash_backup() { bupstash put :: "$source" >"$R/id"; }
bupstash_restore() { mkdir "$1" && bupstash restore --into "$1" "id=$(cat "$R/id")"; }
bupstash_single() { bupstash get --pick "$1" "id=$(cat "$R/id")"; }
bupstash_check() { bupstash get "id=$(cat "$R/id")"; }

restic_init() {
    export RESTIC_REPOSITORY=$R/store RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$R/cache
    restic init
}
restic_backup() { restic --quiet backup "$source"; }
restic_restore() { restic --quiet restore latest --target "$1"; }
restic_single() { restic dump latest "$source/$1"; }
restic_check() { restic --quiet check --read-data; }

rustic_init() {
    export RUSTIC_REPOSITORY=$R/store RUSTIC_PASSWORD=bench RUSTIC_CACHE_DIR=$R/cache RUSTIC_NO_PROGRESS=true
    rustic init
}
rustic_backup() { rustic backup "$source"; }
rustic_restore() { rustic restore latest "$1"; }
rustic_single() { rustic dump "latest:$source/$1"; }
rustic_check() { rustic check --read-data; }

borg_init() {
    export BORG_REPO=$R/store BORG_PASSPHRASE=bench BORG_BASE_DIR=$R/base
    borg init --encryption repokey
}
borg_backup() { borg create "::{utcnow:%s%f}" "$source"; }
borg_last() { borg list --last 1 --format '{archive}'; }
borg_restore() { mkdir "$1" && (cd "$1" && borg extract "::$(borg_last)"); }
borg_single() { borg extract --stdout "::$(borg_last)" "${source#/}/$1"; }
borg_check() { borg check --verify-data; }

rclone_init() {
    export RCLONE_CONFIG=$R/none RCLONE_CONFIG_VAULT_TYPE=crypt RCLONE_CONFIG_VAULT_REMOTE=$R/store
    RCLONE_CONFIG_VAULT_PASSWORD=$(rclone obscure bench)
    export RCLONE_CONFIG_VAULT_PASSWORD
    mkdir "$R/store" && touch "$R/none"
}
rclone_backup() { rclone sync --links "$source" vault:; }
rclone_restore() { rclone copy --links vault: "$1"; }
rclone_single() { rclone cat "vault:$1"; }
rclone_check() { rclone cryptcheck --links "$source" vault:; }

# --- the runs ---

if [ "${1:-}" = job ]; then # one job, in a process of its own so that it can be timed
    shift
    "$@"
    exit
fi

# One job: its output away, its time and memory noted. The memory is that of the largest process.
timed() { # TOOL JOB COMMAND...
    local tool=$1 job=$2 seconds peak
    shift 2
    if ! env time --format '%e %M' --output "$R/time" "$here/benches/peers.sh" job "$@" >"$R/out" 2>"$R/err"; then
        tail -3 "$R/err" >&2
        fail "$tool cannot $job"
    fi
    read -r seconds peak <"$R/time"
    echo "$tool $job $seconds $peak" | tee -a "$work/results"
}

# A virtual machine gives memory back that nobody uses, and getting it again takes longer than writing to it. In a
# file system in memory each job that writes much would pay for what the one before it left; so nobody does.
warm() {
    [ "$(stat --file-system --format %T "$work")" = tmpfs ] || return 0
    head --bytes "$(du --apparent-size --summarize --block-size=1 "$source" | cut -f1)" /dev/zero >"$work/warm"
    rm "$work/warm"
}

size() { echo "$1 size 0 $(du --apparent-size --summarize --block-size=1K "$2" | cut -f1)" | tee -a "$work/results"; }

# The work of one tool in one round. What it restored must be what was there.
run_tool() { # TOOL
    local tool=$1 restored
    R=$work/$tool
    export R source
    rm -rf "$R"
    mkdir -p "$R"
    "${tool}_init" >"$R/out" 2>&1 || fail "$tool cannot begin: $(tail -1 "$R/out")"
    find "$source" -type f -print0 | xargs -0 cat >/dev/null # into the page cache, for everybody
    warm
    timed "$tool" first "${tool}_backup"
    size "$tool" "$R/store"
    timed "$tool" nothing "${tool}_backup"
    timed "$tool" single "${tool}_single" "$one"
    cmp --silent "$R/out" "$source/$one" || fail "$tool: another file than asked for"
    warm
    timed "$tool" restore "${tool}_restore" "$R/restored"
    restored=$(find "$R/restored" -path "*/$one" -printf '%p\n' -quit)
    restored=${restored%"/$one"}
    diff --recursive --no-dereference --brief "$source" "$restored" >"$R/diff" || fail "$tool: $(head -1 "$R/diff")"
    rm -rf "$R/restored"
    timed "$tool" check "${tool}_check"
}

run() { # FOLDER WORK ROUNDS
    local folder rounds=${3:-5} tools=() tool
    folder=$(realpath "$1")
    mkdir -p "$2"
    work=$(realpath "$2")
    source=$work/source
    (cd "$here" && cargo build --quiet --release --features cli,openssl)
    PATH=$(cd "$here" && cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release:$PATH
    for tool in strongroom bupstash restic rustic borg rclone; do
        if command -v "$tool" >/dev/null; then tools+=("$tool"); else echo "without $tool" >&2; fi
    done
    env time --version >/dev/null 2>&1 || fail "GNU time is missing"
    # A copy that is there may be of another folder, and has the changes of an earlier run.
    [ ! -e "$source" ] || fail "$source is there already: give another folder to work in"
    cp --archive "$folder" "$source"
    one=$(cd "$source" && find . -type f -size +1k -printf '%P\n' | sort | awk '{all[NR]=$0} END {print all[int(NR/2)]}')
    for _ in $(seq "$rounds"); do
        for tool in "${tools[@]}"; do run_tool "$tool"; done
        change
        for tool in "${tools[@]}"; do
            R=$work/$tool
            export R source
            timed "$tool" changed "${tool}_backup"
        done
        for tool in "${tools[@]}"; do rm -rf "${work:?}/$tool"; done
        tools=("${tools[@]:1}" "${tools[0]}") # whoever is first meets what the end of the last round left behind
    done
    table "$work/results"
}

# A line more in a hundred files, spread over all.
change() {
    find "$source" -type f -printf '%P\n' | sort | awk '{all[NR]=$0} END {for (i = 0; i < 100; i++) print all[int(i * NR / 100) + 1]}' |
        sort -u | while IFS= read -r name; do date +%s%N >>"$source/$name"; done
}

table() { # RESULTS
    awk '
        function median(list, n, values, i, j, swap) {
            n = split(list, values, " ")
            for (i = 2; i <= n; i++) for (j = i; j > 1 && values[j] + 0 < values[j - 1] + 0; j--) {
                swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap
            }
            return values[int((n + 1) / 2)]
        }
        # The clock has hundredths of a second: what took none took less than one.
        function ratio(best, us) { return us > 0 ? sprintf("%.2f", best / us) : sprintf("> %.0f", best / 0.01) }
        { tools[$1]; jobs[$2]; seconds[$1, $2] = seconds[$1, $2] " " $3; peak[$1, $2] = peak[$1, $2] " " $4 }
        END {
            order = "first nothing changed single restore check size"
            print "| job | ours | best of the others | ratio | our peak MiB | their smallest MiB |"
            print "|---|---|---|---|---|---|"
            for (o = 1; o <= split(order, names, " "); o++) {
                job = names[o]; best = ""; small = ""; all = ""
                for (tool in tools) if (tool != "strongroom" && (tool, job) in seconds) {
                    s = median(seconds[tool, job]); p = median(peak[tool, job])
                    if (job == "size") s = p / 1024
                    all = all sprintf("; %s %s (%d)", tool, s, p / 1024)
                    if (best == "" || s < best) { best = s; who = tool }
                    if (small == "" || p < small) small = p
                }
                us = median(seconds["strongroom", job]); up = median(peak["strongroom", job])
                if (job == "size") us = up / 1024
                printf "| %s | %.2f | %.2f (%s) | %s | %d | %d |\n", job, us, best, who, ratio(best, us), up / 1024, small / 1024
                rest = rest sprintf("%s: strongroom %s (%d)%s\n", job, us, up / 1024, all)
            }
            printf "\nSeconds (peak MiB), medians; sizes in MiB. Ratio: how many times ours goes into the best of the others.\n\n%s", rest
        }' "$1"
}

case "${1:-}" in
    run) [ $# -ge 3 ] || fail "run FOLDER WORK [ROUNDS]"; shift; run "$@" ;;
    table) [ $# -eq 2 ] || fail "table RESULTS"; table "$2" ;;
    *) sed -n '2,9s/^# //p' "$0"; exit 2 ;;
esac
