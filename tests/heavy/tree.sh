#!/usr/bin/env bash
# A real source tree through the command: refused without consent, backed up, recovered with the code alone,
# compared in names, bytes, modes, times and links; what the store holds is searched for plaintext.
#   tests/heavy/tree.sh DIR             needs target/release/strongroom (cargo build --release --features cli)
set -euo pipefail
DIR=$(realpath "$1")
NAME=$(basename "$DIR")
cd "$(dirname "$0")/../.."
S=$PWD/target/release/strongroom
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
export STRONGROOM_STORE=file:$W/store STRONGROOM_HOME=$W/home
"$S" init --code-file "$W/code"
status=0; "$S" --quiet backup files "$DIR" 2>/dev/null || status=$?
[ $status = 6 ] || { echo "without consent: exit $status"; exit 1; }
"$S" consent grant files messages calls notes photos contacts
"$S" backup files "$DIR"
objects=$(find "$W/store" -type f | wc -l)
"$S" backup files "$DIR"
echo "objects: $objects, after a second backup: $(find "$W/store" -type f | wc -l)"
"$S" --home "$W/new" recover --code-file "$W/code"
"$S" --home "$W/new" restore files --into "$W/out"
listing() { (cd "$1" && find . -mindepth 1 -printf '%P\t%y\t%m\t%T@\t%l\n' | sort); }
diff <(listing "$DIR") <(listing "$W/out/files/$NAME")
diff -r --no-dereference "$DIR" "$W/out/files/$NAME"
echo "equal: $(listing "$DIR" | wc -l) entries"
for file in $(find "$W/store" -type f); do
    case $(stat -c %s "$file") in
    16384 | 32768 | 65536 | 131072 | 262144 | 524288 | 1048576 | 2097152 | 4194304 | 8388608) ;;
    *) echo "another length: $file"; exit 1 ;;
    esac
done
python3 - "$DIR" "$W/store" <<'PY'
import hashlib, os, sys
source, store = sys.argv[1:]
wanted = set()
for folder, _, names in os.walk(source):
    for name in names:
        path = os.path.join(folder, name)
        raw = os.fsencode(name)
        if len(raw) >= 16:
            wanted.add(raw[:16])
        if os.path.islink(path):
            continue
        data = open(path, "rb").read()
        for at in range(0, max(len(data) - 15, 0), max(len(data) // 64, 16)):
            piece = data[at:at + 16]
            if len(set(piece)) > 4:
                wanted.add(piece)
        for hash in (hashlib.sha256, hashlib.sha1, hashlib.md5):
            wanted.add(hash(data).digest()[:16])
found = searched = 0
for folder, _, names in os.walk(store):
    for name in names:
        data = open(os.path.join(folder, name), "rb").read()
        searched += len(data)
        found += sum(data[at:at + 16] in wanted for at in range(len(data) - 15))
print(f"{len(wanted)} pieces, names and checksums looked for at every place of {searched} bytes: {found} found")
sys.exit(found != 0)
PY
echo "the store shows ten lengths and nothing else"
