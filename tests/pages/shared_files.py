"""What the API would answer about the files of a session; a page shares and opens them."""

from dataclasses import dataclass, field
from threading import Event
from typing import Any

from flask import Flask, Response, jsonify, request

PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
MIB = 1024 * 1024


def _set() -> Event:
    event = Event()
    event.set()
    return event


def shared(name: str, /, **more: Any) -> dict[str, Any]:
    """Return a file as a page is told of it: an X-ray of the doctor's, there to be opened."""
    return {
        "id": name,
        "name": name,
        "kind": "xray",
        "state": "available",
        "reason": None,
        "size_bytes": 3 * MIB,
        "has_preview": True,
        "is_mine": False,
        "shared_by_name": "Dr. Ada Keller",
        "seen_by_names": [],
        "superseded_by_id": None,
        **more,
    }


@dataclass
class SharedFiles:
    """The files there are, what may be shared, and what the page did."""

    files: list[dict[str, Any]] = field(default_factory=list)
    may_share: dict[str, int] = field(default_factory=dict)
    received: dict[str, bytes] = field(default_factory=dict)
    opened: list[tuple[str, bool]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    # So many requests with bytes find nobody at home.
    lost: int = 0
    # So many are too slow: a part of their bytes is kept.
    slow: int = 0
    # What an upload is told for good, if anything.
    final: int = 0
    # Bytes are taken while this is set.
    takes: Event = field(default_factory=_set)

    def register(self, app: Flask) -> None:
        """Answer for the API."""
        app.get("/j/<code>/files", endpoint="files")(lambda code: self._list())
        app.post("/j/<code>/files", endpoint="share")(lambda code: self._announce())
        app.post("/j/<code>/files/<name>/link", endpoint="link")(
            lambda code, name: self._link(name)
        )
        app.delete("/j/<code>/files/<name>", endpoint="unshare")(
            lambda code, name: self._delete(name)
        )
        app.route("/uploads/<name>", methods=["HEAD", "PATCH"], endpoint="upload")(self._upload)
        app.get("/downloads/<name>", endpoint="download")(
            lambda name: Response(PIXEL, mimetype="image/gif")
        )

    def _list(self) -> Response:
        return jsonify({"files": self.files, "may_share": self.may_share})

    def _announce(self) -> tuple[Response, int]:
        body = request.get_json()
        file = shared(
            body["name"],
            **body,
            state="uploading",
            is_mine=True,
            has_preview=False,
            shared_by_name="Max Muster",
        )
        self.received[body["name"]] = b""
        return jsonify({**file, "upload_url": f"https://elsewhere/uploads/{body['name']}"}), 201

    def _upload(self, name: str) -> Response:
        if request.method == "PATCH":
            self.takes.wait(30)
            if self.final:
                return Response(status=self.final)
            if self.lost:
                self.lost -= 1
                return Response(status=503)
            kept = request.get_data()[: 100_000 if self.slow else None]
            if int(request.headers["Upload-Offset"]) == len(self.received[name]):
                self.received[name] += kept
            if self.slow:
                self.slow -= 1
                return Response(status=408)
        return Response(headers={"Upload-Offset": str(len(self.received[name]))})

    def _link(self, name: str) -> tuple[Response, int]:
        self.opened.append((name, bool(request.get_json().get("preview"))))
        return jsonify({"url": f"https://elsewhere/downloads/{name}"}), 201

    def _delete(self, name: str) -> Response:
        self.deleted.append(name)
        self.files = [one for one in self.files if one["id"] != name]
        return jsonify({})
