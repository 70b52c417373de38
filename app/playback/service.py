"""Links with which people watch recordings: made, listed, revoked, and used.

A use is counted at the click, not when the page is opened: programs that read mail open pages.
From the click on there is a view, which lives for a few hours and only as long as the link does.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import DomainError, Forbidden, Gone, Invalid, NotFound
from app.events import service as events
from app.files.sight import permissions_of
from app.ids import new_id
from app.participants.links import CODE_BYTES, LONGEST_CODE, as_code
from app.participants.models import Participant
from app.participants.permissions import Permission
from app.participants.seats import code_hash
from app.playback import watching
from app.playback.models import PlaybackLink, PlaybackView
from app.recordings import service as recordings
from app.recordings.models import Recording
from app.sessions import service as sessions
from app.sessions.models import CareSession

# What the audit log calls the press that begins a view.
STARTED = "playback.started"
LONGEST_LIFE = timedelta(days=90)
# From the click on: pauses and seeks included.
VIEW_LASTS = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whom a link is for: somebody of the session, or (reference and name) somebody else."""

    participant_id: UUID | None
    reference: str | None
    name: str | None
    locale: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """A new link with its code, which is shown this once."""

    link: PlaybackLink
    code: str


def make(
    db: Session,
    *,
    organisation_id: UUID,
    recording_id: UUID,
    viewer: Viewer,
    expires_in_s: int,
    max_views: int,
    actor: Actor,
    now: datetime,
) -> Made:
    """Let one person watch a recording.

    Raises:
        NotFound: no such recording, or no such person in its session.
        Conflict: there is nothing to watch (yet, or any more), or it is withheld or held.
        Forbidden: this person's part in the session does not include watching.
        Invalid: neither or both kinds of viewer were named.
    """
    found = recordings.get(db, organisation_id=organisation_id, recording_id=recording_id)
    session = sessions.lock(db, organisation_id=organisation_id, session_id=found.session_id)
    recording = db.get_one(Recording, recording_id, populate_existing=True)
    watching.require_watchable(db, recording)
    code = as_code(secrets.token_bytes(CODE_BYTES))
    name, locale = _named(db, session, viewer)
    link = PlaybackLink(
        id=new_id(),
        organisation_id=organisation_id,
        session_id=session.id,
        recording_id=recording_id,
        participant_id=viewer.participant_id,
        viewer_reference=viewer.reference,
        viewer_name=name,
        locale=viewer.locale or locale,
        code_hash=code_hash(code),
        expires_at=now + timedelta(seconds=expires_in_s),
        max_views=max_views,
        views=0,
        created_by_kind=actor.kind,
        created_by=actor.id,
        created_at=now,
    )
    db.add(link)
    db.flush()
    detail = {"expires_at": link.expires_at.isoformat(), "max_views": max_views}
    note(db, link, "playback_link.made", actor, now, **detail)
    return Made(link, code)


def get(db: Session, *, organisation_id: UUID, recording_id: UUID, link_id: UUID) -> PlaybackLink:
    """Return one link of a recording.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    query = _of(organisation_id, recording_id).where(PlaybackLink.id == link_id)
    link = db.scalars(query).first()
    if link is None:
        raise NotFound("There is no such playback link.", code="playback_link_not_found")
    return link


def of_recording(db: Session, *, organisation_id: UUID, recording_id: UUID) -> Select[PlaybackLink]:
    """Return the query of a recording's links.

    Raises:
        NotFound: no such recording.
    """
    recordings.get(db, organisation_id=organisation_id, recording_id=recording_id)
    return _of(organisation_id, recording_id)


def revoke(
    db: Session,
    *,
    organisation_id: UUID,
    recording_id: UUID,
    link_id: UUID,
    actor: Actor,
    now: datetime,
) -> PlaybackLink:
    """Kill a link, and with it what is being watched by it. A second time changes nothing.

    Raises:
        NotFound: there is no such link.
    """
    place = {"organisation_id": organisation_id, "recording_id": recording_id}
    link = get(db, **place, link_id=link_id)
    done = db.scalars(
        update(PlaybackLink)
        .where(PlaybackLink.id == link_id, PlaybackLink.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(PlaybackLink.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    db.refresh(link)
    if done is not None:
        note(db, link, "playback_link.revoked", actor, now)
    return link


def revoke_all(db: Session, recording_id: UUID, *, now: datetime) -> None:
    """Kill every link to a recording that is deleted, which is on record by itself."""
    db.execute(
        update(PlaybackLink)
        .where(PlaybackLink.recording_id == recording_id, PlaybackLink.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def by_code(db: Session, code: str) -> PlaybackLink:
    """Return the link behind a code, whatever has become of it.

    Raises:
        NotFound: nobody has such a link.
    """
    query = select(PlaybackLink).where(PlaybackLink.code_hash == code_hash(code))
    link = db.scalars(query).first() if len(code) <= LONGEST_CODE else None
    if link is None:
        raise NotFound("This link is not known.", code="playback_link_unknown")
    return link


def require_usable(db: Session, link: PlaybackLink, *, now: datetime) -> Recording:
    """Return what a link leads to, if one more view can begin, or one that did can go on.

    Raises:
        Gone: it has expired, was revoked or is used up, or the recording was deleted.
        Conflict, Forbidden: it may not be watched now.
    """
    watching.require_alive(db, link, now=now)
    alive = select(PlaybackView.id).where(
        PlaybackView.link_id == link.id, PlaybackView.expires_at > now
    )
    if link.views >= link.max_views and db.scalars(alive).first() is None:
        raise _used_up()
    return db.get_one(Recording, link.recording_id)


def begin(db: Session, link: PlaybackLink, press_id: UUID, *, now: datetime) -> PlaybackView:
    """Begin a view: somebody pressed the button. A press that was counted (its answer was lost, or
    the page was loaded again) gets its view once more while that lives.

    Raises:
        Gone, Conflict, Forbidden: see `require_usable`; of two at once, one may be too late.
    """
    sessions.lock(db, organisation_id=link.organisation_id, session_id=link.session_id)
    db.refresh(link)
    watching.require_alive(db, link, now=now)
    same = PlaybackView.link_id == link.id, PlaybackView.press_id == press_id
    begun = db.scalars(select(PlaybackView).where(*same)).one_or_none()
    if begun is not None and begun.expires_at > now:
        return begun
    if link.views >= link.max_views:
        raise _used_up()
    if begun is not None:
        begun.press_id = None
        db.flush()
    return _begin(db, link, press_id, now)


def _begin(db: Session, link: PlaybackLink, press_id: UUID, now: datetime) -> PlaybackView:
    link.views += 1
    view = PlaybackView(
        id=new_id(),
        organisation_id=link.organisation_id,
        session_id=link.session_id,
        link_id=link.id,
        press_id=press_id,
        expires_at=min(now + VIEW_LASTS, link.expires_at),
        created_at=now,
    )
    db.add(view)
    db.flush()
    note(db, link, STARTED, viewer_of(link), now, view_id=str(view.id))
    data = {"recording_id": str(link.recording_id), "playback_link_id": str(link.id)}
    events.append(db, "recording.viewed", session_id=link.session_id, data=data, now=now)
    return view


def viewer_of(link: PlaybackLink) -> Actor:
    """Return who watches, as the audit log names them: nobody outside the session by a name."""
    if link.participant_id is not None:
        return Actor("participant", str(link.participant_id))
    return Actor("viewer", str(link.id))


def note(
    db: Session, link: PlaybackLink, action: str, actor: Actor, now: datetime, **detail: object
) -> None:
    """Write an audit entry about a link."""
    audit.record(
        db,
        action=action,
        actor=actor,
        now=now,
        organisation_id=link.organisation_id,
        session_id=link.session_id,
        participant_id=link.participant_id,
        detail={
            "recording_id": str(link.recording_id),
            "playback_link_id": str(link.id),
            **detail,
        },
    )


def _named(db: Session, session: CareSession, viewer: Viewer) -> tuple[str, str]:
    """Return name and language of whom a link is for."""
    if (viewer.participant_id is None) == (viewer.reference is None or viewer.name is None):
        raise Invalid(
            "Name one viewer: participant_id, or viewer_reference with viewer_name.",
            code="viewer_not_named",
            field="participant_id",
        )
    if viewer.participant_id is None:
        return viewer.name or "", "en"
    person = db.get(Participant, viewer.participant_id)
    if person is None or person.session_id != session.id:
        raise NotFound(
            "There is no such participant in this session.", code="participant_not_found"
        )
    if Permission.WATCH_RECORDINGS not in permissions_of(db, person, session.kind):
        raise Forbidden("Their part in this session does not allow it.", code="not_permitted")
    return person.display_name, person.locale


def _of(organisation_id: UUID, recording_id: UUID) -> Select[PlaybackLink]:
    return select(PlaybackLink).where(
        PlaybackLink.organisation_id == organisation_id,
        PlaybackLink.recording_id == recording_id,
    )


def _used_up() -> DomainError:
    return Gone("This link was used as often as it may be.", code="playback_used_up")
