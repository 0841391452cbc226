"""Golden tensors for the exported graphs: python tests/reference/make_goldens.py [OUT_FOLDER]"""

import copy
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from vision import Classifier, Difference, Encoder

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "golden" / "graphs")

RESNET = {"in_channels": 1, "width": 2, "depth": 10, "shortcut": "a", "strides": "dilated"}
BASE = {
    "input": [13, 22, 17],
    "encoder": RESNET,
    "resampler": {"tokens": 5, "dim": 12, "depth": 2, "heads": 2, "head_dim": 5, "ff_mult": 2, "position": "none"},
    "classifier": {"backbone": RESNET, "labels": 18},
    "difference": {"heads": 3, "ff_mult": 2, "global": True, "local": True, "prefix_tokens": 3, "positions": True, "epsilon": 1e-5,
                   "projector_rank": None},
    "decoder": {"hidden_size": 32, "intermediate_size": 48, "layers": 2, "attention_heads": 4, "key_value_heads": 2, "head_dim": 16,
                "vocab_size": 41, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "context_length": 64, "tie_word_embeddings": False},
}


def config(**changes):
    out = copy.deepcopy(BASE)
    for part, values in changes.items():
        out[part] = {**out[part], **values} if isinstance(values, dict) else values
    return out


def randomise(module, seed):
    """Values that float16 holds exactly, so that the files are small and the weights are the same on both sides."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, t in list(module.named_parameters()) + list(module.named_buffers()):
            if not t.is_floating_point() or "inv_freq" in name:
                continue
            noise = torch.randn(t.shape, generator=generator)
            if name.endswith("running_var"):
                value = 0.6 + 0.2 * noise.abs()
            elif name.endswith("weight") and t.dim() == 1:
                value = 1 + 0.2 * noise
            elif t.dim() >= 2 and not any(s in name for s in ("latents", "position", "embed_tokens")):
                value = noise * 1.4 / t[0].numel() ** 0.5
            else:
                value = noise * (0.2 if t.dim() == 1 or "embed_tokens" in name else 1.0)
            t.copy_(value.half().float())
    return module.eval()


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).half().float()


def save(name, config, module, inputs, outputs, drop=(), **metadata):
    tensors = {}
    for key, t in module.state_dict().items():
        if t.is_floating_point() and key not in drop:
            tensors["weights." + key] = t.half().contiguous()
            assert torch.equal(tensors["weights." + key].float(), t), key
    tensors |= {"inputs." + k: v.contiguous() for k, v in inputs.items()}
    tensors |= {"outputs." + k: v.detach().clone().contiguous() for k, v in outputs.items()}
    path = OUT / f"{name}.safetensors"
    save_file(tensors, path, {"config": json.dumps(config)} | {k: json.dumps(v) for k, v in metadata.items()})
    print(f"{path.name}: {path.stat().st_size} bytes")


def encoder(name, seed, c):
    module = randomise(Encoder(c), seed)
    volume = noise(seed + 1, 2, c["encoder"]["in_channels"], *c["input"])
    tokens, attention = module(volume)
    save(name, c, module, {"volume": volume}, {"tokens": tokens, "attention": attention})


def classifier(name, seed, c):
    module = randomise(Classifier(c), seed)
    with torch.no_grad():
        # From findings that are certain to findings of one in a million.
        module.classifier.head.bias.copy_(torch.linspace(-16, 4, c["classifier"]["labels"]).half().float())
    volume = noise(seed + 1, 2, c["encoder"]["in_channels"], *c["input"])
    probabilities = module(volume)
    assert probabilities.min() < 1e-5 and probabilities.max() > 0.99, probabilities
    save(name, c, module, {"volume": volume}, {"probabilities": probabilities})


def difference(name, seed, c):
    module = randomise(Difference(c), seed)
    shape = (2, c["resampler"]["tokens"], c["resampler"]["dim"])
    inputs = {"tokens": noise(seed + 1, *shape), "reference": noise(seed + 2, *shape)}
    # The second pair is equal: S and w are 0, and nothing may be divided by it.
    inputs["reference"][1] = inputs["tokens"][1]
    names = ("prefix", "visual", "importance", "weights")
    save(name, c, module, inputs, dict(zip(names, module(**inputs))))


def round_to_int4(weight, block, symmetric):
    """What four-bit codes of the scheme stand for; weight [n, k]."""
    n, k = weight.shape
    padded = np.zeros((n, -(-k // block) * block), np.float32)
    padded[:, :k] = weight
    blocks = padded.reshape(n, -1, block)
    low, high = np.minimum(blocks.min(2), 0), np.maximum(blocks.max(2), 0)
    if symmetric:
        scale, zero = np.where(high > -low, high, low) / np.float32(-8), np.float32(8)
    else:
        scale = (high - low) / np.float32(15)
        zero = np.clip(np.floor(-low / scale + np.float32(0.5)), 0, 15)[..., None]
    scale = scale.astype(np.float32)[..., None]
    # The sum with a half is taken in float64: in float32 the number just below a half would become one.
    x = (blocks * (np.float32(1) / scale)).astype(np.float64)
    codes = np.clip(np.sign(x) * np.floor(np.abs(x) + 0.5) + zero, 0, 15).astype(np.float32)
    return ((codes - zero) * scale).reshape(n, -1)[:, :k]


def greedy(model, embeds, steps):
    """Greedy tokens without a cache (every step runs the whole sequence again), and the narrowest choice among them."""
    sequence, tokens, margin = embeds, [], float("inf")
    for _ in range(steps):
        top = model(inputs_embeds=sequence).logits[0, -1].topk(2)
        margin = min(margin, float(top.values[0] - top.values[1]))
        tokens.append(int(top.indices[0]))
        sequence = torch.cat([sequence, model.model.embed_tokens(top.indices[:1])[None]], 1)
    return tokens, margin


def llama(d, seed, int4):
    """The model as stored, and the one that the graph computes: the same, or with weights rounded to four bits."""
    stored = randomise(LlamaForCausalLM(LlamaConfig(
        hidden_size=d["hidden_size"], intermediate_size=d["intermediate_size"], num_hidden_layers=d["layers"],
        num_attention_heads=d["attention_heads"], num_key_value_heads=d["key_value_heads"], head_dim=d["head_dim"],
        vocab_size=d["vocab_size"], rms_norm_eps=d["rms_norm_eps"], max_position_embeddings=d["context_length"],
        rope_parameters={"rope_type": "default", "rope_theta": d["rope_theta"]}, tie_word_embeddings=d["tie_word_embeddings"],
        attn_implementation="eager", bos_token_id=None, eos_token_id=None, pad_token_id=None)), seed)
    computed = copy.deepcopy(stored)
    for key, p in computed.named_parameters():
        if int4 and ("_proj" in key or "lm_head" in key):
            p.copy_(torch.from_numpy(round_to_int4(p.numpy(), **int4)))
    return stored, computed


def decoder(name, seed, c, int4=None):
    d = c["decoder"]
    # Most random models repeat one token; take the first whose text varies and whose choices do not hang on rounding.
    for attempt in range(seed, seed + 200):
        stored, computed = llama(d, attempt, int4)
        embeds = noise(attempt + 1, 1, 7, d["hidden_size"])
        tokens, margin = greedy(computed, embeds, 20)
        if margin > 0.03 and len(set(tokens)) > 5:
            break
    else:
        raise SystemExit(f"{name}: no seed gives varied text")
    drop = ("lm_head.weight",) if d["tie_word_embeddings"] else ()
    extra = {"int4": int4} if int4 else {}
    outputs = {"logits": computed(inputs_embeds=embeds).logits, "greedy": torch.tensor(tokens)}
    save(name, c, stored, {"inputs_embeds": embeds}, outputs, drop, **extra)


def embedding(name, seed, c):
    module = torch.nn.Module()
    module.model = torch.nn.Module()
    module.model.embed_tokens = torch.nn.Embedding(c["decoder"]["vocab_size"], c["decoder"]["hidden_size"])
    randomise(module, seed)
    ids = torch.tensor([[0, 1, 40], [7, 7, 39]])
    save(name, c, module, {"token_ids": ids}, {"embeddings": module.model.embed_tokens(ids)})


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    with torch.no_grad():
        encoder("encoder_dilated_a", 10, config(encoder={"depth": 18}))
        encoder("encoder_plain_16_b", 20, config(
            encoder={"shortcut": "b", "strides": "plain_16", "in_channels": 3}, classifier={"backbone": RESNET | {"in_channels": 3}},
            resampler={"dim": 16, "position": "learned"}, difference={"heads": 4}))
        classifier("classifier_dilated_b", 30, config(classifier={"backbone": RESNET | {"shortcut": "b"}}))
        classifier("classifier_plain_32_a", 40, config(classifier={"backbone": RESNET | {"strides": "plain_32"}}))
        difference("difference_both", 50, config())
        difference("difference_global", 60, config(difference={"local": False, "positions": False}))
        difference("difference_local", 70, config(difference={"global": False}))
        difference("difference_low_rank", 80, config(difference={"projector_rank": 4}))
        difference("difference_none", 90, config(difference={"global": False, "local": False, "prefix_tokens": 0}))
        embedding("embedding", 100, config())
        decoder("decoder_f32", 5000, config())
        decoder("decoder_f32_tied", 1000, config(decoder={
            "tie_word_embeddings": True, "key_value_heads": 4, "head_dim": 32, "layers": 1, "rope_theta": 5000.0}))
        decoder("decoder_int4_32", 2000, config(), {"block": 32, "symmetric": True})
        decoder("decoder_int4_32_asymmetric", 3000, config(decoder={"intermediate_size": 96}), {"block": 32, "symmetric": False})
        decoder("decoder_int4_128", 4000, config(decoder={"hidden_size": 128, "intermediate_size": 160, "layers": 1}),
                {"block": 128, "symmetric": True})


main()
