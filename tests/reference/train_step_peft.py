"""Time of a training step of LLaMA-2-7B with LoRA in transformers and PEFT, beside `diffvp-train bench step`.

python tests/reference/train_step_peft.py [--steps 20] [--batch 32] [--rows 512] [--device cuda] [--small]

The same decoder (frozen, bfloat16, random, made on the device), adapter (q_proj and v_proj, rank 8, alpha 32, dropout 0.1, in
float32), lengths of sequences, parts of one scan, layers computed again for the gradient, clipping and AdamW. In place of the
resampler and the difference there are 48 trained rows. Unlike diffvp, LlamaForCausalLM computes logits for all rows, not only for those
that predict the report. Prints JSON with the keys of `diffvp-train bench step`; docs/training.md says how operations are counted.
`--small` is a decoder of two layers, to try the script without a GPU.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

VISION_ROWS, PROMPT_TOKENS = 16 + 32, 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rows", type=int, default=512, help="mean rows of prompt and report")
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    return parser.parse_args()


def decoder(small, device):
    sizes = dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32)
    if small:
        sizes = dict(hidden_size=128, intermediate_size=352, num_hidden_layers=2, num_attention_heads=4)
    config = LlamaConfig(vocab_size=32000, max_position_embeddings=2048, attn_implementation="sdpa", use_cache=False, **sizes)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        base = LlamaForCausalLM(config)
    torch.set_default_dtype(before)
    lora = LoraConfig(r=8, lora_alpha=32, lora_dropout=0.1, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(base, lora)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    return config, model


def tflop(config, sizes):
    """Operations of a step without and with the layers that are computed again, in 10^12."""
    d = config.hidden_size
    weights = d * (4 * d + 3 * config.intermediate_size)
    layers = sum(config.num_hidden_layers * (2 * weights * t + 2 * t * t * d) for t, _ in sizes) / 1e12
    head = sum(2 * d * config.vocab_size * targets for _, targets in sizes) / 1e12
    return 2 * (layers + head), 3 * layers + 2 * head


def main():
    a = arguments()
    torch.manual_seed(1)
    device = torch.device(a.device)
    config, model = decoder(a.small, device)
    rows = [a.rows * 3 // 4 + i * 7919 % (a.rows // 2) for i in range(a.batch)]
    prompt = VISION_ROWS + PROMPT_TOKENS
    sizes = [(t, t - prompt) for t in rows]
    targets = sum(n for _, n in sizes)
    texts = [torch.randint(0, config.vocab_size, (1, t - VISION_ROWS), device=device) for t in rows]
    vision = torch.nn.Parameter(0.02 * torch.randn(1, VISION_ROWS, config.hidden_size, device=device))
    trained = [vision] + [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.0)
    embed = model.get_input_embeddings()

    def step():
        total = torch.zeros((), device=device)
        for text in texts:
            embeddings = torch.cat([vision.to(torch.bfloat16), embed(text)], 1)
            labels = torch.cat([torch.full((1, prompt), -100, device=device), text[:, PROMPT_TOKENS:]], 1)
            # The mean over the part's tokens, as a share of the batch's.
            loss = model(inputs_embeds=embeddings, labels=labels).loss * ((labels != -100).sum() / targets)
            loss.backward()
            total += loss.detach().float()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total.item()

    times, losses = [], []
    for _ in range(a.warm_up + a.steps):
        start = time.perf_counter()
        losses.append(step())
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    times = times[a.warm_up :]
    median = statistics.median(times)
    model_tflop, computed_tflop = tflop(config, sizes)
    found = {
        "batch": a.batch,
        "micro_batch": 1,
        "rows": sum(rows),
        "targets": targets,
        "trained_parameters": sum(p.numel() for p in trained),
        "step_seconds": times,
        "median_step_seconds": median,
        "rows_per_second": sum(rows) / median,
        "model_tflop": model_tflop,
        "computed_tflop": computed_tflop,
        "share_of_peak_model": model_tflop / median / a.peak_tflops,
        "share_of_peak_computed": computed_tflop / median / a.peak_tflops,
        "peak_host_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "losses": [losses[0], losses[-1]],
    }
    if device.type == "cuda":
        found["peak_device_gib"] = torch.cuda.max_memory_allocated() / 2**30
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
