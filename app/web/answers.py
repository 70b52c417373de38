"""JSON answers built without a schema, where every microsecond is at a join."""

from typing import Any

from flask import Response

from app.web.direct import as_json


def json_answer(body: Any) -> Response:
    """Return `body` as JSON that nobody keeps."""
    response = Response(as_json(body), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
