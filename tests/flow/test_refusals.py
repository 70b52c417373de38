"""Wrong tokens: refused at the login, with the reason, over websocket and BOSH, and audited."""

import asyncio

import pytest

from app.clock import utc_now
from tests.flow.clinic import Clinic, Guest
from tests.flow.forgery import (
    GONE,
    Forgery,
    In,
    altered_claims,
    altered_signature,
    hmac_of_public_key,
    nothing,
    rs512,
    strangers_jwk,
    strangers_rs256,
)
from tests.flow.xmpp_client import Refused, connection, logged_in

# Refusals after the signature was found good: then the audit log can say whose token it was.
OF_A_KNOWN_PERSON = {
    "token-expired",
    "token-not-yet-valid",
    "token-issuer",
    "token-audience",
    "token-domain",
    "token-room",
    "token-user",
}

FORGERIES = [
    Forgery("missing", "token-missing", spoil=lambda _: None),
    Forgery("empty", "token-missing", spoil=lambda _: ""),
    Forgery("garbage", "token-malformed", spoil=lambda _: "open-sesame"),
    Forgery("garbage in three parts", "token-malformed", spoil=lambda _: "b3Blbg.c2VzYW1l.IQ"),
    Forgery("two parts", "token-malformed", spoil=lambda text: text.rpartition(".")[0]),
    Forgery("four parts", "token-malformed", spoil=lambda text: text + ".e30"),
    Forgery("too long", "token-malformed", claims={"padding": "x" * 5600}),
    Forgery("typ of another kind of token", "token-malformed", header={"typ": "at+jwt"}),
    Forgery("no typ", "token-malformed", header={"typ": GONE}),
    Forgery("alg none", "token-algorithm", header={"alg": "none"}, sign=nothing),
    Forgery("alg nOnE, signed", "token-algorithm", header={"alg": "nOnE"}),
    Forgery(
        "HS256 with the public key", "token-algorithm", header={"alg": "HS256"},
        sign=hmac_of_public_key,
    ),
    Forgery("HS256 passed off as RS256", "token-signature", sign=hmac_of_public_key),
    Forgery("RS512 with the right key", "token-algorithm", header={"alg": "RS512"}, sign=rs512),
    Forgery("RS512 passed off as RS256", "token-signature", sign=rs512),
    Forgery("no kid", "token-key", header={"kid": GONE}),
    Forgery("empty kid", "token-key", header={"kid": ""}),
    Forgery("unknown kid", "token-key", header={"kid": "teleconsult-0000000000000000"}),
    Forgery("kid is a path", "token-key", header={"kid": "../../health"}),
    Forgery("kid is an address", "token-key", header={"kid": "http://127.0.0.1/key.pem"}),
    Forgery("kid with a line break", "token-key", header={"kid": "a\r\nHost: elsewhere"}),
    Forgery("kid is a number", "token-key", header={"kid": 1}),
    Forgery("kid is a list", "token-key", header={"kid": ["teleconsult"]}),
    Forgery("kid too long", "token-key", header={"kid": "k" * 129}),
    Forgery("another key under our kid", "token-signature", sign=strangers_rs256),
    Forgery(
        "another key, brought along", "token-signature", header={"jwk": strangers_jwk()},
        sign=strangers_rs256,
    ),
    Forgery("altered claims", "token-signature", spoil=altered_claims),
    Forgery("altered signature", "token-signature", spoil=altered_signature),
    Forgery("no signature", "token-signature", sign=nothing),
    Forgery("expired", "token-expired", claims={"exp": In(-1)}),
    Forgery("expires now", "token-expired", claims={"exp": In(0)}),
    Forgery("never expires", "token-expired", claims={"exp": GONE}),
    Forgery("exp is a text", "token-expired", claims={"exp": "9999999999"}),
    Forgery("exp is true", "token-expired", claims={"exp": True}),
    Forgery("not yet valid", "token-not-yet-valid", claims={"nbf": In(60)}),
    Forgery("no nbf", "token-not-yet-valid", claims={"nbf": GONE}),
    Forgery("another issuer", "token-issuer", claims={"iss": "jitsi"}),
    Forgery("no issuer", "token-issuer", claims={"iss": GONE}),
    Forgery("another audience", "token-audience", claims={"aud": "teleconsult"}),
    Forgery("audience is a list", "token-audience", claims={"aud": ["jitsi"]}),
    Forgery("audience is any", "token-audience", claims={"aud": "*"}),
    Forgery("another domain", "token-domain", claims={"sub": "meet.example"}),
    Forgery("no domain", "token-domain", claims={"sub": GONE}),
    Forgery("no room", "token-room", claims={"room": GONE}),
    Forgery("empty room", "token-room", claims={"room": ""}),
    Forgery("room is a list", "token-room", claims={"room": ["a", "b"]}),
    Forgery("no person", "token-user", claims={"context": {"features": {}}}),
    Forgery("person without an id", "token-user", claims={"context": {"user": {"name": "X"}}}),
    Forgery("no token id", "token-user", claims={"jti": GONE}),
]  # fmt: skip
OVER_BOSH = [
    one for one in FORGERIES if one.name in {"missing", "alg none", "altered claims", "expired"}
]


@pytest.fixture(scope="module")
def doctor(clinic: Clinic) -> Guest:
    """Somebody whose honest token opens the door."""
    return clinic.guest("doctor")


def refusal_at_login(clinic: Clinic, token: str | None, over: str) -> Refused:
    async def try_it() -> Refused:
        with pytest.raises(Refused) as caught:
            async with logged_in(clinic.port, token, over=over):
                pass
        return caught.value

    return asyncio.run(try_it())


@pytest.mark.parametrize("over", ["websocket", "bosh"])
def test_an_honest_token_opens_the_door(clinic: Clinic, doctor: Guest, over: str) -> None:
    """Otherwise the refusals below would show nothing."""

    async def enter() -> None:
        async with logged_in(clinic.port, clinic.token(doctor.code), over=over) as client:
            await client.enter(doctor.room)

    asyncio.run(enter())


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_wrong_token_is_refused_at_the_login(
    clinic: Clinic, doctor: Guest, forgery: Forgery
) -> None:
    """The client reads which rule it broke, and so does the audit log."""
    expect_refused(clinic, doctor, forgery, over="websocket")


@pytest.mark.parametrize("forgery", OVER_BOSH, ids=lambda forgery: forgery.name)
def test_a_wrong_token_is_refused_over_bosh_too(
    clinic: Clinic, doctor: Guest, forgery: Forgery
) -> None:
    """The older transport has the same door."""
    expect_refused(clinic, doctor, forgery, over="bosh")


def expect_refused(clinic: Clinic, doctor: Guest, forgery: Forgery, *, over: str) -> None:
    began = utc_now()

    refused = refusal_at_login(clinic, forgery.token(doctor.claims, clinic.signer), over)

    assert (refused.condition, refused.code) == ("not-allowed", forgery.code)
    assert refused.text.endswith(".")
    entry = clinic.audited(began, code=forgery.code)
    is_known = forgery.code in OF_A_KNOWN_PERSON and "context" not in forgery.claims
    assert str(entry.participant_id) == (doctor.id if is_known else "None")
    assert entry.action == "room.entry_refused"


def test_whoever_was_refused_can_do_nothing_else(clinic: Clinic) -> None:
    """Without a login there is no address, so no stanza goes anywhere."""

    async def try_it() -> None:
        async with connection(clinic.port, "open-sesame") as client:
            with pytest.raises(Refused):
                await client.log_in()
            with pytest.raises((Refused, ConnectionError)):
                await client.bind()

    asyncio.run(try_it())
