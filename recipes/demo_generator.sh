#!/usr/bin/env bash
# Goes on with the demo model inside the library: its encoder and classifier as they are, its resampler, difference and decoder
# trained on. A change of the reports takes three quarters of an hour on two processor cores this way, and recipes/demo.sh from
# nothing two hours and a half. May be broken off at any time: the same command goes on.
#
#   pip install onnx safetensors
#   recipes/demo_generator.sh FOLDER [SCANS [SEED [EPOCHS]]]
#   PYTHON=venv/bin/python DIFFVP_FIT="--processes 2 --threads 1" recipes/demo_generator.sh FOLDER
set -euo pipefail
work=${1:?a folder for data, run and package}
scans=${2:-3000}
seed=${3:-1}
epochs=${4:-8}
train=${DIFFVP_TRAIN:-target/release/diffvp-train}
root=$(dirname "$0")/..

mkdir -p "$work"
work=$(realpath "$work")
"$train" synth --out "$work/data" --scans "$scans" --seed "$seed" --size demo
if [ ! -e "$work/fit.toml" ]; then
    "${PYTHON:-python3}" "$root/recipes/package_weights.py" "$root/diffvp/demo/package" "$work/weights.safetensors"
    cp "$root/diffvp/demo/package/tokenizer.json" "$work/tokenizer.json"
    "$train" fit --write-config demo | awk -v seed="$seed" -v epochs="$epochs" -v work="$work" '
        function start(name, file) { print name " = \"" work "/" file "\"" }
        /^\[/ { table = $0 }
        /^seed = / { $0 = "seed = " seed }
        table ~ /^\[(encoder|classifier|warm_up)\.schedule\]/ && /^epochs = / { $0 = "epochs = 0.0" }
        table == "[generator.schedule]" && /^epochs = / { $0 = "epochs = " epochs ".0" }
        # Batches in two parts, for two processes.
        /^micro_batch = / { $0 = "micro_batch = " $3 / 2 }
        # Half of the rate that starts from nothing.
        table == "[generator.schedule]" && /^learning_rate = / { $0 = "learning_rate = 0.001" }
        /^start_from_encoder = / { $0 = "start_from_encoder = false" }
        { print }
        /^\[(encoder|classifier|generator)\]/ { start("weights", "weights.safetensors") }
        /^\[generator\]/ { start("decoder_weights", "weights.safetensors"); start("tokenizer", "tokenizer.json") }
    ' > "$work/fit.toml"
fi
"$train" fit all --config "$work/fit.toml" --data "$work/data" --run "$work/run" --cache "$work/cache" --resume ${DIFFVP_FIT:-}
"$train" export "$work/run" --out "$work/demo.diffvp" --quantize int8 --embedding f16 --vision f16
"$train" phrases --package "$work/demo.diffvp" --data "$work/data" --max-tokens 30000
