"""An id for every request of Flask, on its log lines and on its answer."""

from flask import Flask, Response, g, request

from app.observability import begin_request, end_request


def observe_requests(app: Flask) -> None:
    """Give every request an id, and log those that fail by our fault."""
    app.before_request(_bind)
    app.after_request(_finish)


def _bind() -> None:
    rule = request.url_rule.rule if request.url_rule else "unmatched"
    g.request_id = begin_request(request.method, rule)


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    end_request(response.status_code)
    return response
