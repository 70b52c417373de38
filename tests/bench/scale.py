"""A database of years beside one of days: what is asked every day must not know the difference."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from statistics import median
from typing import Any
from uuid import UUID

from app.adapters.memory import MemoryRooms
from app.attendance import totals
from app.audit import retention
from app.audit.proof import AuditKeys
from app.clock import utc_now
from app.notifications import service as notifications
from app.rooms import commands
from app.services import Services
from app.visits import reports, sweep
from app.webhooks import deliveries
from tests.bench.exchange import PARTS
from tests.bench.figures import Figure, Goal
from tests.bench.lab import Lab, Scale, progress, running
from tests.bench.load import get, post, requests
from tests.bench.years import Whose, load
from tests.conftest import AUDIT, services_of
from workers.relay import purge_expired
from workers.sealing import Keeper

SMALL = 1000
PEOPLE = 20  # who can come in while it is measured
ASKED = 200  # different sessions, days and people that are asked about
WARMING = 6  # rounds that fill caches and make connections
GOAL = Goal(1.3, "ratio")

Work = Callable[[], object]


@dataclass(slots=True)
class Side:
    """One of the two databases, behind an API of its own."""

    port: int
    paths: Mapping[str, Sequence[bytes]]
    works: Mapping[str, Work]
    taken: dict[str, list[float]] = field(default_factory=dict)

    def ask(self, name: str, number: int) -> None:
        """Note what one request, or one piece of the relay's work, takes."""
        if name in self.works:
            seconds = _timed(self.works[name])
        else:
            texts = self.paths[name]
            text = [texts[number % len(texts)]]
            seconds = asyncio.run(requests(self.port, text, clients=1, count=1)).latencies[0]
        self.taken.setdefault(name, []).append(seconds * 1000)


def bench(scale: Scale) -> list[Figure]:
    """Return what the same questions take on both, and how long the loading took."""
    with running(parts=PARTS, env=AUDIT) as small, running(parts=PARTS, env=AUDIT) as large:
        few = min(SMALL, scale.stored_sessions)
        fill(small, few)
        began = time.monotonic()
        fill(large, scale.stored_sessions)
        took = time.monotonic() - began
        loaded = Figure(f"loading {scale.stored_sessions:,} sessions", "s", took)
        return [loaded, *measured(small, large, scale), *_sizes(small, large)]


def fill(lab: Lab, sessions: int) -> None:
    """Give the demo hospital and others their years."""
    webhook = lab.hospital.make("/webhooks", {"url": "https://hospital.example/webhooks"})
    with lab.stack.postgres.as_admin() as admin:
        admin.execute("SELECT organisation_id, id FROM teleconference.api_clients")
        organisation_id, client_id = admin.fetchone() or ("", "")
    whose = Whose(UUID(organisation_id), UUID(client_id), UUID(webhook["id"]))
    load(lab.stack, whose, sessions=sessions)


def measured(small: Lab, large: Lab, scale: Scale) -> list[Figure]:
    """Ask both in turns."""
    sides = [_side(lab) for lab in (small, large)]
    names = [*sides[0].paths, *sides[0].works]
    for number in range(WARMING + scale.scale_rounds):
        progress(f"scale: round {number + 1} of {WARMING + scale.scale_rounds}")
        for name in names:
            # One by one in turns: whatever else the machine does meets both.
            for side in sides if number % 2 else reversed(sides):
                side.ask(name, number)
    few, many = (side.taken for side in sides)
    return [_figure(name, many[name][WARMING:], few[name][WARMING:]) for name in names]


def _figure(name: str, many: Sequence[float], few: Sequence[float]) -> Figure:
    return Figure(f"scale, {name}", "ms", median(many), median(few), GOAL)


def _sizes(small: Lab, large: Lab) -> list[Figure]:
    sizes = []
    for lab in (large, small):
        with lab.stack.postgres.as_admin() as admin:
            admin.execute("SELECT pg_database_size(current_database()) / 1e6")
            sizes += [float(row[0]) for row in admin.fetchall()]
    many, few = sizes
    return [Figure("scale, database", "MB", many, few)]


def _side(lab: Lab) -> Side:
    services = replace(services_of(lab.stack), rooms=MemoryRooms())
    return Side(lab.stack.ports["api"], _paths(lab), _works(services))


def _paths(lab: Lab) -> dict[str, Sequence[bytes]]:
    """Return what the API is asked, each with many different values from all of the years."""
    asked = {name: [get(path, lab.hospital.token) for path in paths] for name, paths in _gets(lab)}
    codes = [seat.code for seat in lab.sessions(PEOPLE // 2)]
    return {"join exchange": [post(f"/j/{code}/token") for code in codes], **asked}


def _gets(lab: Lab) -> list[tuple[str, list[str]]]:
    rows = _drawn(lab)
    one = rows[0]
    ids = [row["id"] for row in rows]
    today = utc_now().date().isoformat()
    day = f"/appointments?day={today}"
    return [
        ("session read", [f"/sessions/{i}" for i in ids]),
        ("list page", ["/sessions"]),
        ("list page, deep", [f"/sessions?cursor={row['cursor']}" for row in rows]),
        ("list page, ended", ["/sessions?state=ended"]),
        ("list page, emergencies", ["/sessions?kind=emergency"]),
        ("list page, by two filters", ["/sessions?state=cancelled&kind=emergency"]),
        ("list page, by reference", [f"/sessions?reference={row['reference']}" for row in rows]),
        ("people of a session", [f"/sessions/{i}/participants" for i in ids]),
        ("attendance of a session", [f"/sessions/{i}/attendance" for i in ids]),
        ("messages of a session", [f"/sessions/{i}/notifications" for i in ids]),
        ("feed page, head", [f"/events?after={one['head']}"]),
        ("feed page, deep", [f"/events?after={row['position']}" for row in rows]),
        ("feed page, rare type", [f"/events?types=link.replaced&after={one['head']}"]),
        ("clinic page of today", ["/visits"]),
        ("clinic page of a doctor", [f"/visits?provider_id={row['provider']}" for row in rows]),
        ("appointments of today", [day]),
        ("appointments of today, in progress", [f"{day}&status=in_progress"]),
        ("appointments of today, scheduled", [f"{day}&status=scheduled"]),
        (
            "appointments of today, of a doctor",
            [f"{day}&provider_id={r['provider']}" for r in rows],
        ),
        ("appointments of a patient", [f"/appointments?patient_id={r['patient']}" for r in rows]),
        ("appointments, scheduled", ["/appointments?status=scheduled"]),
        (
            "appointments of a doctor, scheduled",
            [f"/appointments?status=scheduled&provider_id={r['provider']}" for r in rows],
        ),
        *_audit_gets(rows),
        ("webhook log", [f"/webhooks/{one['webhook']}/deliveries"]),
        ("webhook log, failed", [f"/webhooks/{one['webhook']}/deliveries?state=failed"]),
        ("/stats", ["/stats"]),
        ("/metrics", ["/metrics"]),
    ]


def _audit_gets(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    ago = (utc_now() - timedelta(hours=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        ("audit page", ["/audit"]),
        ("audit page, a session", [f"/audit?session_id={row['id']}" for row in rows]),
        ("audit page, a person", [f"/audit?participant_id={row['person']}" for row in rows]),
        ("audit page, an action", ["/audit?action=session.ended"]),
        ("audit page, an action never seen", ["/audit?action=client.revoked"]),
        ("audit page, refusals", ["/audit?outcome=refused"]),
        ("audit page, a client", [f"/audit?actor_id={rows[0]['client']}"]),
        ("audit page, operators", ["/audit?actor_kind=operator"]),
        ("audit page, people", ["/audit?actor_kind=participant"]),
        ("audit page, staff never seen", ["/audit?actor_kind=user"]),
        ("audit page, an action never refused", ["/audit?action=session.ended&outcome=refused"]),
        (
            "audit page, what a client never did",
            [f"/audit?actor_id={rows[0]['client']}&action=participant.left"],
        ),
        ("audit page, a day", [f"/audit?since={ago}"]),
    ]


# From all of the years, by their references.
DRAWN = """
    SELECT s.id::text, s.reference, s.created_at, a.provider_id::text AS provider,
      a.patient_id::text AS patient, e.position, c.id::text AS client, w.id::text AS webhook,
      (SELECT p.id::text FROM teleconference.participants p WHERE p.session_id = s.id
       ORDER BY p.id LIMIT 1) AS person,
      (SELECT max(position) - 100 FROM teleconference.events) AS head
    FROM teleconference.api_clients c
    JOIN teleconference.webhook_subscriptions w USING (organisation_id)
    CROSS JOIN LATERAL (
      SELECT * FROM teleconference.sessions s WHERE s.organisation_id = c.organisation_id
        AND s.reference = ANY (%(references)s)) s
    JOIN clinical.visits v ON v.session_id = s.id
    JOIN clinical.appointments a ON a.id = v.appointment_id
    JOIN teleconference.events e ON e.session_id = s.id AND e.sequence = 1"""


def _drawn(lab: Lab) -> list[dict[str, Any]]:
    with lab.stack.postgres.as_admin() as admin:
        admin.execute("SELECT count(*) FROM clinical.appointments")
        count = (admin.fetchone() or (0,))[0] * 5 // 4
        drawn = random.Random(1).choices(range(count), k=ASKED)
        # Of twenty sessions these two are the hospital's and of an appointment.
        names = [f"case-{n - n % 20 + 3 + n % 2}" for n in drawn]
        admin.execute(DRAWN, {"references": names})
        columns = [column.name for column in admin.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in admin.fetchall()]
    for row in rows:
        last = f"{row['created_at'].isoformat()} {row['id']}"
        row["cursor"] = base64.urlsafe_b64encode(last.encode()).decode()
    return rows


def _works(services: Services) -> dict[str, Work]:
    """Return what the relay does again and again."""
    keys = AuditKeys(services.settings.audit_keys)
    return {
        "relay, due webhooks": _within(
            services, lambda d, n: deliveries.due_subscriptions(d, now=n)
        ),
        "relay, due messages": _within(
            services, lambda d, n: notifications.due(d, now=n, limit=200)
        ),
        "relay, due reports": _within(services, lambda d, n: reports.due(d, now=n)),
        "relay, stays counted": _within(services, lambda d, _: totals.count(d)),
        "relay, expired rows": _within(services, lambda d, n: purge_expired(d, now=n)),
        "relay, old audit entries": _within(services, lambda d, n: retention.purge(d, keys, now=n)),
        "relay, partitions": _within(services, lambda d, _: retention.ensure_partitions(d)),
        "relay, session rules": lambda: sweep.sweep(services, now=utc_now()),
        "relay, orders to rooms": lambda: commands.sweep(services, now=utc_now()),
        "relay, new audit entries": Keeper(services).seal_batch,
    }


def _within(services: Services, work: Callable[[Any, Any], object]) -> Work:
    def in_transaction() -> None:
        with services.database.begin() as db:
            work(db, utc_now())

    return in_transaction


def _timed(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
