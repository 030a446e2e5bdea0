#!/usr/bin/env bash
# Memory of each job over time, on 2 GiB of data, with the least budget; draws docs/memory.svg.
#   memory.sh WORK [FOLDER]    WORK wants room for three times the data; without FOLDER 600 files are made
# Needs Linux (/proc), GNU time and pgrep. Fails if a job takes more than its budget of 24 MiB and 24 MiB for the process.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
mkdir -p "$1"
work=$(realpath "$1")
source=${2:-$work/source}
bound=$((24 + 24))

cargo build --quiet --release --features cli
strongroom=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/strongroom
if [ ! -d "$source" ]; then # as large as photos are, and as little to compress
    mkdir -p "$source"
    for n in $(seq 600); do head -c 3579139 /dev/urandom >"$source/$n.jpg"; done
fi
rm -rf "$work/store" "$work/home" "$work/restored" "$work/code"
export STRONGROOM_STORE=file:$work/store STRONGROOM_HOME=$work/home
"$strongroom" init --code-file "$work/code" >/dev/null
"$strongroom" consent grant files >/dev/null
: >"$work/samples"

# Samples the resident memory of one job, some 40 times a second: job, milliseconds, KiB; at the end its peak as the
# kernel saw it.
watch() { # JOB ARGS...
    local job=$1 start timed pid kib
    shift
    start=$(date +%s%N)
    env time --format %M --output "$work/peak" "$strongroom" --quiet --memory 24 "$@" >/dev/null &
    timed=$!
    while kill -0 "$timed" 2>/dev/null; do
        pid=$(pgrep --parent "$timed") && kib=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$kib" ] &&
            echo "$job $((($(date +%s%N) - start) / 1000000)) $kib 0" >>"$work/samples"
        sleep 0.02
    done
    wait "$timed"
    echo "$job $((($(date +%s%N) - start) / 1000000)) 0 $(cat "$work/peak")" >>"$work/samples"
}

watch "first backup" backup files "$source"
watch "nothing changed" backup files "$source"
watch "check" check
watch "check --read-data" check --read-data
watch "restore" restore --into "$work/restored"
diff --recursive --brief "$source" "$work/restored/files/$(basename "$source")"

awk -v bound="$bound" -v bytes="$(du --apparent-size --summarize --block-size=1 "$source" | cut -f1)" -v svg=docs/memory.svg '
    { n = NF; job = $1; for (i = 2; i <= n - 3; i++) job = job " " $i
      ms = $(n - 2); mib = $(n - 1) / 1024; high = $n / 1024
      if (!(job in seen)) { seen[job]; order[++jobs] = job; offset[job] = end + (jobs > 1 ? 150 : 0) }
      end = offset[job] + ms
      if (mib > 0) points[job] = points[job] " " end "," mib
      if (high > peak[job]) peak[job] = high }
    END {
        width = 900; height = 360; left = 60; top = 40; top_mib = bound + 8
        split("#1b6ca8 #8a4fff #d1495b #2e933c #c77800", colours, " ")
        printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n", width + left + 20, height + top + 50 > svg
        printf "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"20\" font-size=\"14\">Resident memory of each job on %.2f GiB with a budget of 24 MiB</text>\n", left, bytes / 1073741824 > svg
        for (mib = 0; mib <= top_mib; mib += 8) {
            y = top + height - mib / top_mib * height
            printf "<path d=\"M%d %.1fh%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", left, y, width, left - 8, y + 4, mib > svg
        }
        y = top + height - bound / top_mib * height
        printf "<path d=\"M%d %.1fh%d\" stroke=\"black\" stroke-dasharray=\"6 4\"/><text x=\"%d\" y=\"%.1f\">24 MiB budget + 24 MiB for the process</text>\n", left, y, width, left + 6, y - 6 > svg
        printf "<text x=\"14\" y=\"%d\" transform=\"rotate(-90 14 %d)\" text-anchor=\"middle\">MiB</text>\n", top + height / 2, top + height / 2 > svg
        for (j = 1; j <= jobs; j++) {
            job = order[j]; path = ""
            for (p = 1; p <= split(points[job], list, " "); p++) {
                split(list[p], at, ",")
                path = path sprintf("%s%.1f %.1f", p > 1 ? "L" : "M", left + at[1] / end * width, top + height - at[2] / top_mib * height)
            }
            printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", path, colours[j] > svg
            printf "<text x=\"%d\" y=\"%d\" font-size=\"11\" fill=\"%s\">%s: peak %.0f MiB</text>\n", left + (j - 1) * 184, top + height + 40, colours[j], job, peak[job] > svg
            printf "%s: peak %.1f MiB\n", job, peak[job]
            if (peak[job] > bound) over = 1
        }
        for (step = 1; end / 1000 / step > 15; step *= 2) {}
        for (s = 0; s * 1000 <= end; s += step) printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d s</text>\n", left + s * 1000 / end * width, top + height + 18, s > svg
        print "</svg>" > svg
        exit over
    }' "$work/samples"
