"""What becomes of a picture's colours: transparent pixels, deep shades, colours of printers."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from app.files.inspection.found import Found
from app.files.inspection.inspect import inspect
from app.files.kinds import Kind

WHITE = (255, 255, 255)
MIDDLE = (4, 4)


def written(picture: Image.Image, form: str, **options: object) -> bytes:
    """Return a picture as a file."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def inspected(content: bytes) -> tuple[Image.Image, Image.Image]:
    """Return what is kept of a picture, and its preview."""
    found: Found = inspect(Kind.IMAGE, len(content), lambda: io.BufferedReader(io.BytesIO(content)))
    assert found.clean is not None
    assert found.preview is not None
    return Image.open(io.BytesIO(found.clean)), Image.open(io.BytesIO(found.preview))


def is_near(pixel: object, wanted: tuple[int, int, int]) -> bool:
    """Tell whether a pixel has this colour, as far as a JPEG keeps one."""
    assert isinstance(pixel, tuple)
    return all(abs(one - other) < 8 for one, other in zip(pixel, wanted, strict=True))


@pytest.mark.parametrize(
    ("mode", "colour", "transparent"),
    [("P", 0, 0), ("P", 0, b"\0\xff"), ("L", 0, 0), ("RGB", (0, 0, 0), (0, 0, 0)), ("1", 0, 0)],
)
def test_what_is_transparent_stays_so(mode: str, colour: int, transparent: object) -> None:
    """A logo without a background does not get a black one."""
    logo = Image.new(mode, (8, 8), colour)
    kept, preview = inspected(written(logo, "PNG", transparency=transparent))
    shown = kept.convert("RGBA").getpixel(MIDDLE)
    assert isinstance(shown, tuple)
    assert shown[3] == 0
    assert is_near(preview.getpixel(MIDDLE), WHITE)


def test_sixteen_bits_of_grey_are_kept_and_seen() -> None:
    """The preview has the same shades, of which a screen shows 256."""
    shades = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    kept, preview = inspected(written(Image.fromarray(shades), "PNG"))
    assert (np.asarray(kept) == shades).all()
    seen = np.asarray(preview.convert("L"), dtype=int)
    assert np.abs(seen - shades // 256).max() < 8


def test_a_printers_colours_become_a_screens() -> None:
    """And what described them goes: it says nothing of others."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    kept, preview = inspected(written(cyan, "JPEG", icc_profile=profile))
    assert kept.mode == "RGB"
    assert "icc_profile" not in kept.info
    assert is_near(preview.getpixel(MIDDLE), (0, 255, 255))
    photo = Image.new("RGB", (8, 8))
    kept, _ = inspected(written(photo, "JPEG", icc_profile=profile))
    assert kept.info["icc_profile"] == profile
