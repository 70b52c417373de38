"""A hospital with something in every table, for tests that are about all of them."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.clock import utc_now
from app.directory import service as directory
from app.files import announcing
from app.files.models import FilePart, FileView
from app.ids import new_id
from app.playback.models import PlaybackDelivery, PlaybackLink, PlaybackView
from app.recordings.models import Recording
from app.services import Services
from app.storage import service as storage
from app.visits import reports
from tests.api.auditing import make_checkpoint, seal_all
from tests.api.clinic import make_appointment, with_directory
from tests.api.hospital import Hospital
from tests.api.left import arrives, left
from tests.api.prosody import Prosody, invite
from tests.api.records import code_of, events_of
from tests.api.signed_in import sign_staff_in


def furnish(alice: Hospital, services: Services, prosody: Prosody) -> Hospital:
    """Let a hospital have at least one row in every table that has an organisation."""
    session = alice.new_session()
    doctor = invite(services, alice, session, "doctor")
    prosody.tell(doctor.joined())
    other = alice.invite(session["id"])
    alice.app.test_client().post(f"/j/{code_of(other)}/token")
    waits = alice.invite(alice.new_session(waiting_room=True)["id"])
    alice.app.test_client().post(f"/j/{code_of(waits)}/token")
    hook = alice.post("/webhooks", json={"url": "https://a.example/"}).get_json()
    key = {"Idempotency-Key": "k"}
    alice.post("/sessions", json={}, headers=key)
    alice.put(f"/sessions/{session['id']}/av-moderation", json={"audio": True, "video": True})
    alice.post("/consent-texts", json={"language": "en", "text": "May we?"})
    asked = alice.post(f"/sessions/{session['id']}/recordings", json={"ask_first": True})
    link = f"/j/{code_of(other)}/consents?language=en"
    assert alice.app.test_client().get(link).status_code == 200
    alice.delete(f"/sessions/{session['id']}/participants/{other['id']}")
    emergency = alice.new_session(kind="emergency")
    entry = {"reason": "Siren.", "display_name": "Medic 7"}
    alice.post(f"/sessions/{emergency['id']}/emergency-entries", json=entry)
    with services.database.begin() as db:
        fill(db, hook["id"], other["id"])
        stored = storage.announce(db, organisation_id=alice.organisation_id, now=utc_now())
        share(db, alice, session["id"], other["id"], stored.id)
        arrives(db, left(db, asked.get_json()["id"]))
        watch(db, asked.get_json()["id"], stored.id)
    hold = alice.post(f"/sessions/{session['id']}/holds", json={"reason": "incident"}).get_json()
    alice.post(f"/holds/{hold['id']}/release", json={"reason": "closed"})
    connect_directory(services, alice)
    made = make_appointment(with_directory(alice))
    report_visit(services, made["session_id"])
    sign_staff_in(services, alice.organisation_id)
    seal_all(services)
    make_checkpoint(services, alice)
    return alice


def share(db: Session, alice: Hospital, session_id: str, person_id: str, stored_id: UUID) -> None:
    """Let there be a file that arrives, and that somebody looked at."""
    file = announcing.announce(
        db,
        organisation_id=alice.organisation_id,
        session_id=UUID(session_id),
        actor=audit.SERVICE,
        now=utc_now(),
        kind="report",
        name="a.pdf",
        size_bytes=9,
    )
    ids = {"file_id": file.id, "organisation_id": alice.organisation_id}
    db.add(FilePart(**ids, start=0, stored_id=stored_id))
    seen = {"first_at": utc_now(), "last_at": utc_now()}
    db.add(FileView(**ids, **seen, participant_id=UUID(person_id)))


def connect_directory(services: Services, alice: Hospital) -> None:
    """Let Alice have a service of her own for patients and doctors; nobody asks it here."""
    with services.database.begin() as db:
        directory.connect(
            db,
            organisation_id=alice.organisation_id,
            protocol="rest",
            patients_url="http://127.0.0.1:1",
            providers_url="http://127.0.0.1:1",
            token=None,
            now=utc_now(),
        )


def report_visit(services: Services, session_id: str) -> None:
    """Note that there is something to tell that service, as the relay does."""
    with services.database.begin() as db:
        reports.make(db, events_of(services, session_id), now=utc_now())


def fill(db: Any, hook: str, person: str) -> None:
    """Make the rows that only workers make."""
    values = {"hook": hook, "person": person}
    db.execute(
        text("""
        INSERT INTO teleconference.webhook_deliveries (id, organisation_id, subscription_id,
            event_id, session_id, sequence, state, next_attempt_at, created_at)
        SELECT gen_random_uuid(), e.organisation_id, :hook, e.id, e.session_id, e.sequence,
            'pending', now(), now() FROM teleconference.events e
        JOIN teleconference.participants p USING (session_id) WHERE p.id = :person"""),
        values,
    )
    db.execute(
        text("""
        INSERT INTO teleconference.notifications (id, organisation_id, event_id, participant_id,
            kind, state, next_attempt_at, created_at, session_id, occasion, channel, due_at)
        SELECT gen_random_uuid(), p.organisation_id, e.id, p.id, 'invitation', 'sent', now(), now(),
            session_id, 'test', 'email', now()
        FROM teleconference.participants p JOIN teleconference.events e USING (session_id)
        WHERE p.id = :person LIMIT 1"""),
        values,
    )


def watch(db: Session, recording_id: str, stored_id: UUID) -> None:
    """Let there be a link with which somebody watched a recording."""
    recording, now = db.get_one(Recording, UUID(recording_id)), utc_now()
    whose = {"organisation_id": recording.organisation_id}
    place = {**whose, "session_id": recording.session_id, "created_at": now}
    until = {"expires_at": now + timedelta(days=1)}
    link, view = new_id(), new_id()
    known = {"viewer_reference": "insurer-4", "viewer_name": "Jo Reader", "locale": "en"}
    made = {"code_hash": uuid4().bytes, "max_views": 3, "created_by_kind": "client"}
    db.add(PlaybackLink(id=link, recording_id=recording.id, **place, **until, **known, **made))
    db.flush()
    db.add(PlaybackView(id=view, link_id=link, **place, **until))
    db.flush()
    handed = {"size_bytes": 9, "delivered": "{[0,9)}", "last_at": now}
    db.add(PlaybackDelivery(view_id=view, stored_id=stored_id, **whose, **handed))
    db.flush()
