"""Speed of llama.cpp with a LLaMA of a given shape in Q4_0 with random weights, asked line by line.

    pip install llama-cpp-python gguf
    python llama_cpp_speed.py --model FILE.gguf --config '{"hidden_size": …}' --past 256 --threads 2

Makes the model if it is not there. Questions and answers are those of speed.py.
"""

import argparse
import ctypes
import json
import os

import gguf
import llama_cpp
import numpy as np

from speed import answer


def write_model(path, c):
    """Random blocks of Q4_0: scales of 1/128, codes of all values."""
    writer = gguf.GGUFWriter(path + ".part", "llama")
    random = np.random.default_rng(3)
    writer.add_context_length(c["context_length"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_block_count(c["layers"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["attention_heads"])
    writer.add_head_count_kv(c["key_value_heads"])
    writer.add_rope_dimension_count(c["head_dim"])
    writer.add_key_length(c["head_dim"])
    writer.add_value_length(c["head_dim"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_vocab_size(c["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"<{i}>".encode() for i in range(c["vocab_size"])])
    writer.add_token_scores([0.0] * c["vocab_size"])
    writer.add_token_types([gguf.TokenType.NORMAL] * c["vocab_size"])

    def matrix(name, n, k):
        blocks = np.empty((n, k // 32, 18), np.uint8)
        blocks[:, :, :2] = np.array([1 / 128], np.float16).view(np.uint8)
        blocks[:, :, 2:] = random.integers(0, 256, (n, k // 32, 16), np.uint8)
        writer.add_tensor(name, blocks.reshape(n, -1), raw_dtype=gguf.GGMLQuantizationType.Q4_0)

    def ones(name, n):
        writer.add_tensor(name, np.ones(n, np.float32))

    h, m, d = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, kv = c["attention_heads"] * d, c["key_value_heads"] * d
    matrix("token_embd.weight", c["vocab_size"], h)
    for i in range(c["layers"]):
        ones(f"blk.{i}.attn_norm.weight", h)
        matrix(f"blk.{i}.attn_q.weight", q, h)
        matrix(f"blk.{i}.attn_k.weight", kv, h)
        matrix(f"blk.{i}.attn_v.weight", kv, h)
        matrix(f"blk.{i}.attn_output.weight", h, q)
        ones(f"blk.{i}.ffn_norm.weight", h)
        matrix(f"blk.{i}.ffn_gate.weight", m, h)
        matrix(f"blk.{i}.ffn_up.weight", m, h)
        matrix(f"blk.{i}.ffn_down.weight", h, m)
    ones("output_norm.weight", h)
    matrix("output.weight", c["vocab_size"], h)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".part", path)


class Model:
    def __init__(self, path, context, threads):
        quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
        self.quiet = quiet
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        options = llama_cpp.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = context, 512, 512
        options.n_threads = options.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def run(self, begin, rows, all_logits):
        batch = self.batch
        batch.n_tokens = rows
        for i in range(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = 3 + i, begin + i, 1, 0
            batch.logits[i] = all_logits or i == rows - 1
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        llama_cpp.llama_synchronize(self.context)

    def forget(self, begin):
        llama_cpp.llama_memory_seq_rm(self.memory, 0, begin, -1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--config", type=json.loads, required=True)
    arguments.add_argument("--past", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True)
    a = arguments.parse_args()
    if not os.path.exists(a.model):
        write_model(a.model, a.config)
    model = Model(a.model, a.past + 512, a.threads)
    answer(f"llama.cpp Q4_0 (llama-cpp-python {llama_cpp.__version__})", model, a.past)


main()
