"""Sign-in of the hospital's staff on our pages, and calm pages for what can go wrong."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from flask import Blueprint, Response, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from app.access import service as access
from app.access import signin
from app.access import staff as people
from app.access.models import IdentityProvider
from app.errors import DomainError, Forbidden, NotFound, Unauthorized
from app.observability import place_of
from app.organisations.models import Organisation
from app.pages import assets, hospitals
from app.pages.languages import LANGUAGES, catalogue, choose
from app.pages.security import secure
from app.web import cookies, limits
from app.web.auth import now
from app.web.refusals import note_refusal
from app.web.services import current_services

log = structlog.get_logger()
staff = Blueprint("staff", __name__, template_folder="templates", url_prefix="/staff")

HOME = "/staff/"
# Who may not read appointments has no clinic page.
CLINIC = "appointments:read"
LONGEST_PATH = 300
# What a page can say; `staff.<name>.title` and `.text` exist for each in every catalogue.
NOTICES = {
    "signed-out": HTTPStatus.OK,
    "ended": HTTPStatus.OK,
    "refused": HTTPStatus.FORBIDDEN,
    "no-role": HTTPStatus.FORBIDDEN,
    "expired": HTTPStatus.BAD_REQUEST,
    "too-often": HTTPStatus.TOO_MANY_REQUESTS,
    "not-set-up": HTTPStatus.NOT_FOUND,
    "issuer-down": HTTPStatus.SERVICE_UNAVAILABLE,
    "failed": HTTPStatus.INTERNAL_SERVER_ERROR,
}
STAFF_STATES = ("signed-in", "choose", "continue", *NOTICES)
OF_CODES = {
    "issuer_unavailable": "issuer-down",
    "sign_in_expired": "expired",
    "sign_in_refused": "refused",
    "role_missing": "no-role",
    "rate_limited": "too-often",
    "provider_not_found": "not-set-up",
}


@staff.get("/")
def home() -> Response:
    """Show the day's visits to whoever may see them, to others that they are signed in."""
    try:
        session = cookies.current_session(now())
    except Unauthorized:
        return _to("/staff/sign-in")
    services = current_services()
    stream_url = services.settings.stream_url
    with services.database.begin() as db:
        organisation = db.get_one(Organisation, session.organisation_id).name
    if CLINIC not in session.scopes:
        return _page("signed-in", name=session.name, organisation=organisation)
    return _page(
        "clinic",
        "pages/clinic.html",
        name=session.name,
        organisation=organisation,
        stream_url=stream_url,
        data={"scopes": sorted(session.scopes), "streamUrl": stream_url},
    )


@staff.get("/sign-in")
@staff.get("/sign-in/<uuid:hospital>")
def sign_in(hospital: UUID | None = None) -> Response:
    """Send the browser to the hospital's issuer; ask which hospital, when nothing says it."""
    limits.count_address()
    typed = request.args.get("hospital")
    with current_services().database.begin() as db:
        known = hospitals.with_sign_in(db)
        hospital = hospital or _hospital(known, typed)
        ways = _ways(db, hospital)
    if not ways:
        status = HTTPStatus.NOT_FOUND if typed else None
        return _page("choose", typed=typed or "", status=status)
    # After a form this page sends nobody to another site, by its own policy; a link may.
    if "provider" not in request.args and (len(ways) > 1 or typed):
        return _page("continue", ways=_named(ways), organisation=known[ways[0].organisation_id])
    return _begin(ways[0], is_one_of=len(known))


@staff.get("/callback")
def callback() -> Response:
    """Take the issuer's answer; the person is signed in, or told why not."""
    limits.count_address()
    services = current_services()
    pending = signin.Pending.opened(cookies.sign_in(), services.vault, now=now())
    with services.database.begin() as db:
        provider = access.provider_of(db, provider_id=UUID(pending.provider_id))
    try:
        token = _signed_in(pending, provider)
    except DomainError as error:
        if error.code != "role_missing":  # that one is noted with the person's id
            _audit_refusal(provider, None, error.code)
        raise
    answer = _to(pending.then)
    cookies.drop_sign_in(answer)
    cookies.set_staff(answer, token)
    return answer


@staff.post("/sign-out")
def sign_out() -> Response:
    """End the session here; the issuer may still know the person."""
    cookies.require_our_origin()
    with current_services().database.begin() as db:
        people.sign_out(db, token=cookies.staff_token() or "", now=now())
    answer = _to(_notice_at("signed-out"))
    cookies.drop_staff(answer)
    return answer


@staff.get("/notice/<state>")
def notice(state: str) -> Response:
    """Say calmly what happened, at an address that can be loaded again in another language."""
    return _page(state if state in NOTICES else "expired")


@staff.errorhandler(DomainError)
def refuse(error: DomainError) -> Response:
    """Lead away from addresses that hold a code, to a page that says what is the matter."""
    if isinstance(error, Forbidden) and error.code == "origin_refused":
        return _page("failed", status=HTTPStatus.FORBIDDEN)
    answer = _to(_notice_at(OF_CODES.get(error.code, "failed")))
    cookies.drop_sign_in(answer)
    return answer


@staff.errorhandler(Exception)
def break_calmly(error: Exception) -> Response | HTTPException:
    """Neither the address, nor the message, nor the values on the stack: each may hold a code."""
    if isinstance(error, HTTPException):
        return error
    log.error("page_failed", kind=type(error).__name__, place=place_of(error))
    return _to(_notice_at("failed"))


def _signed_in(pending: signin.Pending, provider: IdentityProvider) -> str:
    """Return the token of a new session for the person the issuer vouches for."""
    services = current_services()
    claims = signin.redeem(
        services.identity,
        services.issuers,
        services.vault,
        pending=pending,
        provider=provider,
        code=signin.accept(pending, request.args, provider=provider),
        redirect_uri=_callback(),
    )
    subject = access.subject_of(provider, str(claims["sub"]))
    scopes = access.scopes_of(provider, claims)
    if not scopes:
        _audit_refusal(provider, subject, "role_missing")
        raise Forbidden("None of this person's roles allows anything here.", code="role_missing")
    with services.database.begin() as db:
        return people.sign_in(
            db,
            provider=provider,
            sign_in_id=pending.sign_in_id,
            subject=subject,
            name=access.name_of(provider, claims),
            scopes=scopes,
            lifetime=cookies.lifetime(),
            now=now(),
        )


def _audit_refusal(provider: IdentityProvider, subject: UUID | None, code: str) -> None:
    note_refusal(access.refusal(provider, subject=subject, code=code), now=now())


def _hospital(known: Mapping[UUID, str], typed: str | None) -> UUID | None:
    """Return the only hospital, the one whose name was typed, or the one of the last sign-in."""
    if len(known) == 1:
        return next(iter(known))
    if typed is not None:
        return hospitals.called(known, typed)
    last = cookies.hospital()
    return next((hospital for hospital in known if str(hospital) == last), None)


def _ways(db: Session, hospital: UUID | None) -> Sequence[IdentityProvider]:
    """Return the issuers to sign in at; none as long as the hospital is not known."""
    wanted = request.args.get("provider")
    if wanted is not None:
        return [access.provider_of(db, provider_id=_uuid(wanted))]
    if hospital is None:
        return []
    ways = access.list_providers(db, organisation_id=hospital)
    if not ways:
        raise NotFound("There is no such identity provider.", code="provider_not_found")
    return ways


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("There is no such identity provider.", code="provider_not_found") from error


def _named(ways: Sequence[IdentityProvider]) -> list[tuple[UUID, str]]:
    """Return what each way is called: by its host, when there are several."""
    return [(way.id, urlsplit(way.issuer).netloc if len(ways) > 1 else "") for way in ways]


def _begin(provider: IdentityProvider, *, is_one_of: int) -> Response:
    """Send the browser to an issuer; where there are several hospitals, this is the one it asks for
    next time."""
    services = current_services()
    then = _own_path(request.args.get("then", HOME))
    pending = signin.begin(provider=provider, then=then, now=now())
    target = signin.address(
        pending,
        provider=provider,
        discovery=services.issuers.discovery(provider.issuer),
        redirect_uri=_callback(),
        ask_again="again" in request.args,
    )
    answer = _to(target)
    cookies.set_sign_in(answer, pending.sealed(services.vault), kept=signin.PENDING_FOR)
    if is_one_of > 1:
        cookies.set_hospital(answer, str(provider.organisation_id))
    return answer


def _own_path(text: str) -> str:
    """Return where to go after signing in, if it is a page of ours; else our first page."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc
    return text if is_ours and text.isprintable() and len(text) <= LONGEST_PATH else HOME


def _callback() -> str:
    return f"{current_services().settings.public_url}/staff/callback"


def _notice_at(state: str) -> str:
    return f"/staff/notice/{state}"


def _to(target: str) -> Response:
    answer = redirect(target, HTTPStatus.SEE_OTHER, Response=Response)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    assert isinstance(answer, Response)
    return answer


def _page(
    state: str,
    template: str = "pages/staff.html",
    *,
    status: int | None = None,
    stream_url: str = "",
    **facts: object,
) -> Response:
    language = choose(
        asked=request.args.get("lang"), accepted=request.accept_languages, preferred=""
    )
    body = render_template(
        template,
        state=state,
        t=catalogue(language),
        language=language,
        languages=LANGUAGES,
        build=assets.build(),
        kept=request.args.to_dict(),
        has_chosen=bool(cookies.hospital()),
        **facts,
    )
    answer = Response(body, status or NOTICES.get(state, HTTPStatus.OK), mimetype="text/html")
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = "30"
    return secure(answer, jitsi_public_url="", websocket_url="", stream_url=stream_url)
