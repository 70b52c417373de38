"""Pictures: decoded and written anew, so that only pixels and colours are left of them: no
position, no device, no thumbnail of what was cropped away, and nothing hidden behind the end."""

import io
import struct

from PIL import Image, ImageOps, UnidentifiedImageError

from app.errors import Invalid
from app.files.inspection.found import Found, broken
from app.files.kinds import JPEG, PNG, WEBP

# As a phone's best camera makes them; about 200 MB while it is decoded and turned.
MOST_PIXELS = 50_000_000
PREVIEW_PIXELS = (1024, 1024)
FORMATS = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP"}
# What is lost by writing anew cannot be seen.
QUALITY = {JPEG: {"quality": 95, "subsampling": 0}, PNG: {}, WEBP: {"quality": 95}}
# What reading the camera's note raises when it is nonsense.
NOTE_FAULTS = (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error)
OF_PIXELS = ("transparency",)
DEEP_MODES = ("I", "I;16")
PLAIN_MODES = ("1", "L", "RGB", "RGBA", "LA", "P", *DEEP_MODES)


def inspect(file: io.BufferedReader, media_type: str) -> Found:
    """Return the picture without anything but itself.

    Raises:
        Invalid: it cannot be decoded, or has too many pixels for that.
    """
    opened = _opened(file, FORMATS[media_type])
    picture = _upright(opened)
    clean = io.BytesIO()
    # It says what the numbers of its own kind of colours mean, and nothing of others.
    colours = picture.info.get("icc_profile") if picture.mode == opened.mode else None
    # A new picture of the same pixels: what the library read beside them stays behind, but for
    # which of them are transparent.
    picture.info = {name: picture.info[name] for name in OF_PIXELS if name in picture.info}
    picture.save(clean, FORMATS[media_type], icc_profile=colours, **QUALITY[media_type])
    return Found(media_type, clean.getvalue(), preview_of(picture))


def preview_of(picture: Image.Image) -> bytes:
    """Return a small JPEG of a picture."""
    is_keyed = "transparency" in picture.info and picture.mode not in DEEP_MODES
    small = picture.convert("RGBA") if is_keyed else picture.copy()
    small.thumbnail(PREVIEW_PIXELS)
    if small.mode in DEEP_MODES:
        small = _in_256_shades(small)
    if small.mode != "RGB":
        small = _on_white(small)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def _opened(file: io.BufferedReader, form: str) -> Image.Image:
    try:
        picture = Image.open(file, formats=[form])
        if picture.width * picture.height > MOST_PIXELS:
            raise too_many_pixels()
        picture.load()
    except Image.DecompressionBombError as error:
        raise too_many_pixels() from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, MemoryError) as error:
        raise broken("picture") from error
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    """Turn the pixels as the camera noted, because that note goes."""
    try:
        turned = ImageOps.exif_transpose(picture)
    except NOTE_FAULTS:
        turned = picture  # a note that nobody can read turns nothing, and is no reason to refuse
    return turned if turned.mode in PLAIN_MODES else turned.convert("RGB")


def _in_256_shades(picture: Image.Image) -> Image.Image:
    """Return 16 bits of grey as 8; the library would show all above 255 as white."""
    shades = picture.point(lambda value: value * (1 / 256)).convert("L")
    shades.info = {}  # what is transparent was told in 16 bits
    return shades


def _on_white(picture: Image.Image) -> Image.Image:
    with_alpha = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")


def too_many_pixels() -> Invalid:
    """Say that a picture is larger than we decode."""
    return Invalid(
        f"A picture has at most {MOST_PIXELS // 1_000_000} million pixels.",
        code="image_too_large",
    )
