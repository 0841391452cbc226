"""Times of loading scans, beside SimpleITK, pydicom, nibabel and MONAI, alternating in one run.

python tests/reference/bench_intake.py SHARED_DATA_FOLDER BENCH_PROGRAM [RUNS]

BENCH_PROGRAM is the built `benches/intake.rs` (`cargo bench -p diffvp-tests --bench intake --no-run` prints its
place). The studies are made in a temporary folder from a real one: 64 and 300 slices of 512 x 512, uncompressed, JPEG 2000
lossless, and .nii.gz. Prints a Markdown table: the median and the least of RUNS runs, in ms.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

warnings.simplefilter("ignore")
DATA, PROGRAM = Path(sys.argv[1]), sys.argv[2]
RUNS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def make(root):
    """Writes the studies; returns {name: path}."""
    slices = [pydicom.dcmread(p) for p in (DATA / "dicom/lungpet_A0001_L_5mm").iterdir()]
    slices.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    stored = np.stack([d.pixel_array for d in slices]).astype(np.float32)
    out = {}
    for count in (64, 300):
        at = np.linspace(0, len(slices) - 1, count)
        low = np.minimum(at.astype(int), len(slices) - 2)
        share = (at - low)[:, None, None].astype(np.float32)
        volume = np.rint(stored[low] * (1 - share) + stored[low + 1] * share).astype(slices[0].pixel_array.dtype)
        height = float(slices[-1].ImagePositionPatient[2]) - float(slices[0].ImagePositionPatient[2])
        uid = generate_uid()
        for kind in ("uncompressed", "JPEG 2000"):
            folder = root / f"{count} {kind}"
            folder.mkdir()
            for k in range(count):
                d = pydicom.dcmread(slices[0].filename)
                d.SeriesInstanceUID, d.SOPInstanceUID, d.InstanceNumber = uid, generate_uid(), k + 1
                d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
                x, y, z = (float(v) for v in slices[0].ImagePositionPatient)
                d.ImagePositionPatient = [x, y, round(z + height * k / (count - 1), 4)]
                d.PixelData = volume[k].tobytes()
                d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
                if kind == "JPEG 2000":
                    d.compress(JPEG2000Lossless, generate_instance_uid=False)
                d.save_as(folder / f"{k:04}", little_endian=True, implicit_vr=False)
            out[f"{count} slices, {kind}"] = folder
        hu = (volume * float(slices[0].RescaleSlope) + float(slices[0].RescaleIntercept)).astype(np.int16)
        step = height / (count - 1)
        affine = np.diag([-float(slices[0].PixelSpacing[1]), -float(slices[0].PixelSpacing[0]), step, 1])
        path = root / f"{count}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(hu.transpose(2, 1, 0), affine), path)
        out[f"{count} slices, .nii.gz"] = path
    return out


def by_sitk(path):
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)) if path.is_dir() else str(path)
    return sitk.GetArrayFromImage(sitk.Cast(sitk.ReadImage(files), sitk.sitkFloat32))


def by_pydicom(path):
    slices = [pydicom.dcmread(p) for p in path.iterdir()]
    slices.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    out = np.empty((len(slices), slices[0].Rows, slices[0].Columns), np.float32)
    for k, d in enumerate(slices):
        out[k] = d.pixel_array * np.float32(d.RescaleSlope) + np.float32(d.RescaleIntercept)
    return out


def by_nibabel(path):
    return nibabel.load(path).get_fdata(dtype=np.float32)


def by_monai(path):
    """Load and the Reg2RG preparation: LPS, crop above -1000, area to 64 x 256 x 256, clip, scale."""
    import torch
    from monai.transforms import Compose, CropForeground, EnsureChannelFirst, LoadImage, Orientation, Resize
    from monai.transforms import ScaleIntensityRange

    torch.set_num_threads(2)
    steps = [
        LoadImage(image_only=True, reader="ITKReader" if path.is_dir() else "NibabelReader"),
        EnsureChannelFirst(),
        Orientation("LPS"),
        CropForeground(select_fn=lambda v: v > -1000),
        Resize((256, 256, 64), mode="area"),
        ScaleIntensityRange(-1000, 200, -1, 1, clip=True),
    ]
    return Compose(steps)(str(path))


def timed(work, path):
    start = time.perf_counter()
    work(path)
    return 1e3 * (time.perf_counter() - start)


class Ours:
    def __init__(self):
        self.process = subprocess.Popen([PROGRAM, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, what, path):
        self.process.stdin.write(f"{what} {path}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def row(name, times):
    cells = [f"{statistics.median(t):.0f} ({min(t):.0f})" if t else "" for t in times.values()]
    best = min(statistics.median(t) for tool, t in times.items() if t and tool != "diffvp")
    print(f"| {name} | {' | '.join(cells)} | {best / statistics.median(times['diffvp']):.1f} |", flush=True)


with tempfile.TemporaryDirectory() as root:
    studies = make(Path(root))
    ours = Ours()
    print("| study | diffvp | SimpleITK | pydicom + numpy | nibabel | faster than the best |\n|---|---|---|---|---|---|")
    for name, path in studies.items():
        tools = {"SimpleITK": by_sitk}
        tools |= {"pydicom": by_pydicom} if path.is_dir() else {"nibabel": by_nibabel}
        times = {tool: [] for tool in ("diffvp", "SimpleITK", "pydicom", "nibabel")}
        for _ in range(RUNS):
            times["diffvp"].append(ours("load", path))
            for tool, work in tools.items():
                times[tool].append(timed(work, path))
        row(name, times)
    try:
        import monai  # noqa: F401
    except ImportError:
        sys.exit("MONAI is not installed: no times of load + preparation")
    print("\n| load + preparation | diffvp | MONAI | faster |\n|---|---|---|---|")
    for name, path in studies.items():
        if path.is_dir() and "JPEG" in name:
            continue
        times = {"diffvp": [], "MONAI": []}
        for _ in range(RUNS):
            times["diffvp"].append(ours("prepare", path))
            times["MONAI"].append(timed(by_monai, path))
        row(name, times)
