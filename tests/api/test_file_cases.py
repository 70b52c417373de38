"""Sixty files that people and programs try to share, each with what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.files.kinds import MIB
from tests.api import samples as s
from tests.api.filing import Filing
from tests.api.problems import problem

HOSPITAL = "hospital"
UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class Case:
    """`by`: a role, or the hospital's program. `outcome`: the state it comes to, or the code of the
    refusal of its announcement. `reason`: why, for what was refused after it was sent."""

    name: str
    kind: str
    by: str
    content: Callable[[], bytes]
    outcome: str
    reason: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    # What it is called once it is there.
    called: str | None = None


def good(kind: str, by: str, content: Callable[[], bytes], **more: Any) -> Case:
    """It becomes available."""
    return Case(f"{by}: {kind}, {content.__name__}", kind, by, content, "available", **more)


def refused(
    name: str, kind: str, content: Callable[[], bytes], reason: str, by: str = "doctor"
) -> Case:
    """It is sent, looked at and refused."""
    return Case(name, kind, by, content, "refused", reason)


def unsent(name: str, kind: str, by: str, code: str, **body: Any) -> Case:
    """Its announcement is refused."""
    return Case(name, kind, by, s.jpeg, code, body=body)


def named(name: str, called: str) -> Case:
    """A photo whose name is not what it seems."""
    title = f"name {name[:30]!r}"
    return Case(title, "image", "patient", s.jpeg, "available", body={"name": name}, called=called)


def infected(kind: str, content: Callable[[], bytes], by: str = "patient") -> Case:
    """Malware is in it."""
    return Case(f"EICAR as {kind}", kind, by, content, "quarantined", "file_infected")


CASES = [
    # Roles and kinds that go together.
    *(good("image", role, s.jpeg) for role in ("doctor", "nurse", "patient", "paramedic")),
    good("image", HOSPITAL, s.png),
    good("image", "patient", s.oddly_noted_png),
    good("image", "doctor", s.webp),
    good("xray", "doctor", s.dicom),
    good("xray", "patient", s.dicom),
    good("xray", HOSPITAL, s.dicom),
    good("xray", "doctor", s.dicom_as_tiff),
    good("xray", "doctor", s.dicom_as_big_endian_tiff),
    good("document", "nurse", s.pdf),
    good("document", "patient", s.jpeg),
    good("document", "paramedic", s.png),
    good("report", "nurse", s.pdf),
    good("report", HOSPITAL, s.pdf),
    good("prescription", "doctor", s.pdf),
    # Roles that share nothing, or not this.
    *(unsent(f"{role} shares", "image", role, "not_permitted")
      for role in ("interpreter", "relative", "observer")),
    *(unsent(f"{role} prescribes", "prescription", role, "not_permitted")
      for role in ("nurse", "patient", "paramedic", "interpreter")),
    # Sizes: of each kind one byte more than it may have.
    *(unsent(f"{kind} too large", kind, "doctor", "file_too_large", size_bytes=most * MIB + 1)
      for kind, most in
      [("image", 25), ("xray", 1024), ("document", 50), ("prescription", 10), ("report", 50)]),
    unsent("empty", "image", "doctor", "invalid_request", size_bytes=0),
    unsent("negative", "image", "doctor", "invalid_request", size_bytes=-1),
    unsent("endless", "image", "doctor", "invalid_request", size_bytes=2**60),
    unsent("no such kind", "video", "doctor", "invalid_request"),
    # What it truly is decides, and not what it calls itself.
    refused("a PDF as an image", "image", s.pdf, "file_type_not_allowed"),
    refused("a JPEG as an X-ray", "xray", s.jpeg, "file_type_not_allowed"),
    refused("an X-ray as an image", "image", s.dicom, "file_type_not_allowed"),
    refused("a JPEG as a report", "report", s.jpeg, "file_type_not_allowed"),
    refused("a JPEG as a prescription", "prescription", s.jpeg, "file_type_not_allowed"),
    refused("a WebP as a document", "document", s.webp, "file_type_not_allowed"),
    refused("a GIF", "image", s.gif, "file_type_not_allowed"),
    refused("a page with a script", "document", lambda: b"<html><script>alert(1)</script>",
            "file_type_not_allowed"),
    refused("a drawing with a script", "image",
            lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
            "file_type_not_allowed"),
    refused("a program", "document", lambda: b"MZ" + bytes(400), "file_type_not_allowed"),
    refused("another program", "image", lambda: b"\x7fELF\x02\x01\x01" + bytes(400),
            "file_type_not_allowed"),
    refused("a program that is an X-ray, too", "xray", lambda: s.dicom_behind(b"MZ\x90\0\3"),
            "file_type_not_allowed"),
    refused("a page that is an X-ray, too", "xray",
            lambda: s.dicom_behind(b"<html><script>alert(1)</script><!--"),
            "file_type_not_allowed"),
    refused("an X-ray with a secret before it", "xray", lambda: s.dicom_behind(bytes(100) + b"x"),
            "file_type_not_allowed"),
    refused("plain words", "document", lambda: b"Dear doctor,", "file_type_not_allowed"),
    refused("a script", "document", lambda: b"#!/bin/sh\nrm -rf /\n", "file_type_not_allowed"),
    # Archives and bombs.
    refused("a ZIP", "document", s.archive, "file_type_not_allowed"),
    refused("a ZIP bomb", "document", lambda: s.archive(bomb=True), "file_type_not_allowed"),
    refused("a ZIP behind a PDF", "document", lambda: s.pdf() + s.archive(), "file_damaged"),
    refused("a picture of 900 million pixels", "image", s.huge_png, "image_too_large"),
    refused("a picture of 60 million pixels", "image", lambda: s.huge_png(10_000, 6_000),
            "image_too_large"),
    refused("an X-ray of 4 billion pixels", "xray",
            lambda: s.dicom(Rows=65_000, Columns=65_000, PixelData=bytes(64)), "file_damaged"),
    refused("an X-ray of 4 GB in 4 MB", "xray", s.dicom_bomb, "file_damaged", by="patient"),
    # Damaged on the way, or on purpose.
    refused("half a JPEG", "image", lambda: s.jpeg(400, 300)[:3000], "file_damaged"),
    refused("half a PNG", "image", lambda: s.png(400, 300)[:200], "file_damaged"),
    refused("half a PDF", "report", lambda: s.pdf()[:80], "file_damaged"),
    refused("half an X-ray", "xray", lambda: s.dicom()[:2000], "file_damaged"),
    refused("an X-ray of a head alone", "xray", lambda: bytes(128) + b"DICM" + bytes(64),
            "file_damaged"),
    refused("an X-ray with nonsense in it", "xray",
            lambda: s.dicom()[:300] + b"\xff" * 3000, "file_damaged"),
    # Malware, also where it hides.
    infected("document", s.eicar),
    infected("image", lambda: s.jpeg(comment=s.eicar())),
    infected("document", lambda: s.eicar(s.pdf())),
    infected("xray", lambda: s.dicom(PatientComments=s.eicar().decode()), "doctor"),
    # Names.
    named("../../etc/passwd.jpg", "passwd.jpg"),
    named(r"C:\Windows\system32\x-ray.jpg", "x-ray.jpg"),
    named("invoice.pdf.exe", "invoice.pdf.jpg"),
    named("photo.JPEG", "photo.JPEG"),
    named("....", "file.jpg"),
    named("é" * 500 + ".jpg", "é" * 116 + ".jpg"),
]  # fmt: skip


def announce(filing: Filing, case: Case) -> tuple[Any, bytes]:
    """Announce the case's file and return the answer, and the content."""
    content = case.content()
    if case.by == HOSPITAL:
        return filing.announce(case.kind, content, **case.body), content
    return filing.person(case.by).announce(case.kind, content, **case.body), content


def test_there_are_sixty() -> None:
    """And no two are the same."""
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) > 55


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_becomes_of_a_file(filing: Filing, case: Case) -> None:
    """Whoever shares it, and whatever it says of itself."""
    answer, content = announce(filing, case)
    if answer.status_code != 201:
        assert answer.get_json()["code"] == case.outcome, answer.text
        return
    file = filing.finish(answer.get_json(), content)
    assert (file["state"], file["reason"]) == (case.outcome, case.reason)
    if case.outcome != "available":
        problem(filing.link(file["id"]), 409, f"file_{case.outcome}", "state")
    elif case.called is not None:
        assert file["name"] == case.called
