"""Times of loading scans, beside SimpleITK, pydicom, nibabel and MONAI, alternating in one run.

python tests/reference/bench_intake.py SHARED_DATA_FOLDER BENCH_PROGRAM [RUNS] [STUDIES]

BENCH_PROGRAM is the built `benches/intake.rs` (`cargo bench -p diffvp-tests --bench intake --no-run` prints its
place). The studies are made from a real one, in a temporary folder or in STUDIES, where they stay: 64 and 300 slices of
512 x 512, uncompressed, JPEG 2000 lossless, and .nii.gz. Prints Markdown tables: the median over RUNS runs of the time on the
clock and, in parentheses, of the processor's time over all threads, in ms. On a busy machine only the latter compares.
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
    made = any(root.iterdir())
    for count in (64, 300):
        at = np.linspace(0, len(slices) - 1, count)
        low = np.minimum(at.astype(int), len(slices) - 2)
        share = (at - low)[:, None, None].astype(np.float32)
        volume = np.rint(stored[low] * (1 - share) + stored[low + 1] * share).astype(slices[0].pixel_array.dtype)
        height = float(slices[-1].ImagePositionPatient[2]) - float(slices[0].ImagePositionPatient[2])
        uid = generate_uid()
        for kind in ("uncompressed", "JPEG 2000"):
            folder = root / f"{count} {kind}"
            folder.mkdir(exist_ok=True)
            for k in range(0 if made else count):
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
        if not made:
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
    start, processor = time.perf_counter(), time.process_time()
    work(path)
    return 1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - processor)


class Ours:
    def __init__(self):
        self.process = subprocess.Popen([PROGRAM, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, what, path):
        before = self.processor()
        self.process.stdin.write(f"{what} {path}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()), self.processor() - before

    def processor(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return 1e3 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(name, times):
    middle = {tool: [statistics.median(part) for part in zip(*t)] for tool, t in times.items() if t}
    cells = [f"{middle[tool][0]:.0f} ({middle[tool][1]:.0f})" if tool in middle else "" for tool in times]
    ours = middle.pop("diffvp")
    faster = [min(m[part] for m in middle.values()) / ours[part] for part in (0, 1)]
    print(f"| {name} | {' | '.join(cells)} | {faster[0]:.1f} ({faster[1]:.1f}) |", flush=True)


with tempfile.TemporaryDirectory() as root:
    root = Path(sys.argv[4]) if len(sys.argv) > 4 else Path(root)
    root.mkdir(exist_ok=True)
    studies = make(root)
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
