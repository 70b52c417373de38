"""JSON answers built without a schema, where every microsecond is at a join."""

from typing import Any

import orjson
from flask import Response


def json_answer(body: Any) -> Response:
    """Return `body` as JSON that nobody keeps: moments are RFC 3339, ids are text."""
    response = Response(
        orjson.dumps(body, option=orjson.OPT_UTC_Z), content_type="application/json"
    )
    response.headers["Cache-Control"] = "no-store"
    return response
