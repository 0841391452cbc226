"""Small LLaMA checkpoints of transformers and PEFT, with their logits and greedy text, for tests/tests/llama_import.rs.

python tests/reference/llama_checkpoints.py

Writes tests/golden/llama/CASE/: the checkpoint as save_pretrained leaves it (config.json, safetensors or shards), for one case
an adapter of PEFT. CASE.safetensors beside it has `ids`, `logits` of those ids, and `greedy`: 200 tokens that the model in float32 goes
on with. Needs torch, transformers and peft.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

OUT = Path(__file__).resolve().parent.parent / "golden" / "llama"
PROMPT, STEPS = 12, 200
SHAPE = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
             head_dim=16, vocab_size=96, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}


def randomise(model, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        with torch.no_grad():
            p.copy_(1 + 0.1 * noise if "norm" in name else noise * scale * (p.shape[-1] ** -0.5 if p.dim() == 2 else 1))


@torch.no_grad()
def greedy(model, ids):
    """Token by token with the cache; also the narrowest choice."""
    out, past, tokens, margin = model(ids, use_cache=True), None, [], float("inf")
    for _ in range(STEPS):
        top = out.logits[0, -1].topk(2)
        margin = min(margin, float(top.values[0] - top.values[1]))
        tokens.append(int(top.indices[0]))
        past = out.past_key_values
        out = model(top.indices[:1][None], past_key_values=past, use_cache=True)
    return tokens, margin


def case(name, dtype, shards=None, lora=None, **changes):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    for seed in range(1, 400):
        model = LlamaForCausalLM(LlamaConfig(**(SHAPE | changes))).eval()
        randomise(model, seed, 2.0)
        # What is compared is what the file holds, computed in float32.
        model = model.to(dtype)
        model.save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        adapter = folder / "adapter"
        if lora:
            adapted = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.05, **lora))
            for key, p in adapted.named_parameters():
                if "lora_" in key:
                    torch.manual_seed(seed + len(key))
                    with torch.no_grad():
                        p.copy_(0.3 * torch.randn(p.shape))
            adapted.save_pretrained(adapter)
            settings = adapter / "adapter_config.json"
            settings.write_text(json.dumps(json.loads(settings.read_text()) | {"base_model_name_or_path": f"models/{name}"}, indent=2))
            base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
            base = PeftModel.from_pretrained(base, adapter).merge_and_unload().eval()
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(3, SHAPE["vocab_size"], (1, PROMPT), generator=generator)
        tokens, margin = greedy(base, ids)
        # Random models like to repeat themselves: take one whose text varies and whose choices do not hang on rounding.
        if margin > 2e-3 and len(set(tokens)) > 20:
            break
        shutil.rmtree(folder)
    else:
        raise SystemExit(f"{name}: no seed gives varied text")
    with torch.no_grad():
        logits = base(ids).logits[0]
    save_file({"ids": ids[0], "logits": logits.float().contiguous(), "greedy": torch.tensor(tokens)}, OUT / f"{name}.safetensors")
    for extra in list(folder.rglob("README.md")) + list(folder.rglob("generation_config.json")):
        extra.unlink()
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{name}: seed {seed}, {len(set(tokens))} different tokens, narrowest choice {margin:.4f}, {size / 1e3:.0f} kB", file=sys.stderr)


torch.set_num_threads(1)
case("grouped_bf16", torch.bfloat16, rope_parameters=PLAIN, num_attention_heads=4, num_key_value_heads=2)
case("tied_f16_shards", torch.float16, shards="20KB", rope_parameters=PLAIN, tie_word_embeddings=True)
case("llama3_f32", torch.float32, rope_parameters=LLAMA3, head_dim=32)
case("linear_bf16", torch.bfloat16, rope_parameters=LINEAR)
case("adapter_bf16", torch.bfloat16, rope_parameters=PLAIN, lora=dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
case("rank_stabilised_f32", torch.float32, rope_parameters=PLAIN, num_hidden_layers=1,
     lora=dict(r=4, lora_alpha=4, use_rslora=True, target_modules="all-linear"))
