"""Exports every golden case, checks the file, runs it with Python's onnxruntime and prints the largest error.

    cargo build -p diffvp-exporter --example export_graph
    python tests/reference/run_onnx.py target/debug/examples/export_graph
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open
from safetensors.numpy import save_file

GOLDENS = pathlib.Path(__file__).parent.parent / "golden" / "graphs"


def error(found, expected):
    """Largest difference over the largest magnitude; 1 and more where shapes or NaN differ."""
    if found.shape != expected.shape or np.isnan(found).any():
        return float("inf")
    return 0.0 if expected.size == 0 else float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6))


class Decoder:
    def __init__(self, session, c):
        self.session, self.c, self.past = session, c, 0
        shape = (1, c["key_value_heads"], 0, c["head_dim"])
        self.kv = {f"past_key_values.{l}.{p}": np.zeros(shape, np.float32) for l in range(c["layers"]) for p in ("key", "value")}

    def run(self, embeds, logits_from):
        total = self.past + embeds.shape[1]
        feed = {"inputs_embeds": embeds, "seqlens_k": np.array([total - 1], np.int32),
                "total_sequence_length": np.array(total, np.int32), "logits_from": np.array([logits_from], np.int64)}
        outputs = dict(zip((o.name for o in self.session.get_outputs()), self.session.run(None, feed | self.kv)))
        self.past = total
        self.kv = {k: outputs[k.replace("past_key_values", "present")] for k in self.kv}
        return outputs["logits"]


def decode(session, c, case):
    embeds, table = case["inputs.inputs_embeds"], case["weights.model.embed_tokens.weight"].astype(np.float32)
    whole, parts, last = (Decoder(session, c) for _ in range(3))
    errors = {"all rows": error(whole.run(embeds, 0), case["outputs.logits"])}
    joined = np.concatenate([parts.run(embeds[:, :3], 0), parts.run(embeds[:, 3:5], 0), parts.run(embeds[:, 5:], 0)], 1)
    errors["in parts"] = error(joined, case["outputs.logits"])
    logits = last.run(embeds, -1)
    errors["last row"] = error(logits, case["outputs.logits"][:, -1:])
    tokens = []
    for _ in case["outputs.greedy"]:
        tokens.append(int(logits[0, -1].argmax()))
        logits = last.run(table[None, None, tokens[-1]], -1)
    errors["greedy flips"] = sum(a != b for a, b in zip(tokens, case["outputs.greedy"]))
    return errors


def run(binary, path, options, external):
    with safe_open(path, "np") as f:
        config, scheme = json.loads(f.metadata()["config"]), json.loads(f.metadata().get("int4", "null"))
        case = {k: f.get_tensor(k) for k in f.keys()}
    graph = path.stem.split("_")[0]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "config.json").write_text(json.dumps(config))
        weights = {k.removeprefix("weights."): v for k, v in case.items() if k.startswith("weights.")}
        save_file(weights, folder / "weights.safetensors")
        if scheme:
            options = options + [f"int4={scheme['block']}"] + ([] if scheme["symmetric"] else ["asymmetric"])
        if external:
            options = options + ["external=0"]
        model = folder / f"{graph}.onnx"
        subprocess.run([binary, graph, folder / "config.json", folder / "weights.safetensors", model, *options], check=True, stdout=subprocess.DEVNULL)
        onnx.checker.check_model(str(model), full_check=True)
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        if graph == "decoder":
            errors = decode(session, config["decoder"], case)
        else:
            inputs = {k.removeprefix("inputs."): v for k, v in case.items() if k.startswith("inputs.")}
            names = [o.name for o in session.get_outputs()]
            errors = {n: error(v, case["outputs." + n]) for n, v in zip(names, session.run(None, inputs))}
            if graph == "classifier":
                p, q = session.run(None, inputs)[0], case["outputs.probabilities"]
                errors["elementwise"] = float(np.abs(p / q - 1).max())
    print(f"{path.stem} {' '.join(options)}: " + ", ".join(f"{k} {v:.1e}" for k, v in errors.items()))


if __name__ == "__main__":
    for case in sorted(GOLDENS.glob("*.safetensors")):
        levels = (["accuracy=1"], ["accuracy=4"]) if "int4" in case.stem else ([],)
        for options in levels:
            run(sys.argv[1], case, list(options), external=False)
        run(sys.argv[1], case, list(levels[0]), external=True)
