"""What an engine is asked for its speed, line by line; for the files *_speed.py beside it."""

import sys
import time


def answer(name, model, past):
    """Prints the name, then for each line of input the seconds of
        prefill ROWS        ROWS tokens into an empty cache, logits of the last
        steps ROWS STEPS    STEPS runs of ROWS tokens behind `past` positions with logits of all of them; several rows
                            replace those of the run before
    The model has `run(begin, rows, all_logits)` and `forget(begin)`.
    """
    print(name, flush=True)
    for line in sys.stdin:
        what, rows, *steps = line.split()
        rows, steps = int(rows), int(steps[0]) if steps else 1
        model.forget(0)
        if what == "prefill":
            begin = time.perf_counter()
            model.run(0, rows, False)
        else:
            model.run(0, past, False)
            begin = time.perf_counter()
            for step in range(steps):
                if rows > 1:
                    model.forget(past)
                model.run(past + (step if rows == 1 else 0), rows, True)
        print(time.perf_counter() - begin, flush=True)


def llama_config(c, **more):
    """The shape of a decoder as the benchmark gives it, as a config of transformers."""
    from transformers import LlamaConfig

    return LlamaConfig(
        hidden_size=c["hidden_size"], intermediate_size=c["intermediate_size"], num_hidden_layers=c["layers"],
        num_attention_heads=c["attention_heads"], num_key_value_heads=c["key_value_heads"], head_dim=c["head_dim"],
        vocab_size=c["vocab_size"], max_position_embeddings=c["context_length"], rms_norm_eps=c["rms_norm_eps"],
        tie_word_embeddings=c["tie_word_embeddings"], **more,
    )
