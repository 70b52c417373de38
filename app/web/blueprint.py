"""How requests are read: JSON strictly, and nothing an operation did not ask for."""

from functools import partial
from typing import Any

import flask_smorest
import orjson
from flask import Flask, Request, current_app, request
from marshmallow import RAISE, Schema
from webargs import missing
from webargs.flaskparser import FlaskParser, abort
from werkzeug.exceptions import UnsupportedMediaType

from app.errors import Invalid
from app.web.direct import refuse_body
from app.web.openapi import TeleconsultApi

BODY = ("json", "form")


class StrictParser(FlaskParser):
    """webargs without its leniency: it takes a body of another type for no body, lets unknown
    query arguments pass, and its JSON reader breaks on deep nesting and on endless digits."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - the base's type
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
    }

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return what the body says, or `missing` when there is none.

        Raises:
            UnsupportedMediaType: it does not call itself JSON.
            BadRequest: it is no JSON.
        """
        body = req.get_data(cache=True)
        if not body:
            return missing
        if not req.is_json:
            raise UnsupportedMediaType("Send JSON, with Content-Type: application/json.")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            abort(400, exc=error, messages={"json": ["Invalid JSON body."]})


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's, reading requests strictly."""

    ARGUMENTS_PARSER = StrictParser()

    def register_views_in_doc(self, api: TeleconsultApi, *about: Any, **named: Any) -> None:
        """Have the views described when the document is wanted."""
        api.describe_later(partial(super().register_views_in_doc, api, *about, **named))


def refuse_the_unasked(app: Flask) -> None:
    """Refuse query arguments and bodies of API operations that take none."""
    app.before_request(_refuse)


def _refuse() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    documented = getattr(view, "_apidoc", None)
    if documented is None:
        return
    parameters = documented.get("arguments", {}).get("parameters", [])
    taken = {parameter["in"] for parameter in parameters}
    if request.args and "query" not in taken:
        name = next(iter(request.args))
        raise Invalid(f"{name}: There is no such field.", code="invalid_request", field=name)
    if not taken.intersection(BODY):
        refuse_body(request.get_data())
