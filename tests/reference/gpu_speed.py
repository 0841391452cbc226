"""Speed of a LLaMA of a given shape in float16 with SDPA, and of the encoder's convolutions, with random weights.

    python gpu_speed.py --device cuda:0 --config '{"hidden_size": …}' [--encoder]

Prints one JSON object a line: what, found, note. The decoder is that of `transformers`, used as it comes (eager, a cache
that grows) and with its static cache under CUDA graphs.
"""

import argparse
import json
import time

import torch
import transformers

PROMPT, TOKENS = 256, 128


def row(what, found, note=""):
    print(json.dumps({"what": what, "found": found, "note": note}), flush=True)


def median(values):
    return sorted(values)[len(values) // 2]


def timed(device, work):
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    value = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return value, time.perf_counter() - begin


def llama(c, device):
    config = transformers.LlamaConfig(
        hidden_size=c["hidden_size"],
        intermediate_size=c["intermediate_size"],
        num_hidden_layers=c["layers"],
        num_attention_heads=c["attention_heads"],
        num_key_value_heads=c["key_value_heads"],
        head_dim=c["head_dim"],
        vocab_size=c["vocab_size"],
        max_position_embeddings=c["context_length"],
        rms_norm_eps=c["rms_norm_eps"],
        attn_implementation="sdpa",
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16 if device.type == "cuda" else torch.float32)
    # Weights made by the GPU itself, without the slow initialisation of the library.
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    model = model.to_empty(device=device)
    torch.set_default_dtype(default)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.02)
    # Rotary frequencies are no parameters and were left empty with the rest.
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(device)
    return model.eval()


@torch.inference_mode()
def eager(model, device):
    ids = torch.randint(0, model.config.vocab_size, (1, PROMPT), device=device)
    one = ids[:, :1]

    def prefill():
        return model(input_ids=ids, use_cache=True, logits_to_keep=1)

    prefill()
    time_prefill = median([timed(device, prefill)[1] for _ in range(5)])
    row("transformers, prefill", f"{PROMPT / time_prefill:.0f} tok/s", f"{1e3 * time_prefill:.1f} ms")
    cache = prefill().past_key_values
    steps = []
    for _ in range(TOKENS):
        out, seconds = timed(device, lambda: model(input_ids=one, past_key_values=cache, use_cache=True).logits[0, -1].argmax().item())
        steps.append(seconds)
    step = median(steps)
    row("transformers, decode", f"{1 / step:.1f} tok/s", f"{1e3 * step:.2f} ms a token, eager, cache that grows")


@torch.inference_mode()
def graphed(model, device):
    """One step of decoding with a static cache, captured as a CUDA graph: no Python and no launches between."""
    cache = transformers.StaticCache(config=model.config, max_cache_len=PROMPT + TOKENS)
    ids = torch.randint(0, model.config.vocab_size, (1, PROMPT), device=device)
    model(input_ids=ids, past_key_values=cache, cache_position=torch.arange(PROMPT, device=device), logits_to_keep=1)
    one, position = ids[:, :1].clone(), torch.tensor([PROMPT], device=device)
    mask = torch.zeros(1, 1, 1, PROMPT + TOKENS, dtype=model.dtype, device=device)

    def step():
        return model(
            input_ids=one,
            attention_mask=mask,
            position_ids=position[None],
            past_key_values=cache,
            cache_position=position,
        ).logits[0, -1].argmax()

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        token = step()
    seconds = []
    for _ in range(TOKENS):
        seconds.append(timed(device, lambda: (graph.replay(), token.item()))[1])
    time_step = median(seconds)
    row("transformers, decode, CUDA graph", f"{1 / time_step:.1f} tok/s", f"{1e3 * time_step:.2f} ms a token, static cache")


@torch.inference_mode()
def encoder(device):
    """The convolutions of the 3D ResNet-18 of width 64 with output stride 8 on 64 × 256 × 256, without norms."""
    conv = torch.nn.Conv3d
    relu = torch.nn.ReLU
    layers = [conv(1, 64, 7, stride=2, padding=3, bias=False), relu(), torch.nn.MaxPool3d(3, 2, 1)]
    width = 64
    for out, stride, dilation in [(64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4)]:
        for block in range(4):
            s = stride if block == 0 else 1
            layers += [conv(width, out, 3, stride=s, padding=dilation, dilation=dilation, bias=False), relu()]
            width = out
    for name, dtype, tf32 in [("float32", torch.float32, False), ("tf32", torch.float32, True), ("float16", torch.float16, False)]:
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        net = torch.nn.Sequential(*layers).to(device, dtype)
        x = torch.randn(1, 1, 64, 256, 256, device=device, dtype=dtype)
        net(x)
        seconds = median([timed(device, lambda: net(x))[1] for _ in range(5)])
        row(f"PyTorch, the encoder's convolutions, {name}", f"{1e3 * seconds:.1f} ms", "cuDNN's fastest algorithms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--encoder", action="store_true")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    model = llama(json.loads(arguments.config), device)
    eager(model, device)
    if device.type == "cuda":
        try:
            graphed(model, device)
        except Exception as error:  # The interface of caches changes between versions.
            row("transformers, decode, CUDA graph", "not measured", f"{type(error).__name__}: {error}"[:200].replace("\n", " "))
    del model
    if arguments.encoder:
        encoder(device)


main()
