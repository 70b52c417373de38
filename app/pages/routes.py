"""The HTML page behind a personal link, its files, and calm pages for what can go wrong."""

from collections.abc import Callable
from typing import Any

import structlog
from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import HTTPException

from app import clock
from app.errors import Conflict, DomainError, Forbidden, Gone, NotFound, Unavailable
from app.observability import place_of
from app.pages import assets
from app.pages.languages import LANGUAGES, catalogue, choose
from app.pages.playback import showing_in_database
from app.pages.security import secure
from app.pages.view import ERROR_STATES, PageView, Showing, Visit, consent, notice, welcome
from app.participants import exchange, links
from app.web.problems import from_domain, from_http
from app.web.services import current_services

log = structlog.get_logger()

# What is refused here, a person can read; anything else is a fault of ours.
STATUSES: dict[type[DomainError], int] = {NotFound: 404, Gone: 410, Conflict: 409, Forbidden: 403}


def visit_in_database(code: str) -> Visit:
    """Look the link up in a transaction of its own, ended before the page is built."""
    services, now = current_services(), clock.utc_now()
    try:
        with services.database.begin() as db:
            return links.resolve(db, code, early_join_s=services.settings.early_join_s, now=now)
    except DomainError as error:
        exchange.audit_unknown(services, error, address=request.remote_addr or "", now=now)
        raise


def make_blueprint(
    find_visit: Callable[[str], Visit] = visit_in_database,
    find_showing: Callable[[str], Showing] = showing_in_database,
) -> Blueprint:
    """Return the pages, reading links through `find_visit` and `find_showing`."""
    pages = Blueprint("pages", __name__, template_folder="templates")

    @pages.get("/j/<code>")
    def join(code: str) -> Response:
        """Say who you are, with whom and when; offer the one button."""
        visit = find_visit(code)
        language, stream_url = _language(visit.locale), current_services().settings.stream_url
        return _page(welcome(visit, language=language, stream_url=stream_url, now=clock.utc_now()))

    @pages.get("/j/<code>/consent")
    def ask(code: str) -> Response:
        """Ask only whether this person may be recorded: for who is in the call elsewhere."""
        visit = find_visit(code)
        language, stream_url = _language(visit.locale), current_services().settings.stream_url
        return _page(consent(visit, language=language, stream_url=stream_url, now=clock.utc_now()))

    @pages.get("/p/<code>")
    def watch(code: str) -> Response:
        """Say what can be watched, by whom and until when; offer the one button."""
        showing = find_showing(code)
        return _render(
            "pages/playback.html", _language(showing.locale), showing=showing, now=clock.utc_now()
        )

    @pages.get("/assets/<version>/<path:name>")
    def asset(version: str, name: str) -> Response:
        return assets.own(version, name)

    @pages.get("/assets/vendor/<path:name>")
    def vendor_asset(name: str) -> Response:
        return assets.vendor(name)

    pages.register_error_handler(DomainError, _refused)
    pages.register_error_handler(Exception, _broken)
    return pages


def error_page(status: int, *, code: str = "") -> Response:
    """Return a calm HTML page for an error, for browsers; also for errors outside these routes."""
    state = ERROR_STATES.get(code) or ("link-unknown" if status == 404 else "failed")
    page = _page(notice(state, language=_language("")))
    page.status_code = status
    return page


def lost(error: HTTPException) -> Response:
    """Answer an address that nothing is at: a person gets a page, a program a problem document."""
    return error_page(404) if wants_html() else from_http(error)


def busy(error: Unavailable) -> Response:
    """Answer who opened a file while no place for it was free: the same."""
    told = from_domain(error)
    if error.code not in ERROR_STATES or not wants_html():
        return told
    page = error_page(told.status_code, code=error.code)
    page.headers["Retry-After"] = told.headers["Retry-After"]
    return page


def wants_html() -> bool:
    """Tell whether a person's browser is asking, rather than a program."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _refused(error: DomainError) -> Response:
    return error_page(STATUSES.get(type(error), 503), code=error.code)


def _broken(error: Exception) -> Response:
    # Neither the address, nor the message, nor the values on the stack: each may hold the code.
    log.error("page_failed", kind=type(error).__name__, place=place_of(error))
    return error_page(500)


def _page(view: PageView) -> Response:
    return _render("pages/visit.html", view.language, view=view, modules=assets.first_modules())


def _render(template: str, language: str, **members: Any) -> Response:
    body = render_template(
        template,
        language=language,
        texts=dict(catalogue(language)),
        languages=LANGUAGES,
        build=assets.build(),
        **members,
    )
    settings = current_services().settings
    return secure(
        Response(body, mimetype="text/html"),
        jitsi_public_url=settings.jitsi_public_url,
        websocket_url=settings.jitsi_websocket_url,
        stream_url=settings.stream_url,
    )


def _language(preferred: str) -> str:
    return choose(
        asked=request.args.get("lang"), accepted=request.accept_languages, preferred=preferred
    )
