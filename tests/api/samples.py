"""Contents of files as people send them, good and bad; all of them small."""

import io
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin
from pydicom import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

from app.localstack.clamd import EICAR

# A name that must be found nowhere once a file is deleted, and a place nobody should learn.
MARK = b"Erika-Mustermann-1964"
LATITUDE = (52.0, 31.0, 12.0)
GPS = {1: "N", 2: LATITUDE, 3: "E", 4: (13.0, 24.0, 18.0)}
GPS_TAG, ORIENTATION_TAG, MAKER_TAG = 0x8825, 0x0112, 0x010F
TURNED_RIGHT = 6


def jpeg(width: int = 64, height: int = 48, **options: Any) -> bytes:
    """A photo without anything beside it."""
    out = io.BytesIO()
    _gradient(width, height).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def phone_photo(width: int = 64, height: int = 48) -> bytes:
    """A photo as a phone makes it: where it was, with what, and lying on its side."""
    exif = Image.Exif()
    exif[GPS_TAG] = GPS
    exif[MAKER_TAG] = "Phone of Erika"
    exif[ORIENTATION_TAG] = TURNED_RIGHT
    return jpeg(width, height, exif=exif, comment=MARK)


def png(width: int = 64, height: int = 48) -> bytes:
    """A picture with words beside its pixels."""
    out, words = io.BytesIO(), PngImagePlugin.PngInfo()
    words.add_text("Comment", MARK.decode())
    _gradient(width, height).save(out, "PNG", pnginfo=words)
    return out.getvalue()


def oddly_noted_png() -> bytes:
    """A picture whose camera's note is nonsense."""
    whole = png()
    after_header = len(b"\x89PNG\r\n\x1a\n") + 12 + 13
    return whole[:after_header] + _chunk(b"eXIf", b"no note at all") + whole[after_header:]


def webp() -> bytes:
    """The same as WebP."""
    out = io.BytesIO()
    _gradient(64, 48).save(out, "WEBP")
    return out.getvalue()


def gif() -> bytes:
    """A picture of a kind that nobody shares."""
    out = io.BytesIO()
    _gradient(64, 48).save(out, "GIF")
    return out.getvalue()


def huge_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """A few bytes that would be 2.7 GB once decoded: the pixels are all alike."""
    row = b"\0" + bytes(width * 3)
    packer = zlib.compressobj(9)
    packed = packer.compress(row * 10) + packer.flush()  # the rest is never reached
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", packed), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def pdf(words: bytes = MARK, size: int = 0) -> bytes:
    """A document of one empty page."""
    body = (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\n%" + words + b"\n"
    )
    body += b"%" + b"x" * max(0, size - len(body) - 60) + b"\n"
    return body + b"trailer<</Root 1 0 R/Size 4>>\nstartxref\n0\n%%EOF\n"


def dicom(rows: int = 64, columns: int = 48, frames: int = 1, **elements: Any) -> bytes:
    """An X-ray with its patient's name."""
    meta = _meta(ExplicitVRLittleEndian)
    out = io.BytesIO()
    data = FileDataset(out, Dataset(), file_meta=meta, preamble=bytes(128))
    data.PatientName = MARK.decode()
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns, data.NumberOfFrames = rows, columns, frames
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    shades = np.linspace(0, 4095, rows * columns * frames, dtype=np.uint16)
    data.PixelData = shades.tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def dicom_behind(beginning: bytes) -> bytes:
    """An X-ray that is something else as well, by what stands before its own beginning."""
    return beginning.ljust(128, b"\0") + dicom()[128:]


def dicom_as_tiff() -> bytes:
    """One that a microscope wrote for both kinds of readers."""
    return dicom_behind(b"II*\0\x80\0\0\0")


def dicom_as_big_endian_tiff() -> bytes:
    """The same in the other order of bytes."""
    return dicom_behind(b"MM\0*\0\0\0\x80")


def dicom_bomb() -> bytes:
    """An X-ray of a few megabytes that unpacks to four gigabytes before anything of it is read."""
    head = DicomBytesIO()
    head.write(bytes(128) + b"DICM")
    write_file_meta_info(head, _meta(DeflatedExplicitVRLittleEndian))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    again = packer.compress(bytes(16 * 2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head.getvalue() + again * 256 + packer.flush()


def archive(*, bomb: bool = False) -> bytes:
    """A ZIP; as a bomb a hundredth of a percent of what it unpacks to."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inside.txt", bytes(10_000_000) if bomb else MARK)
    return out.getvalue()


def eicar(around: bytes = b"") -> bytes:
    """The harmless file that every scanner takes for malware; inside another file if wanted."""
    if not around:
        return EICAR
    return around.replace(MARK, EICAR)


def _meta(syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    return meta


def _gradient(width: int, height: int) -> Image.Image:
    across = np.linspace(0, 255, width, dtype=np.uint8)
    plane = np.broadcast_to(across, (height, width))
    return Image.fromarray(np.stack([plane, plane[:, ::-1], plane], axis=2))


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
