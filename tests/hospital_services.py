"""A hospital's own Patient Service and Doctor Service as real HTTP servers: plain REST and FHIR R4,
with the faults such services have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
from fhir.resources.R4B.appointment import Appointment
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.encounter import Encounter

FHIR = "application/fhir+json"
MODELS: dict[str, Any] = {"Appointment": Appointment, "Encounter": Encounter}


@dataclass
class HospitalService:
    """What the server knows and was told. `fault` is `silent`, `garbage`, a status, or ''."""

    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    token: str = ""
    fault: str | int = ""
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def latest(self, path: str) -> dict[str, Any]:
        """Return what is stored under a path, as the last request left it."""
        return dict(self.told)[path]


@contextmanager
def serving(protocol: str) -> Iterator[HospitalService]:
    """Serve `rest` or `fhir` on a port of its own."""
    service = HospitalService()
    handler = type("Bound", (HANDLERS[protocol],), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}/base"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        server.server_close()


class Rest(BaseHTTPRequestHandler):
    """GET a person, PUT a visit."""

    service: HospitalService
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        """Return a person."""
        if self._fails():
            return
        reference = unquote(self.path.removeprefix("/base/"))
        self.service.asked.append(reference)
        person = self.service.people.get(reference)
        self.answer(200 if person else 404, person or {"error": "unknown"})

    def do_PUT(self) -> None:
        """Store a visit."""
        body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._fails():
            return
        self.service.told.append((unquote(self.path.removeprefix("/base")), body))
        self.answer(200, body)

    def answer(self, status: int, content: Any, kind: str = "application/json") -> None:
        """Send JSON."""
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fails(self) -> bool:
        fault, token = self.service.fault, self.service.token
        if token and self.headers.get("authorization") != f"Bearer {token}":
            self.answer(401, {"error": "who?"})
            return True
        if fault == "silent":
            self.service.released.wait(60)
            self.close_connection = True
        elif fault == "garbage":
            self.answer(200, b"<html>maintenance</html>", "text/html")
        elif fault:
            self.answer(int(fault), {"error": "fault"})
        return bool(fault)


class Fhir(Rest):
    """Search by identifier, and conditional update, each resource judged by FHIR's own rules."""

    def do_GET(self) -> None:
        """Return a searchset Bundle."""
        if self._fails():
            return
        parts = urlsplit(self.path)
        name, identifier = parts.path.rsplit("/", 1)[1], parse_qs(parts.query)["identifier"][0]
        self.service.asked.append(f"{name}?{identifier}")
        person = self.service.people.get(identifier)
        found = [person] if person and person["resourceType"] == name else []
        entries = [{"resource": one, "search": {"mode": "match"}} for one in found]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        Bundle.model_validate(bundle)
        self.answer(200, bundle, FHIR)

    def do_PUT(self) -> None:
        """Create or replace the one resource with this identifier."""
        body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._fails():
            return
        assert self.headers["content-type"] == FHIR
        parts = urlsplit(self.path)
        name, identifier = parts.path.rsplit("/", 1)[1], parse_qs(parts.query)["identifier"][0]
        MODELS[name].model_validate(body)
        system, _, value = identifier.partition("|")
        assert {"system": system, "value": value} in body["identifier"]
        self.service.told.append((f"{name}/{value.removeprefix('urn:uuid:')}", body))
        self.answer(200, body, FHIR)


HANDLERS: dict[str, type[Rest]] = {"rest": Rest, "fhir": Fhir}


def rest_person(name: str, **more: Any) -> dict[str, Any]:
    """Return a person as the REST service shows them."""
    return {"display_name": name, "email": None, "active": True, **more}


def fhir_person(kind: str, identifier: str, name: str, **more: Any) -> dict[str, Any]:
    """Return a Patient or Practitioner as the FHIR server shows them."""
    given, family = name.rsplit(" ", 1)
    return {
        "resourceType": kind,
        "identifier": [{"value": identifier}],
        "name": [{"use": "official", "given": [given], "family": family}],
        **more,
    }
