"""Small inputs from which the fuzzers start, all made here: python fuzz/make_seeds.py [SHARED_DATA_FOLDER]

Writes fuzz/corpus/{dicom,nifti,folder}. With a folder of real scans, headers of them are added, and whole slices in
fuzz/corpus/dicom-large: fuzzing those is slow, so they are a corpus of their own.

Deflated data sets and gzip are plain here; the targets pack them.
"""

import io
import struct
import sys
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import openjpeg  # Of pylibjpeg-openjpeg. pydicom looks for these two only when it packs, with some seeds written already.
import pydicom
import pylibjpeg
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

CORPUS = Path(__file__).resolve().parent / "corpus"
CT, ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
CUT = b"-CUT-"


ENCODERS = {
    JPEGBaseline8Bit: imagecodecs.jpeg_encode,
    JPEGExtended12Bit: lambda pixels: imagecodecs.jpeg_encode(pixels, bitspersample=12),
    JPEGLosslessSV1: lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=12),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLSNearLossless: lambda pixels: imagecodecs.jpegls_encode(pixels, level=2),
}


def item(**elements):
    d = Dataset()
    for name, value in elements.items():
        setattr(d, name, value)
    return d


def slice_at(z, syntax, frames=1):
    size = 64 if syntax == JPEG2000Lossless else 16  # OpenJPEG takes no smaller one
    bits = 8 if syntax == JPEGBaseline8Bit else 12
    d = item(
        SOPClassUID=CT if frames == 1 else ENHANCED, SOPInstanceUID="1.2.3", Modality="CT", SeriesInstanceUID="1.2.9",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], Rows=size, Columns=size, BitsAllocated=bits + 7 & 24,
        BitsStored=bits, HighBit=bits - 1, PixelRepresentation=0, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", PixelSpacing=[2, 2],
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
    elif syntax in ENCODERS:
        frames = pixels if bits > 8 else (pixels >> 4).astype("u1")
        d.PixelData = encapsulate([ENCODERS[syntax](frame) for frame in frames])
        d["PixelData"].is_undefined_length = True
    elif syntax == ExplicitVRBigEndian:
        d.PixelData = pixels.byteswap().tobytes()
    d.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    if syntax == DeflatedExplicitVRLittleEndian:
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    implicit = syntax == ImplicitVRLittleEndian
    pydicom.dcmwrite(out, d, enforce_file_format=True, implicit_vr=implicit, little_endian=syntax != ExplicitVRBigEndian)
    if syntax == DeflatedExplicitVRLittleEndian:
        return with_syntax(out.getvalue(), syntax)
    return out.getvalue()


def with_syntax(file, syntax):
    """The file with another transfer syntax in its meta group, and the same data set."""
    at = file.index(b"\x02\x00\x10\x00UI")
    length = struct.unpack_from("<H", file, at + 6)[0]
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    group = struct.unpack_from("<I", file, 140)[0] + len(uid) - length
    return (
        file[:140] + struct.pack("<I", group) + file[144 : at + 6] + struct.pack("<H", len(uid)) + uid
        + file[at + 8 + length :]
    )


def write(target, name, content):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(content)


syntaxes = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
    JPEG2000Lossless, *ENCODERS,
]
for n, syntax in enumerate(syntaxes):
    files = [slice_at(2 * k + (k == 2) * 0.3, syntax) for k in range(4)]
    write("dicom", f"classic{n}", CUT.join(files))
    write("dicom", f"enhanced{n}", slice_at(0, syntax, frames=3))
    write("folder", f"folder{n}", CUT.join(bytes([40 * (k % 3) + k]) + f for k, f in enumerate(files)))
write("dicom", "bare", CUT.join(slice_at(2 * k, ImplicitVRLittleEndian)[132:] for k in range(2)))

for n, kind in enumerate(("i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")):
    data = (np.arange(4 * 5 * 6).reshape(4, 5, 6) % 100).astype(kind)
    for version, image in ((1, nibabel.Nifti1Image), (2, nibabel.Nifti2Image)):
        one = image(data, np.diag([-2.0, 1.5, 3, 1]), dtype=data.dtype)
        one.header["scl_slope"], one.header["scl_inter"] = 1, -1024
        raw = one.to_bytes()
        write("nifti", f"nifti{version}-{n}", b"\xff" + raw)
        write("nifti", f"nifti{version}-{n}gz", b"\x7f" + raw)
four = nibabel.Nifti1Image(np.zeros((3, 4, 5, 2), "<i2"), np.eye(4)).to_bytes()
write("nifti", "four", b"\x01" + four)
write("folder", "nifti", bytes([56]) + four)
write("folder", "directory", bytes([192 + 32]) + slice_at(0, ImplicitVRLittleEndian) + CUT + b"\0" + slice_at(2, ImplicitVRLittleEndian))
big = bytearray(nibabel.Nifti1Image(np.zeros((3, 4, 5), "<i2"), np.eye(4)).to_bytes())
big[0:4] = struct.pack(">i", 348)
write("nifti", "swapped", b"\xff" + bytes(big))

# Two series, one of which is better, and a slice that is missing.
better = [slice_at(2 * k, ExplicitVRLittleEndian) for k in range(5)]
other = [slice_at(9 * k, ExplicitVRLittleEndian).replace(b"1.2.9", b"1.2.8") for k in range(3)]
write("dicom", "series", CUT.join(better + other))
write("dicom", "gap", CUT.join(better[:2] + better[3:]))

if len(sys.argv) > 1:
    real = Path(sys.argv[1])
    for path in (real / "dicom/transfer_syntaxes").glob("*.dcm"):
        content = path.read_bytes()
        if len(content) < 250_000:
            write("dicom-large", path.name, content + CUT + content.replace(b"\\4.700000", b"\\9.700000", 1))
    for path in real.glob("dicom/*/*"):
        # The header of a real slice, over pixels of its own.
        try:
            d = pydicom.dcmread(path)
            if d.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in d or "NumberOfFrames" in d:
                continue
        except (pydicom.errors.InvalidDicomError, AttributeError):
            continue
        d.PixelData = d.pixel_array[::32, ::32].tobytes()
        d.Rows, d.Columns = d.Rows // 32, d.Columns // 32
        out = io.BytesIO()
        d.save_as(out)
        if len(out.getvalue()) < 12_000 and not (CORPUS / "dicom" / path.parent.name).exists():
            write("dicom", path.parent.name, out.getvalue())
