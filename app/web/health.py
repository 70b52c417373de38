"""How the service is: `/health`, `/stats`, `/metrics`."""

import hmac
from collections.abc import Iterable
from http import HTTPStatus
from time import perf_counter
from typing import Any

from flask import Response, request
from marshmallow import fields, validate
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, SummaryMetricFamily, UnknownMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.audit import sealer
from app.errors import DomainError, Unauthorized
from app.ports import Pings
from app.services import Services
from app.web.answers import json_answer
from app.web.auth import Caller, now, requires
from app.web.blueprint import Blueprint
from app.web.schemas import Moment, Out
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("operation", __name__, description="How the service is")

# Without the database nothing can be answered; without the others some things wait.
VITAL = "database"

ACTIVE_ROOMS = text("""
    SELECT count(DISTINCT session_id) FROM teleconference.attendance WHERE left_at IS NULL""")
FIGURES = text("""
    SELECT (SELECT count(DISTINCT session_id) FROM teleconference.attendance WHERE left_at IS NULL)
             AS active_rooms,
           (SELECT count(DISTINCT participant_id) FROM teleconference.attendance
             WHERE left_at IS NULL) AS participants,
           (SELECT count(*) FROM teleconference.events WHERE relayed_at IS NULL) AS unrelayed,
           (SELECT count(*) FROM teleconference.webhook_deliveries WHERE state = 'pending')
             AS deliveries,
           (SELECT count(*) FROM teleconference.notifications WHERE state = 'pending')
             AS notifications""")
# What is added up, and what is finished since: in one statement, so that nothing is missed between.
TOTALS = text("""
    SELECT t.failures + count(*) FILTER (WHERE a.leave_reason = 'disconnected') AS failures,
           t.stays + count(a.id) AS stays,
           t.seconds + coalesce(sum(extract(epoch FROM a.left_at - a.joined_at)), 0)::float8
             AS seconds
    FROM teleconference.attendance_totals t
    LEFT JOIN teleconference.attendance a ON a.left_at IS NOT NULL AND NOT a.is_counted
    GROUP BY t.is_only""")


class CheckOut(Out):
    """One part: `ok` with the time it took, or `failed` with a sentence."""

    status = fields.String(required=True, validate=validate.OneOf(["ok", "failed"]))
    latency_ms = fields.Float()
    detail = fields.String()


class HealthOut(Out):
    """`degraded`: some things wait. `down`: nothing can be answered."""

    status = fields.String(required=True, validate=validate.OneOf(["ok", "degraded", "down"]))
    checks = fields.Dict(fields.String(), fields.Nested(CheckOut), required=True)
    timestamp = Moment(required=True)


class StatsOut(Out):
    """What the service is doing right now."""

    active_rooms = fields.Integer(required=True, data_key="activeRooms")
    timestamp = Moment(required=True)


@blp.route("/health", methods=["GET"])
@blp.response(200, HealthOut)
@blp.alt_response(503, schema=HealthOut)
def read_health() -> Response:
    """Whether each part answers. 503 only when the service cannot work at all."""
    checks = {name: _check(part) for name, part in current_services().health.items()}
    failed = [name for name, check in checks.items() if check["status"] != "ok"]
    status = "down" if VITAL in failed else "degraded" if failed else "ok"
    response = json_answer({"status": status, "checks": checks, "timestamp": now()})
    if status == "down":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return response


@blp.route("/stats", methods=["GET"])
@transactional
@requires("operations:read")
@blp.response(200, StatsOut)
def read_stats(*, db: Session, caller: Caller) -> Any:
    """How many of the organisation's rooms have somebody in them."""
    return {"active_rooms": db.execute(ACTIVE_ROOMS).scalar_one(), "timestamp": now()}


@blp.route("/metrics", methods=["GET"])
@blp.response(200, content_type="text/plain")
def read_metrics() -> Response:
    """Figures for Prometheus, read from the database: the same from every process. With
    METRICS_TOKEN set, only for who sends it as a bearer token."""
    _require_metrics_token()
    registry = CollectorRegistry()
    registry.register(Figures(current_services()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Figures(Collector):
    """The operating figures of the whole deployment."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Any]:
        """Yield each figure once."""
        with self._services.database.statements() as db:
            figures, totals = db.execute(FIGURES).one(), db.execute(TOTALS).one()
            unsealed_s = sealer.waits_for_s(db, now=now())
        yield _gauge("active_rooms", "Rooms with somebody in them.", figures.active_rooms)
        yield _gauge("participants_total", "People in a room right now.", figures.participants)
        yield _gauge("events_unrelayed", "Events not handed on yet.", figures.unrelayed)
        yield _gauge("webhook_deliveries_pending", "Webhooks under way.", figures.deliveries)
        yield _gauge(
            "notifications_pending", "Messages to people under way.", figures.notifications
        )
        yield _gauge(
            "audit_unsealed_seconds", "How long an audit entry has waited for its seal.", unsealed_s
        )
        yield SummaryMetricFamily(
            "call_duration_seconds",
            "Completed stays in a room.",
            count_value=totals.stays,
            sum_value=totals.seconds,
        )
        # Without a type: as a counter the library would add _total to its name.
        yield UnknownMetricFamily(
            "connection_failures",
            "Stays that ended by a lost connection.",
            value=totals.failures,
        )


def _require_metrics_token() -> None:
    wanted = current_services().settings.metrics_token
    shown = request.headers.get("Authorization", "")
    if wanted and not hmac.compare_digest(shown.encode(), f"Bearer {wanted}".encode()):
        raise Unauthorized(
            "Send METRICS_TOKEN: Authorization: Bearer <token>.", code="metrics_token_wrong"
        )


def _check(part: Pings) -> dict[str, Any]:
    began = perf_counter()
    try:
        part.ping()
    except (DomainError, SQLAlchemyError) as error:
        detail = error.detail if isinstance(error, DomainError) else "It does not answer."
        return {"status": "failed", "detail": detail}
    return {"status": "ok", "latency_ms": round((perf_counter() - began) * 1000, 2)}


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)
