#!/bin/sh
# Puts a pack together: sh unpack.sh FROM TO, where FROM holds all piece-* folders.
set -eu
from=$1
to=$2
mkdir -p "$to"
open() {
    if command -v xz >/dev/null 2>&1; then
        xz -dc "$1"
    else
        python3 -c 'import lzma, shutil, sys
shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer, 1 << 20)' "$1"
    fi
}
set -- "$from"/piece-*/part-*.xz
if [ "$#" -ne @PARTS@ ]; then
    echo "unpack: $# parts of @PARTS@ are in $from" >&2
    exit 1
fi
for part in "$@"; do
    name=${part##*/}
    open "$part" >"$to/${name%.xz}" &
done
# A part that failed shows in the hash.
wait
cat "$to"/part-* >"$to/pack.tar"
rm "$to"/part-*
found=$(sha256sum <"$to/pack.tar")
if [ "${found%% *}" != @SHA256@ ]; then
    echo "unpack: the pack has the SHA-256 ${found%% *}, expected @SHA256@" >&2
    exit 1
fi
tar -xf "$to/pack.tar" -C "$to"
rm "$to/pack.tar"
