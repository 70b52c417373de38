"""What holds for shared files by itself: their life, their names, their tickets."""

import io
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.audit.service import Actor
from app.clock import utc_now
from app.errors import Gone, NotFound
from app.files import names, tickets
from app.files.inspection.inspect import inspect, true_type
from app.files.kinds import DICOM, JPEG, PDF, PNG, WEBP, Kind
from app.files.states import TRANSITIONS, State, Step, sources_of, target_of
from app.files.tickets import CONTENT, PREVIEW, UPLOAD, Ticket
from tests.api import samples

SECRET, OTHER = bytes(32), bytes(range(32))
TICKET = Ticket(CONTENT, uuid4(), uuid4(), Actor("participant", str(uuid4())))


def test_what_is_deleted_stays_deleted() -> None:
    """And nothing is available that was not scanned."""
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.DELETED}
    assert [s for (s, step), t in TRANSITIONS.items() if t is State.AVAILABLE] == [State.SCANNING]
    for step in Step:
        assert {TRANSITIONS[state, step] for state in sources_of(step)} == {target_of(step)}


@given(st.text(max_size=400))
def test_no_name_is_a_path_or_misleads(sent: str) -> None:
    """Whatever a program sends."""
    name = names.clean(sent)
    assert 1 <= len(name) <= names.LONGEST
    assert not set(name) & set("/\\\0\n\r\u202e")
    assert name not in (".", "..")
    assert not name.startswith(".")
    assert names.clean(name) == name
    assert names.with_ending(name, ".pdf").lower().endswith(".pdf")


@pytest.mark.parametrize(
    ("sent", "ending", "shown"),
    [
        ("x.exe", ".pdf", "x.pdf"),
        ("photo\u202egpj.exe", ".jpg", "photogpj.jpg"),
        ("photo\u061c.exe", ".jpg", "photo.jpg"),
        ("scan", ".dcm", "scan.dcm"),
        ("a.JPEG", ".jpg", "a.JPEG"),
        ("Befund Müller.pdf", ".pdf", "Befund Müller.pdf"),
    ],
)
def test_a_name_ends_as_its_content_does(sent: str, ending: str, shown: str) -> None:
    """Also where the reading direction was turned to hide it."""
    assert names.with_ending(names.clean(sent), ending) == shown


def test_a_ticket_is_for_one_thing_and_a_while() -> None:
    """Signed by us, under any of our secrets."""
    now = utc_now()
    text, expires_at = tickets.issue(TICKET, secret=OTHER, now=now)
    assert expires_at - now == timedelta(minutes=5)
    assert tickets.read(text, secrets=[SECRET, OTHER], purposes=[CONTENT]) == TICKET
    for secrets, purposes in (([SECRET], [CONTENT]), ([OTHER], [UPLOAD, PREVIEW])):
        with pytest.raises(NotFound):
            tickets.read(text, secrets=secrets, purposes=purposes)
    old, _ = tickets.issue(TICKET, secret=SECRET, now=now - timedelta(hours=1))
    with pytest.raises(Gone):
        tickets.read(old, secrets=[SECRET], purposes=[CONTENT])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (samples.jpeg(), JPEG),
        (samples.png(), PNG),
        (samples.webp(), WEBP),
        (samples.pdf(), PDF),
        (samples.dicom(), DICOM),
    ],
)
def test_the_types_that_are_taken_are_known_by_their_beginning(content: bytes, found: str) -> None:
    """Whatever they are called."""
    assert true_type(content[:4096]) == found


@pytest.mark.parametrize("content", [samples.phone_photo(80, 40), samples.png(80, 40)])
def test_a_picture_keeps_its_pixels_and_nothing_else(content: bytes) -> None:
    """No position, no device, no words; and it stands upright without the camera's note."""
    found = inspect(Kind.IMAGE, len(content), lambda: io.BufferedReader(io.BytesIO(content)))
    assert found.clean is not None
    assert found.preview is not None
    before, after = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(found.clean))
    was_turned = samples.ORIENTATION_TAG in before.getexif()
    assert after.size == ((40, 80) if was_turned else (80, 40))
    assert dict(after.getexif()) == {}
    for words in (samples.MARK, b"Phone of Erika", b"Exif"):
        assert words not in found.clean
        assert words not in found.preview


def test_an_xray_is_kept_and_shown() -> None:
    """Its preview is a small picture without the patient's name."""
    content = samples.dicom(300, 200, frames=3)
    found = inspect(Kind.XRAY, len(content), lambda: io.BufferedReader(Named(content)))
    assert found.clean is None
    assert found.preview is not None
    assert Image.open(io.BytesIO(found.preview)).size == (200, 300)
    assert samples.MARK not in found.preview


class Named(io.BytesIO):
    """Bytes that have a name, as pydicom asks of a file."""

    name = ""
