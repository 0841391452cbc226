"""Small inputs from which the fuzzers start, all made here: python fuzz/make_seeds.py [SHARED_DATA_FOLDER]

Writes fuzz/corpus/{dicom,nifti,folder}. With the folder of real scans, its compressed slices are added: no encoder
for JPEG and JPEG-LS is at hand.
"""

import gzip
import io
import struct
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

CORPUS = Path(__file__).resolve().parent / "corpus"
CT, ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
CUT = b"-CUT-"


def item(**elements):
    d = Dataset()
    for name, value in elements.items():
        setattr(d, name, value)
    return d


def slice_at(z, syntax, frames=1):
    size = 64 if syntax == JPEG2000Lossless else 8  # OpenJPEG takes no smaller one
    d = item(
        SOPClassUID=CT if frames == 1 else ENHANCED, SOPInstanceUID="1.2.3", Modality="CT", SeriesInstanceUID="1.2.9",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], Rows=size, Columns=size, BitsAllocated=16, BitsStored=12, HighBit=11,
        PixelRepresentation=0, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", PixelSpacing=[2, 2],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[0, z / 4, z], RescaleSlope=1,
        RescaleIntercept=-1024, InstanceNumber=1, AcquisitionNumber=1, SliceThickness=2, ConvolutionKernel="B30f",
    )
    d.add_new(0x00280120, "US", 3000)
    if frames > 1:
        d.NumberOfFrames = frames
        d.SharedFunctionalGroupsSequence = Sequence([item(PixelMeasuresSequence=Sequence([item(PixelSpacing=[2, 2])]))])
        d.PerFrameFunctionalGroupsSequence = Sequence(
            [
                item(
                    PlanePositionSequence=Sequence([item(ImagePositionPatient=[0, 0, 2 * k])]),
                    PixelValueTransformationSequence=Sequence([item(RescaleSlope=1, RescaleIntercept=-1000 - k)]),
                )
                for k in range(frames)
            ]
        )
    pixels = (np.arange(frames * size * size) * 37 % 2000).astype("<u2").reshape(frames, size, size)
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.PixelData = pixels.tobytes()
    d["PixelData"].VR = "OW"
    if syntax in (RLELossless, JPEG2000Lossless):
        d.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        d.PixelData = pixels.byteswap().tobytes()
    d.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    implicit = syntax == ImplicitVRLittleEndian
    pydicom.dcmwrite(out, d, enforce_file_format=True, implicit_vr=implicit, little_endian=syntax != ExplicitVRBigEndian)
    return out.getvalue()


def write(target, name, content):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(content)


syntaxes = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
    JPEG2000Lossless,
]
for n, syntax in enumerate(syntaxes):
    files = [slice_at(2 * k + (k == 2) * 0.3, syntax) for k in range(4)]
    write("dicom", f"classic{n}", CUT.join(files))
    write("dicom", f"enhanced{n}", slice_at(0, syntax, frames=3))
    write("folder", f"folder{n}", CUT.join(bytes([8 * (k % 8) + k % 5]) + f for k, f in enumerate(files)))
write("dicom", "bare", CUT.join(slice_at(2 * k, ImplicitVRLittleEndian)[132:] for k in range(2)))

for n, kind in enumerate(("i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")):
    data = (np.arange(4 * 5 * 6).reshape(4, 5, 6) % 100).astype(kind)
    for version, image in ((1, nibabel.Nifti1Image), (2, nibabel.Nifti2Image)):
        one = image(data, np.diag([-2.0, 1.5, 3, 1]), dtype=data.dtype)
        one.header["scl_slope"], one.header["scl_inter"] = 1, -1024
        raw = one.to_bytes()
        write("nifti", f"nifti{version}-{n}", b"\xff" + raw)
        write("nifti", f"nifti{version}-{n}gz", b"\x00" + gzip.compress(raw))
four = nibabel.Nifti1Image(np.zeros((3, 4, 5, 2), "<i2"), np.eye(4)).to_bytes()
write("nifti", "four", b"\x01" + four)
write("folder", "nifti", bytes([56]) + four)
big = bytearray(nibabel.Nifti1Image(np.zeros((3, 4, 5), "<i2"), np.eye(4)).to_bytes())
big[0:4] = struct.pack(">i", 348)
write("nifti", "swapped", b"\xff" + bytes(big))

if len(sys.argv) > 1:
    for path in (Path(sys.argv[1]) / "dicom/transfer_syntaxes").glob("*_1.2.840.10008.1.2.4.*"):
        if path.stat().st_size < 250_000:
            content = path.read_bytes()
            write("dicom", path.name, content + CUT + content.replace(b"\\4.700000", b"\\9.700000", 1))
