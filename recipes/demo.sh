#!/usr/bin/env bash
# The demo model, from nothing to a package: phantoms, encoder, classifier, generator, export. May be broken off at any
# time: the same command goes on. Needs a built diffvp-train with the feature `torch` (docs/training.md).
#
#   recipes/demo.sh FOLDER [SCANS [SEED]]
#   DIFFVP_FIT=--cuda recipes/demo.sh FOLDER          # options for `diffvp-train fit`
set -euo pipefail
work=${1:?a folder for data, run and package}
scans=${2:-4500}
seed=${3:-1}
train=${DIFFVP_TRAIN:-target/release/diffvp-train}

mkdir -p "$work"
"$train" synth --out "$work/data" --scans "$scans" --seed "$seed" --size demo
if [ ! -e "$work/fit.toml" ]; then
    "$train" fit --write-config demo | sed "s/^seed = .*/seed = $seed/" > "$work/fit.toml"
fi
"$train" fit all --config "$work/fit.toml" --data "$work/data" --run "$work/run" --cache "$work/cache" --resume ${DIFFVP_FIT:-}
"$train" export "$work/run" --out "$work/demo.diffvp" --quantize int8 --embedding f16 --vision f16
"$train" phrases --package "$work/demo.diffvp" --data "$work/data" --max-tokens 30000
