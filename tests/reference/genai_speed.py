"""Speed of onnxruntime-genai with a LLaMA of a given shape in int4 with random weights, asked line by line.

    pip install onnxruntime-genai onnx-ir torch transformers
    python genai_speed.py --model FOLDER --block 128 --config '{"hidden_size": …}' --past 256 --threads 2

Makes the model with the model builder of onnxruntime-genai if it is not there. Questions and answers are those of speed.py.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime_genai as og

from speed import answer, llama_config


def write_checkpoint(folder, c):
    """A checkpoint of transformers and a tokenizer, which the model builder asks for."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    config = llama_config(c, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    torch.manual_seed(3)
    torch.set_default_dtype(torch.bfloat16)
    LlamaForCausalLM(config).save_pretrained(folder)
    words = {f"<{i}>": i for i in range(c["vocab_size"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<0>"))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<1>", eos_token="<2>", unk_token="<0>", pad_token="<0>"
    ).save_pretrained(folder)


def write_model(folder, c, block):
    checkpoint, part = folder + ".checkpoint", folder + ".part"
    for old in (checkpoint, part):
        shutil.rmtree(old, ignore_errors=True)
    write_checkpoint(checkpoint, c)
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", checkpoint, "-o", part]
    builder += ["-p", "int4", "-e", "cpu", "-c", folder + ".cache", "--extra_options"]
    builder += [f"int4_block_size={block}", "int4_accuracy_level=4", "int4_is_symmetric=true"]
    made = subprocess.run(builder, capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit(f"the model builder failed:\n{made.stderr[-2000:]}")
    shutil.rmtree(checkpoint)
    os.rename(part, folder)


class Model:
    def __init__(self, folder, context, threads):
        config = og.Config(folder)
        config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
        self.model = og.Model(config)
        self.context = context
        self.generator = self.fresh()

    def fresh(self):
        parameters = og.GeneratorParams(self.model)
        parameters.set_search_options(max_length=self.context, min_length=self.context, do_sample=False)
        return og.Generator(self.model, parameters)

    def run(self, begin, rows, all_logits):
        self.generator.append_tokens(np.arange(3, 3 + rows, dtype=np.int32))
        # The logits of all rows are computed by then, wanted or not.
        self.generator.get_logits()

    def forget(self, begin):
        if begin == 0:
            self.generator = self.fresh()
        elif begin < self.generator.token_count():
            self.generator.rewind_to(begin)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--block", type=int, required=True)
    arguments.add_argument("--config", type=json.loads, required=True)
    arguments.add_argument("--past", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True)
    a = arguments.parse_args()
    if not os.path.exists(a.model):
        write_model(a.model, a.config, a.block)
    answer(f"onnxruntime-genai {og.__version__}", Model(a.model, a.past + 512, a.threads), a.past)


main()
