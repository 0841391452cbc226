"""Weights of a package, as a run folder of `diffvp-train` has them: rounded as the package rounded them.

    python recipes/package_weights.py PACKAGE OUT.safetensors
"""

import pathlib
import sys

import numpy
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

EPSILON = 1e-5  # of the batch norms, which the package has folded into the convolutions before them


def unpack(name, codes, scales, columns):
    """Codes of eight bits in blocks along a row, around 128, as `MatMulNBits` stores them."""
    rows, blocks, block = codes.shape
    values = (codes.astype(numpy.float32) - 128) * scales.reshape(rows, blocks, 1)
    return {name: values.reshape(rows, blocks * block)[:, :columns]}


def batch_norm(name, bias):
    norm = name.replace("conv", "bn")
    return {
        f"{norm}.weight": numpy.ones_like(bias),
        f"{norm}.bias": bias,
        f"{norm}.running_mean": numpy.zeros_like(bias),
        f"{norm}.running_var": numpy.full_like(bias, 1 - EPSILON),
    }


def join(weights, ending, parts, joined):
    """Matrices that the graphs hold one by one and the model as one."""
    for name in [name for name in weights if name.endswith(ending)]:
        stem = name.removesuffix(ending)
        weights[stem + joined] = numpy.concatenate([weights.pop(stem + part) for part in parts])


def main(package, out):
    weights = {}
    for graph in ["encoder", "classifier", "difference", "decoder", "embedding"]:
        model = onnx.load(pathlib.Path(package) / f"{graph}.onnx").graph
        tensors = {t.name: numpy_helper.to_array(t) for t in model.initializer}
        columns = {n.input[1]: next(a.i for a in n.attribute if a.name == "K") for n in model.node if n.op_type == "MatMulNBits"}
        for stored, value in tensors.items():
            name = stored.removesuffix(".f16")
            value = value if value.dtype == numpy.uint8 else value.astype(numpy.float32)
            if name.endswith(".folded.weight"):
                weights[name.replace(".folded", "")] = value
            elif name.endswith(".folded.bias"):
                weights |= batch_norm(name.removesuffix(".folded.bias"), value)
            elif name.endswith(".weight.transposed"):
                weights[name.removesuffix(".transposed")] = value.T
            elif name.endswith(".codes"):
                matrix = name.removesuffix(".codes")
                weights |= unpack(f"{matrix}.weight", value, tensors[f"{matrix}.scales"], columns[stored])
            elif name.endswith((".weight", ".bias", ".latents", ".position", ".query")):
                weights[name] = value
    # A classifier starts with the head of the file's encoder, under the name that it has there.
    for part in ["weight", "bias"]:
        weights[f"cells.findings.{part}"] = weights[f"classifier.head.{part}"]
    join(weights, ".to_k.weight", [".to_k.weight", ".to_v.weight"], ".to_kv.weight")
    for part in ["weight", "bias"]:
        join(weights, f".q_proj.{part}", [f".{p}_proj.{part}" for p in "qkv"], f".in_proj_{part}")
    for name in [name for name in weights if name.endswith(".qkv_proj.weight")]:
        joined, width = weights.pop(name), weights[name.replace("qkv_proj", "o_proj")].shape[1]
        parts = numpy.split(joined, [width, (width + joined.shape[0]) // 2])
        weights |= {name.replace("qkv", part): values for part, values in zip("qkv", parts)}
    # What is written is the memory behind an array, which a part of another does not have to itself.
    save_file({name: numpy.ascontiguousarray(values) for name, values in weights.items()}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
