"""Files by the button of Jitsi's own client: the same files as everywhere, by another door.

Its client says of a file a name, a size and an id. What kind it is shows its content: a picture is
an `image`, DICOM an `xray`, a PDF a `document`. Reports and prescriptions are shared where somebody
says that they are one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.files import announcing, downloads, passes, service, sight, states
from app.files.downloads import Address
from app.files.inspection.inspect import HEAD_BYTES, true_type
from app.files.kinds import DICOM, IMAGES, MIB, PDF, RULES, Kind
from app.files.models import SessionFile
from app.files.multipart import PIECE_BYTES
from app.files.passes import Pass
from app.files.states import State
from app.files.uploads import Upload
from app.participants import links
from app.participants.seats import Seat, seat_by_link
from app.settings import Settings
from app.storage.arriving import Read

# Its client sends a file at once and begins anew after a lost connection; ours goes on.
MOST_BYTES = 50 * MIB
ARRIVED = (State.SCANNING, State.AVAILABLE)
KIND_OF = {**dict.fromkeys(IMAGES, Kind.IMAGE), DICOM: Kind.XRAY, PDF: Kind.DOCUMENT}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client says of a file before its bytes come."""

    id: UUID
    name: str
    size_bytes: int


class Beginning:
    """The first bytes of a stream, looked at before anybody reads them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._held = b""
        while len(self._held) < HEAD_BYTES and (piece := read(HEAD_BYTES - len(self._held))):
            self._held += piece

    @property
    def kind(self) -> Kind:
        """What kind of file begins like that.

        Raises:
            Invalid: none that is shared this way.
        """
        told = true_type(self._held)
        if told not in KIND_OF:
            raise Invalid("Pictures, X-rays and PDF can be shared.", code="file_type_not_allowed")
        return KIND_OF[told]

    def read(self, most: int) -> bytes:
        """Return the next bytes, from the first on."""
        if not self._held:
            return self._read(most)
        piece, self._held = self._held[:most], self._held[most:]
        return piece


def issue_pass(
    db: Session, wanted: Pass, *, settings: Settings, now: datetime
) -> tuple[str, datetime]:
    """Return a pass for somebody whom Prosody has in a room, and when it expires.

    Raises:
        NotFound: nobody has such a link.
    """
    seat = seat_by_link(db, participant_id=wanted.participant_id, link_id=wanted.link_id)
    if seat is None:
        raise _no_meeting()
    audit.record(
        db,
        action="file.pass_issued",
        actor=Actor("participant", str(seat.participant_id)),
        now=now,
        organisation_id=seat.organisation_id,
        session_id=seat.session_id,
        participant_id=seat.participant_id,
    )
    return passes.issue(wanted, secret=settings.api_token_secret[0], now=now)


def seat_of(db: Session, shown: Pass, *, meeting: str, settings: Settings, now: datetime) -> Seat:
    """Return who shows a pass, if they are in that room now.

    Raises:
        NotFound: the pass is for another meeting, or nobody has such a link any more.
        Gone, Forbidden: their session is over, they were removed or are not in the room.
    """
    seat = seat_by_link(db, participant_id=shown.participant_id, link_id=shown.link_id)
    if seat is None or not shown.meeting or shown.meeting != meeting:
        raise _no_meeting()
    barrier = seat.barrier(early_join_s=settings.early_join_s, now=now)
    if barrier != "link-expired":  # a link is for getting in
        links.require_valid(seat, barrier)
    # Who has just come in is known to Prosody, which gave the pass, a moment before us.
    if seat.participant_state == "left" or barrier not in ("", "link-expired"):
        raise Forbidden("You are not in the room.", code="not_inside")
    return seat


def require_sharer(seat: Seat) -> None:
    """Refuse who may share nothing, before their bytes are read.

    Raises:
        Forbidden: their part in the session does not allow it.
    """
    if not any(RULES[kind].shared_by in seat.permissions for kind in KIND_OF.values()):
        raise Forbidden("Your part in this session does not allow it.", code="not_permitted")


def require_size(size_bytes: int) -> None:
    """Refuse what is too large to be sent at once.

    Raises:
        Invalid: there is more of it.
    """
    if size_bytes > MOST_BYTES:
        raise Invalid(f"At most {MOST_BYTES} bytes this way.", code="file_too_large")


def announce(
    db: Session, seat: Seat, wanted: Wanted, *, kind: Kind, now: datetime
) -> SessionFile | None:
    """Make the row of a file whose bytes come next, or return the one of a file whose bytes stopped
    coming; None: it was sent before, by the same person.

    Raises:
        Conflict: somebody else's file has this id, or it was refused or deleted; else see
            `announcing.announce`.
        Forbidden: their part in the session does not allow it.
    """
    there = _find(db, seat, wanted.id)
    if there is not None:
        if not sight.is_sharer(seat.participant_id, there):
            raise Conflict("There is a file with this id already.", code="file_exists")
        if there.state == State.UPLOADING and there.size_bytes == wanted.size_bytes:
            return there
        if there.state not in ARRIVED:
            raise states.refusal(there.state)
        return None
    return announcing.announce_from_seat(
        db,
        seat,
        kind=kind,
        name=wanted.name,
        size_bytes=wanted.size_bytes,
        jitsi_id=wanted.id,
        now=now,
    )


def take(upload: Upload, read: Read, *, size_bytes: int, now: datetime) -> None:
    """Take the bytes of a file that was announced. Of one that broke off, what came before stays.

    Raises:
        Invalid: there are fewer or more than was announced; else see `Upload.append`.
    """
    received, _ = upload.progress()
    skip(read, received)
    if received < size_bytes:
        received = upload.append(read, offset=received, length=None, now=now)
    if received < size_bytes:
        raise Invalid("There is less of this file than was announced.", code="upload_incomplete")


def skip(read: Read, size_bytes: int) -> None:
    """Read so many bytes for nothing, or to the end."""
    left = size_bytes
    while left > 0 and (piece := read(min(left, PIECE_BYTES))):
        left -= len(piece)


def give_up(db: Session, seat: Seat, file_id: UUID, *, now: datetime) -> None:
    """Delete a file whose bytes did not come: its sender cannot go on with it."""
    service.delete(
        db,
        organisation_id=seat.organisation_id,
        session_id=seat.session_id,
        file_id=file_id,
        actor=Actor("participant", str(seat.participant_id)),
        now=now,
    )


def address(
    db: Session, seat: Seat, *, file_id: UUID, settings: Settings, now: datetime
) -> tuple[SessionFile, Address]:
    """Return a file and a short-lived link to it.

    Raises:
        NotFound: there is no such file for them; else see `downloads.address`.
    """
    file = get(db, seat, file_id)
    return file, downloads.address_from_seat(
        db, seat, file_id=file.id, preview=False, settings=settings, now=now
    )


def delete(db: Session, seat: Seat, *, file_id: UUID, now: datetime) -> None:
    """Delete a file as the person's page does; a second time changes nothing.

    Raises:
        See `service.delete_from_seat`.
    """
    service.delete_from_seat(db, seat, file_id=get(db, seat, file_id).id, now=now)


def get(db: Session, seat: Seat, file_id: UUID) -> SessionFile:
    """Return a file of the session by the id that Jitsi's list has of it.

    Raises:
        NotFound: there is none.
    """
    file = _find(db, seat, file_id)
    if file is None:
        raise NotFound("There is no such file in this session.", code="file_not_found")
    return file


def described(file: SessionFile, *, meeting: str, url: str) -> dict[str, Any]:
    """Return a file as Jitsi's client reads it (jitsi-meet, resources/file-sharing.yaml)."""
    return {
        "fileId": str(file.jitsi_id or file.id),
        "sessionId": meeting,
        "fileName": file.name,
        "fileSize": file.size_bytes,
        "createdAt": int(file.created_at.timestamp() * 1000),
        "presignedUrl": url,
    }


def _no_meeting() -> NotFound:
    return NotFound("There is no such meeting.", code="meeting_unknown")


def _find(db: Session, seat: Seat, file_id: UUID) -> SessionFile | None:
    named = (SessionFile.jitsi_id == file_id) | (
        (SessionFile.id == file_id) & SessionFile.jitsi_id.is_(None)
    )
    theirs = service.of_session(seat.organisation_id, seat.session_id)
    return db.scalars(select(SessionFile).from_statement(theirs.where(named))).first()
