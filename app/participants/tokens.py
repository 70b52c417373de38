"""The Jitsi token: what one person, in one role, may do in one room. Pure: no database, no clock.

Source of the claims: jitsi-meet prosody-plugins token/util.lib.lua, mod_token_affiliation,
and the web client's jwt middleware.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from uuid import UUID

import jwt
import orjson

from app.organisations.keys import Signer
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.settings import Settings

# Every feature Jitsi knows is named, true or false: a missing table would give a moderator all of
# them, recording included, and an unnamed feature falls to whatever the next release decides.
FEATURES: dict[str, Permission | None] = {
    # Nobody yet: Jitsi alone would ask nobody for consent in a way that can be refused.
    "recording": None,
    "livestreaming": None,
    "transcription": None,
    "outbound-call": None,
    "inbound-call": None,
    "sip-inbound-call": None,
    "sip-outbound-call": None,
    "flip": None,
    "live-translation": None,
    "list-visitors": None,
    "file-upload": Permission.SHARE_FILES,
    "create-polls": Permission.MODERATE,
    "send-groupchat": Permission.CHAT,
    "send-private-message": Permission.CHAT,
    "screen-sharing": Permission.SHARE_SCREEN,
    "lobby": Permission.MODERATE,
    "moderation": Permission.MODERATE,
}

# Without PyJWT's layer for claims: they are ours, and orjson writes them.
JWS = jwt.PyJWS(algorithms=["RS256"])


@dataclass(frozen=True, slots=True)
class JitsiToken:
    """A signed token and when it ends."""

    text: str
    expires_at: datetime


def mint(
    seat: Seat, *, signer: Signer, settings: Settings, token_id: UUID, now: datetime
) -> JitsiToken:
    """Return the token for one entry.

    It outlives the planned end on purpose: a client that resumes a lost connection looks at its
    own token and gives up when that has expired. It is no risk, because Prosody asks us at every
    join. It never lives longer than twice the setting: `keys.rotate` keeps keys for that long.
    """
    longest = timedelta(seconds=settings.jitsi_token_ttl_s)
    expires_at = min(max(now, seat.planned_end or now), now + longest) + longest
    said = claims(seat, settings=settings, token_id=token_id, now=now, expires_at=expires_at)
    text = JWS.encode(
        orjson.dumps(said), signer.key, algorithm="RS256", headers={"kid": signer.kid}
    )
    return JitsiToken(text, expires_at)


def claims(
    seat: Seat, *, settings: Settings, token_id: UUID, now: datetime, expires_at: datetime
) -> dict[str, Any]:
    """Return the claims of one token."""
    issued = int(now.timestamp())
    return {
        "iss": settings.jitsi_jwt_issuer,
        "aud": settings.jitsi_jwt_audience,  # a string: Jitsi compares it as one
        "sub": settings.jitsi_xmpp_domain,
        "room": seat.room_name,
        "jti": str(token_id),
        "iat": issued,
        # Jitsi allows no leeway, and its clock is another machine's.
        "nbf": issued - 10,
        "exp": int(expires_at.timestamp()),
        "context": {"user": _user(seat), "features": features(seat.permissions)},
        "teleconsult": {
            "role": seat.role,
            "session": str(seat.session_id),
            "link": str(seat.link_id),
        },
    }


@lru_cache(256)  # of the few sets there are
def features(permissions: frozenset[Permission]) -> Mapping[str, bool]:
    """Return Jitsi's feature table for a set of permissions."""
    return {name: needed in permissions for name, needed in FEATURES.items()}


def meeting_links(seat: Seat, token: JitsiToken, settings: Settings) -> Mapping[str, str]:
    """Return the plain Jitsi address and the deep links of the Android and iOS apps.

    Empty without JITSI_PUBLIC_URL: the local stack has no Jitsi web application. Android's link
    takes the token as a query, because `#jwt` would collide with `#Intent`.
    """
    if not settings.jitsi_public_url:
        return {}
    host = settings.jitsi_public_url.partition("://")[2]
    # Jitsi reads what follows # as JSON and drops a bare token (parseURLParams.ts).
    as_json = quote(f'"{token.text}"')
    query = f"{host}/{seat.room_name}?jwt={quote(token.text)}"
    return {
        "web": f"{settings.jitsi_public_url}/{seat.room_name}#jwt={as_json}",
        "android": f"intent://{query}#Intent;scheme=org.jitsi.meet;package=org.jitsi.meet;end",
        "ios": f"org.jitsi.meet://{query}",
    }


def _user(seat: Seat) -> dict[str, Any]:
    is_moderator = Permission.MODERATE in seat.permissions
    return {
        "id": str(seat.participant_id),
        "name": seat.display_name,
        "affiliation": "owner" if is_moderator else "member",
        "moderator": is_moderator,
    }
