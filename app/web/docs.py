"""The API's documentation, served from here: `/openapi.json`, and Swagger UI at `/docs`."""

from pathlib import Path

import orjson
from flask import Blueprint, Response, current_app, redirect, send_from_directory
from werkzeug import Response as BaseResponse

from app.web.openapi import document

blp = Blueprint("docs", __name__)

STATIC = Path(__file__).parent / "static"
SWAGGER_UI = Path(__file__).parents[2] / "node_modules" / "swagger-ui-dist"
# Swagger UI puts style attributes and data: icons into the page; scripts stay ours alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@blp.get("/")
def front_door() -> BaseResponse:
    """Send whoever opens the bare address to the documentation."""
    return redirect("/docs")


@blp.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI document."""
    return Response(orjson.dumps(document(current_app)), content_type="application/json")


@blp.get("/docs")
def docs() -> Response:
    """Swagger UI."""
    response = send_from_directory(STATIC, "docs.html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


@blp.get("/docs/<any('docs.js'):name>")
def own_file(name: str) -> Response:
    """Our one script."""
    return send_from_directory(STATIC, name)


@blp.get("/docs/<any('swagger-ui.css', 'swagger-ui-bundle.js'):name>")
def swagger_file(name: str) -> Response:
    """The two files of Swagger UI."""
    return send_from_directory(SWAGGER_UI, name)
