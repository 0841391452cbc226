#!/usr/bin/env bash
# Measures what each part of the method is worth: trains the variants of the ablation on phantoms and reports others with them.
# Encoder, classifier, decoder and tokenizer are those of the demo model inside the library; every variant has the same resampler to
# start from, and a difference of its own that starts from nothing. May be broken off at any time: the same command goes on.
#
#   pip install onnx safetensors
#   recipes/ablation.sh FOLDER [SCANS [EPOCHS [MORE OF diffvp-train ablate]]]
#   PYTHON=venv/bin/python recipes/ablation.sh FOLDER 3000 3 --groups parts --threads 1
#
# DIFFVP_ENCODER=organs trains an encoder that learns organs only, and leaves the warm-up of the resampler out: tokens then know no
# findings beforehand. DIFFVP_DATA and DIFFVP_CACHE name folders that several ablations share.
set -euo pipefail
work=${1:?a folder for data, run and tables}
scans=${2:-3000}
epochs=${3:-3}
shift $(($# < 3 ? $# : 3))
train=${DIFFVP_TRAIN:-target/release/diffvp-train}
root=$(dirname "$0")/..
encoder=${DIFFVP_ENCODER:-demo}

mkdir -p "$work"
work=$(realpath "$work")
data=${DIFFVP_DATA:-$work/data}
cache=${DIFFVP_CACHE:-$work/cache}
"$train" synth --out "$data" --scans "$scans" --seed 1 --size demo
if [ ! -e "$work/fit.toml" ]; then
    "${PYTHON:-python3}" "$root/recipes/package_weights.py" "$root/diffvp/demo/package" "$work/weights.safetensors"
    cp "$root/diffvp/demo/package/tokenizer.json" "$work/tokenizer.json"
    "$train" fit --write-config demo | awk -v encoder="$encoder" -v work="$work" '
        function start(name, file) { print name " = \"" work "/" file "\"" }
        /^\[/ { table = $0 }
        table == "[classifier.schedule]" && /^epochs = / { $0 = "epochs = 0.0" }
        table == "[encoder.schedule]" && /^epochs = / { $0 = encoder == "organs" ? "epochs = 2.0" : "epochs = 0.0" }
        table == "[warm_up.schedule]" && /^epochs = / { $0 = encoder == "organs" ? "epochs = 0.0" : "epochs = 4.0" }
        /^finding_weight = / && encoder == "organs" { $0 = "finding_weight = 0.0" }
        /^start_from_encoder = / { $0 = "start_from_encoder = false" }
        { print }
        /^\[classifier\]/ || (/^\[encoder\]/ && encoder != "organs") { start("weights", "weights.safetensors") }
        /^\[generator\]/ { start("decoder_weights", "weights.safetensors"); start("tokenizer", "tokenizer.json") }
    ' > "$work/fit.toml"
fi
for stage in encoder classifier; do
    "$train" fit "$stage" --config "$work/fit.toml" --data "$data" --run "$work/run" --cache "$cache" --resume ${DIFFVP_FIT:-}
done
"$train" ablate "$work/run" --data "$data" --cache "$cache" --out "$work/ablation" --epochs "$epochs" "$@"
