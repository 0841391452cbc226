"""Reference values for preprocessing, by PyTorch, MONAI and SciPy.

python tests/reference/preprocess.py [SHARED_DATA_FOLDER]

Writes tests/golden/preprocess.safetensors from a synthetic volume that Rust computes by the same formula, and,
where the folder with real scans is given, tests/golden/preprocess_real.json (numbers only).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import CropForeground, Orientation, ResizeWithPadOrCrop, ScaleIntensity, Spacing
from safetensors.numpy import save_file
from scipy.ndimage import zoom

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
DIMS = (40, 36, 24)  # x, y, z
SPACING = (0.8, 0.7, 2.5)


def synthetic():
    """Whole numbers of HU inside an ellipsoid, -1024 outside; array [z, y, x]."""
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.int64) for n in DIMS[::-1]), indexing="ij")
    value = (x * 73 + y * 151 + z * 197 + x * y * 7 + y * z * 5 + x * z * 3) % 1500 - 999
    inside = (x - 18) ** 2 * 4 + (y - 20) ** 2 * 5 + (z - 11) ** 2 * 9 < 900
    return np.where(inside, value, -1024).astype(np.float32)


def interpolate(a, size, mode):
    kwargs = {"align_corners": False} if mode == "trilinear" else {}
    return F.interpolate(torch.from_numpy(a)[None, None], size=size, mode=mode, **kwargs)[0, 0].numpy()


def crop(a, above):
    return CropForeground(select_fn=lambda v: v > above, margin=0)(a[None])[0].numpy()


def zxy(t):
    """A MONAI tensor [1, x, y, z] as [z, y, x]."""
    return np.ascontiguousarray(np.asarray(t)[0].transpose(2, 1, 0))


def ras_tensor(a, direction, spacing, origin):
    """An array [z, y, x] on an LPS grid as MONAI tensor [1, x, y, z] with its RAS affine."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ np.asarray(direction, float) @ np.diag(spacing)
    affine[:3, 3] = np.diag([-1, -1, 1]) @ np.asarray(origin, float)
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(a.transpose(2, 1, 0)))[None], affine=torch.from_numpy(affine))


def clip_scale(a, low, high, shift, divisor):
    return (np.clip(a, low, high) + np.float32(shift)) / np.float32(divisor)


def goldens():
    v = synthetic()
    out = {}
    out["reg2rg"] = clip_scale(interpolate(crop(v, -1000), (10, 15, 17), "area"), -1000, 200, 400, 600)
    out["area_mixed"] = interpolate(v, (30, 9, 17), "area")
    out["trilinear"] = interpolate(v, (13, 50, 7), "trilinear")
    out["nearest"] = interpolate(v, (13, 9, 47), "nearest")
    out["zoom"] = zoom(v, [n / m for n, m in zip((13, 9, 47), v.shape)], order=0)
    size = [int(n * s / t) for n, s, t in zip(v.shape, SPACING[::-1], (3.0, 1.1, 1.1))]
    resampled = interpolate(np.clip(v, -1000, 1000), size, "trilinear") / np.float32(1000)
    out["ct_clip"] = ResizeWithPadOrCrop((22, 18, 20), mode="constant", value=-1)(resampled[None])[0].numpy()
    unit = ScaleIntensity(0, 1)(v[None])[0].numpy()
    out["m3d"] = interpolate(crop(unit, 0), (9, 17, 19), "trilinear")
    zoomed = zoom(v, [8 / 24, 18 / 36, 20 / 40], order=0)
    positive = zoomed[zoomed > 0].astype(np.float64)
    out["medicalnet"] = (zoomed - positive.mean()) / positive.std()

    # Grid axes run posterior, superior, right.
    turned = [[0, 0, -1], [1, 0, 0], [0, 1, 0]]
    t = ras_tensor(v, turned, SPACING, (10, -20, 30))
    out["orient_lps"] = zxy(Orientation("LPS")(t))[::2, ::3, ::3].copy()
    ras = Orientation("RAS")(t)
    out["merlin"] = zxy(Spacing((1.9, 1.7, 3.1), mode="bilinear", padding_mode="border")(ras))[:, ::2, ::2].copy()
    save_file({k: np.ascontiguousarray(a, dtype=np.float32) for k, a in out.items()}, str(GOLDEN / "preprocess.safetensors"))
    for name, a in out.items():
        print(name, a.shape)


def numbers(a):
    """Shape, moments, and values at fixed places."""
    flat = a.reshape(-1)
    places = [int(i) for i in np.linspace(0, flat.size - 1, 101)]
    return {
        "shape": list(a.shape),
        "mean": float(flat.astype(np.float64).mean()),
        "square": float((flat.astype(np.float64) ** 2).mean()),
        "places": places,
        "values": [float(flat[i]) for i in places],
    }


def real(data):
    import SimpleITK as sitk

    out = {}
    for name in ("nifti/chest_cta_aorta.nii.gz", "nifti/chest_heart_cta_pulmonary.nii.gz", "dicom/lungpet_A0001_L_5mm", "dicom/cip_ct64_79slices"):
        path = data / name
        if path.is_dir():
            path = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))
        image = sitk.ReadImage(path if isinstance(path, tuple) else str(path))
        a = np.maximum(sitk.GetArrayFromImage(image).astype(np.float32), -1024 if "dicom" in name else -np.inf)
        direction = np.array(image.GetDirection()).reshape(3, 3)
        t = ras_tensor(a, direction, image.GetSpacing(), image.GetOrigin())
        lps = zxy(Orientation("LPS")(t))
        ras = Orientation("RAS")(t)
        merlin = Spacing((1.5, 1.5, 3.0), mode="bilinear", padding_mode="border")(ras)
        merlin = np.clip((np.asarray(merlin) + 1000) / 2000, 0, 1).astype(np.float32)
        cropped = crop(lps, -1000)
        # CT-CLIP and CT2Rep: [z, y, x] to 1.5 x 0.75 x 0.75 mm, sizes rounded down.
        spacing = np.abs(np.asarray(Orientation("LPS")(t).affine)[:3, :3]).max(axis=0)[::-1]
        size = [int(n * s / new) for n, s, new in zip(lps.shape, spacing, (1.5, 0.75, 0.75))]
        pad = ResizeWithPadOrCrop((240, 480, 480), mode="constant", value=-1)
        ct_clip = interpolate(np.clip(lps, -1000, 1000), size, "trilinear") / np.float32(1000)
        ct2rep = clip_scale(interpolate(lps, size, "trilinear"), -1000, 200, 400, 600)
        unit = ScaleIntensity(0, 1)(a[None])[0].numpy()
        # With its default mode SciPy fills the last voxels with 0 where rounding puts them 1e-14 beyond the edge.
        zoomed = zoom(a, [n / m for n, m in zip((56, 448, 448), a.shape)], order=0, mode="nearest")
        positive = zoomed[zoomed > 0].astype(np.float64)
        out[name] = {
            "ct_clip": numbers(pad(ct_clip[None])[0].numpy()),
            "ct2rep": numbers(pad(ct2rep[None])[0].numpy()),
            "m3d": numbers(interpolate(crop(unit, 0), (32, 256, 256), "trilinear")),
            "medicalnet": numbers((zoomed - positive.mean()) / positive.std()),
            "nearest_hu": numbers(interpolate(cropped, (50, 211, 307), "nearest")),
            "area_hu": numbers(interpolate(cropped, (64, 256, 256), "area")),
            "reg2rg": numbers(clip_scale(interpolate(cropped, (64, 256, 256), "area"), -1000, 200, 400, 600)),
            "trilinear_hu": numbers(interpolate(cropped, (48, 200, 300), "trilinear")),
            "merlin": numbers(zxy(ResizeWithPadOrCrop((224, 224, 160), mode="constant", value=0)(merlin))),
        }
    (GOLDEN / "preprocess_real.json").write_text(json.dumps(out, indent=1) + "\n")


goldens()
if len(sys.argv) > 1:
    real(Path(sys.argv[1]))
