"""A form with a file is read as it arrives, however it is cut into pieces."""

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from app.errors import Invalid
from app.files.multipart import FIELDS_BYTES, FormWithFile

BOUNDARY = "---------------------------7d1"
# A sender takes a border that its file does not hold; but nearly so it may.
NEARLY = f"\r\n--{BOUNDARY[:-1]}".encode()
LIKE_BORDERS = [b"\r\n--", b"\r\n\r", NEARLY, NEARLY * 9, b"x" * 70_000]


def form_of(body: bytes, most: int = 10_000) -> FormWithFile:
    """Return a form whose body comes in pieces of at most so many bytes."""
    stream = BytesIO(body)
    return FormWithFile(lambda wanted: stream.read(min(wanted, most)), BOUNDARY)


def encoded(content: bytes, *, metadata: str = "{}", name: str = "a") -> bytes:
    """Return a form as a browser sends it."""
    return encode_multipart_formdata({"metadata": metadata, "file": (name, content)}, BOUNDARY)[0]


def everything(read: Callable[[int], bytes], most: int) -> bytes:
    """Read a file to its end."""
    return b"".join(iter(lambda: read(most), b""))


@settings(max_examples=80, deadline=None)
@given(
    content=st.binary(max_size=3000)
    | st.sampled_from([b"\r\n--", BOUNDARY.encode(), b"x" * 70_000]),
    metadata=st.text(max_size=200),
    most=st.sampled_from([1, 7, 64, 5000]),
)
def test_the_file_is_what_was_sent(content: bytes, metadata: str, most: int) -> None:
    """Also one that looks like the border between two parts."""
    form = form_of(encoded(content, metadata=metadata), most)
    assert form.fields() == {"metadata": metadata}
    assert everything(form.read, most) == content
    assert form.read(1) == b""


def test_a_form_that_breaks_off_has_a_shorter_file() -> None:
    """Whoever reads it compares with what was announced."""
    form = form_of(encoded(b"x" * 1000)[:-300])
    form.fields()
    assert 0 < len(everything(form.read, 100)) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        encoded(b"x")[:60],
        encode_multipart_formdata({"metadata": "{}"}, BOUNDARY)[0],
        encoded(b"x", metadata="x" * (FIELDS_BYTES + 1)),
        encode_multipart_formdata({f"f{n}": "x" for n in range(20)}, BOUNDARY)[0],
    ],
)
def test_what_has_no_file_or_too_much_beside_it_is_refused(body: bytes) -> None:
    """Nothing of it is held for long."""
    with pytest.raises(Invalid):
        form_of(body).fields()
