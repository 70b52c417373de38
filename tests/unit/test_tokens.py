"""The claims of a Jitsi token: pure, complete, and in the form Jitsi's modules read."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from app.organisations.keys import Signer
from app.participants.permissions import Permission, Role
from app.participants.seats import Seat
from app.participants.tokens import FEATURES, claims, features, meeting_links, mint
from app.settings import Settings
from tests.unit.environment import settings_of
from tests.unit.seats import NOW, a_seat

TOKEN_ID = UUID(int=5)
# Those Jitsi's web client knows (jitsi-facts 1.5); one that is not named is left to chance.
JITSI_FEATURES = {
    "create-polls", "file-upload", "flip", "inbound-call", "list-visitors", "live-translation",
    "livestreaming", "lobby", "moderation", "outbound-call", "recording", "screen-sharing",
    "send-groupchat", "send-private-message", "sip-inbound-call", "sip-outbound-call",
    "transcription",
}  # fmt: skip


def settings(**values: Any) -> Settings:
    """Return settings of a deployment."""
    return replace(
        settings_of({}),
        **{
            "jitsi_jwt_issuer": "teleconsult",
            "jitsi_jwt_audience": "jitsi",
            "jitsi_xmpp_domain": "meet.example",
            "jitsi_token_ttl_s": 3600,
            **values,
        },
    )


@cache
def key() -> RSAPrivateKey:
    """Return one key for all these tests; making one takes a while."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def claims_of(seat: Seat) -> dict[str, Any]:
    """Return the claims of a token made now."""
    return claims(
        seat,
        settings=settings(),
        token_id=TOKEN_ID,
        now=NOW,
        expires_at=NOW + timedelta(hours=1),
    )


def test_the_claims_of_a_doctor_are_these_and_no_others() -> None:
    """Contract: whoever reads the token relies on each member."""
    seat = a_seat(role="doctor", display_name="Dr. Alice")
    now = int(NOW.timestamp())
    assert claims_of(seat) == {
        "iss": "teleconsult",
        "aud": "jitsi",
        "sub": "meet.example",
        "room": "abcdefghijklmnopqrst",
        "jti": str(TOKEN_ID),
        "iat": now,
        "nbf": now - 10,
        "exp": now + 3600,
        "context": {
            "user": {
                "id": str(seat.participant_id),
                "name": "Dr. Alice",
                "affiliation": "owner",
                "moderator": True,
            },
            "features": features(seat.permissions),
        },
        "teleconsult": {
            "role": "doctor",
            "session": str(seat.session_id),
            "link": str(seat.link_id),
        },
    }


def test_the_claims_are_the_same_for_the_same_input() -> None:
    """Pure: no clock, no chance, and JSON as it stands."""
    seat = a_seat()
    assert claims_of(seat) == claims_of(seat)
    assert json.loads(json.dumps(claims_of(seat))) == claims_of(seat)


@pytest.mark.parametrize("role", [str(role) for role in Role])
def test_every_feature_jitsi_knows_is_decided_for_every_role(role: str) -> None:
    """An absent table gives a moderator everything, an absent name what the next release likes."""
    table = claims_of(a_seat(role=role))["context"]["features"]
    assert set(table) == JITSI_FEATURES
    assert all(isinstance(value, bool) for value in table.values())


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("doctor", {"file-upload", "create-polls", "send-groupchat",
                    "send-private-message", "screen-sharing", "lobby", "moderation"}),
        ("nurse", {"file-upload", "create-polls", "send-groupchat", "send-private-message",
                   "screen-sharing", "lobby", "moderation"}),
        ("patient", {"file-upload", "send-groupchat", "send-private-message"}),
        ("paramedic", {"file-upload", "send-groupchat", "send-private-message", "screen-sharing"}),
        ("interpreter", {"send-groupchat", "send-private-message"}),
        ("relative", {"send-groupchat", "send-private-message"}),
        ("observer", set()),
    ],
)  # fmt: skip
def test_features_follow_the_permissions(role: str, allowed: set[str]) -> None:
    """Never livestreaming, telephony or transcription: data would leave the hospital. Nor recording
    yet, which Jitsi alone starts without asking anybody for consent."""
    table = features(a_seat(role=role).permissions)
    assert {name for name, value in table.items() if value} == allowed


@pytest.mark.parametrize("permission", [p for p in FEATURES.values() if p])
def test_a_feature_comes_and_goes_with_its_permission(permission: Permission) -> None:
    """Each alone."""
    mine = {name for name, needed in FEATURES.items() if needed is permission}
    assert {name for name, value in features(frozenset({permission})).items() if value} == mine


@pytest.mark.parametrize("role", [str(role) for role in Role])
def test_only_who_may_moderate_is_owner(role: str) -> None:
    """Jitsi's own module reads both members; they never contradict each other."""
    user = claims_of(a_seat(role=role))["context"]["user"]
    is_moderator = role in ("doctor", "nurse")
    assert user["moderator"] is is_moderator
    assert user["affiliation"] == ("owner" if is_moderator else "member")


def test_no_email_and_no_reference_is_in_a_token() -> None:
    """A token carries the display name, because Jitsi shows it, and nothing else of a person."""
    assert set(claims_of(a_seat())["context"]["user"]) == {"id", "name", "affiliation", "moderator"}


@pytest.mark.parametrize(
    ("ends_in_h", "lives_h"), [(None, 1), (-2, 1), (0, 1), (0.5, 1.5), (1, 2), (100, 2)]
)
def test_a_token_outlives_the_planned_end_but_not_for_ever(
    ends_in_h: float | None, lives_h: float
) -> None:
    """At most twice the setting: a replaced key is published for that long."""
    planned_end = None if ends_in_h is None else NOW + timedelta(hours=ends_in_h)
    token = minted(a_seat(planned_end=planned_end))
    assert token.expires_at == NOW + timedelta(hours=lives_h)
    assert read(token.text)["exp"] == int(token.expires_at.timestamp())


def test_a_token_names_its_key_and_is_signed_with_rs256() -> None:
    """The header Jitsi's Lua code insists on."""
    header = jwt.get_unverified_header(minted(a_seat()).text)
    assert header == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}


def test_without_a_jitsi_web_application_there_are_no_meeting_links() -> None:
    """The local stack's page is the only door."""
    assert meeting_links(a_seat(), minted(a_seat()), settings(jitsi_public_url="")) == {}


def test_the_meeting_links_carry_the_token_where_each_client_looks() -> None:
    """The browser in the fragment, as JSON and in no log; the apps in the query."""
    token = minted(a_seat())
    links = meeting_links(a_seat(), token, settings(jitsi_public_url="https://meet.example:8443"))
    room = "abcdefghijklmnopqrst"
    assert links == {
        "web": f"https://meet.example:8443/{room}#jwt=%22{token.text}%22",
        "android": f"intent://meet.example:8443/{room}?jwt={token.text}"
        "#Intent;scheme=org.jitsi.meet;package=org.jitsi.meet;end",
        "ios": f"org.jitsi.meet://meet.example:8443/{room}?jwt={token.text}",
    }
    assert not urlsplit(links["web"]).query


def minted(seat: Seat) -> Any:
    """Return a token made now."""
    signer = Signer("key-1", key())
    return mint(seat, signer=signer, settings=settings(), token_id=TOKEN_ID, now=NOW)


def read(text: str) -> dict[str, Any]:
    """Return verified claims, whatever the day is."""
    return dict(
        jwt.decode(
            text,
            key().public_key(),
            algorithms=["RS256"],
            audience="jitsi",
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    )
