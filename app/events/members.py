"""What the members of an event's `data` look like: JSON Schema and an example for each, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.events.types import EVENT_TYPES, EventType

_ID = "01977f3e-6c00-7000-8000-0000000000"
ORGANISATION = f"{_ID}01"

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of `data`, the same in every type that has it."""

    schema: Schema
    example: Any


def _text(example: str | None, *, nullable: bool = False, about: str) -> Member:
    kinds = ["string", "null"] if nullable else "string"
    return Member({"type": kinds, "description": about}, example)


def _id(number: str, about: str) -> Member:
    return Member({"type": "string", "format": "uuid", "description": about}, _ID + number)


def _choice(example: str, *words: str) -> Member:
    return Member({"enum": list(words)}, example)


def _moment(*, nullable: bool = False, about: str) -> Member:
    kinds = ["string", "null"] if nullable else "string"
    schema = {"type": kinds, "format": "date-time", "description": about}
    return Member(schema, "2026-06-18T09:30:00+00:00")


def _flag(example: bool, *, about: str) -> Member:
    return Member({"type": "boolean", "description": about}, example)


def _ids(about: str) -> Member:
    items = {"type": "string", "format": "uuid"}
    return Member({"type": "array", "items": items, "description": about}, [f"{_ID}03"])


def _names(about: str) -> Member:
    items = {"type": "string"}
    return Member({"type": "array", "items": items, "description": about}, ["planned_start"])


MEMBERS: Mapping[str, Member] = {
    "session_id": _id("02", "The session it happened in."),
    "participant_id": _id("03", "The person it happened to."),
    "role": _choice(
        "patient", "doctor", "nurse", "patient", "paramedic", "interpreter", "relative", "observer"
    ),
    "reference": _text("visit-4711", nullable=True, about="Your reference of the session."),
    "participant_reference": _text(
        "person-12", nullable=True, about="Your reference of the person."
    ),
    "kind": _choice("consultation", "consultation", "emergency"),
    "state": _choice("scheduled", "scheduled", "active"),
    "started_by": _text("client", about="client, or participant for a host who came in."),
    "reason": _text(
        "The patient called.", nullable=True, about="Of participant.left a word, else a text."
    ),
    "entry_id": _id("04", "The uninvited entry."),
    "outcome": _choice("justified", "justified", "unjustified"),
    "file_id": _id("06", "The file."),
    "file_kind": _choice("xray", "image", "xray", "document", "prescription", "report"),
    "code": _text("full", about="Why: a code of docs/errors.md."),
    "until": _moment(nullable=True, about="When the person may come back; null: never."),
    "by": _choice("participant", "client", "user", "participant"),
    "media": _choice("audio", "audio", "video", "desktop"),
    "moderator": _flag(True, about="Whether the person may moderate now."),
    "audio": _flag(True, about="Whether microphones are moderated."),
    "video": _flag(False, about="Whether cameras are moderated."),
    "audio_allowed": _ids("Who may use a microphone all the same."),
    "video_allowed": _ids("Who may use a camera all the same."),
    "purpose": _choice("recording", "recording"),
    "consent_channel": _choice("page", "page", "link", "room", "api", "paper", "phone"),
    "language": _choice("en", "en", "de", "fr"),
    "text_sha256": _text("9f86d081", about="Of the exact text that was shown."),
    "recording_id": _id("06", "The recording."),
    "recording_file_id": _id("07", "The file of the recording."),
    "playback_link_id": _id("08", "The link; read the recording's links for whose it is."),
    "hold_id": _id("09", "The legal hold."),
    "participant_ids": _ids("The people who were inside."),
    "appointment_id": _id("05", "The appointment."),
    "visit_type": _text("consultation", about="Your kind of visit."),
    "planned_start": _moment(about="When it is to begin."),
    "planned_end": _moment(about="When it is to end."),
    "previous_planned_start": _moment(about="When it was to begin."),
    "previous_planned_end": _moment(about="When it was to end."),
    "fields": _names("What changed."),
    "changed": _names("What changed."),
    "message": _text("invitation", about="The kind of message."),
    "channel": _choice("email", "email", "sms", "service"),
}


def data_schema(type_: EventType) -> dict[str, Any]:
    """Return the JSON Schema of a type's `data`."""
    names = ("session_id", *type_.data)
    return {
        "type": "object",
        "properties": {name: dict(MEMBERS[name].schema) for name in names},
        "required": list(names),
        "additionalProperties": False,
    }


def example(type_: EventType) -> dict[str, Any]:
    """Return one whole event of a type, as a receiver gets it."""
    number = list(EVENT_TYPES).index(type_.name) + 1
    return {
        "id": f"{_ID[:-1]}{100 + number}",
        "type": type_.name,
        "timestamp": "2026-06-18T09:00:00.123456Z",
        "sequence": number,
        "organisation_id": ORGANISATION,
        "data": {name: MEMBERS[name].example for name in ("session_id", *type_.data)},
    }


def described() -> list[dict[str, Any]]:
    """Return every type with meaning, schema of the whole event, and example."""
    return [
        {
            "name": type_.name,
            "meaning": type_.meaning,
            "schema": event_schema(type_),
            "example": example(type_),
        }
        for type_ in EVENT_TYPES.values()
    ]


def event_schema(type_: EventType) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a whole event of this type."""
    properties = {
        "id": {"type": "string", "format": "uuid"},
        "type": {"const": type_.name},
        "timestamp": {"type": "string", "format": "date-time"},
        "sequence": {"type": "integer", "minimum": 1},
        "organisation_id": {"type": "string", "format": "uuid"},
        "data": data_schema(type_),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": type_.name,
        "description": type_.meaning,
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
