"""Patient Service and Doctor Service over plain REST; the shapes are in docs/directory.md."""

from typing import Any
from urllib.parse import quote

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from app.adapters.directory_http import DirectoryHttp
from app.errors import Invalid
from app.ports import DirectoryEntry, OutsideService, VisitStatus


class PersonIn(Schema):
    """What the service says of a person; what we do not use is passed over."""

    class Meta:
        unknown = EXCLUDE

    display_name = fields.String(required=True, validate=validate.Length(1, 80))
    email = fields.Email(load_default=None, allow_none=True)
    phone = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=32))
    language = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=16))
    is_active = fields.Boolean(load_default=True, data_key="active")


PERSON = PersonIn()


class RestDirectory:
    """Implements `ports.Directory`."""

    def __init__(self, http: DirectoryHttp) -> None:
        self._http = http

    def find(self, service: OutsideService, *, kind: str, reference: str) -> DirectoryEntry | None:
        """GET {base}/{reference}; see `ports.Directory`."""
        if not _is_a_name(reference):
            return None
        found = self._http.get(service, f"/{quote(reference, safe='')}")
        if found is None:
            return None
        try:
            person: dict[str, Any] = PERSON.load(found)
        except ValidationError:
            # Without the error's own text: it would name what stands in the fields.
            raise Invalid("The service's answer is no person.", code="not_a_person") from None
        return DirectoryEntry(reference=reference, **person)

    def report(self, service: OutsideService, *, kind: str, status: VisitStatus) -> None:
        """PUT {base}/{reference}/visits/{appointment}; see `ports.Directory`."""
        whose = status.patient_reference if kind == "patient" else status.provider_reference
        if not _is_a_name(whose):
            raise Invalid("The reference cannot stand in a path.", code="not_a_reference")
        path = f"/{quote(whose, safe='')}/visits/{status.appointment_id}"
        self._http.put(service, path, {name: getattr(status, name) for name in status.__slots__})


def _is_a_name(reference: str) -> bool:
    """Tell whether a reference can be a part of a path: `.` and `..`, however they are encoded,
    lead to another address of the hospital's service, with our token (RFC 3986, 5.2.4)."""
    return reference not in (".", "..")
