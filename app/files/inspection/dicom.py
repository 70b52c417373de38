"""DICOM: kept as it is, because who reads an X-ray needs all of it; a preview of its first frame.

Only that frame is read, and what is missing of the rest shows in the file's length.
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from app.errors import Invalid
from app.files.inspection.found import Found, broken, not_this_type
from app.files.inspection.images import MOST_PIXELS, PREVIEW_PIXELS, preview_of, too_many_pixels
from app.files.kinds import DICOM

# Larger values are read when they are asked for, and nobody asks for those.
DEFER_BYTES = 64 * 1024
PREAMBLE_BYTES = 128
TIFF = (b"II*\0", b"MM\0*")
FAULTS = (InvalidDicomError, ValueError, TypeError, KeyError, AttributeError, EOFError, OSError,
          struct.error, NotImplementedError, IndexError, RuntimeError, OverflowError, zlib.error,
          MemoryError)  # fmt: skip


def inspect(file: io.BufferedReader, size: int) -> Found:
    """Return it as it is, with a preview if its pixels are of a kind that we decode.

    Raises:
        Invalid: it cannot be read, is cut off, a frame has too many pixels, or it is a program or
            a page as well.
    """
    _require_harmless(file.read(PREAMBLE_BYTES))
    file.seek(0)
    data = _header(file)
    _require_whole(data, size)
    if not has_picture(data):
        return Found(DICOM)
    if int(data.Rows) * int(data.Columns) > MOST_PIXELS:
        raise too_many_pixels()
    if not _is_decodable(data):
        return Found(DICOM)
    try:
        file.seek(0)
        return Found(DICOM, preview=preview_of(_grey(pixel_array(file, index=0), data)))
    except Invalid:
        raise
    except FAULTS as error:
        raise broken("X-ray") from error


def _require_harmless(preamble: bytes) -> None:
    """Look at what comes before DICOM's own beginning. Anything may stand there, a Windows program
    too, and the file is both then (CVE-2019-11687); microscopes put TIFF there."""
    if any(preamble) and not preamble.startswith(TIFF):
        raise not_this_type("")


def has_picture(data: Dataset) -> bool:
    """Tell whether it holds a picture; a report or a plan does not."""
    return bool(data.get("Rows") and data.get("Columns"))


def _header(file: io.BufferedReader) -> Dataset:
    try:
        data = dcmread(file, defer_size=DEFER_BYTES, stop_before_pixels=True)
        data.file_meta.TransferSyntaxUID  # noqa: B018 - asks whether it is there
        # Reads the values it will be judged by, so that what is wrong with them shows here.
        for name in ("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "SamplesPerPixel"):
            int(data.get(name) or 0)
        data.SOPClassUID  # noqa: B018
    except FAULTS as error:
        raise broken("X-ray") from error
    return data


def _require_whole(data: Dataset, size: int) -> None:
    """Compare the length of uncompressed pixels with that of the file."""
    syntax = UID(data.file_meta.TransferSyntaxUID)
    if not has_picture(data) or (syntax.is_transfer_syntax and syntax.is_compressed):
        return
    frames, bits = int(data.get("NumberOfFrames") or 1), int(data.get("BitsAllocated") or 8)
    samples = int(data.get("SamplesPerPixel") or 1)
    if frames * int(data.Rows) * int(data.Columns) * samples * bits // 8 > size:
        raise broken("X-ray")


def _is_decodable(data: Dataset) -> bool:
    try:
        return bool(get_decoder(UID(data.file_meta.TransferSyntaxUID)).is_available)
    except NotImplementedError:
        return False


def _grey(pixels: Any, data: Dataset) -> Image.Image:
    """Return a frame in shades that a screen shows, thinned out first to save memory."""
    frame = pixels[0] if pixels.ndim > 3 else pixels
    thin = max(1, max(frame.shape[:2]) // PREVIEW_PIXELS[0])
    frame = frame[::thin, ::thin]
    if frame.ndim == 3:
        return Image.fromarray(frame.astype(np.uint8))
    values = frame.astype(np.float32)
    low, high = np.percentile(values, (1, 99))
    shades = np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255
    if data.get("PhotometricInterpretation") == "MONOCHROME1":
        shades = 255 - shades
    return Image.fromarray(shades.astype(np.uint8))
