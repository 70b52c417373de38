"""The web application, put together in one visible order."""

import gc

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app.appointments.routes import blp as appointments
from app.attendance.routes import blp as attendance
from app.audit.routes import blp as audit
from app.consents.routes import blp as consents
from app.emergencies.routes import blp as emergencies
from app.errors import Unavailable
from app.feed.routes import blp as feed
from app.files.jitsi_routes import blp as jitsi_files
from app.files.room_routes import blp as files_in_call
from app.files.routes import blp as files
from app.files.transfer_routes import blp as transfers
from app.holds.routes import blp as holds
from app.moderation.call_routes import blp as calls
from app.moderation.routes import blp as moderation
from app.moderation.short_way import REMOVAL
from app.notifications.routes import blp as notifications
from app.observability import configure_logging
from app.organisations.policy_routes import blp as organisation
from app.organisations.routes import blp as organisations
from app.pages.consent import blp as consent_on_page
from app.pages.controls import blp as controls
from app.pages.files import blp as files_on_page
from app.pages.playback import blp as playback_on_page
from app.pages.routes import busy, lost
from app.pages.routes import make_blueprint as make_pages
from app.pages.staff import staff
from app.pages.waiting import blp as waiting_on_page
from app.participants.routes import LINK
from app.participants.routes import blp as participants
from app.playback.routes import blp as playback
from app.playback.transfer_routes import blp as playback_transfers
from app.recording_files.routes import internal as recorder
from app.recordings.deletion_routes import blp as recording_deletion
from app.recordings.routes import blp as recordings
from app.recordings.routes import internal as recording_in_call
from app.rooms.routes import DOORS as ROOM_DOORS
from app.rooms.routes import blp as rooms
from app.services import Services
from app.sessions.routes import blp as sessions
from app.settings import Settings
from app.visits.routes import blp as visits
from app.waiting.routes import blp as waiting
from app.waiting.routes import internal as waiting_in_call
from app.web.blueprint import refuse_the_unasked
from app.web.cors import allow_origins
from app.web.direct import MAX_BODY_BYTES, ShortWay
from app.web.docs import blp as docs
from app.web.health import blp as health
from app.web.limits import limit_requests
from app.web.openapi import OPENAPI_CONFIG, TeleconsultApi
from app.web.problems import register_problems
from app.web.request_ids import observe_requests
from app.web.services import attach_services
from app.web.streaming import limit_streams
from app.webhooks.log_routes import blp as webhook_log
from app.webhooks.routes import blp as webhooks
from app.wiring import build_services

DOORS = (LINK, REMOVAL, *ROOM_DOORS)
# In the order of the API document.
OF_THE_API = (
    organisations,
    sessions,
    participants,
    moderation,
    calls,
    waiting,
    attendance,
    recordings,
    recording_deletion,
    playback,
    consents,
    holds,
    emergencies,
    organisation,
    appointments,
    visits,
    notifications,
    webhooks,
    audit,
    feed,
    webhook_log,
    health,
    controls,
    waiting_on_page,
    consent_on_page,
    files,
    files_on_page,
    playback_on_page,
)
# Not in the API document.
BESIDE_IT = (
    rooms,
    waiting_in_call,
    recording_in_call,
    recorder,
    files_in_call,
    jitsi_files,
    transfers,
    playback_transfers,
    docs,
    staff,
)


def create_app(services: Services) -> Flask:
    """Return the application that serves the API and the pages."""
    app = Flask(__name__, static_folder=None)
    app.config.update(OPENAPI_CONFIG, MAX_CONTENT_LENGTH=MAX_BODY_BYTES)
    attach_services(app, services)
    observe_requests(app)
    register_problems(app)
    limit_requests(app)
    limit_streams(app, services.settings.api_threads)
    allow_origins(app, services.settings)
    refuse_the_unasked(app)
    api = TeleconsultApi(app)
    for blueprint in OF_THE_API:
        api.register_blueprint(blueprint)
    for other in BESIDE_IT:
        app.register_blueprint(other)
    app.register_blueprint(make_pages())
    app.register_error_handler(404, lost)
    app.register_error_handler(Unavailable, busy)
    app.wsgi_app = ShortWay(app.wsgi_app, services, DOORS)  # type: ignore[method-assign]
    _trust_proxies(app, services.settings.trusted_proxies)
    return app


def _trust_proxies(app: Flask, count: int) -> None:
    """Take the caller's address from as many proxies as there are; anybody can write the rest."""
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count)  # type: ignore[method-assign]


def create_app_from_env() -> Flask:
    """Return the application for this process' environment; what the web server calls."""
    settings = Settings.from_env()
    configure_logging(settings.log_level)
    app = create_app(build_services(settings, application="teleconsult-api"))
    # Two hundred thousand objects that stay to the end: looking through them again would hold up
    # every request for a tenth of a second and more.
    gc.freeze()
    return app
