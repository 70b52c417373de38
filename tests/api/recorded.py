"""A recording that is over, as the tests of its files use it."""

from typing import Any

from app.services import Services
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody
from tests.api.test_recordings import Call


def recorded(hospital: Hospital, services: Services, prosody: Prosody) -> Call:
    """Return a call that was recorded; each has its own folder."""
    made = Call(hospital, services, prosody)
    made.agree()
    made.record()
    made.starts()
    for status in ("pending", "on"):
        made.focus(status, reference=folder_of(made))
    made.hospital.post(f"/recordings/{made.recordings[0]['id']}/stop")
    made.focus("off")
    return made


def folder_of(call: Call) -> str:
    """Return what the recorder calls it."""
    return f"jitsi{call.session['id']}"


def shown(call: Call) -> dict[str, Any]:
    """The one file of the newest recording."""
    (file,) = call.recordings[0]["files"]
    return dict(file)
