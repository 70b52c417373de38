"""`DELETE /recordings/{id}`, and the proof that a recording is gone."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.recording_files import showing
from app.recordings import deletion
from app.recordings.schemas import DeletionOut, RecordingOut
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.transactions import transactional

blp = Blueprint("recording-deletion", __name__, description="The end of recordings")


@blp.route("/recordings/<uuid:recording_id>", methods=["DELETE"])
@transactional
@requires("recordings:delete")
@blp.response(200, RecordingOut)
def delete_recording(recording_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Delete a recording for good: the keys of its files are destroyed, its links are dead, and
    nobody can read it any more."""
    deleted = deletion.delete(
        db,
        organisation_id=caller.organisation_id,
        recording_id=recording_id,
        actor=actor_of(caller),
        now=now(),
    )
    return showing.shown(db, [deleted])[0]


@blp.route("/recordings/<uuid:recording_id>/deletion", methods=["GET"])
@transactional
@requires("recordings:delete")
@blp.response(200, DeletionOut)
def read_recording_deletion(recording_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Read what shows that a recording is gone: who deleted it and when, when the key of each
    stored file was destroyed, and when its bytes were erased from the store."""
    found = deletion.proof(db, organisation_id=caller.organisation_id, recording_id=recording_id)
    recording = found.recording
    return {
        "recording_id": recording.id,
        "state": recording.state,
        "deleted_at": recording.deleted_at,
        "deleted_by_kind": recording.deleted_by_kind,
        "deleted_by": recording.deleted_by,
        "stored_files": found.stored_files,
    }
