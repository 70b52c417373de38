"""Filling the directory of patients and providers, as the schema's owner."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from marshmallow import ValidationError, fields, validate
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.appointments.models import Patient, Provider
from app.audit import service as audit
from app.errors import Invalid
from app.ids import new_id
from app.organisations import policy_service
from app.participants.schemas import EMAIL
from app.web.schemas import Flag, In, Text

TABLES: dict[str, type[Patient] | type[Provider]] = {"patient": Patient, "provider": Provider}


class LineIn(In):
    """One line: one person. A repeated reference replaces what was said before."""

    kind = fields.String(required=True, validate=validate.OneOf(list(TABLES)))
    reference = Text(required=True, longest=64)
    display_name = Text(required=True, longest=80)
    email = fields.Email(load_default=None, allow_none=True, validate=EMAIL)
    phone = Text(load_default=None, allow_none=True, longest=32)
    language = Text(load_default=None, allow_none=True, longest=16)
    is_active = Flag(load_default=True, data_key="active")


LINE = LineIn()


def fill(
    db: Session, *, organisation_id: UUID, lines: Iterable[bytes | str], now: datetime
) -> dict[str, int]:
    """Write patients and providers from NDJSON; return how many of each. All or nothing.

    Raises:
        NotFound: there is no such organisation.
        Invalid: a line is not one person; it says which line.
    """
    policy_service.get(db, organisation_id=organisation_id)
    done: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            person = _read(number, line)
            kind = person.pop("kind")
            _write(db, TABLES[kind], {"organisation_id": organisation_id, **person}, now)
            done[kind] += 1
    audit.record(
        db,
        action="directory.imported",
        actor=audit.OPERATOR,
        now=now,
        organisation_id=organisation_id,
        detail=dict(done),
    )
    return dict(done)


def _read(number: int, line: bytes | str) -> dict[str, Any]:
    try:
        return dict(LINE.load(orjson.loads(line)))
    except orjson.JSONDecodeError as error:
        raise Invalid(f"Line {number} is no JSON.", code="directory_line_invalid") from error
    except ValidationError as error:
        # The fields, not what stands in them: this may be printed where others read.
        wrong = ", ".join(sorted(str(name) for name in error.normalized_messages()))
        raise Invalid(
            f"Line {number}: not acceptable: {wrong}.", code="directory_line_invalid"
        ) from error


def _write(
    db: Session, table: type[Patient] | type[Provider], person: dict[str, Any], now: datetime
) -> None:
    row = {**person, "updated_at": now, "learned": False, "trimmed_at": None}
    db.execute(
        insert(table)
        .values(id=new_id(), **row)
        .on_conflict_do_update(index_elements=["organisation_id", "reference"], set_=row)
    )
