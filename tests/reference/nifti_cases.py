"""Small NIfTI files, and what nibabel reads of them: python tests/reference/nifti_cases.py

Writes tests/golden/nifti_cases.json: for each case the file in hexadecimal, the affine (RAS), and the values, x fastest.
"""

import json
from pathlib import Path

import nibabel
import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "nifti_cases.json"
DIMS = (4, 3, 2)
rng = np.random.default_rng(7)


def rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q if np.linalg.det(q) > 0 else -q


def affine(turn, spacing, origin):
    a = np.eye(4)
    a[:3, :3] = turn @ np.diag(spacing)
    a[:3, 3] = origin
    return a


PLAIN = affine(np.eye(3), (0.7, 0.8, 2.5), (-10, 20, 30))
cases = {}


def add(name, kind="<i2", image=nibabel.Nifti1Image, matrix=PLAIN, sform=1, qform=1, slope=None, inter=0.0, other=None, patch=()):
    dtype = np.dtype(kind)
    info = np.iinfo(dtype) if dtype.kind in "iu" else None
    low, high = (max(info.min, -1000), min(info.max, 1000)) if info else (-1000, 1000)
    data = rng.integers(low, high, DIMS).astype(dtype)
    if dtype.kind == "f":
        data = (data + rng.random(DIMS)).astype(dtype)
    header = image.header_class(endianness=">" if kind[0] == ">" else "<")
    header.set_data_dtype(dtype)
    one = image(data, None, header)
    one.header.set_sform(matrix if other is None else other, sform)
    one.header.set_qform(matrix, qform)
    raw = bytearray(one.header.binaryblock + b"\0" * 4 + data.tobytes(order="F"))
    loaded = image.header_class(bytes(raw[: one.header.sizeof_hdr]), endianness=one.header.endianness)
    loaded["vox_offset"] = one.header.sizeof_hdr + 4
    if slope is not None:
        loaded["scl_slope"], loaded["scl_inter"] = slope, inter
    raw[: one.header.sizeof_hdr] = loaded.binaryblock
    for at, value in patch:
        raw[at : at + len(value)] = value
    back = image.from_bytes(bytes(raw))
    cases[name] = {
        "file": bytes(raw).hex(),
        "affine": back.affine.tolist(),
        "values": back.get_fdata(dtype=np.float64).flatten(order="F").tolist(),
    }


for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
    for end in "<>":
        for version, image in ((1, nibabel.Nifti1Image), (2, nibabel.Nifti2Image)):
            if (kind, end) not in (("i1", ">"), ("u1", ">")):
                add(f"{kind} {'big' if end == '>' else 'little'} {version}", end + kind, image)
add("scaled", slope=0.5, inter=-100.25)
add("scaled big endian", kind=">i2", slope=2.0, inter=-1024.0)
add("slope 0", slope=0.0, inter=55.0)
add("slope not a number", slope=float("nan"), inter=55.0)
add("negative slope", slope=-1.0, inter=7.0)
turned = affine(rotation(1), (0.7, 0.8, 2.5), (1, 2, 3))
add("sform before qform", matrix=PLAIN, other=turned)
add("qform alone, oblique", matrix=turned, sform=0)
add("sform alone, oblique", matrix=turned, qform=0)
add("left handed", matrix=affine(np.diag([-1.0, 1, 1]), (0.7, 0.8, 2.5), (1, 2, 3)), sform=0)
add("left handed and oblique", matrix=affine(rotation(2) @ np.diag([1.0, 1, -1]), (1, 2, 3), (4, 5, 6)), sform=0)
add("all axes flipped", matrix=affine(-np.eye(3), (0.7, 0.8, 2.5), (90, 80, 70)))
add("axes permuted", matrix=affine(np.eye(3)[[2, 0, 1]], (0.7, 0.8, 2.5), (1, 2, 3)))
add("half a turn", matrix=affine(np.diag([-1.0, -1, 1]), (0.7, 0.8, 2.5), (1, 2, 3)), sform=0)
add("scanner coordinates in both, codes 2 and 4", matrix=turned, sform=4, qform=2)
GOLDEN.write_text(json.dumps(cases) + "\n")
print(len(cases), GOLDEN.stat().st_size)
