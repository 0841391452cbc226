"""Reference values for scan intake, by SimpleITK, nibabel and pydicom (with pylibjpeg).

python tests/reference/scan_truth.py SHARED_DATA_FOLDER

Writes tests/golden/scan_truth.json: sizes, geometry and numbers made of the voxels, no text and no patient data.
"""

import glob
import json
import sys
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk

DATA = Path(sys.argv[1])
GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "scan_truth.json"
warnings.simplefilter("ignore")


def numbers(hu, dims, spacing, origin, direction):
    """`hu` is [z, y, x]."""
    flat = np.ascontiguousarray(hu, dtype=np.float64).reshape(-1)
    places = [int(i) for i in np.linspace(0, flat.size - 1, 31)]
    # A sum weighted by position notices swapped or shifted voxels; whole numbers below 2^53 are exact in any order.
    weights = np.arange(flat.size) % 1009
    return {
        "dims": [int(d) for d in dims],
        "spacing_mm": [float(s) for s in spacing],
        "origin_mm": [float(o) for o in origin],
        "direction": [[float(v) for v in row] for row in np.asarray(direction).reshape(3, 3)],
        "sum": float(flat.sum()),
        "weighted_sum": float((flat * weights).sum()),
        "min": float(flat.min()),
        "max": float(flat.max()),
        "places": places,
        "values": [float(flat[i]) for i in places],
    }


def air(hu):
    """Padding and values below the scale are air."""
    return np.maximum(hu, -1024)


def dicom_folder(name):
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(DATA / name))
    image = sitk.ReadImage(files)
    hu = sitk.GetArrayFromImage(image).astype(np.float64)
    return numbers(air(hu), image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def dicom_by_hand(name):
    """Slices sorted by z, all axial, read by pydicom: for files that GDCM does not take as a series."""
    slices = sorted((pydicom.dcmread(p, force=True) for p in glob.glob(str(DATA / name / "*"))), key=lambda d: float(d.ImagePositionPatient[2]))
    first = slices[0]
    hu = np.stack([d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in slices])
    z = [float(d.ImagePositionPatient[2]) for d in slices]
    spacing = [float(first.PixelSpacing[1]), float(first.PixelSpacing[0]), (z[-1] - z[0]) / (len(z) - 1)]
    assert [float(v) for v in first.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    return numbers(air(hu), hu.shape[::-1], spacing, first.ImagePositionPatient, np.eye(3))


def enhanced(name):
    d = pydicom.dcmread(DATA / name)
    shared = d.SharedFunctionalGroupsSequence[0]
    frames = d.PerFrameFunctionalGroupsSequence
    positions = np.array([[float(v) for v in f.PlanePositionSequence[0].ImagePositionPatient] for f in frames])
    groups = shared if "PlaneOrientationSequence" in shared else frames[0]
    iop = np.array([float(v) for v in groups.PlaneOrientationSequence[0].ImageOrientationPatient])
    normal = np.cross(iop[:3], iop[3:])
    order = np.argsort(positions @ normal)
    groups = shared if "PixelMeasuresSequence" in shared else frames[0]
    row, column = (float(v) for v in groups.PixelMeasuresSequence[0].PixelSpacing)
    groups = shared if "PixelValueTransformationSequence" in shared else frames[0]
    t = groups.PixelValueTransformationSequence[0]
    hu = d.pixel_array[order] * float(t.RescaleSlope) + float(t.RescaleIntercept)
    gap = np.diff(np.sort(positions @ normal)).mean()
    return numbers(air(hu), hu.shape[::-1], [column, row, gap], positions[order[0]], np.stack([iop[:3], iop[3:], normal], axis=1))


def nifti(name):
    image = nibabel.load(DATA / name)
    affine = np.diag([-1, -1, 1, 1]) @ image.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    hu = image.get_fdata(dtype=np.float64).transpose(2, 1, 0)
    truth = numbers(hu, image.shape, spacing, affine[:3, 3], affine[:3, :3] / spacing)
    # SimpleITK agrees with nibabel.
    itk = sitk.ReadImage(str(DATA / name))
    assert np.allclose(itk.GetSpacing(), spacing, atol=1e-4) and np.allclose(itk.GetOrigin(), affine[:3, 3], atol=1e-3)
    return truth


def slice_truth(name):
    """One slice in Hounsfield units, by pydicom from its uncompressed file."""
    d = pydicom.dcmread(DATA / name, force=True)
    hu = air(d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept))
    return numbers(hu[None], (d.Columns, d.Rows, 1), [1, 1, 1], [0, 0, 0], np.eye(3))


truth = {"volumes": {}, "slices": {}}
for name in ("cip_ct64_79slices", "lungpet_A0001_L_5mm", "lidc_0001_slab", "lidc_0002_slab"):
    truth["volumes"][f"dicom/{name}"] = dicom_folder(f"dicom/{name}")
for name in ("totalseg_j2k_abdomen", "lungmask_no_modality"):
    truth["volumes"][f"dicom/{name}"] = dicom_by_hand(f"dicom/{name}")
truth["volumes"]["dicom/enhanced_ct/eCT_Supplemental.dcm"] = enhanced("dicom/enhanced_ct/eCT_Supplemental.dcm")
truth["lossy"] = {name: enhanced(name) for name in ("dicom/enhanced_ct/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm",)}
for path in sorted((DATA / "nifti").glob("*.nii.gz")):
    truth["volumes"][f"nifti/{path.name}"] = nifti(f"nifti/{path.name}")
for name in ("dicom/transfer_syntaxes/CTImage.dcm", "dicom/explicit_VR-UN.dcm"):
    truth["slices"][name] = slice_truth(name)
GOLDEN.write_text(json.dumps(truth, indent=1) + "\n")
