"""A write with an `Idempotency-Key` can be repeated: the repeat gets the first answer."""

from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from flask import Response, request
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid
from app.web.auth import Caller, describe, now
from app.web.models import IdempotencyKey
from app.web.services import current_services

MAX_KEY_LENGTH = 200
HEADER = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "Any text of yours, new for each intention: a repeat gets the first answer.",
    "schema": {"type": "string", "pattern": f"^[ -~]{{1,{MAX_KEY_LENGTH}}}$"},
}
KEPT_HEADERS = ("ETag", "Location")


def idempotent(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer a repeat with the stored answer. Stands inside `requires`.

    The key's row is inserted first, so the second of two simultaneous requests waits for the
    first to commit and then finds its answer. An answer that is an error is never stored: the
    rollback takes the row with it.
    """

    @wraps(view)
    def wrapper(*args: Any, db: Session, caller: Caller, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return view(*args, db=db, caller=caller, **kwargs)
        first = _claim(db, caller, _checked(key))
        if first is not None:
            return _repeat(first, caller)
        response = view(*args, db=db, caller=caller, **kwargs)
        _store(db, caller.organisation_id, key, response)
        return response

    return describe(wrapper, parameters=[HEADER])


def _checked(key: str) -> str:
    if not (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise Invalid(
            f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} printable ASCII characters.",
            code="idempotency_key_invalid",
            field="Idempotency-Key",
        )
    return key


def _request_hash(caller: Caller) -> bytes:
    """Return what a repeat must have in common with the first: also who asks. An answer may hold a
    link, and is nobody else's for having guessed a key."""
    head = f"{caller.kind} {caller.subject} {request.method} {request.full_path}\n".encode()
    return sha256(head + request.get_data(cache=True)).digest()


def _claim(db: Session, caller: Caller, key: str) -> IdempotencyKey | None:
    """Take the key for this request, or return the row of the request that had it first."""
    claimed = db.execute(
        insert(IdempotencyKey)
        .values(
            organisation_id=caller.organisation_id,
            key=key,
            request_hash=_request_hash(caller),
            created_at=now(),
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    ).first()
    if claimed is not None:
        return None
    return db.scalars(
        select(IdempotencyKey).where(
            IdempotencyKey.organisation_id == caller.organisation_id, IdempotencyKey.key == key
        )
    ).one()


def _repeat(first: IdempotencyKey, caller: Caller) -> Response:
    if first.request_hash != _request_hash(caller):
        raise Conflict(
            "This Idempotency-Key was used for another request; use a new one.",
            code="idempotency_key_reused",
            field="Idempotency-Key",
        )
    assert first.answer is not None, "an answer is stored in the transaction that made the row"
    stored = orjson.loads(current_services().vault.decrypt(first.answer))
    response = Response(stored["body"], first.status, headers=stored["headers"])
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _store(db: Session, organisation_id: UUID, key: str, response: Response) -> None:
    headers = {"Content-Type": response.content_type or "application/json"}
    headers |= {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    answer = orjson.dumps({"body": response.get_data(as_text=True), "headers": headers})
    db.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.organisation_id == organisation_id, IdempotencyKey.key == key)
        .values(status=response.status_code, answer=current_services().vault.encrypt(answer))
    )
