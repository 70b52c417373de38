"""How often a caller may ask: counts in Redis that all processes share.

A caller's own requests are counted by its id; what shows no caller, by the address it comes from;
wrong secrets and wrong link codes apart from those. Without Redis nothing is limited.

Source of the headers: draft-ietf-httpapi-ratelimit-headers-10.
"""

from functools import wraps
from hashlib import sha256

from flask import Flask, Response, g, request

from app.errors import NotFound, TooMany
from app.ports import Allowance
from app.services import Services
from app.setting_values import Rate
from app.web.addresses import network_of
from app.web.direct import Answer, Call, Handler
from app.web.problems import from_domain
from app.web.services import current_services

# Of what a caller may, the part that a process counts at once: thirty of 30,000 a minute.
# Who may less than a thousand is counted one by one.
PART_AHEAD = 1000
# One address may be that of a whole hospital, so it may fail for several clients.
SIGN_INS_PER_ADDRESS = 5
# The exchange of a link counts by itself, because Flask does not see each of them.
LINK_ENDPOINTS = {"participants.link_state", "pages.join"}


def limit_requests(app: Flask) -> None:
    """Have answers say how much is left, and unknown links counted."""
    app.after_request(_count_unknown_link)
    app.after_request(_tell)


def count_caller(subject: str) -> None:
    """Count a request of a known caller.

    Raises:
        TooMany: it asks too often.
    """
    _keep("caller", counted(current_services(), subject))


def counted(services: Services, subject: str) -> Allowance | None:
    """Count a request of a known caller, and return what is left; None where nothing is limited."""
    rate = services.settings.rate_limit_caller
    if rate is None:
        return None
    ahead = max(1, rate.amount // PART_AHEAD)
    key = f"caller:{subject}"
    return services.limiter.hit(key, amount=rate.amount, window_s=rate.window_s, ahead=ahead)


def count_address() -> None:
    """Count a request that shows no good credentials.

    Raises:
        TooMany: the address it comes from asks too often.
    """
    services = current_services()
    rate = services.settings.rate_limit_address
    if rate is not None:
        key = f"address:{address()}"
        counted = services.limiter.hit(key, amount=rate.amount, window_s=rate.window_s)
        _keep("address", counted)


def require_patience(client_id: str) -> None:
    """Refuse a sign-in where too many failed lately; from elsewhere a right secret still works.

    Raises:
        TooMany: wait until the window ends.
    """
    services = current_services()
    for key, rate in _sign_in_keys(services, client_id):
        allowance = services.limiter.look(key, amount=rate.amount, window_s=rate.window_s)
        if allowance is not None and allowance.remaining == 0:
            raise TooMany(
                "Too many sign-ins failed; wait a little.",
                code="sign_in_throttled",
                retry_after_s=allowance.resets_in_s,
            )


def count_failed_sign_in(client_id: str) -> bool:
    """Count a wrong secret; tell whether this one closed the door for the rest of the window."""
    services = current_services()
    counted = [
        services.limiter.hit(key, amount=rate.amount, window_s=rate.window_s)
        for key, rate in _sign_in_keys(services, client_id)
    ]
    return any(one is not None and one.used == one.amount for one in counted)


def count_guess(services: Services, remote_address: str | None) -> Allowance | None:
    """Count a link code that nobody has. Known links go on working whatever is counted: behind one
    address may be a whole ward, and a code has 130 random bits."""
    rate = services.settings.rate_limit_links
    if rate is None:
        return None
    key = f"link:{network_of(remote_address)}"
    return services.limiter.hit(key, amount=rate.amount, window_s=rate.window_s)


def refuse_guess(services: Services, remote_address: str | None) -> None:
    """Count a link code that nobody has.

    Raises:
        TooMany: this address shows too many of them.
    """
    allowance = count_guess(services, remote_address)
    if allowance is not None and allowance.is_exceeded:
        raise too_many(allowance)


def counting_guesses(handler: Handler) -> Handler:
    """Count what comes with a link code that nobody has.

    Raises:
        TooMany: this address shows too many of them.
    """

    @wraps(handler)
    def wrapper(services: Services, call: Call, **named: str) -> Answer:
        try:
            return handler(services, call, **named)
        except NotFound:
            refuse_guess(services, call.address)
            raise

    return wrapper


def address() -> str:
    """Return where a request comes from, as it is counted."""
    return network_of(request.remote_addr)


def _sign_in_keys(services: Services, client_id: str) -> list[tuple[str, Rate]]:
    rate = services.settings.rate_limit_sign_in
    if rate is None:
        return []
    here = address()
    # The id is whatever was sent, so not it but its hash becomes a key.
    pair = sha256(client_id.encode("utf-8", "replace")).hexdigest()[:32]
    wider = Rate(rate.amount * SIGN_INS_PER_ADDRESS, rate.window_s)
    return [(f"sign-in:{here}:{pair}", rate), (f"sign-in:{here}", wider)]


def _keep(kind: str, allowance: Allowance | None) -> None:
    """Have the answer tell what is left, if anything is."""
    if allowance is None:
        return
    g.allowance = (kind, allowance)
    if allowance.is_exceeded:
        raise too_many(allowance)


def too_many(allowance: Allowance) -> TooMany:
    """Return the refusal that says when to come again."""
    return TooMany(
        "Too many requests; wait as long as Retry-After says.",
        code="rate_limited",
        retry_after_s=allowance.resets_in_s,
    )


def _count_unknown_link(response: Response) -> Response:
    if response.status_code != 404 or request.endpoint not in LINK_ENDPOINTS:
        return response
    allowance = count_guess(current_services(), request.remote_addr)
    if allowance is None or not allowance.is_exceeded:
        return response
    g.allowance = ("link", allowance)
    if response.mimetype == "text/html":  # the calm page stays as it is
        response.status_code = 429
        response.headers["Retry-After"] = str(allowance.resets_in_s)
        return response
    return from_domain(too_many(allowance))


def _tell(response: Response) -> Response:
    if "allowance" in g:
        response.headers.update(told(*g.allowance))
    return response


def told(name: str, allowance: Allowance) -> tuple[tuple[str, str], ...]:
    """Return the headers that say what is left."""
    return (
        ("RateLimit-Policy", f'"{name}";q={allowance.amount};w={allowance.window_s}'),
        ("RateLimit", f'"{name}";r={allowance.remaining};t={allowance.resets_in_s}'),
    )
