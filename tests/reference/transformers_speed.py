"""Speed of transformers with a LLaMA of a given shape in bfloat16 with random weights, asked line by line.

    pip install torch transformers
    python transformers_speed.py --config '{"hidden_size": …}' --past 256 --threads 2

Questions and answers are those of speed.py.
"""

import argparse
import json
import warnings

import torch
import transformers
from transformers import DynamicCache, LlamaForCausalLM

from speed import answer, llama_config


warnings.filterwarnings("ignore", category=FutureWarning)


class Model:
    def __init__(self, c):
        config = llama_config(c, attn_implementation="sdpa")
        torch.set_default_dtype(torch.bfloat16)
        self.model = LlamaForCausalLM(config).eval()
        self.cache = DynamicCache(config=config)

    def run(self, begin, rows, all_logits):  # begin is where the cache ends
        ids = torch.arange(3, 3 + rows)[None]
        self.model(ids, past_key_values=self.cache, use_cache=True, logits_to_keep=0 if all_logits else 1)

    def forget(self, begin):
        if begin == 0:
            self.cache = DynamicCache(config=self.model.config)
        elif begin < self.cache.get_seq_length():
            # So many from the end.
            self.cache.crop(begin - self.cache.get_seq_length())


@torch.inference_mode()
def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--config", type=json.loads, required=True)
    arguments.add_argument("--past", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True)
    a = arguments.parse_args()
    torch.set_num_threads(a.threads)
    model = Model(a.config)
    answer(f"transformers {transformers.__version__}, bfloat16, SDPA", model, a.past)


main()
